"""The light model of the labels so far: kernel ridge regression on reduced bottlenecks, in closed form.

One fit gives all that a review needs: what each unlabelled image is likely to be, what each labelled one
would have been taken for had its own label not been known, and how sure the model is of two images
together. Why this one and not logistic regression: docs/decisions/0040-what-the-studio-finds.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from studio.arrays import Float32Array, FloatArray, IndexArray, IntArray

NOISE = 0.5
"""How far a single label is believed: the ridge, where an image's kernel with itself is 1."""
_REACH = 0.4
"""The kernel's width, as a share of the median squared distance of two images."""
_TRAINED = 10_000
_LANDMARKS = 1_500
_JITTER = 1e-4
"""What rounding may take from the landmarks' kernel, where images are nearly the same."""
_BLOCK = 4096
_SAMPLE = 1_000
_TEMPERATURES = np.geomspace(1, 32, 41)


def kernel_width(vectors: FloatArray) -> float:
    """Return the squared distance in which images of a project resemble each other.

    vectors: float32, (N, D), of length 1; up to 1,000 of them are looked at.
    """
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), _SAMPLE)).astype(np.intp))
    some = vectors[rows].astype(np.float64)
    apart = (2 - 2 * some @ some.T)[np.triu_indices(len(some), 1)]
    median = float(np.median(apart)) if len(apart) else 0.0
    return max(_REACH * median, 1e-3)  # where all images are one


def kernel(some: FloatArray, others: FloatArray, width: float) -> FloatArray:
    """Return how much images resemble each other, 0 to 1: float64, (len(some), len(others))."""
    cosines = np.asarray(some @ others.T, np.float64)
    cosines *= 2 / width
    cosines -= 2 / width
    np.minimum(cosines, 0, out=cosines)  # rounding may take an image beyond itself
    return np.exp(cosines, out=cosines)


@dataclass(frozen=True)
class LightModel:
    """A model of some classes, numbered from 0. Values are about 1 for the right class, 0 for the others."""

    width: float
    landmarks: FloatArray
    temperature: float
    _weights: FloatArray
    _whitening: FloatArray
    _uncertainty: FloatArray
    _classes: int

    def values(self, vectors: FloatArray) -> FloatArray:
        """Return each image's value for each class: float64, (N, classes)."""
        found = np.empty((len(vectors), self._classes))
        for rows in _blocks(len(vectors)):
            found[rows] = kernel(vectors[rows], self.landmarks, self.width) @ self._weights
        return found + 1 / self._classes

    def probabilities(self, values: FloatArray) -> FloatArray:
        """Return values as probabilities that sum to 1, as sure as the labels held out showed it to be."""
        return _softmax(values * self.temperature)

    def covariance(self, vectors: FloatArray) -> FloatArray:
        """Return what is not known yet of images, and how much of it pairs share: float64, (N, N).

        A Gaussian process' posterior covariance; the matrix grows with the square of the images.
        """
        features = kernel(vectors, self.landmarks, self.width) @ self._whitening
        known = np.eye(features.shape[1]) - NOISE * self._uncertainty
        left: FloatArray = kernel(vectors, vectors, self.width) - features @ known @ features.T
        return left


@dataclass(frozen=True)
class Fitted:
    """held_out: float64, (N, classes), each labelled image's values without its own label."""

    model: LightModel
    held_out: FloatArray


def fit(
    vectors: FloatArray,
    labels: IntArray,
    classes: int,
    *,
    width: float,
    groups: IntArray,
    rng: np.random.Generator,
    judged: int | None = None,
) -> Fitted:
    """Learn from labelled images. vectors: float32, (N, D), of length 1; labels: (N,), 0 to classes - 1.

    groups: (N,), which images are near copies of each other; an image is judged without the few that have
    its label too. At most 10,000 images are learnt from, each class its share; the others are simply asked
    about. Each class must have an image. judged: how many, the first of all, are labels to measure one's
    confidence by; None: all are.
    """
    order = _classes_in_turn(labels, rng)
    trained = np.sort(order[:_TRAINED])
    landmarks = vectors[np.sort(order[:_LANDMARKS])]
    gram = kernel(landmarks, landmarks, width)
    gram[np.diag_indices_from(gram)] += _JITTER
    whitening = np.linalg.inv(np.linalg.cholesky(gram)).T
    products, sums = np.zeros_like(gram), np.zeros((len(gram), classes))
    targets = np.eye(classes)[labels] - 1 / classes
    for rows in _blocks(len(trained)):
        features = kernel(vectors[trained[rows]], landmarks, width) @ whitening
        products += features.T @ features
        sums += features.T @ targets[trained[rows]]
    products[np.diag_indices_from(products)] += NOISE
    uncertainty = np.linalg.inv(products)
    solved = uncertainty @ sums
    untempered = LightModel(width, landmarks, 1.0, whitening @ solved, whitening, uncertainty, classes)
    held_out = untempered.values(vectors)
    mates = _mates(labels, groups, trained)
    held_out[trained] = _without_own(untempered, vectors, targets, trained, held_out, mates)
    temperature = _temperature(held_out[:judged], labels[:judged])
    model = LightModel(width, landmarks, temperature, whitening @ solved, whitening, uncertainty, classes)
    return Fitted(model, held_out)


