"""Explanations of a prediction: class activation maps, and the nearest training images.

Features are means over a feature map's positions and the head is linear, so a class's logit is a mean over
positions too: class activation mapping is exact here, where Grad-CAM would estimate. Zhou et al., "Learning
deep features for discriminative localization", 2016.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array
from studio.curate.kernel_model import nearest_neighbours
from studio.images.similarity import unit_vectors
from studio.retrain.head.head import Head
from studio.retrain.measure_confidence import RunFeatures
from studio.retrain.model_outputs import FeatureMapOutput
from studio.retrain.snapshot import Example

_COLOURS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64)
"""The viridis colour map, from low to high: brightness rises with the value, also for colour-blind people."""
_MAX_OPACITY = 0.72


def class_activation_map(
    outputs: Sequence[npt.NDArray[np.generic]],
    maps: Sequence[FeatureMapOutput],
    head: Head,
    class_number: int,
) -> Float32Array | None:
    """Return the contribution of each position to a class's score: float32, (rows, columns), or None.

    outputs: of the derived model file, for one image. The sum over all positions is the class's logit less
    the mean of all logits, without biases. Smaller feature maps are resized to the largest, with their sums
    kept. None for a file without feature maps.
    """
    if not maps:
        return None
    # Softmax ignores what all logits have in common.
    weights = head.weights[:, class_number] - head.weights.mean(axis=1)
    parts = []
    for each in maps:
        values = np.asarray(outputs[each.output], np.float32)
        if each.scale:
            values = (values - each.zero) * np.float32(each.scale)
        parts.append(values @ weights[each.first : each.first + each.channels] / np.prod(values.shape[:2]))
    rows, columns = max((part.shape for part in parts), key=np.prod)
    resized = [_resize_keeping_sum(part, rows, columns) for part in parts]
    return np.asarray(np.sum(resized, axis=0, dtype=np.float32))


def overlay_activation_map(pixels: npt.NDArray[np.uint8], activation_map: Float32Array) -> Image.Image:
    """Draw the positive part of a class activation map over an image, bright where it is high.

    pixels: uint8, (h, w, 3), as the network gets them; activation_map: as `class_activation_map` returns it.
    """
    height, width = pixels.shape[:2]
    positive = Image.fromarray(np.maximum(activation_map, 0))
    values = np.asarray(positive.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    values = np.maximum(values, 0)
    values = values / (values.max() or 1)
    stops = np.linspace(0, 1, len(_COLOURS))
    colour = np.stack([np.interp(values, stops, channel) for channel in _COLOURS.T], axis=-1)
    opacity = (_MAX_OPACITY * np.sqrt(values))[..., np.newaxis]
    grey = pixels.mean(axis=-1, keepdims=True)
    return Image.fromarray(np.asarray(grey * (1 - opacity) + colour * opacity, np.uint8))


def _resize_keeping_sum(part: Float32Array, rows: int, columns: int) -> Float32Array:
    if part.shape == (rows, columns):
        return part
    image = Image.fromarray(part).resize((columns, rows), Image.Resampling.BILINEAR)
    resized = np.asarray(image, np.float32)
    return resized + np.float32((part.sum() - resized.sum()) / resized.size)


@dataclass(frozen=True)
class NearestImage:
    """A training image near another image. similarity: the cosine of their features, up to 1."""

    sha256: str
    label: str
    path: Path
    similarity: float


class NearestTrainingImages:
    """Search for the nearest training images of a run, among those whose features are cached.

    At most 20,000 images, spread over classes as evenly as possible.
    """

    def __init__(self, examples: tuple[Example, ...], features: Float32Array) -> None:
        self._examples = examples
        self._directions = unit_vectors(features)

    @classmethod
    def of(cls, run_dir: Path, bottleneck_dir: Path) -> "NearestTrainingImages":
        """Load the images of a run. Raises ModelUnreadable, and ValueError without the studio's head."""
        run = RunFeatures.of(run_dir)
        return cls(*run.cached_vectors(run.training(), bottleneck_dir))

    def find(self, features: Float32Array, count: int) -> tuple[NearestImage, ...]:
        """Return the nearest images, nearest first. features: float32, (features,), of one image."""
        rows, cosines = nearest_neighbours(unit_vectors(features[np.newaxis]), self._directions, count)
        return tuple(
            NearestImage(example.sha256, example.label, example.path, float(cosine))
            for example, cosine in zip((self._examples[row] for row in rows[0]), cosines[0], strict=True)
        )
