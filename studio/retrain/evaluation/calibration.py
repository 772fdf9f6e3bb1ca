"""Whether a head is as sure as it may be: of the answers that it gives 90%, nine in ten should be right."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
