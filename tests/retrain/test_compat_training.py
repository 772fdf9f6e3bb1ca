"""Training by the conventions of `retrain.py`, compared with NumPy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from studio.errors import Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.head.dataset import BatchSampler, HeadDataset, sample_balanced
from studio.retrain.head.head import (
    Head,
    HeadCallback,
    TrainedHead,
    TrainingContext,
    TrainingConventions,
    fit_head,
)
from studio.retrain.options import RunOptions
from tests.retrain.material import RecordingProgress

COMPAT = RunOptions(compat="retrain.py", how_many_training_steps=25, validation_batch_size=40, seed=3)


def make_dataset() -> HeadDataset:
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    vectors = generator.normal(5, 2, (120, 16)).astype(np.float32)
    vectors[np.arange(120), labels] += 4
    return HeadDataset(vectors, labels, np.arange(90), np.arange(90, 120), 3)


def train(
    options: RunOptions,
    folder: Path,
    points: list[CurvePoint] | None = None,
    callbacks: tuple[HeadCallback, ...] = (),
    progress: RecordingProgress | None = None,
) -> TrainedHead:
    return fit_head(
        make_dataset(),
        options,
        TrainingContext(
            folder / "checkpoint.npz",
            "it",
            progress or RecordingProgress(),
            (points if points is not None else []).extend,
            callbacks,
        ),
    )


def train_with_numpy(options: RunOptions) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    weights = TrainingConventions.of(make_dataset(), options).initial_weights.astype(np.float64)
    bias = np.zeros(3)
    for step in range(1, options.how_many_training_steps + 1):
        (vectors,), (labels,) = BatchSampler(make_dataset(), options)(range(step, step + 1))
        logits = vectors @ weights + bias
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        gradients = (probabilities - np.eye(3)[labels]) / len(labels)
        weights -= options.learning_rate * vectors.T @ gradients
        bias -= options.learning_rate * gradients.sum(axis=0)
    return weights, bias


def test_the_last_head_is_returned_after_sgd_on_unscaled_features(tmp_path: Path) -> None:
    trained = train(COMPAT, tmp_path)
    weights, bias = train_with_numpy(COMPAT)
    np.testing.assert_allclose(trained.head.weights, weights, atol=1e-5)
    np.testing.assert_allclose(trained.head.bias, bias, atol=1e-5)
    assert trained.step == 24
    assert trained.validation is not None
    assert trained.validation.step == 24


def test_steps_are_counted_from_0_and_the_last_is_validated(tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    train(COMPAT, tmp_path, points)
    assert [p.step for p in points if p.split == "training"] == list(range(25))
    validations = [p for p in points if p.split == "validation"]
    assert [p.step for p in validations] == [0, 10, 20, 24]
    # Each validation samples 40 images.
    assert all((p.accuracy * 40) % 1 == pytest.approx(0, abs=1e-6) for p in validations)


def test_initial_weights_are_a_truncated_normal() -> None:
    wide = HeadDataset(np.ones((4, 5000), np.float32), np.arange(4) % 2, np.arange(4), np.arange(0), 2)
    weights = TrainingConventions.of(wide, COMPAT).initial_weights
    assert np.abs(weights).max() <= 0.002
    # The standard deviation of a normal distribution truncated at two standard deviations.
    assert weights.std() == pytest.approx(0.00088, rel=0.03)
    assert np.array_equal(weights, TrainingConventions.of(wide, COMPAT).initial_weights)
    assert not np.array_equal(weights, TrainingConventions.of(wide, replace(COMPAT, seed=4)).initial_weights)


@pytest.mark.parametrize("compat", ["", "retrain.py"])
def test_callbacks_receive_the_head_at_their_interval(compat: str, tmp_path: Path) -> None:
    options = replace(COMPAT, compat=compat, eval_step_interval=7)  # type: ignore[arg-type]
    seen: dict[int, Head] = {}
    train(options, tmp_path, callbacks=(HeadCallback(10, seen.__setitem__),))
    assert list(seen) == ([0, 10, 20] if compat else [10, 20])
    # Step 10 of `retrain.py` is the eleventh.
    short = replace(options, how_many_training_steps=11 if compat else 10, validation_percentage=0)
    alone = fit_head(
        replace(make_dataset(), validation=np.arange(0)),
        short,
        TrainingContext(tmp_path / "alone.npz", "alone", RecordingProgress(), lambda _points: None),
    )
    np.testing.assert_allclose(seen[10].weights, alone.head.weights, atol=1e-6)


def test_a_resumed_training_gives_the_same_bits(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    whole.mkdir()
    halves.mkdir()
    points: list[CurvePoint] = []
    expected = train(COMPAT, whole, points)
    with pytest.raises(Stopped):
        train(COMPAT, halves, progress=RecordingProgress("Training", 11))
    again: list[CurvePoint] = []
    trained = train(COMPAT, halves, again)
    assert np.array_equal(trained.head.weights, expected.head.weights)
    assert again == points


def test_samples_are_balanced_by_class_and_with_replacement() -> None:
    labels = np.array([0] * 96 + [2] * 4)
    assert np.array_equal(sample_balanced(labels, -1, np.random.default_rng(0)), np.arange(100))
    drawn = sample_balanced(labels, 400, np.random.default_rng(0))
    assert len(drawn) == 400
    assert 150 < np.count_nonzero(labels[drawn] == 2) < 250
    assert set(drawn[labels[drawn] == 2]) == {96, 97, 98, 99}
    assert len(sample_balanced(np.array([], np.intp), 10, np.random.default_rng(0))) == 0
