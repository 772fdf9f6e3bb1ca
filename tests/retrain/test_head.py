from pathlib import Path

import numpy as np
import pytest

from studio.errors import Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.head import Lesson, TrainedHead, _Draw, train_head
from studio.retrain.options import RunOptions
from tests.retrain.material import Watched

FEATURES, CLASSES = 12, 3


def lesson(validation: int = 60, spread: float = 1.0) -> Lesson:
    random = np.random.default_rng(0)
    labels = np.concatenate([np.zeros(200, np.intp), np.arange(160) % CLASSES])  # the first class has most
    centres = random.normal(size=(CLASSES, FEATURES)) * 2 + 5
    vectors = (centres[labels] + spread * random.normal(size=(len(labels), FEATURES))).astype(np.float32)
    rows = random.permutation(len(labels))
    return Lesson(vectors, labels, rows[validation:], rows[:validation], CLASSES)


def train(
    folder: Path,
    options: RunOptions,
    *,
    on: Lesson | None = None,
    stop_after: int | None = None,
    points: list[CurvePoint] | None = None,
    identity: str = "this",
) -> TrainedHead:
    progress = Watched() if stop_after is None else Watched("Training", stop_after)
    return train_head(
        on or lesson(),
        options,
        checkpoint=folder / "checkpoint.npz",
        identity=identity,
        progress=progress,
        on_points=(points if points is not None else []).extend,
    )


def same(one: TrainedHead, other: TrainedHead) -> bool:
    return (
        np.array_equal(one.head.weights, other.head.weights)
        and np.array_equal(one.head.bias, other.head.bias)
        and (one.step, one.validation) == (other.step, other.validation)
    )


def test_learns_classes_and_tells_every_step_once(tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    trained = train(tmp_path, RunOptions(how_many_training_steps=105), points=points)
    on = lesson()
    right = trained.head.probabilities(on.vectors).argmax(axis=1) == on.labels
    assert right.mean() > 0.97
    assert [point.step for point in points if point.split == "training"] == list(range(1, 106))
    assert [p.step for p in points if p.split == "validation"] == [*range(10, 101, 10), 105]
    first, last = points[0], points[-2]
    assert first.cross_entropy == pytest.approx(np.log(CLASSES), abs=1e-5)  # it begins knowing nothing
    assert last.cross_entropy < first.cross_entropy / 2


def test_one_step_is_the_gradient_by_hand(tmp_path: Path) -> None:
    # Everything in one class but one picture: the draw is then known up to its order.
    on = lesson(validation=0)
    options = RunOptions(how_many_training_steps=1, learning_rate=0.5, train_batch_size=7, seed=3)
    trained = train(tmp_path, options, on=on)
    (vectors,), (labels,) = _Draw(on, options)(range(1, 2))
    training = on.vectors[on.training].astype(np.float64)
    mean, deviation = training.mean(axis=0), np.sqrt(training.var(axis=0).mean())
    scaled = (vectors - mean) / deviation
    error = np.full((7, CLASSES), 1 / CLASSES) - np.eye(CLASSES)[labels]
    weights = -0.5 * scaled.T @ error / 7 / deviation
    np.testing.assert_allclose(trained.head.weights, weights, atol=1e-6)
    np.testing.assert_allclose(trained.head.bias, -0.5 * error.mean(axis=0) - mean @ weights, atol=1e-5)


def test_classes_count_alike_however_many_pictures_they_have() -> None:
    on = lesson()
    _vectors, labels = _Draw(on, RunOptions(train_batch_size=3000))(range(1, 3))
    shares = np.bincount(labels.ravel()) / labels.size
    assert np.bincount(on.labels[on.training])[0] > 0.6 * len(on.training)
    np.testing.assert_allclose(shares, 1 / CLASSES, atol=0.03)


def test_what_goes_on_from_a_stop_ends_as_if_never_stopped(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=137, eval_step_interval=9)
    whole: list[CurvePoint] = []
    expected = train(tmp_path / "whole", options, points=whole)
    for stop_after in (1, 50, 100):
        with pytest.raises(Stopped):
            train(tmp_path / "parts", options, stop_after=stop_after)
    points: list[CurvePoint] = []
    progress = Watched()
    trained = train_head(
        lesson(),
        options,
        checkpoint=tmp_path / "parts" / "checkpoint.npz",
        identity="this",
        progress=progress,
        on_points=points.extend,
    )
    assert progress.told[0][1] >= 100  # it did go on
    assert same(trained, expected)
    assert points == whole


@pytest.mark.parametrize("spoil", ["truncated", "garbage", "another run's"])
def test_a_checkpoint_that_is_no_use_is_not_used(tmp_path: Path, spoil: str) -> None:
    options = RunOptions(how_many_training_steps=40)
    expected = train(tmp_path / "whole", options)
    with pytest.raises(Stopped):
        train(tmp_path, options, stop_after=20, identity="other" if spoil == "another run's" else "this")
    path = tmp_path / "checkpoint.npz"
    if spoil == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif spoil == "garbage":
        path.write_bytes(b"PK\3\4 garbage")
    assert same(train(tmp_path, options), expected)


def test_the_best_by_validation_is_kept(tmp_path: Path) -> None:
    # Large steps on mixed classes: the curve goes up and down.
    points: list[CurvePoint] = []
    options = RunOptions(how_many_training_steps=300, learning_rate=3.0, train_batch_size=5)
    on = lesson(spread=4)
    trained = train(tmp_path, options, on=on, points=points)
    validation = [point for point in points if point.split == "validation"]
    best = max(validation, key=lambda point: (point.accuracy, -point.cross_entropy))
    assert trained.validation == best
    assert trained.step == best.step < 300
    answers = trained.head.probabilities(on.vectors[on.validation]).argmax(axis=1)
    assert np.mean(answers == on.labels[on.validation]) == pytest.approx(best.accuracy)


def test_without_validation_pictures_the_last_head_stands(tmp_path: Path) -> None:
    trained = train(tmp_path, RunOptions(how_many_training_steps=25), on=lesson(validation=0))
    assert (trained.step, trained.validation) == (25, None)


def test_features_that_never_vary_do_no_harm(tmp_path: Path) -> None:
    flat = Lesson(np.ones((4, FEATURES), np.float32), np.array([0, 1, 0, 1]), np.arange(4), np.arange(0), 2)
    trained = train(tmp_path, RunOptions(how_many_training_steps=5), on=flat)
    assert np.isfinite(trained.head.weights).all()
