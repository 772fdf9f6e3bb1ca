"""Several backbones as one: one input for all of them, and their features one after the other."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio.backbones.backbone import Backbone, Facts
from studio.backbones.interpreter import tensorflow
from studio.backbones.preprocessing import Preprocessing
from studio.errors import BackboneError
from studio.i18n import _
from studio.progress import Progress

MOST_TOGETHER = 4
"""More would gain nothing, and their names would not fit into a file's."""


@dataclass(frozen=True)
class SideBySide:
    """The weights of all members."""

    members: tuple[Backbone, ...]

    @property
    def identity(self) -> str:
        """The members' in their order."""
        return "+".join(member.source.identity for member in self.members)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the members' SHA-256s, hexadecimal; empty while one is not here."""
        if not self.here:
            return ""
        return hashlib.sha256("+".join(member.weights_sha256 for member in self.members).encode()).hexdigest()

    @property
    def here(self) -> bool:
        """Whether the weights of all members are."""
        return all(member.installed for member in self.members)

    @property
    def downloadable(self) -> bool:
        """Whether all members are, or are here."""
        return all(member.downloadable for member in self.members)

    @property
    def told(self) -> str:
        """Those that are not here, one after the other; all of them where all are."""
        missing = [member for member in self.members if not member.installed] or self.members
        return "; ".join(member.source.told for member in missing)

    def fetch(self, progress: Progress) -> None:
        """Get what is missing. Raises BackboneError, Stopped."""
        for member in self.members:
            member.fetch(progress)

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        """Return the Keras model: unscaled pixels, 0-255, in; all features out. Raises BackboneError."""
        if classifier:
            raise BackboneError(_("Backbones that stand side by side have no classifier."))
        tensorflow()
        import keras

        pixels = keras.Input((size_px, size_px, 3))
        features = [member.on_pixels(pixels, size_px) for member in self.members]
        return keras.Model(pixels, keras.layers.Concatenate(name="side_by_side")(features))


def side_by_side(members: Sequence[Backbone]) -> Backbone:
    """Return one backbone out of several. Raises BackboneError for members that cannot stand together.

    All see images of the largest member's size: convolutions take any, and a small one is learned for
    nothing where a large one is computed anyhow.
    """
    names = [member.name for member in members]
    if len(set(names)) < len(names):
        raise BackboneError(
            _("expected different backbones side by side; got {names}.").format(names="+".join(names))
        )
    if len(names) > MOST_TOGETHER:
        raise BackboneError(
            _("expected at most {most} backbones side by side; got {count}.").format(
                most=MOST_TOGETHER, count=len(names)
            )
        )
    quantized = next((member for member in members if member.quantized), None)
    if quantized is not None:
        raise BackboneError(
            _(
                "{name} computes in whole numbers and stands by itself only. Take it without _quantized."
            ).format(name=quantized.name)
        )
    size_px = max(member.preprocessing.width_px for member in members)
    return Backbone(
        name="+".join(names),
        title=" + ".join(member.title for member in members),
        preprocessing=Preprocessing(size_px, size_px, mean=0.0, scale=1.0),
        features=sum(member.features for member in members),
        facts=Facts(
            parameters=sum(member.facts.parameters for member in members),
            multiply_adds=sum(
                round(member.facts.multiply_adds * (size_px / member.preprocessing.width_px) ** 2)
                for member in members
            ),
            top1=None,
            top1_source="",
            licence=", ".join(dict.fromkeys(member.facts.licence for member in members)),
        ),
        source=SideBySide(tuple(members)),
        members=tuple(members),
    )
