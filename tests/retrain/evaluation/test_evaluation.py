import json
from pathlib import Path

import numpy as np
import pytest

from studio.retrain.evaluation.evaluation import (
    LARGE_PARTS,
    Evaluation,
    TestPrediction,
    misclassified,
    wilson_interval,
)
from studio.retrain.evaluation.metrics import Calibration, PrecisionRecall
from studio.retrain.snapshot import Example

CLASSES = ("daisy", "튤립", "never predicted")


def evaluation(true: str, predicted: list[int]) -> Evaluation:
    examples = [Example(str(at), Path("x"), CLASSES[int(label)], "testing") for at, label in enumerate(true)]
    probabilities = np.full((len(predicted), 3), 0.2, np.float32)
    probabilities[np.arange(len(predicted)), predicted] = 0.6
    return Evaluation.of(examples, probabilities, CLASSES)


def test_class_metrics_are_those_computed_by_hand() -> None:
    found = evaluation("000112", [0, 0, 1, 1, 1, 0])
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.confusion == ((2, 1, 0), (0, 2, 0), (1, 0, 0))
    daisy, tulip, never = found.scores
    assert (daisy.precision, daisy.recall, daisy.f1, daisy.count) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    assert (tulip.precision, tulip.recall, tulip.f1, tulip.count) == pytest.approx((2 / 3, 1, 0.8, 2))
    assert (never.precision, never.recall, never.f1, never.count) == (None, 0, 0, 1)
    assert [(p.sha256, p.true, p.predicted) for p in found.predictions][2] == ("2", "daisy", "튤립")
    assert found.predictions[0].score == pytest.approx(0.6)


def test_without_test_images_metrics_are_none() -> None:
    found = Evaluation.of([], np.zeros((0, 3), np.float32), CLASSES)
    assert (found.accuracy, found.n, found.interval, found.predictions) == (None, 0, None, ())
    assert found.scores[0].recall is None


def test_json_is_read_back() -> None:
    for found in (evaluation("012", [0, 1, 1]), Evaluation.of([], np.zeros((0, 3), np.float32), CLASSES)):
        text = json.dumps(found.to_json(), allow_nan=False)
        assert Evaluation.from_json(json.loads(text)) == found


def test_wilson_interval() -> None:
    # Values of statsmodels.stats.proportion.proportion_confint(..., method="wilson")
    assert wilson_interval(8, 10) == pytest.approx((0.4901624715, 0.9433178485), abs=1e-8)
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775327998), abs=1e-8)
    assert wilson_interval(10, 10)[1] == pytest.approx(1)


def test_accuracy_without_leakage_leaves_out_near_duplicates() -> None:
    examples = [Example(f"{at}", Path("x"), CLASSES[at % 2], "testing") for at in range(4)]
    probabilities = np.array([[0.7, 0.2, 0.1]] * 4, np.float32)
    found = Evaluation.of(examples, probabilities, CLASSES, {"0", "2", "elsewhere"})
    assert (found.accuracy, found.n) == (0.5, 4)
    assert found.without_leakage is not None
    assert (found.without_leakage.accuracy, found.without_leakage.n) == (0, 2)
    assert found.without_leakage.interval == wilson_interval(0, 2)
    assert [prediction.leaked for prediction in found.predictions] == [True, False, True, False]
    assert [prediction.true_score for prediction in found.predictions] == [0.7, 0.2, 0.7, 0.2]
    assert Evaluation.of(examples, probabilities, CLASSES).without_leakage is None
    text = json.dumps(found.to_json(), allow_nan=False)
    assert Evaluation.from_json(json.loads(text)) == found
    assert json.loads(text)["without_copies"]["n"] == 2


def test_misclassified_images_are_sorted_by_score() -> None:
    examples = [Example(str(at), Path("x"), "daisy", "testing") for at in range(4)]
    probabilities = np.array([[0.3, 0.7, 0], [0.9, 0.1, 0], [0.05, 0, 0.95], [0.3, 0.7, 0]], np.float32)
    found = misclassified(Evaluation.of(examples, probabilities, CLASSES))
    assert [(each.sha256, each.predicted) for each in found] == [
        ("2", "never predicted"),
        ("0", "튤립"),
        ("3", "튤립"),
    ]


