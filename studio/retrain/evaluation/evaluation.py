"""Evaluation of a run on its test images: accuracy, class metrics, confusion matrix and predictions."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.retrain.evaluation.metrics import Calibration, CalibrationBin, PrecisionRecall
from studio.retrain.snapshot import Example

_Z_95 = 1.959963984540054
_DIGITS = 6
"""Decimal places of stored probabilities; more would double the size of ten thousand predictions."""

LARGE_PARTS = ("predictions", "precision_recall")
"""Keys of `Evaluation.to_json` that grow with the number of test images and classes: not loaded for lists."""


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class on the test images, 0-1 each; None where the denominator is 0.

    count: number of test images of this class. average_precision: as in `PrecisionRecall`; None also for runs
    that are older than this metric.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    count: int
    average_precision: float | None = None


@dataclass(frozen=True)
class TestPrediction:
    """The prediction for one test image.

    true, predicted: labels. score: probability of `predicted`, 0-1. true_score: probability of `true`, 0-1;
    None for runs that are older than this value. leaked: whether the image is a near-duplicate of a training
    image.
    """

    __test__ = False  # not one of pytest's

    sha256: str
    true: str
    predicted: str
    score: float
    true_score: float | None = None
    leaked: bool = False


@dataclass(frozen=True)
class AccuracyEstimate:
    """Accuracy over `n` images, 0-1, with its 95% confidence interval; both None if n is 0."""

    accuracy: float | None
    n: int
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, correct: int, n: int) -> "AccuracyEstimate":
        """Estimate the accuracy from `correct` of `n` predictions."""
        return cls(correct / n, n, wilson_interval(correct, n)) if n else cls(None, 0, None)


@dataclass(frozen=True)
class Evaluation:
    """Results of a model on the test images.

    accuracy: 0-1, None if n is 0. interval: its 95% confidence interval (Wilson 1927), None if n is 0.
    confusion: rows true, columns predicted, in the order of `classes`. scores: metrics of each class.
    without_leakage: accuracy without near-duplicates of training images; None where they were not looked for.
    calibration: None if n is 0. Older runs have None or nothing in fields that they do not know.
    predictions, precision_recall: empty where only the values for lists were loaded.
    """

    accuracy: float | None
    n: int
    interval: tuple[float, float] | None
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    scores: tuple[ClassMetrics, ...]
    predictions: tuple[TestPrediction, ...]
    precision_recall: tuple[PrecisionRecall, ...] = ()
    calibration: Calibration | None = None
    without_leakage: AccuracyEstimate | None = None

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        probabilities: npt.NDArray[np.float32],
        classes: tuple[str, ...],
        leaked: Collection[str] | None = None,
    ) -> "Evaluation":
        """Evaluate predictions. probabilities: float32, (len(examples), len(classes)).

        leaked: the SHA-256 of examples that are near-duplicates of training images; None where unknown.
        """
        true = np.array([classes.index(example.label) for example in examples], np.intp)
        predicted = probabilities.argmax(axis=1) if len(examples) else true
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(confusion, (true, predicted), 1)
        correct = true == predicted
        rows = np.arange(len(examples))
        scores, true_scores = probabilities[rows, predicted], probabilities[rows, true]
        overall = AccuracyEstimate.of(int(correct.sum()), len(examples))
        is_leaked = np.array([leaked is not None and e.sha256 in leaked for e in examples], np.bool_)
        curves = tuple(
            PrecisionRecall.of(label, true == number, probabilities[:, number])
            for number, label in enumerate(classes)
        )
        return cls(
            accuracy=overall.accuracy,
            n=overall.n,
            interval=overall.interval,
            classes=classes,
            confusion=tuple(tuple(row) for row in confusion.tolist()),
            scores=tuple(_class_metrics(curve, number, confusion) for number, curve in enumerate(curves)),
            predictions=tuple(
                TestPrediction(
                    example.sha256,
                    example.label,
                    classes[number],
                    round(float(score), _DIGITS),
                    round(float(true_score), _DIGITS),
                    bool(in_training),
                )
                for example, number, score, true_score, in_training in zip(
                    examples, predicted, scores, true_scores, is_leaked, strict=True
                )
            ),
            precision_recall=curves,
            calibration=Calibration.of(scores, correct),
            without_leakage=None
            if leaked is None
            else AccuracyEstimate.of(int(correct[~is_leaked].sum()), int((~is_leaked).sum())),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file; predictions as rows, their classes by number.

        `without_leakage` has the key "without_copies" there.
        """
        values = asdict(self)
        numbers = {label: number for number, label in enumerate(self.classes)}
        values["predictions"] = [
            [p.sha256, numbers[p.true], numbers[p.predicted], p.score, p.true_score, int(p.leaked)]
            for p in self.predictions
        ]
        values["without_copies"] = values.pop("without_leakage")
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Evaluation":
        """Read the values of `to_json` from a JSON file; missing ones become None or empty."""
        classes = tuple(values["classes"])
        calibration, without_leakage = values.get("calibration"), values.get("without_copies")
        return cls(
            accuracy=values["accuracy"],
            n=values["n"],
            interval=_interval(values["interval"]),
            classes=classes,
            confusion=tuple(tuple(row) for row in values["confusion"]),
            scores=tuple(ClassMetrics(**score) for score in values["scores"]),
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
            without_leakage=None
            if without_leakage is None
            else AccuracyEstimate(
                without_leakage["accuracy"], without_leakage["n"], _interval(without_leakage["interval"])
            ),
        )


def misclassified(evaluation: Evaluation) -> tuple[TestPrediction, ...]:
    """Return the wrong predictions, the most confident first."""
    wrong = (prediction for prediction in evaluation.predictions if prediction.true != prediction.predicted)
    return tuple(sorted(wrong, key=lambda prediction: (-prediction.score, prediction.sha256)))


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95% score interval of a proportion, `correct` of `n`; Wilson, JASA 22 (1927)."""
    share, z2 = correct / n, _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _class_metrics(curve: PrecisionRecall, number: int, confusion: npt.NDArray[np.int64]) -> ClassMetrics:
    true_positives = int(confusion[number, number])
    predicted, actual = int(confusion[:, number].sum()), int(confusion[number].sum())
    return ClassMetrics(
        curve.label,
        precision=true_positives / predicted if predicted else None,
        recall=true_positives / actual if actual else None,
        f1=2 * true_positives / (predicted + actual) if predicted + actual else None,
        count=actual,
        average_precision=curve.average_precision,
    )


def _interval(values: Sequence[float] | None) -> tuple[float, float] | None:
    return None if values is None else (values[0], values[1])


def _calibration(values: dict[str, Any]) -> Calibration:
    return Calibration(values["expected_error"], tuple(CalibrationBin(**bin_) for bin_ in values["bins"]))


def _prediction(row: Any, classes: Sequence[str]) -> TestPrediction:
    if isinstance(row, dict):  # as older versions wrote them
        values = dict(row)
        return TestPrediction(leaked=values.pop("copy", False), **values)
    sha256, true, predicted, score, true_score, leaked = row
    return TestPrediction(sha256, classes[true], classes[predicted], score, true_score, bool(leaked))
