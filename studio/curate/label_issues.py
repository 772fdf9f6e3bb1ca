"""Label issues: labels that are likely wrong, with a score, the class they may be instead, and how many.

Scores are margins of a model's held-out values; the number is that of confident learning (Northcutt, Jiang
and Chuang, "Confident Learning", 2021).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from studio.arrays import FloatArray, IntArray

_MIN_CLASS_SIZE = 5
"""Labels of smaller classes are not judged: there are too few images to compare with."""
_CONFLICT_BONUS = 2.0
"""Added to the margin where near-duplicates have different labels: more than any margin."""


class LabelIssues(NamedTuple):
    """The labels that were judged. rows: of the given images; scores: 0 to 1, likely wrong from 0.5 on.

    suggested: the class, by number, that it may be instead. wrong_count: how many are likely wrong.
    """

    rows: IntArray
    scores: FloatArray
    suggested: IntArray
    wrong_count: int


def find_label_issues(
    held_out: FloatArray,
    probabilities: FloatArray,
    labels: IntArray,
    groups: IntArray,
    confirmed: npt.NDArray[np.bool_],
) -> LabelIssues:
    """Judge labels by the held-out predictions of a model.

    held_out: (N, classes), values predicted without the image's own label; probabilities: the same as
    probabilities; labels: (N,); groups: (N,), duplicate groups, -1 for none; confirmed: (N,), labels that a
    person has confirmed, which are not judged again.

    The margin is the value of the best other class less that of the label. Near-duplicates with different
    labels come first. As many are likely wrong as confident learning counts.
    """
    rows = np.arange(len(labels))
    own = held_out[rows, labels]
    others = held_out.copy()
    others[rows, labels] = -np.inf
    suggested = others.argmax(axis=1)
    margins = others[rows, suggested] - own
    conflicting, majority = _conflicting_duplicates(margins, labels, groups)
    margins = margins + _CONFLICT_BONUS * conflicting
    suggested = np.where(conflicting, majority, suggested)
    judged = np.flatnonzero(
        (np.bincount(labels)[labels] >= _MIN_CLASS_SIZE) & ~confirmed | conflicting & ~confirmed
    )
    errors = confident_learning_errors(probabilities, labels) & ~confirmed
    count = min(len(judged), int(np.count_nonzero((errors | conflicting)[judged])))
    return LabelIssues(judged, scale_scores(margins[judged], count), suggested[judged], count)


def confident_learning_errors(probabilities: FloatArray, labels: IntArray) -> npt.NDArray[np.bool_]:
    """Return which labels confident learning counts as wrong: bool, (N,).

    An image counts for its likeliest class among those of which it is at least as likely as the class's own
    images are on average (equation 1 of the paper): the off-diagonal of the confident joint.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels]
    thresholds = np.bincount(labels, own, minlength=classes) / np.maximum(counts, 1)
    thresholds[counts == 0] = np.inf
    confident = probabilities >= thresholds
    likeliest = np.where(confident, probabilities, -1.0).argmax(axis=1)
    return np.asarray(confident.any(axis=1) & (likeliest != labels))


def scale_scores(margins: FloatArray, count: int) -> FloatArray:
    """Return scores, 0 to 1 and in the order of the margins, of which the `count` highest reach 0.5."""
    scores = np.empty(len(margins))
    order = np.argsort(-margins, kind="stable")
    # By rank as well: of two equal margins one may be counted and the other not.
    _rescale(scores, margins, order[:count], 0.5, 1.0)
    _rescale(scores, margins, order[count:], 0.0, 0.499)
    return scores


def _rescale(scores: FloatArray, margins: FloatArray, rows: IntArray, low: float, high: float) -> None:
    if len(rows):
        values = margins[rows]
        span = float(values[0] - values[-1])
        share = (values - values[-1]) / span if span > 0 else np.full(len(values), 0.5)
        scores[rows] = low + share * (high - low)


def _conflicting_duplicates(
    margins: FloatArray, labels: IntArray, groups: IntArray
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return which images are labelled otherwise than most of their duplicate group, and that label.

    Of labels with as many images the one with the lower mean margin counts as right.
    """
    conflicting = np.zeros(len(labels), bool)
    majority = labels.copy()
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(groups >= 0).tolist():
        members.setdefault(int(groups[row]), []).append(row)
    for rows in members.values():
        by_label: dict[int, list[float]] = {}
        for row in rows:
            by_label.setdefault(int(labels[row]), []).append(float(margins[row]))
        if len(by_label) > 1:
            right = min(by_label, key=lambda label: (-len(by_label[label]), np.mean(by_label[label])))
            for row in rows:
                conflicting[row] = labels[row] != right
                majority[row] = right
    return conflicting, majority
