"""Image issues: blurred, dark, blank, small, elongated, outlier.

`IMAGE_ISSUES` has an entry for each kind: its stored name, its title and its score. The thresholds were
measured on photographs and on degraded versions of them: docs/decisions/0040-image-and-label-analysis.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from studio.arrays import Float32Array, FloatArray
from studio.curate.image_quality import MEASURES
from studio.curate.kernel_model import nearest_neighbours
from studio.i18n import _

_BLUR_THRESHOLDS = {"octave1": (-0.65, 0.3), "octave2": (-1.27, 0.6), "edges": (-1.9, 0.8)}
"""For each measure the threshold below which an image is blurred, and how far below it the score is 1."""
_DARK_BELOW = 60.0
"""Dark: hardly a twentieth of the pixels is brighter."""
_BLANK_BOUNDS = (2.0, 8.0)
_BLANK_SHARE = 0.06
"""Blank: grey levels deviate by less than this share of the bright ones, within bounds: dark is not blank."""
_SMALL_PX = 100.0
"""Small: the shorter side is less than half of a backbone's input."""
_ELONGATED_FROM = 2.5
_ELONGATED_FULLY = 6.0
"""Elongated: the longer side is so many times the shorter; at the latter the score is 1."""
_OUTLIER_NEIGHBOUR = 5
"""Outlier: by the cosine distance to this neighbour."""
_OUTLIER_FACTOR = 0.65
"""The distance exceeds the 95th percentile by this share of (95th percentile - median)."""
_OUTLIER_MIN_IMAGES = 30
"""Among fewer images none is an outlier."""
_OUTLIER_MAX_COMPARED = 10_000


@dataclass(frozen=True)
class ImageFeatures:
    """The features of N images that issues are computed from."""

    measures: FloatArray
    """(N, 5), the columns of `MEASURES`; NaN: unknown."""
    width_px: FloatArray
    height_px: FloatArray
    vectors: Float32Array
    """(N, D), reduced bottlenecks of length 1."""
    rng: np.random.Generator

    def measure(self, name: str) -> FloatArray:
        """Return one of `MEASURES`: float64, (N,)."""
        return self.measures[:, MEASURES.index(name)].astype(np.float64)


@dataclass(frozen=True)
class ImageIssue:
    """A kind of image issues."""

    name: str
    """As stored in `FindingRow.kind`."""
    title: Callable[[], str]
    excess: Callable[[ImageFeatures], FloatArray]
    """How far each image is beyond the threshold: (N,); positive is an issue, 1 or more the strongest."""

    def scores(self, features: ImageFeatures) -> FloatArray:
        """Return a score for each image, (N,): 0 for no issue, else from 0.5, at the threshold, to 1."""
        excess = self.excess(features)
        with np.errstate(invalid="ignore"):  # NaN is no issue
            return np.asarray(np.where(excess > 0, 0.5 + 0.5 * np.minimum(excess, 1), 0.0))


def _blurred(features: ImageFeatures) -> FloatArray:
    blurred = np.max(
        [(limit - features.measure(name)) / span for name, (limit, span) in _BLUR_THRESHOLDS.items()], axis=0
    )
    blurred[_blank(features) > 0] = -1  # a blank image has no detail that could be sharp
    return np.asarray(blurred)


def _dark(features: ImageFeatures) -> FloatArray:
    return (_DARK_BELOW - features.measure("bright")) / _DARK_BELOW


def _blank(features: ImageFeatures) -> FloatArray:
    least = np.clip(_BLANK_SHARE * features.measure("bright"), *_BLANK_BOUNDS)
    return np.asarray(1 - features.measure("detail") / least)


def _small(features: ImageFeatures) -> FloatArray:
    shorter = np.minimum(features.width_px, features.height_px)
    return np.asarray((_SMALL_PX - shorter) / _SMALL_PX)


def _elongated(features: ImageFeatures) -> FloatArray:
    shorter = np.minimum(features.width_px, features.height_px)
    longer = np.maximum(features.width_px, features.height_px)
    return np.asarray(
        (longer / np.maximum(shorter, 1) - _ELONGATED_FROM) / (_ELONGATED_FULLY - _ELONGATED_FROM)
    )


def _outlier(features: ImageFeatures) -> FloatArray:
    """Each image is compared with 10,000 others at most."""
    vectors, count = features.vectors, len(features.vectors)
    if count < _OUTLIER_MIN_IMAGES:
        return np.zeros(count)
    others = np.sort(features.rng.permutation(count)[:_OUTLIER_MAX_COMPARED])
    own = np.full(count, -1, np.intp)
    own[others] = np.arange(len(others))
    neighbours = nearest_neighbours(vectors, vectors[others], _OUTLIER_NEIGHBOUR, own=own)
    distances = 1 - neighbours.cosines[:, -1].astype(np.float64)
    median, high = np.quantile(distances, [0.5, 0.95])
    limit = high + _OUTLIER_FACTOR * (high - median)
    return np.asarray((distances - limit) / max(1 - limit, 1e-6))


IMAGE_ISSUES = (
    ImageIssue("blurred", lambda: _("Blurred"), _blurred),
    ImageIssue("dark", lambda: _("Dark"), _dark),
    ImageIssue("blank", lambda: _("Blank"), _blank),
    ImageIssue("small", lambda: _("Small"), _small),
    ImageIssue("shape", lambda: _("Elongated"), _elongated),
    ImageIssue("far", lambda: _("Outliers"), _outlier),
)
"""The registry: a new kind of image issues is one entry."""
