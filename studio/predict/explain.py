"""What a model looked at: the share that each place of an image has in a class's score.

Features are means over a map's places and the head is linear, so that a class's logit is a mean over places
too: class activation mapping is exact here, where Grad-CAM would estimate. Zhou et al., "Learning deep
features for discriminative localization", 2016.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array
from studio.curate.kernel_model import nearest
from studio.retrain.head.head import Head
from studio.retrain.measure_confidence import RunFeatures
from studio.retrain.model_outputs import MapOutput
from studio.retrain.snapshot import Example

_COLOURS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64)
"""From little to much, as bright as it is much, for eyes that see few colours too (viridis)."""
_MOST_COVER = 0.72


def evidence(
    outputs: Sequence[npt.NDArray[np.generic]], maps: Sequence[MapOutput], head: Head, at: int
) -> Float32Array | None:
    """Return how much each place speaks for a class and against the mean of all: float32, (rows, columns).

    outputs: the derived file's, on one image; at: the class's number. All places together are the class's
    logit less the mean of all logits, biases left out. Of several maps the smaller are drawn out to the
    largest, their sums kept. None where the file has no maps.
    """
    if not maps:
        return None
    # A softmax does not see what all classes have in common.
    weights = head.weights[:, at] - head.weights.mean(axis=1)
    parts = []
    for each in maps:
        values = np.asarray(outputs[each.output], np.float32)
        if each.scale:
            values = (values - each.zero) * np.float32(each.scale)
        parts.append(values @ weights[each.first : each.first + each.channels] / np.prod(values.shape[:2]))
    rows, columns = max((part.shape for part in parts), key=np.prod)
    drawn = [_drawn_out(part, rows, columns) for part in parts]
    return np.asarray(np.sum(drawn, axis=0, dtype=np.float32))


def over(pixels: npt.NDArray[np.uint8], heat: Float32Array) -> Image.Image:
    """Return the image as the network sees it, covered where it spoke for the class: bright is much.

    pixels: uint8, (h, w, 3); heat: as `evidence` gives it.
    """
    height, width = pixels.shape[:2]
    large = Image.fromarray(np.maximum(heat, 0)).resize((width, height), Image.Resampling.BICUBIC)
    values = np.maximum(np.asarray(large, np.float32), 0)
    values = values / (values.max() or 1)
    stops = np.linspace(0, 1, len(_COLOURS))
    colour = np.stack([np.interp(values, stops, channel) for channel in _COLOURS.T], axis=-1)
    cover = (_MOST_COVER * np.sqrt(values))[..., np.newaxis]
    grey = pixels.mean(axis=-1, keepdims=True)
    return Image.fromarray(np.asarray(grey * (1 - cover) + colour * cover, np.uint8))


def _drawn_out(part: Float32Array, rows: int, columns: int) -> Float32Array:
    if part.shape == (rows, columns):
        return part
    large = Image.fromarray(part).resize((columns, rows), Image.Resampling.BILINEAR)
    drawn = np.asarray(large, np.float32)
    return drawn + np.float32((part.sum() - drawn.sum()) / drawn.size)


@dataclass(frozen=True)
class Near:
    """A training image. likeness: the cosine of the two images' features, up to 1."""

    sha256: str
    label: str
    path: Path
    likeness: float


class NearestImages:
    """The training images of a run whose features are cached: those of at most 20,000, classes alike."""

    def __init__(self, examples: tuple[Example, ...], features: Float32Array) -> None:
        self._examples = examples
        self._directions = _directions(features)

    @classmethod
    def of(cls, run_dir: Path, bottleneck_dir: Path) -> "NearestImages":
        """Read them. Raises ModelUnreadable, and ValueError for a model without a head of ours."""
        run = RunFeatures.of(run_dir)
        return cls(*run.cached(run.training(), bottleneck_dir))

    def to(self, features: Float32Array, count: int) -> tuple[Near, ...]:
        """Return the nearest of them, nearest first. features: float32, (features,), of one image."""
        places, cosines = nearest(_directions(features[np.newaxis]), self._directions, count)
        return tuple(
            Near(example.sha256, example.label, example.path, float(cosine))
            for example, cosine in zip((self._examples[at] for at in places[0]), cosines[0], strict=True)
        )


def _directions(vectors: Float32Array) -> Float32Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)
