"""A backbone: a pretrained network without its top, its published figures and the source of its weights."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from studio.backbones.preprocessing import Preprocessing
from studio.progress import Progress

_CONVERSION_VERSION = 1
"""Part of the fingerprint: raise it when the outputs of converted files change."""
_QUANTIZATION_VERSION = 1
"""The same for quantized files, whose fingerprint also contains `_CONVERSION_VERSION`."""
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class BackboneInfo:
    """Figures to choose a backbone by, all of the network without its top.

    parameters: number of weights, including the moving averages of batch normalisation.
    multiply_adds: per image, in convolutions and dense layers, at the backbone's input size.
    top1: top-1 accuracy on ImageNet's validation images in percent, as published with the weights for the
    network with its top; None if it was not published.
    top1_source: URL of that publication.
    """

    parameters: int
    multiply_adds: int
    top1: float | None
    top1_source: str
    licence: str


class WeightSource(Protocol):
    """The file with a backbone's weights, and the network they are loaded into."""

    @property
    def cache_key(self) -> str:
        """Key that identifies these weights: a hash wherever one is known."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the file with the weights, hexadecimal; empty while it is not installed."""

    @property
    def installed(self) -> bool:
        """Return whether the weights are on this machine."""

    @property
    def can_download(self) -> bool:
        """Return whether `download` can get missing weights."""

    @property
    def description(self) -> str:
        """Text for people: where to get the weights, and their expected hash."""

    def download(self, progress: Progress) -> None:
        """Download missing weights, where that is possible. Raises BackboneError, Stopped."""

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        """Return the Keras model.

        Input: float32, (N, size_px, size_px, 3), scaled. Output: float32, (N, features).
        classifier: output ImageNet's 1,000 logits instead, where weights for them are available.
        Raises BackboneError.
        """


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its top.

    features: length of its output vector.
    quantized: its file computes in 8-bit integers; `network` is the float model it was made from.
    members: the backbones it concatenates; empty for a single one.
    """

    name: str
    title: str
    preprocessing: Preprocessing
    features: int
    info: BackboneInfo
    source: WeightSource
    quantized: bool = False
    members: tuple["Backbone", ...] = ()

    @property
    def fingerprint(self) -> str:
        """Cache key of its bottlenecks: 16 hexadecimal digits.

        It identifies the weights and the conversion, not the bytes of the converted file, which may differ
        between versions of the converter. For weights without a published hash it changes when they are
        installed.
        """
        key: dict[str, Any] = {
            "name": self.name,
            "weights": self.source.cache_key,
            "conversion": _CONVERSION_VERSION,
        }
        if self.quantized:
            key["quantization"] = _QUANTIZATION_VERSION
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the file with the weights, hexadecimal; empty while it is not installed."""
        return self.source.sha256

    @property
    def installed(self) -> bool:
        """Return whether it can be used now, without a download."""
        return self.source.installed

    @property
    def can_download(self) -> bool:
        """Return whether missing weights are downloaded on first use."""
        return self.source.can_download

    @property
    def size_bytes(self) -> int:
        """Size of its weights in a model file."""
        if self.members:
            return sum(member.size_bytes for member in self.members)
        return self.info.parameters * (1 if self.quantized else _FLOAT_BYTES)

    def download(self, progress: Progress) -> None:
        """Download missing weights. Raises Stopped, and BackboneError with the place to put them by hand."""
        self.source.download(progress)

    def network(self, *, classifier: bool = False) -> Any:
        """Return the Keras model: input float32, (N, h, w, 3), scaled; output float32, (N, features).

        classifier: output ImageNet's 1,000 logits instead of features; only for weights installed by pip.
        Raises BackboneError while the weights are not installed.
        """
        return self.source.network(self.preprocessing.width_px, classifier=classifier)

    def extract_features(self, pixels: Any, size_px: int | None = None) -> Any:
        """Return the features of unscaled pixels; both are symbolic Keras tensors.

        pixels: uint8 or float32, (N, size_px, size_px, 3), 0-255; size_px: by default the backbone's own.
        """
        network = self.source.network(size_px or self.preprocessing.width_px)
        # Networks of one family share a name, but names in a model must differ. TensorFlow forbids "+" in
        # names.
        network.name = self.name.replace("+", ".")
        return network(self.preprocessing.scaling_layer()(pixels))
