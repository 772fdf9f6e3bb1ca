"""Precision against recall of one class, told apart from all others, as its probability's threshold falls."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MOST_POINTS = 101
"""One for each percent of recall."""
_DIGITS = 6


@dataclass(frozen=True)
class PrecisionRecall:
    """One class's curve, by rising recall: at most `MOST_POINTS` of its points, all of them true ones.

    average_precision: the sum of the precision at each point times what recall it adds, over all points
    (Zhu 2004, as scikit-learn counts it); None, and no points, where no test image is of the class.
    recalls, precisions, thresholds: 0-1 each; an image is taken for the class from the threshold on.
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
        """Follow the curve. is_of_class: bool, (N,); probabilities: float32, (N,), of this class."""
        there = int(is_of_class.sum())
        if not there:
            return cls(label, None)
        order = np.argsort(-probabilities, kind="stable")
        falling = probabilities[order]
        # Images of one probability come in together.
        last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
        right = np.cumsum(is_of_class[order])[last]
        recall, precision = right / there, right / (last + 1)
        average = float(np.sum(np.diff(recall, prepend=0.0) * precision))
        # For each percent of recall the first point that reaches it.
        wanted = np.linspace(0, 1, MOST_POINTS)
        kept = np.unique(np.minimum(np.searchsorted(recall, wanted - 1e-12), len(recall) - 1))
        return cls(
            label,
            average,
            _rounded(recall[kept]),
            _rounded(precision[kept]),
            _rounded(falling[last][kept]),
        )


def _rounded(values: npt.NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(np.round(values.astype(np.float64), _DIGITS).tolist())


BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers whose probability lies above `low` (the first: from it on) up to `high`, 0-1.

    confidence: the mean of their probabilities; accuracy: the share that was right. n is at least 1.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The reliability curve, without bins that hold nothing.

    expected_error: the expected calibration error, 0-1: how far confidence and accuracy are apart, each bin
    counting by its answers (Naeini et al. 2015, in ten bins of equal width).
    """

    expected_error: float
    bins: tuple[Bin, ...]

    @classmethod
    def of(
        cls, scores: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], bins: int = BINS
    ) -> "Calibration | None":
        """Deal answers out. scores: float32, (N,), of the answer given; right: bool, (N,). None for none."""
        if not len(scores):
            return None
        values = scores.astype(np.float64)
        places = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
        found = []
        for place in range(bins):
            mine = places == place
            if n := int(mine.sum()):
                confidence, accuracy = float(values[mine].mean()), float(right[mine].mean())
                found.append(Bin(place / bins, (place + 1) / bins, n, confidence, accuracy))
        error = sum(each.n * abs(each.accuracy - each.confidence) for each in found) / len(values)
        return cls(error, tuple(found))
