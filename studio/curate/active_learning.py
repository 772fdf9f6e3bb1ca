"""What to label next: images that the model is unsure of, unlike each other, and like many that wait.

Each is chosen so that knowing its label leaves least unknown of all the others, counted by how unsure the
model is of them: integrated variance reduction of a Gaussian process (Cohn, Ghahramani and Jordan, "Active
Learning with Statistical Models", 1996), one image after the other, as if those before had been labelled.
"""

from dataclasses import dataclass

import numpy as np

from studio.arrays import FloatArray, IntArray
from studio.curate.kernel_model import NOISE, Fitted, LightModel, fit, kernel

BATCH = 20
"""Images that people label between two looks."""
_CHOSEN = 10 * BATCH
_COMPARED = 1_600
_SPREAD = 400
_BLOCK = 8192


def in_order(
    vectors: FloatArray, unsure: FloatArray, model: LightModel, *, groups: IntArray, rng: np.random.Generator
) -> IntArray:
    """Return the rows of unlabelled images in the order in which they are best labelled.

    vectors: float32, (N, D), of length 1; unsure: (N,), 0 to 1; groups: (N,), near copies share a number, -1
    for none. The first ten batches are chosen, out of 1,600 images at most; the others follow as the model
    is unsure of them. Of near copies one comes in its place and the others after all the rest.
    """
    some, weights = _sample(unsure, rng)
    first = some[
        most_told(
            model.covariance(vectors[some]),
            unsure[some] * weights,
            unsure[some],
            min(_CHOSEN, len(some)),
            groups[some],
        )
    ]
    rest = np.setdiff1d(np.arange(len(vectors)), first)
    return _copies_last(np.concatenate([first, rest[np.argsort(-unsure[rest], kind="stable")]]), groups)


def spread(vectors: FloatArray, width: float, *, groups: IntArray, rng: np.random.Generator) -> IntArray:
    """Return all rows in an order of which every beginning shows as much of them as it can.

    Arguments as for `in_order`; width: the kernel's. The first 400 are chosen as if nothing were known; the
    others follow in rounds, one of each neighbourhood, the least like its first image before.
    """
    some = np.sort(rng.permutation(len(vectors))[:_COMPARED])
    even = np.ones(len(some))
    alike = kernel(vectors[some], vectors[some], width)
    chosen = most_told(alike, even, even, min(_SPREAD, len(some)), groups[some])
    first = some[chosen]
    rest = np.setdiff1d(np.arange(len(vectors)), first)
    home, likeness = _nearest_of(vectors, rest, first)
    order = np.lexsort((likeness, home))
    homes = home[order]
    turn = np.arange(len(rest)) - np.searchsorted(homes, homes)
    return _copies_last(np.concatenate([first, rest[order][np.lexsort((homes, turn))]]), groups)


def most_told(
    covariance: FloatArray, weights: FloatArray, own: FloatArray, count: int, groups: IntArray
) -> IntArray:
    """Return up to `count` places, each the one whose label would tell most about all, given those before.

    covariance: (N, N), what is unknown; weights: (N,), how much it matters of each; own: (N,), by which what
    an image tells is multiplied. Of near copies (groups: (N,), -1 for none) only one is chosen.
    """
    left = np.asarray(covariance, np.float32).copy()
    weights, own = np.asarray(weights, np.float32), np.asarray(own, np.float32)
    open_ = np.ones(len(left), bool)
    squares = np.empty_like(left)
    chosen = np.empty(count, np.intp)
    for at in range(count):
        np.multiply(left, left, out=squares)
        told = squares @ weights / (left.diagonal() + np.float32(NOISE)) * own
        told[~open_] = -1
        best = int(told.argmax())
        if not open_[best]:  # nothing is left but near copies
            return chosen[:at]
        chosen[at] = best
        open_[best] = False
        if groups[best] >= 0:
            open_[groups == groups[best]] = False
        shared = left[best] / np.sqrt(left[best, best] + np.float32(NOISE))
        left -= np.multiply.outer(shared, shared)
    return chosen


def _sample(unsure: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Return the rows to compare, and for how many each stands: the most unsure, and some of all others."""
    if len(unsure) <= _COMPARED:
        return np.arange(len(unsure)), np.ones(len(unsure))
    order = np.argsort(-unsure, kind="stable")
    top = order[: _COMPARED // 2]
    others = rng.choice(order[_COMPARED // 2 :], _COMPARED - len(top), replace=False)
    stands_for = np.full(_COMPARED, (len(unsure) - len(top)) / len(others))
    stands_for[: len(top)] = 1
    return np.concatenate([top, others]), stands_for


def _nearest_of(vectors: FloatArray, rows: IntArray, first: IntArray) -> tuple[IntArray, FloatArray]:
    home = np.empty(len(rows), np.intp)
    likeness = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK):
        cosines = vectors[rows[start : start + _BLOCK]] @ vectors[first].T
        best = cosines.argmax(axis=1)
        home[start : start + _BLOCK] = best
        likeness[start : start + _BLOCK] = cosines[np.arange(len(best)), best]
    return home, likeness


def _copies_last(order: IntArray, groups: IntArray) -> IntArray:
    """Return the order with the second of each group of near copies after all first ones, and so on."""
    if not len(order):
        return order
    grouped = groups[order]
    by_group = np.argsort(grouped, kind="stable")
    ordered = grouped[by_group]
    turn = np.zeros(len(order), np.intp)
    turn[by_group] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    turn[grouped < 0] = 0
    return np.asarray(order[np.argsort(turn, kind="stable")])


_SURE = 0.8
"""Suggestions from this confidence on are learnt from as if they were labels."""
_MOST = 5_000
"""Images, labels with them: whoever has so many labels learns nothing from suggestions."""


@dataclass(frozen=True)
class Suggester:
    """Says what images are likely to be."""

    first: LightModel
    second: LightModel

    def probabilities(self, vectors: FloatArray) -> FloatArray:
        """Return float64, (N, classes), of each image for each class. vectors: (N, D), of length 1."""
        both = [model.probabilities(model.values(vectors)) for model in (self.first, self.second)]
        return (both[0] + both[1]) / 2


def taught(
    fitted: Fitted,
    vectors: FloatArray,
    labels: IntArray,
    waiting: FloatArray,
    *,
    groups: IntArray,
    rng: np.random.Generator,
) -> Suggester:
    """Return who suggests. fitted: what was learnt from `vectors` and `labels`.

    waiting: the vectors of those without a label; groups: as for `light_model.fit`, of those with one.
    """
    first = fitted.model
    probabilities = first.probabilities(first.values(waiting))
    sure = np.flatnonzero(probabilities.max(axis=1) >= _SURE)
    sure = np.sort(rng.permutation(sure)[: max(0, _MOST - len(labels))])
    if not len(sure):
        return Suggester(first, first)
    second = fit(
        np.concatenate([vectors, waiting[sure]]),
        np.concatenate([labels, probabilities[sure].argmax(axis=1)]),
        probabilities.shape[1],
        width=first.width,
        groups=np.concatenate([groups, np.full(len(sure), -1)]),
        rng=rng,
        judged=len(labels),
    )
    return Suggester(first, second.model)
