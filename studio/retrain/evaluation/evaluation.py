"""How good a head is on images it has never seen."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.retrain.evaluation.metrics import Bin, Calibration, PrecisionRecall
from studio.retrain.snapshot import Example

_Z_95 = 1.959963984540054
_DIGITS = 6
"""Of a probability that is kept: no list of ten thousand images need be twice as long for more."""

ANSWERS = ("predictions", "precision_recall")
"""The parts of `Evaluation.to_json` that grow with the test images and the classes: not for lists."""


@dataclass(frozen=True)
class ClassScore:
    """One class on the test images, 0-1 each; None where there is nothing to divide by.

    count: test images that are of this class. average_precision: as in `PrecisionRecall`; None also of runs
    older than that.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    count: int
    average_precision: float | None = None


@dataclass(frozen=True)
class TestPrediction:
    """What the head said of one test image. true, predicted: labels; score: 0-1, of `predicted`.

    true_score: 0-1, of `true`; None of runs older than that. copy: whether it is nearly the same as a
    image that was trained on.
    """

    __test__ = False  # not one of pytest's

    sha256: str
    true: str
    predicted: str
    score: float
    true_score: float | None = None
    copy: bool = False


@dataclass(frozen=True)
class Tally:
    """accuracy: 0-1, None if n is 0; interval: 95% of it, None likewise; n: images."""

    accuracy: float | None
    n: int
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, right: int, n: int) -> "Tally":
        """Count `right` of `n`."""
        return cls(right / n, n, wilson(right, n)) if n else cls(None, 0, None)


@dataclass(frozen=True)
class Evaluation:
    """A head's answers on the test images, counted.

    accuracy: 0-1, None if n is 0. confusion: rows true, columns predicted, in the order of `classes`.
    interval: 95% confidence interval of the accuracy (Wilson 1927), None if n is 0.
    without_copies: the same after near copies of training images are taken out; None where
    nobody looked for them. calibration: None where n is 0. Runs older than these have None or nothing there.
    predictions, precision_recall: empty where only a list was asked for.
    """

    accuracy: float | None
    n: int
    interval: tuple[float, float] | None
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    scores: tuple[ClassScore, ...]
    predictions: tuple[TestPrediction, ...]
    precision_recall: tuple[PrecisionRecall, ...] = ()
    calibration: Calibration | None = None
    without_copies: Tally | None = None

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        probabilities: npt.NDArray[np.float32],
        classes: tuple[str, ...],
        copies: Collection[str] | None = None,
    ) -> "Evaluation":
        """Count. probabilities: float32, (len(examples), len(classes)).

        copies: the SHA-256 of those that are near copies of training images; None where nobody looked.
        """
        true = np.array([classes.index(example.label) for example in examples], np.intp)
        predicted = probabilities.argmax(axis=1) if len(examples) else true
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(confusion, (true, predicted), 1)
        hits = true == predicted
        rows = np.arange(len(examples))
        scores, true_scores = probabilities[rows, predicted], probabilities[rows, true]
        tally = Tally.of(int(hits.sum()), len(examples))
        fresh = np.array([copies is None or e.sha256 not in copies for e in examples], np.bool_)
        curves = tuple(
            PrecisionRecall.of(label, true == at, probabilities[:, at]) for at, label in enumerate(classes)
        )
        return cls(
            accuracy=tally.accuracy,
            n=tally.n,
            interval=tally.interval,
            classes=classes,
            confusion=tuple(tuple(row) for row in confusion.tolist()),
            scores=tuple(_score(curve, at, confusion) for at, curve in enumerate(curves)),
            predictions=tuple(
                TestPrediction(
                    example.sha256,
                    example.label,
                    classes[guess],
                    round(float(score), _DIGITS),
                    round(float(true_score), _DIGITS),
                    not is_fresh,
                )
                for example, guess, score, true_score, is_fresh in zip(
                    examples, predicted, scores, true_scores, fresh, strict=True
                )
            ),
            precision_recall=curves,
            calibration=Calibration.of(scores, hits),
            without_copies=None if copies is None else Tally.of(int(hits[fresh].sum()), int(fresh.sum())),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file; predictions as rows, their classes by number."""
        values = asdict(self)
        at = {label: number for number, label in enumerate(self.classes)}
        values["predictions"] = [
            [p.sha256, at[p.true], at[p.predicted], p.score, p.true_score, int(p.copy)]
            for p in self.predictions
        ]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Evaluation":
        """Return what `to_json` gave, by way of a JSON file; what is not there is None or empty."""
        classes = tuple(values["classes"])
        calibration, without = values.get("calibration"), values.get("without_copies")
        return cls(
            accuracy=values["accuracy"],
            n=values["n"],
            interval=_pair(values["interval"]),
            classes=classes,
            confusion=tuple(tuple(row) for row in values["confusion"]),
            scores=tuple(ClassScore(**score) for score in values["scores"]),
            predictions=tuple(_prediction(row, classes) for row in values.get("predictions", ())),
            precision_recall=tuple(
                PrecisionRecall(
                    curve["label"],
                    curve["average_precision"],
                    *(tuple(curve[name]) for name in ("recalls", "precisions", "thresholds")),
                )
                for curve in values.get("precision_recall", ())
            ),
            calibration=None if calibration is None else _calibration(calibration),
            without_copies=None
            if without is None
            else Tally(without["accuracy"], without["n"], _pair(without["interval"])),
        )


def misclassified(evaluation: Evaluation) -> tuple[TestPrediction, ...]:
    """Return the test images that the head got wrong, those first of which it was surest."""
    wrong = (each for each in evaluation.predictions if each.true != each.predicted)
    return tuple(sorted(wrong, key=lambda each: (-each.score, each.sha256)))


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the 95% score interval of a proportion, `right` of `n`; Wilson, JASA 22 (1927)."""
    share, z2 = right / n, _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _score(curve: PrecisionRecall, at: int, confusion: npt.NDArray[np.int64]) -> ClassScore:
    right, said, there = (int(x) for x in (confusion[at, at], confusion[:, at].sum(), confusion[at].sum()))
    return ClassScore(
        curve.label,
        precision=right / said if said else None,
        recall=right / there if there else None,
        f1=2 * right / (said + there) if said + there else None,
        count=there,
        average_precision=curve.average_precision,
    )


def _pair(values: Sequence[float] | None) -> tuple[float, float] | None:
    return None if values is None else (values[0], values[1])


def _calibration(values: dict[str, Any]) -> Calibration:
    return Calibration(values["expected_error"], tuple(Bin(**bin_) for bin_ in values["bins"]))


def _prediction(row: Any, classes: Sequence[str]) -> TestPrediction:
    if isinstance(row, dict):  # as older studios wrote them
        return TestPrediction(**row)
    sha256, true, predicted, score, true_score, copy = row
    return TestPrediction(sha256, classes[true], classes[predicted], score, true_score, bool(copy))
