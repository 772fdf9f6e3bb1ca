"""Kernel ridge regression on reduced bottlenecks, in closed form, and nearest neighbours.

One fit gives all that the label analysis needs: predictions for unlabelled images, leave-one-out predictions
for labelled ones, and the posterior covariance of any images. For the choice of this model over logistic
regression see docs/decisions/0040-image-and-label-analysis.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from studio.arrays import Float32Array, FloatArray, IndexArray, IntArray

RIDGE = 0.5
"""The ridge: the noise variance of a single label, where an image's kernel with itself is 1."""
_WIDTH_FACTOR = 0.4
"""The kernel's width as a share of the median squared distance between images."""
_MAX_TRAINED = 10_000
_MAX_LANDMARKS = 1_500
_JITTER = 1e-4
"""Added to the diagonal of the landmarks' kernel, which is nearly singular where images are nearly equal."""
_BLOCK_ROWS = 4096
_MAX_WIDTH_SAMPLE = 1_000
_TEMPERATURES = np.geomspace(1, 32, 41)


def kernel_width(vectors: FloatArray) -> float:
    """Return the kernel's width for a project: 0.4 of the median squared distance.

    vectors: float32, (N, D), of length 1; up to 1,000 of them are used.
    """
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), _MAX_WIDTH_SAMPLE)).astype(np.intp))
    some = vectors[rows].astype(np.float64)
    apart = (2 - 2 * some @ some.T)[np.triu_indices(len(some), 1)]
    median = float(np.median(apart)) if len(apart) else 0.0
    return max(_WIDTH_FACTOR * median, 1e-3)  # all images may be equal


def gaussian_kernel(some: FloatArray, others: FloatArray, width: float) -> FloatArray:
    """Return the kernel of two sets of vectors, 0 to 1: float64, (len(some), len(others))."""
    cosines = np.asarray(some @ others.T, np.float64)
    cosines *= 2 / width
    cosines -= 2 / width
    np.minimum(cosines, 0, out=cosines)  # rounding may give a cosine above 1
    return np.exp(cosines, out=cosines)


@dataclass(frozen=True)
class KernelRidgeModel:
    """A fitted model of classes numbered from 0. Values are about 1 for the right class, 0 for the others."""

    width: float
    landmarks: FloatArray
    temperature: float
    _weights: FloatArray
    _whitening: FloatArray
    _uncertainty: FloatArray
    _classes: int

    def values(self, vectors: FloatArray) -> FloatArray:
        """Return the predicted value for each class: float64, (N, classes)."""
        found = np.empty((len(vectors), self._classes))
        for rows in _blocks(len(vectors)):
            found[rows] = gaussian_kernel(vectors[rows], self.landmarks, self.width) @ self._weights
        return found + 1 / self._classes

    def probabilities(self, values: FloatArray) -> FloatArray:
        """Return values as probabilities that sum to 1, calibrated on held-out labels: (N, classes)."""
        return _softmax(values * self.temperature)

    def covariance(self, vectors: FloatArray) -> FloatArray:
        """Return the posterior covariance of a Gaussian process: float64, (N, N)."""
        features = gaussian_kernel(vectors, self.landmarks, self.width) @ self._whitening
        known = np.eye(features.shape[1]) - RIDGE * self._uncertainty
        left: FloatArray = gaussian_kernel(vectors, vectors, self.width) - features @ known @ features.T
        return left


@dataclass(frozen=True)
class KernelRidgeFit:
    """A model and, for each labelled image, its values without its own label: float64, (N, classes)."""

    model: KernelRidgeModel
    held_out: FloatArray


def fit_kernel_ridge(
    vectors: FloatArray,
    labels: IntArray,
    classes: int,
    *,
    width: float,
    groups: IntArray,
    rng: np.random.Generator,
    calibrated: int | None = None,
) -> KernelRidgeFit:
    """Fit a model. vectors: float32, (N, D), of length 1; labels: (N,), 0 to classes - 1.

    groups: (N,), duplicate groups; held-out values also leave out a few near-duplicates with the same label.
    The model is fitted to at most 10,000 images, classes interleaved; the others are predicted. Each class
    must have an image. calibrated: the number of images, the first of all, that calibrate the probabilities;
    None: all.
    """
    order = _interleave_classes(labels, rng)
    trained = np.sort(order[:_MAX_TRAINED])
    landmarks = vectors[np.sort(order[:_MAX_LANDMARKS])]
    gram = gaussian_kernel(landmarks, landmarks, width)
    gram[np.diag_indices_from(gram)] += _JITTER
    whitening = np.linalg.inv(np.linalg.cholesky(gram)).T
    precision, sums = np.zeros_like(gram), np.zeros((len(gram), classes))
    targets = np.eye(classes)[labels] - 1 / classes
    for rows in _blocks(len(trained)):
        features = gaussian_kernel(vectors[trained[rows]], landmarks, width) @ whitening
        precision += features.T @ features
        sums += features.T @ targets[trained[rows]]
    precision[np.diag_indices_from(precision)] += RIDGE
    uncertainty = np.linalg.inv(precision)
    solved = uncertainty @ sums
    untempered = KernelRidgeModel(width, landmarks, 1.0, whitening @ solved, whitening, uncertainty, classes)
    held_out = untempered.values(vectors)
    duplicates = _same_label_duplicates(labels, groups, trained)
    held_out[trained] = _leave_one_out_values(untempered, vectors, targets, trained, held_out, duplicates)
    temperature = _fit_temperature(held_out[:calibrated], labels[:calibrated])
    model = KernelRidgeModel(
        width, landmarks, temperature, whitening @ solved, whitening, uncertainty, classes
    )
    return KernelRidgeFit(model, held_out)


