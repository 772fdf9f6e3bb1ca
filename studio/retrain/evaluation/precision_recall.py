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
    (Zhu 2004, as scikit-learn counts it); None, and no points, where no test picture is of the class.
    recalls, precisions, thresholds: 0-1 each; a picture is taken for the class from the threshold on.
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
        # Pictures of one probability come in together.
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
