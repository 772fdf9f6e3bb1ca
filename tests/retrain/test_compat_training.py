"""A head trained as `retrain.py` trains it, against the same in a few lines of NumPy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from studio.errors import Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.head.dataset import Draw, Lesson, sampled
from studio.retrain.head.head import Head, Manner, TrainedHead, Watch, train_head
from studio.retrain.options import RunOptions
from tests.retrain.material import Watched

PEER = RunOptions(compat="retrain.py", how_many_training_steps=25, validation_batch_size=40, seed=3)


def lesson() -> Lesson:
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    vectors = generator.normal(5, 2, (120, 16)).astype(np.float32)
    vectors[np.arange(120), labels] += 4
    return Lesson(vectors, labels, np.arange(90), np.arange(90, 120), 3)


def train(
    options: RunOptions,
    folder: Path,
    points: list[CurvePoint] | None = None,
    watches: tuple[Watch, ...] = (),
    progress: Watched | None = None,
) -> TrainedHead:
    return train_head(
        lesson(),
        options,
        checkpoint=folder / "checkpoint.npz",
        identity="it",
        progress=progress or Watched(),
        on_points=(points if points is not None else []).extend,
        watches=watches,
    )


def as_the_peer(options: RunOptions) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    weights = Manner.of(lesson(), options).weights.astype(np.float64)
    bias = np.zeros(3)
    for step in range(1, options.how_many_training_steps + 1):
        (vectors,), (labels,) = Draw(lesson(), options)(range(step, step + 1))
        logits = vectors @ weights + bias
        answers = np.exp(logits - logits.max(axis=1, keepdims=True))
        answers /= answers.sum(axis=1, keepdims=True)
        slopes = (answers - np.eye(3)[labels]) / len(labels)
        weights -= options.learning_rate * vectors.T @ slopes
        bias -= options.learning_rate * slopes.sum(axis=0)
    return weights, bias


def test_the_last_head_stands_after_plain_descent_on_features_as_they_come(tmp_path: Path) -> None:
    trained = train(PEER, tmp_path)
    weights, bias = as_the_peer(PEER)
    np.testing.assert_allclose(trained.head.weights, weights, atol=1e-5)
    np.testing.assert_allclose(trained.head.bias, bias, atol=1e-5)
    assert trained.step == 24
    assert trained.validation is not None
    assert trained.validation.step == 24


def test_steps_are_counted_from_naught_and_the_last_is_validated(tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    train(PEER, tmp_path, points)
    assert [p.step for p in points if p.split == "training"] == list(range(25))
    validations = [p for p in points if p.split == "validation"]
    assert [p.step for p in validations] == [0, 10, 20, 24]
    # Of 40, so that accuracies are fortieths.
    assert all((p.accuracy * 40) % 1 == pytest.approx(0, abs=1e-6) for p in validations)


def test_the_first_weights_are_a_truncated_normal() -> None:
    wide = Lesson(np.ones((4, 5000), np.float32), np.arange(4) % 2, np.arange(4), np.arange(0), 2)
    weights = Manner.of(wide, PEER).weights
    assert np.abs(weights).max() <= 0.002
    # The deviation of a normal that is cut off at two deviations.
    assert weights.std() == pytest.approx(0.00088, rel=0.03)
    assert np.array_equal(weights, Manner.of(wide, PEER).weights)
    assert not np.array_equal(weights, Manner.of(wide, replace(PEER, seed=4)).weights)


@pytest.mark.parametrize("compat", ["", "retrain.py"])
def test_heads_are_shown_each_so_many_steps(compat: str, tmp_path: Path) -> None:
    options = replace(PEER, compat=compat, eval_step_interval=7)  # type: ignore[arg-type]
    seen: dict[int, Head] = {}
    train(options, tmp_path, watches=(Watch(10, seen.__setitem__),))
    assert list(seen) == ([0, 10, 20] if compat else [10, 20])
    # The peer's tenth step is the eleventh that is taken.
    short = replace(options, how_many_training_steps=11 if compat else 10, validation_percentage=0)
    alone = train_head(
        replace(lesson(), validation=np.arange(0)),
        short,
        checkpoint=tmp_path / "alone.npz",
        identity="alone",
        progress=Watched(),
        on_points=lambda _points: None,
    )
    np.testing.assert_allclose(seen[10].weights, alone.head.weights, atol=1e-6)


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    whole.mkdir()
    halves.mkdir()
    points: list[CurvePoint] = []
    expected = train(PEER, whole, points)
    with pytest.raises(Stopped):
        train(PEER, halves, progress=Watched("Training", 11))
    again: list[CurvePoint] = []
    trained = train(PEER, halves, again)
    assert np.array_equal(trained.head.weights, expected.head.weights)
    assert again == points


def test_images_are_drawn_by_class_and_with_replacement() -> None:
    labels = np.array([0] * 96 + [2] * 4)
    assert np.array_equal(sampled(labels, -1, np.random.default_rng(0)), np.arange(100))
    drawn = sampled(labels, 400, np.random.default_rng(0))
    assert len(drawn) == 400
    assert 150 < np.count_nonzero(labels[drawn] == 2) < 250
    assert set(drawn[labels[drawn] == 2]) == {96, 97, 98, 99}
    assert len(sampled(np.array([], np.intp), 10, np.random.default_rng(0))) == 0
