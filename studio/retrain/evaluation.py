"""How good a head is on pictures it has never seen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.retrain.snapshot import Example

_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class ClassScore:
    """One class on the test pictures, 0-1 each; None where there is nothing to divide by.

    count: test pictures that are of this class.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    count: int


@dataclass(frozen=True)
class TestPrediction:
    """What the head said of one test picture. true, predicted: labels; score: 0-1, of `predicted`."""

    __test__ = False  # not one of pytest's

    sha256: str
    true: str
    predicted: str
    score: float


@dataclass(frozen=True)
class Evaluation:
    """A head's answers on the test pictures, counted.

    accuracy: 0-1, None if n is 0. confusion: rows true, columns predicted, in the order of `classes`.
    interval: 95% confidence interval of the accuracy (Wilson 1927), None if n is 0.
    """

    accuracy: float | None
    n: int
    interval: tuple[float, float] | None
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    scores: tuple[ClassScore, ...]
    predictions: tuple[TestPrediction, ...]

    @classmethod
    def of(
        cls, examples: Sequence[Example], probabilities: npt.NDArray[np.float32], classes: tuple[str, ...]
    ) -> "Evaluation":
        """Count. probabilities: float32, (len(examples), len(classes))."""
        true = np.array([classes.index(example.label) for example in examples], np.intp)
        predicted = probabilities.argmax(axis=1) if len(examples) else true
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(confusion, (true, predicted), 1)
        right, n = int(np.trace(confusion)), len(examples)
        return cls(
            accuracy=right / n if n else None,
            n=n,
            interval=wilson(right, n) if n else None,
            classes=classes,
            confusion=tuple(tuple(row) for row in confusion.tolist()),
            scores=tuple(_score(label, at, confusion) for at, label in enumerate(classes)),
            predictions=tuple(
                TestPrediction(example.sha256, example.label, classes[guess], float(row[guess]))
                for example, guess, row in zip(examples, predicted, probabilities, strict=True)
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Evaluation":
        """Return what `to_json` gave, by way of a JSON file."""
        low_high = values["interval"]
        return cls(
            accuracy=values["accuracy"],
            n=values["n"],
            interval=None if low_high is None else (low_high[0], low_high[1]),
            classes=tuple(values["classes"]),
            confusion=tuple(tuple(row) for row in values["confusion"]),
            scores=tuple(ClassScore(**score) for score in values["scores"]),
            predictions=tuple(TestPrediction(**prediction) for prediction in values["predictions"]),
        )


def _score(label: str, at: int, confusion: npt.NDArray[np.int64]) -> ClassScore:
    right, said, there = (int(x) for x in (confusion[at, at], confusion[:, at].sum(), confusion[at].sum()))
    return ClassScore(
        label,
        precision=right / said if said else None,
        recall=right / there if there else None,
        f1=2 * right / (said + there) if said + there else None,
        count=there,
    )


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the 95% score interval of a proportion, `right` of `n`; Wilson, JASA 22 (1927)."""
    share, z2 = right / n, _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
