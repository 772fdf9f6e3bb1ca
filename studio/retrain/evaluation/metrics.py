"""Precision-recall curves of single classes, and calibration (reliability curve)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_POINTS = 101
"""One for each percent of recall."""
_DIGITS = 6


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision-recall curve of one class against all others, by rising recall.

    recalls, precisions, thresholds: 0-1 each, at most `MAX_POINTS` of the exact points; an image counts as
    predicted from the threshold on.
    average_precision: the sum over all points of the precision times the increase in recall (Zhu 2004, as
    `sklearn.metrics.average_precision_score`); None, and no points, if no test image is of the class.
    """

    label: str
    average_precision: float | None
    recalls: tuple[float, ...] = ()
    precisions: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    @classmethod
    def of(
        cls, label: str, is_of_class: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]
    ) -> "PrecisionRecall":
        """Compute the curve. is_of_class: bool, (N,); probabilities: float32, (N,), of this class."""
        positives = int(is_of_class.sum())
        if not positives:
            return cls(label, None)
        order = np.argsort(-probabilities, kind="stable")
        thresholds = probabilities[order]
        # One point for all images of equal probability.
        last = np.flatnonzero(np.append(thresholds[1:] != thresholds[:-1], True))
        true_positives = np.cumsum(is_of_class[order])[last]
        recall, precision = true_positives / positives, true_positives / (last + 1)
        average = float(np.sum(np.diff(recall, prepend=0.0) * precision))
        # For each percent of recall the first point that reaches it.
        percents = np.linspace(0, 1, MAX_POINTS)
        kept = np.unique(np.minimum(np.searchsorted(recall, percents - 1e-12), len(recall) - 1))
        return cls(
            label,
            average,
            _rounded(recall[kept]),
            _rounded(precision[kept]),
            _rounded(thresholds[last][kept]),
        )


def _rounded(values: npt.NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(np.round(values.astype(np.float64), _DIGITS).tolist())


BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Predictions whose probability is above `low` (in the first bin also equal) and up to `high`, 0-1.

    n: their number, at least 1. confidence: the mean of their probabilities. accuracy: the share of correct
    ones.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The reliability curve, without empty bins.

    expected_error: the expected calibration error, 0-1: the difference of confidence and accuracy, averaged
    over bins weighted by their predictions (Naeini et al. 2015, with ten bins of equal width).
    """

    expected_error: float
    bins: tuple[CalibrationBin, ...]

    @classmethod
    def of(
        cls, scores: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_], bins: int = BINS
    ) -> "Calibration | None":
        """Compute the curve; None without predictions.

        scores: float32, (N,), probability of the predicted class; correct: bool, (N,).
        """
        if not len(scores):
            return None
        values = scores.astype(np.float64)
        bin_numbers = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
        filled = []
        for number in range(bins):
            members = bin_numbers == number
            if n := int(members.sum()):
                confidence, accuracy = float(values[members].mean()), float(correct[members].mean())
                filled.append(CalibrationBin(number / bins, (number + 1) / bins, n, confidence, accuracy))
        error = sum(each.n * abs(each.accuracy - each.confidence) for each in filled) / len(values)
        return cls(error, tuple(filled))