def test_json_of_older_versions_is_read() -> None:
    older = {
        "accuracy": 0.5,
        "n": 2,
        "interval": [0.1, 0.9],
        "classes": ["a", "b"],
        "confusion": [[1, 0], [1, 0]],
        "scores": [{"label": "a", "precision": 0.5, "recall": 1, "f1": 0.67, "count": 1}],
        "predictions": [
            {"sha256": "s", "true": "b", "predicted": "a", "score": 0.6},
            {"sha256": "t", "true": "b", "predicted": "a", "score": 0.6, "true_score": 0.4, "copy": True},
        ],
    }
    found = Evaluation.from_json(older)
    assert found.predictions == (
        TestPrediction("s", "b", "a", 0.6),
        TestPrediction("t", "b", "a", 0.6, 0.4, leaked=True),
    )
    assert (found.precision_recall, found.calibration, found.without_leakage) == ((), None, None)
    assert found.scores[0].average_precision is None


def test_an_evaluation_is_read_without_its_large_parts() -> None:
    found = evaluation("012", [0, 1, 1])
    values = found.to_json()
    for part in LARGE_PARTS:
        del values[part]
    small = Evaluation.from_json(values)
    assert (small.accuracy, small.scores, small.calibration) == (
        found.accuracy,
        found.scores,
        found.calibration,
    )
    assert (small.predictions, small.precision_recall) == ((), ())


def slow_curve(is_of: list[bool], scores: list[float]) -> list[tuple[float, float, float]]:
    """Recall, precision and threshold at every threshold, computed one by one."""
    curve = []
    for threshold in sorted(set(scores), reverse=True):
        taken = [true for true, score in zip(is_of, scores, strict=True) if score >= threshold]
        curve.append((sum(taken) / sum(is_of), sum(taken) / len(taken), threshold))
    return curve


def test_the_curve_has_points_of_the_exact_one() -> None:
    random = np.random.default_rng(0)
    for count in (1, 2, 40, 1000):
        # Rounded, so that some are equal.
        scores = np.round(random.random(count), 2).astype(np.float32)
        is_of = random.random(count) < scores
        is_of[0] = True
        slow = slow_curve(is_of.tolist(), scores.tolist())
        found = PrecisionRecall.of("튤립", is_of, scores)
        before, average = 0.0, 0.0
        for recall, precision, _threshold in slow:
            average += (recall - before) * precision
            before = recall
        assert found.average_precision == pytest.approx(average)
        points = list(zip(found.recalls, found.precisions, found.thresholds, strict=True))
        assert len(points) <= 101
        assert points[-1][0] == 1
        for point in points:
            assert any(point == pytest.approx(true, abs=1e-5) for true in slow)
        assert list(found.recalls) == sorted(set(found.recalls))
    # Each percent of recall has the highest threshold that reaches it.
    for percent in range(101):
        reached = next(r for r, _p, _t in slow if r >= percent / 100 - 1e-9)
        assert any(recall == pytest.approx(reached, abs=1e-5) for recall in found.recalls)


def test_a_class_without_test_images_has_no_curve() -> None:
    found = PrecisionRecall.of("daisy", np.zeros(3, np.bool_), np.ones(3, np.float32))
    assert found == PrecisionRecall("daisy", None)


def test_calibration_by_hand() -> None:
    scores = np.array([0.95, 0.91, 1.0, 0.55, 0.0], np.float32)
    found = Calibration.of(scores, np.array([True, False, True, True, False]))
    assert found is not None
    assert [(bin_.low, bin_.high, bin_.n) for bin_ in found.bins] == [
        (0, 0.1, 1),
        (0.5, 0.6, 1),
        (0.9, 1, 3),
    ]
    assert [bin_.accuracy for bin_ in found.bins] == pytest.approx([0, 1, 2 / 3])
    assert [bin_.confidence for bin_ in found.bins] == pytest.approx([0, 0.55, 2.86 / 3])
    assert found.expected_error == pytest.approx((0 + 0.45 + 0.86) / 5)
    assert Calibration.of(scores[:0], np.zeros(0, np.bool_)) is None
