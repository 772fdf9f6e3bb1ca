"""Concatenation of several backbones: one input for all of them, their features one after the other."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio.backbones.backbone import Backbone, BackboneInfo
from studio.backbones.interpreter import tensorflow
from studio.backbones.preprocessing import Preprocessing
from studio.errors import BackboneError
from studio.i18n import _
from studio.progress import Progress

MAX_MEMBERS = 4
"""More bring no accuracy, and their joined names would be too long for a file name."""


@dataclass(frozen=True)
class ConcatenatedWeights:
    """The weights of all members."""

    members: tuple[Backbone, ...]

    @property
    def cache_key(self) -> str:
        """The members' keys in their order."""
        return "+".join(member.source.cache_key for member in self.members)

    @property
    def sha256(self) -> str:
        """SHA-256 of the members' SHA-256s, hexadecimal; empty while one is not installed."""
        if not self.installed:
            return ""
        return hashlib.sha256("+".join(member.weights_sha256 for member in self.members).encode()).hexdigest()

    @property
    def installed(self) -> bool:
        """Return whether the weights of all members are installed."""
        return all(member.installed for member in self.members)

    @property
    def can_download(self) -> bool:
        """Return whether all members are installed or can be downloaded."""
        return all(member.can_download for member in self.members)

    @property
    def description(self) -> str:
        """The descriptions of missing members; of all members if none is missing."""
        missing = [member for member in self.members if not member.installed] or self.members
        return "; ".join(member.source.description for member in missing)

    def download(self, progress: Progress) -> None:
        """Download missing weights. Raises BackboneError, Stopped."""
        for member in self.members:
            member.download(progress)

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        """Return the Keras model: input unscaled pixels, 0-255; output all features. Raises BackboneError."""
        if classifier:
            raise BackboneError(_("Concatenated backbones have no classifier. Choose a single backbone."))
        tensorflow()
        import keras

        pixels = keras.Input((size_px, size_px, 3))
        features = [member.extract_features(pixels, size_px) for member in self.members]
        # The name is part of the converted file's bytes, which its file name is made from.
        return keras.Model(pixels, keras.layers.Concatenate(name="side_by_side")(features))


def concatenate(members: Sequence[Backbone]) -> Backbone:
    """Return the concatenation of several backbones. Raises BackboneError if they cannot be concatenated.

    All members get images of the largest member's size: convolutions accept any size, and a smaller image
    would save little beside the computing of the largest member.
    """
    names = [member.name for member in members]
    if len(set(names)) < len(names):
        raise BackboneError(
            _("expected different backbones to concatenate; got {names}. Name each one once.").format(
                names="+".join(names)
            )
        )
    if len(names) > MAX_MEMBERS:
        raise BackboneError(
            _("expected at most {most} backbones to concatenate; got {count}. Choose fewer.").format(
                most=MAX_MEMBERS, count=len(names)
            )
        )
    quantized = next((member for member in members if member.quantized), None)
    if quantized is not None:
        raise BackboneError(
            _(
                "expected backbones that are not quantized to concatenate; got {name}. "
                "Choose it without _quantized."
            ).format(name=quantized.name)
        )
    size_px = max(member.preprocessing.width_px for member in members)
    return Backbone(
        name="+".join(names),
        title=" + ".join(member.title for member in members),
        preprocessing=Preprocessing(size_px, size_px, mean=0.0, scale=1.0),
        features=sum(member.features for member in members),
        info=BackboneInfo(
            parameters=sum(member.info.parameters for member in members),
            multiply_adds=sum(
                round(member.info.multiply_adds * (size_px / member.preprocessing.width_px) ** 2)
                for member in members
            ),
            top1=None,
            top1_source="",
            licence=", ".join(dict.fromkeys(member.info.licence for member in members)),
        ),
        source=ConcatenatedWeights(tuple(members)),
        members=tuple(members),
    )