def _leave_one_out_values(
    model: KernelRidgeModel,
    vectors: FloatArray,
    targets: FloatArray,
    trained: IntArray,
    values: FloatArray,
    duplicates: list[IntArray],
) -> FloatArray:
    """Return leave-one-out values of the images that the model was fitted to.

    The residual over 1 - leverage, exact for ridge regression: nothing is fitted again.
    """
    middle = 1 / targets.shape[1]
    found = np.empty((len(trained), targets.shape[1]))
    for rows in _blocks(len(trained)):
        at = trained[rows]
        features = gaussian_kernel(vectors[at], model.landmarks, model.width) @ model._whitening
        leverage = np.einsum("nm,nm->n", features @ model._uncertainty, features)
        residual = targets[at] + middle - values[at]
        found[rows] = targets[at] + middle - residual / np.maximum(1 - leverage, 1e-6)[:, None]
    for together in duplicates:
        at = trained[together]
        features = gaussian_kernel(vectors[at], model.landmarks, model.width) @ model._whitening
        hat = features @ model._uncertainty @ features.T
        residual = targets[at] + middle - values[at]
        left = np.linalg.solve(np.eye(len(at)) * (1 + 1e-6) - hat, residual)
        found[together] = targets[at] + middle - left
    return found


_MAX_LEFT_OUT = 5
_MIN_CLASS_RATIO = 4


def _same_label_duplicates(labels: IntArray, groups: IntArray, trained: IntArray) -> list[IntArray]:
    """Return the places, in `trained`, of near-duplicates with the same label, left out together.

    Not of the many frames of a burst, which may be all images of a class.
    """
    counts = np.bincount(labels[trained])
    by_group: dict[tuple[int, int], list[int]] = {}
    for place, row in enumerate(trained.tolist()):
        if groups[row] >= 0:
            by_group.setdefault((int(groups[row]), int(labels[row])), []).append(place)
    return [
        np.array(places, np.intp)
        for (_group, label), places in by_group.items()
        if 1 < len(places) <= min(_MAX_LEFT_OUT, counts[label] // _MIN_CLASS_RATIO)
    ]


def _interleave_classes(labels: IntArray, rng: np.random.Generator) -> IntArray:
    """Return all rows, shuffled so that every beginning has as many of each class, as far as there are."""
    shuffled = rng.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    ordered = labels[order]
    starts = np.searchsorted(ordered, ordered)
    turn = np.arange(len(order)) - starts
    return np.asarray(order[np.lexsort((ordered, turn))])


def _fit_temperature(values: FloatArray, labels: IntArray) -> float:
    """Return the inverse temperature that minimises the cross-entropy of the labels."""
    rows = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _MAX_TRAINED)).astype(np.intp))
    own = labels[rows]

    def loss(temperature: float) -> float:
        probabilities = _softmax(values[rows] * temperature)[np.arange(len(rows)), own]
        cross_entropy = -np.log(np.maximum(probabilities, 1e-12)).mean()
        # A prior, for few labels.
        return float(cross_entropy + 0.01 * np.log(temperature / 5) ** 2)

    return float(min(_TEMPERATURES, key=loss))


def _softmax(exponents: FloatArray) -> FloatArray:
    raised = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _BLOCK_ROWS):
        yield slice(start, start + _BLOCK_ROWS)


_MAX_BLOCK_VALUES = 8_000_000


class Neighbours(NamedTuple):
    """Nearest neighbours. places: int, (N, k), rows of `others`, nearest first; cosines: float32, (N, k)."""

    places: IndexArray
    cosines: Float32Array


def nearest_neighbours(
    vectors: Float32Array,
    others: Float32Array,
    count: int,
    *,
    own: IndexArray | None = None,
    on_block: Callable[[int], object] = lambda done: None,
) -> Neighbours:
    """Return the `count` nearest of `others` for each of `vectors`; both float32, (n, D), of length 1.

    own: for each vector, its own place among `others` (-1: none), which is left out. on_block: called with
    the number of vectors done; may raise.
    """
    count = max(0, min(count, len(others) - (own is not None)))
    places = np.empty((len(vectors), count), np.intp)
    cosines = np.empty((len(vectors), count), np.float32)
    rows = max(1, _MAX_BLOCK_VALUES // max(1, len(others)))
    for start in range(0, len(vectors), rows):
        on_block(start)
        similarity = vectors[start : start + rows] @ others.T
        if own is not None:
            at = np.flatnonzero(own[start : start + rows] >= 0)
            similarity[at, own[start : start + rows][at]] = -np.inf
        if not count:
            continue
        best = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(similarity, best, axis=1)
        order = np.lexsort((best, -values), axis=1)
        places[start : start + rows] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + rows] = np.take_along_axis(values, order, axis=1)
    return Neighbours(places, cosines)
