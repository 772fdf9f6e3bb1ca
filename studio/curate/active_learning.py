"""Active learning: rank unlabelled images for labelling, rank images by diversity, suggest classes.

Images are selected greedily by integrated variance reduction of a Gaussian process (Cohn, Ghahramani and
Jordan, "Active Learning with Statistical Models", 1996), weighted by the model's uncertainty: each selected
image leaves least variance of all others, as if those before had been labelled.
"""

from dataclasses import dataclass

import numpy as np

from studio.arrays import FloatArray, IntArray
from studio.curate.kernel_model import (
    RIDGE,
    KernelRidgeFit,
    KernelRidgeModel,
    fit_kernel_ridge,
    gaussian_kernel,
)

BATCH_SIZE = 20
"""Images that people label between two analyses."""
_MAX_SELECTED = 10 * BATCH_SIZE
_MAX_CANDIDATES = 1_600
_MAX_DIVERSE = 400
_BLOCK_ROWS = 8192
_PSEUDO_LABEL_CONFIDENCE = 0.8
"""Suggestions of at least this confidence are pseudo-labels."""
_MAX_TRAINING_IMAGES = 5_000
"""Labelled and pseudo-labelled images: with so many labels, pseudo-labels add nothing."""


def rank_for_labelling(
    vectors: FloatArray,
    uncertainty: FloatArray,
    model: KernelRidgeModel,
    *,
    groups: IntArray,
    rng: np.random.Generator,
) -> IntArray:
    """Rank unlabelled images by uncertainty and diversity; return their rows in that order.

    vectors: float32, (N, D), of length 1; uncertainty: (N,), 0 to 1; groups: (N,), duplicate groups, -1 for
    none. The first ten batches are selected out of 1,600 images at most; the others follow by uncertainty.
    The first image of each duplicate group keeps its rank, the others come after all the rest.
    """
    sample, weights = _sample_candidates(uncertainty, rng)
    first = sample[
        select_by_variance_reduction(
            model.covariance(vectors[sample]),
            uncertainty[sample] * weights,
            uncertainty[sample],
            min(_MAX_SELECTED, len(sample)),
            groups[sample],
        )
    ]
    rest = np.setdiff1d(np.arange(len(vectors)), first)
    return _duplicates_last(
        np.concatenate([first, rest[np.argsort(-uncertainty[rest], kind="stable")]]), groups
    )


def rank_by_diversity(
    vectors: FloatArray, width: float, *, groups: IntArray, rng: np.random.Generator
) -> IntArray:
    """Rank images by diversity: every beginning of the order covers as much of all as it can.

    Arguments as for `rank_for_labelling`; width: the kernel's. The first 400 are selected with a prior
    covariance; the others follow in rounds: in each, one of every selected image's neighbourhood, the least
    similar first.
    """
    sample = np.sort(rng.permutation(len(vectors))[:_MAX_CANDIDATES])
    equal = np.ones(len(sample))
    covariance = gaussian_kernel(vectors[sample], vectors[sample], width)
    selected = select_by_variance_reduction(
        covariance, equal, equal, min(_MAX_DIVERSE, len(sample)), groups[sample]
    )
    first = sample[selected]
    rest = np.setdiff1d(np.arange(len(vectors)), first)
    nearest, cosines = _nearest_selected(vectors, rest, first)
    order = np.lexsort((cosines, nearest))
    nearest = nearest[order]
    rank = np.arange(len(rest)) - np.searchsorted(nearest, nearest)
    return _duplicates_last(np.concatenate([first, rest[order][np.lexsort((nearest, rank))]]), groups)


@dataclass(frozen=True)
class Suggester:
    """Predicts classes: the mean of a model of the labels and one of labels and pseudo-labels."""

    label_model: KernelRidgeModel
    pseudo_label_model: KernelRidgeModel

    def probabilities(self, vectors: FloatArray) -> FloatArray:
        """Return class probabilities: float64, (N, classes). vectors: (N, D), of length 1."""
        both = [
            model.probabilities(model.values(vectors))
            for model in (self.label_model, self.pseudo_label_model)
        ]
        return (both[0] + both[1]) / 2


