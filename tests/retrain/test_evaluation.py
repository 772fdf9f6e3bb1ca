import json
from pathlib import Path

import numpy as np
import pytest

from studio.retrain.evaluation import Evaluation, wilson
from studio.retrain.snapshot import Example

CLASSES = ("daisy", "튤립", "never said")


def evaluation(true: str, predicted: list[int]) -> Evaluation:
    examples = [Example(str(at), Path("x"), CLASSES[int(label)], "testing") for at, label in enumerate(true)]
    probabilities = np.full((len(predicted), 3), 0.2, np.float32)
    probabilities[np.arange(len(predicted)), predicted] = 0.6
    return Evaluation.of(examples, probabilities, CLASSES)


def test_counts_by_hand() -> None:
    found = evaluation("000112", [0, 0, 1, 1, 1, 0])
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.confusion == ((2, 1, 0), (0, 2, 0), (1, 0, 0))
    daisy, tulip, never = found.scores
    assert (daisy.precision, daisy.recall, daisy.f1, daisy.count) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    assert (tulip.precision, tulip.recall, tulip.f1, tulip.count) == pytest.approx((2 / 3, 1, 0.8, 2))
    assert (never.precision, never.recall, never.f1, never.count) == (None, 0, 0, 1)
    assert [(p.sha256, p.true, p.predicted) for p in found.predictions][2] == ("2", "daisy", "튤립")
    assert found.predictions[0].score == pytest.approx(0.6)


def test_nothing_to_count() -> None:
    found = Evaluation.of([], np.zeros((0, 3), np.float32), CLASSES)
    assert (found.accuracy, found.n, found.interval, found.predictions) == (None, 0, None, ())
    assert found.scores[0].recall is None


def test_comes_back_from_json() -> None:
    for found in (evaluation("012", [0, 1, 1]), Evaluation.of([], np.zeros((0, 3), np.float32), CLASSES)):
        text = json.dumps(found.to_json(), allow_nan=False)
        assert Evaluation.from_json(json.loads(text)) == found


def test_wilson_interval() -> None:
    # Values of statsmodels.stats.proportion.proportion_confint(..., method="wilson")
    assert wilson(8, 10) == pytest.approx((0.4901624715, 0.9433178485), abs=1e-8)
    assert wilson(0, 10) == pytest.approx((0, 0.2775327998), abs=1e-8)
    assert wilson(10, 10)[1] == pytest.approx(1)
