"""Which labels are likely wrong: how much each is doubted, how many to show, and what they may be instead."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from studio.arrays import FloatArray, IntArray

_FEWEST = 5
"""A class of fewer images is not judged: its images have too few to be told by."""
_COPIES_DIFFER = 2.0
"""What is added to a doubt where near copies have different labels: more than any other doubt."""


class Doubts(NamedTuple):
    """One for each image that was judged. rows: which of those given; scores: 0 to 1, in doubt from 0.5 on.

    instead: the class, by its number, that it might be. wrong: how many are in doubt.
    """

    rows: IntArray
    scores: FloatArray
    instead: IntArray
    wrong: int


def doubts(
    held_out: FloatArray,
    probabilities: FloatArray,
    labels: IntArray,
    groups: IntArray,
    kept: npt.NDArray[np.bool_],
) -> Doubts:
    """Judge labelled images by what they would have been taken for.

    held_out: (N, classes), values without the image's own label; probabilities: the same as probabilities;
    labels: (N,); groups: (N,), near copies share a number, -1 for none; kept: (N,), those whose label a
    person has looked at and left, which are not judged again.

    A doubt is by how much another class beats the label. Near copies with different labels come first. So
    many are in doubt as confident learning counts.
    """
    everyone = np.arange(len(labels))
    own = held_out[everyone, labels]
    others = held_out.copy()
    others[everyone, labels] = -np.inf
    instead = others.argmax(axis=1)
    doubt = others[everyone, instead] - own
    differ, theirs = _differing_copies(doubt, labels, groups)
    doubt = doubt + _COPIES_DIFFER * differ
    instead = np.where(differ, theirs, instead)
    judged = np.flatnonzero((np.bincount(labels)[labels] >= _FEWEST) & ~kept | differ & ~kept)
    off = off_diagonal(probabilities, labels) & ~kept
    wrong = min(len(judged), int(np.count_nonzero((off | differ)[judged])))
    return Doubts(judged, scaled(doubt[judged], wrong), instead[judged], wrong)


def off_diagonal(probabilities: FloatArray, labels: IntArray) -> npt.NDArray[np.bool_]:
    """Return which labels confident learning counts as wrong: bool, (N,).

    An image counts for the class that it is most likely of, among those of which it is as likely as their
    own images are on average. After Northcutt, Jiang and Chuang, "Confident Learning" (2021), equation 1.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels]
    means = np.bincount(labels, own, minlength=classes) / np.maximum(counts, 1)
    means[counts == 0] = np.inf
    confident = probabilities >= means
    likeliest = np.where(confident, probabilities, -1.0).argmax(axis=1)
    return np.asarray(confident.any(axis=1) & (likeliest != labels))


def scaled(doubt: FloatArray, wrong: int) -> FloatArray:
    """Return scores, 0 to 1 and in the order of the doubts, of which the `wrong` highest reach 0.5."""
    scores = np.empty(len(doubt))
    order = np.argsort(-doubt, kind="stable")
    # By place as well: two that are doubted alike must not both be shown where one was counted.
    _stretch(scores, doubt, order[:wrong], 0.5, 1.0)
    _stretch(scores, doubt, order[wrong:], 0.0, 0.499)
    return scores


def _stretch(scores: FloatArray, doubt: FloatArray, places: IntArray, low: float, high: float) -> None:
    if len(places):
        values = doubt[places]
        span = float(values[0] - values[-1])
        share = (values - values[-1]) / span if span > 0 else np.full(len(values), 0.5)
        scores[places] = low + share * (high - low)


def _differing_copies(
    doubt: FloatArray, labels: IntArray, groups: IntArray
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return which images stand against their near copies, and what those are labelled.

    The side that the model doubts less is taken to be right.
    """
    against = np.zeros(len(labels), bool)
    theirs = labels.copy()
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(groups >= 0).tolist():
        members.setdefault(int(groups[row]), []).append(row)
    for rows in members.values():
        sides: dict[int, list[float]] = {}
        for row in rows:
            sides.setdefault(int(labels[row]), []).append(float(doubt[row]))
        if len(sides) > 1:
            right = min(sides, key=lambda label: (-len(sides[label]), np.mean(sides[label])))
            for row in rows:
                against[row] = labels[row] != right
                theirs[row] = right
    return against, theirs