def _without_own(
    model: LightModel,
    vectors: FloatArray,
    targets: FloatArray,
    trained: IntArray,
    values: FloatArray,
    mates: list[IntArray],
) -> FloatArray:
    """Return the values of those learnt from, each as if its label had not been there.

    The residual over 1 - leverage, exact for ridge regression: no fold has to be fitted again.
    """
    middle = 1 / targets.shape[1]
    found = np.empty((len(trained), targets.shape[1]))
    for rows in _blocks(len(trained)):
        at = trained[rows]
        features = kernel(vectors[at], model.landmarks, model.width) @ model._whitening
        leverage = np.einsum("nm,nm->n", features @ model._uncertainty, features)
        residual = targets[at] + middle - values[at]
        found[rows] = targets[at] + middle - residual / np.maximum(1 - leverage, 1e-6)[:, None]
    for together in mates:
        at = trained[together]
        features = kernel(vectors[at], model.landmarks, model.width) @ model._whitening
        hat = features @ model._uncertainty @ features.T
        residual = targets[at] + middle - values[at]
        left = np.linalg.solve(np.eye(len(at)) * (1 + 1e-6) - hat, residual)
        found[together] = targets[at] + middle - left
    return found


_FEW_MATES = 5
_SMALL_SHARE = 4


def _mates(labels: IntArray, groups: IntArray, trained: IntArray) -> list[IntArray]:
    """Return the places, in `trained`, of near copies with one label, which would vouch for each other.

    Not of the many frames of a burst, which may be all that a class has.
    """
    counts = np.bincount(labels[trained])
    by_mates: dict[tuple[int, int], list[int]] = {}
    for place, row in enumerate(trained.tolist()):
        if groups[row] >= 0:
            by_mates.setdefault((int(groups[row]), int(labels[row])), []).append(place)
    return [
        np.array(places, np.intp)
        for (_group, label), places in by_mates.items()
        if 1 < len(places) <= min(_FEW_MATES, counts[label] // _SMALL_SHARE)
    ]


def _classes_in_turn(labels: IntArray, rng: np.random.Generator) -> IntArray:
    """Return all rows shuffled so that any beginning has each class alike, as far as it has images."""
    shuffled = rng.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    ordered = labels[order]
    starts = np.searchsorted(ordered, ordered)
    turn = np.arange(len(order)) - starts
    return np.asarray(order[np.lexsort((ordered, turn))])


def _temperature(values: FloatArray, labels: IntArray) -> float:
    """Return the factor with which the values, as exponents, say best how often they are right."""
    rows = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _TRAINED)).astype(np.intp))
    own = labels[rows]

    def surprise(temperature: float) -> float:
        probabilities = _softmax(values[rows] * temperature)[np.arange(len(rows)), own]
        # Each class alike, or a model of a rare class would never be sure; the last term is for few labels.
        found = -np.log(np.maximum(probabilities, 1e-12)).mean()
        # The second term is for few labels, which say little.
        return float(found + 0.01 * np.log(temperature / 5) ** 2)

    return float(min(_TEMPERATURES, key=surprise))


def _softmax(exponents: FloatArray) -> FloatArray:
    raised = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _BLOCK):
        yield slice(start, start + _BLOCK)


_BLOCK_VALUES = 8_000_000


class Nearest(NamedTuple):
    """places: int, (N, k), rows of what was searched, nearest first; cosines: float32, (N, k)."""

    places: IndexArray
    cosines: Float32Array


def nearest(
    some: Float32Array,
    others: Float32Array,
    count: int,
    *,
    own: IndexArray | None = None,
    on_block: Callable[[int], object] = lambda done: None,
) -> Nearest:
    """Return the `count` nearest of `others` for each of `some`; both float32, (n, D), of length 1.

    own: for each of `some`, its own place among `others` (-1: it has none), which is left out. on_block: told
    how many are done; may raise.
    """
    count = max(0, min(count, len(others) - (own is not None)))
    places = np.empty((len(some), count), np.intp)
    cosines = np.empty((len(some), count), np.float32)
    rows = max(1, _BLOCK_VALUES // max(1, len(others)))
    for start in range(0, len(some), rows):
        on_block(start)
        found = some[start : start + rows] @ others.T
        if own is not None:
            at = np.flatnonzero(own[start : start + rows] >= 0)
            found[at, own[start : start + rows][at]] = -np.inf
        if not count:
            continue
        best = np.argpartition(-found, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(found, best, axis=1)
        order = np.lexsort((best, -values), axis=1)
        places[start : start + rows] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + rows] = np.take_along_axis(values, order, axis=1)
    return Nearest(places, cosines)
