"""A backbone out of Keras Applications: what is common to all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studio.retrain.backbones.backbone import Backbone, Facts
from studio.retrain.backbones.keras_weights import KerasWeights
from studio.retrain.preprocessing import Channels, Preprocessing

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/"
KERAS_DOCUMENTATION = "https://keras.io/api/applications/"


@dataclass(frozen=True)
class Scaling:
    """How Keras scales pixels for a network, `(pixel - mean) / scale`, as its `preprocess_input` does.

    channels_reversed: blue, green, red; channel_factors: what it multiplies by once more.
    """

    mean: Channels
    scale: Channels
    channels_reversed: bool = False
    channel_factors: tuple[float, float, float] | None = None


SIGNED = Scaling(127.5, 127.5)
"""From -1 to 1: mode "tf" of `imagenet_utils.preprocess_input`."""
NORMALISED = Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""ImageNet's mean and deviation: mode "torch", 255 times (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)."""
CENTRED = Scaling((123.68, 116.779, 103.939), 1.0, channels_reversed=True)
"""ImageNet's mean, on blue, green, red: mode "caffe"."""
INSIDE = Scaling(0.0, 1.0)
"""The network scales by itself."""


@dataclass(frozen=True)
class Counts:
    """What is counted in a network without its top, at its own input size."""

    features: int
    parameters: int
    multiply_adds: int


def keras_backbone(
    name: str,
    title: str,
    constructor: str,
    *,
    size_px: int,
    counts: Counts,
    top1: float,
    address: str,
    file: str,
    published_hash: str,
    arguments: Mapping[str, Any] | None = None,
    scaling: Scaling = INSIDE,
    top1_source: str = KERAS_DOCUMENTATION,
    licence: str = "Apache-2.0",
) -> Backbone:
    """Return the backbone. address: of the file without the top; file: its name where Keras keeps it."""
    return Backbone(
        name,
        title,
        Preprocessing(size_px, size_px, mean=scaling.mean, scale=scaling.scale),
        counts.features,
        Facts(counts.parameters, counts.multiply_adds, top1, top1_source, licence),
        KerasWeights(
            title,
            constructor,
            tuple((arguments or {}).items()),
            address,
            file,
            published_hash,
            scaling.channel_factors,
            scaling.channels_reversed,
        ),
    )