def fit_suggester(
    fitted: KernelRidgeFit,
    vectors: FloatArray,
    labels: IntArray,
    unlabelled: FloatArray,
    *,
    groups: IntArray,
    rng: np.random.Generator,
) -> Suggester:
    """Fit a suggester. fitted: the model of `vectors` and `labels`.

    unlabelled: the vectors of images without a label; groups: as for `fit_kernel_ridge`, of labelled images.
    """
    label_model = fitted.model
    probabilities = label_model.probabilities(label_model.values(unlabelled))
    confident = np.flatnonzero(probabilities.max(axis=1) >= _PSEUDO_LABEL_CONFIDENCE)
    confident = np.sort(rng.permutation(confident)[: max(0, _MAX_TRAINING_IMAGES - len(labels))])
    if not len(confident):
        return Suggester(label_model, label_model)
    pseudo_label_fit = fit_kernel_ridge(
        np.concatenate([vectors, unlabelled[confident]]),
        np.concatenate([labels, probabilities[confident].argmax(axis=1)]),
        probabilities.shape[1],
        width=label_model.width,
        groups=np.concatenate([groups, np.full(len(confident), -1)]),
        rng=rng,
        calibrated=len(labels),
    )
    return Suggester(label_model, pseudo_label_fit.model)


def select_by_variance_reduction(
    covariance: FloatArray, weights: FloatArray, factors: FloatArray, count: int, groups: IntArray
) -> IntArray:
    """Return up to `count` rows, each the one whose label reduces the weighted variance of all most.

    covariance: (N, N), the prior; weights: (N,), the weight of each image's variance; factors: (N,), by which
    the reduction through an image is multiplied. Of a duplicate group (groups: (N,), -1 for none) only one
    is selected.
    """
    posterior = np.asarray(covariance, np.float32).copy()
    weights, factors = np.asarray(weights, np.float32), np.asarray(factors, np.float32)
    available = np.ones(len(posterior), bool)
    squares = np.empty_like(posterior)
    selected = np.empty(count, np.intp)
    for at in range(count):
        np.multiply(posterior, posterior, out=squares)
        reduction = squares @ weights / (posterior.diagonal() + np.float32(RIDGE)) * factors
        reduction[~available] = -1
        best = int(reduction.argmax())
        if not available[best]:  # only duplicates of selected images are left
            return selected[:at]
        selected[at] = best
        available[best] = False
        if groups[best] >= 0:
            available[groups == groups[best]] = False
        shared = posterior[best] / np.sqrt(posterior[best, best] + np.float32(RIDGE))
        posterior -= np.multiply.outer(shared, shared)
    return selected


def _sample_candidates(uncertainty: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Return candidate rows, the most uncertain and a sample of the rest, with the images each represents."""
    if len(uncertainty) <= _MAX_CANDIDATES:
        return np.arange(len(uncertainty)), np.ones(len(uncertainty))
    order = np.argsort(-uncertainty, kind="stable")
    top = order[: _MAX_CANDIDATES // 2]
    others = rng.choice(order[_MAX_CANDIDATES // 2 :], _MAX_CANDIDATES - len(top), replace=False)
    represents = np.full(_MAX_CANDIDATES, (len(uncertainty) - len(top)) / len(others))
    represents[: len(top)] = 1
    return np.concatenate([top, others]), represents


def _nearest_selected(vectors: FloatArray, rows: IntArray, first: IntArray) -> tuple[IntArray, FloatArray]:
    """Return the place in `first` of the most similar image for each row, and the cosine."""
    nearest = np.empty(len(rows), np.intp)
    nearest_cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        cosines = vectors[rows[start : start + _BLOCK_ROWS]] @ vectors[first].T
        best = cosines.argmax(axis=1)
        nearest[start : start + _BLOCK_ROWS] = best
        nearest_cosines[start : start + _BLOCK_ROWS] = cosines[np.arange(len(best)), best]
    return nearest, nearest_cosines


def _duplicates_last(order: IntArray, groups: IntArray) -> IntArray:
    """Return the order with the second of each duplicate group after all first ones, and so on."""
    if not len(order):
        return order
    grouped = groups[order]
    by_group = np.argsort(grouped, kind="stable")
    ordered = grouped[by_group]
    rank = np.zeros(len(order), np.intp)
    rank[by_group] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    rank[grouped < 0] = 0
    return np.asarray(order[np.argsort(rank, kind="stable")])
