from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from studio.errors import Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.head.dataset import Draw, Lesson
from studio.retrain.head.head import L2S, TrainedHead, choose_l2, merit, train_head
from studio.retrain.options import Optimizer, RunOptions
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
    # Everything in one class but one image: the draw is then known up to its order.
    on = lesson(validation=0)
    options = RunOptions(how_many_training_steps=1, learning_rate=0.5, train_batch_size=7, seed=3)
    trained = train(tmp_path, options, on=on)
    (vectors,), (labels,) = Draw(on, options)(range(1, 2))
    training = on.vectors[on.training].astype(np.float64)
    mean, deviation = training.mean(axis=0), np.sqrt(training.var(axis=0).mean())
    scaled = (vectors - mean) / deviation
    error = np.full((7, CLASSES), 1 / CLASSES) - np.eye(CLASSES)[labels]
    weights = -0.5 * scaled.T @ error / 7 / deviation
    np.testing.assert_allclose(trained.head.weights, weights, atol=1e-6)
    np.testing.assert_allclose(trained.head.bias, -0.5 * error.mean(axis=0) - mean @ weights, atol=1e-5)


def test_classes_count_alike_however_many_images_they_have() -> None:
    on = lesson()
    _vectors, labels = Draw(on, RunOptions(train_batch_size=3000))(range(1, 3))
    shares = np.bincount(labels.ravel()) / labels.size
    assert np.bincount(on.labels[on.training])[0] > 0.6 * len(on.training)
    np.testing.assert_allclose(shares, 1 / CLASSES, atol=0.03)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_what_goes_on_from_a_stop_ends_as_if_never_stopped(tmp_path: Path, optimizer: Optimizer) -> None:
    options = RunOptions(how_many_training_steps=137, eval_step_interval=9, optimizer=optimizer, l2=0.01)
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
    times = [point.elapsed_s for point in points]
    assert all(at is not None for at in times)
    assert times == sorted(times, key=lambda at: at or 0.0)  # over all four times it was taken up


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


def test_without_validation_images_the_last_head_stands(tmp_path: Path) -> None:
    trained = train(tmp_path, RunOptions(how_many_training_steps=25), on=lesson(validation=0))
    assert (trained.step, trained.validation) == (25, None)


def test_features_that_never_vary_do_no_harm(tmp_path: Path) -> None:
    flat = Lesson(np.ones((4, FEATURES), np.float32), np.array([0, 1, 0, 1]), np.arange(4), np.arange(0), 2)
    trained = train(tmp_path, RunOptions(how_many_training_steps=5), on=flat)
    assert np.isfinite(trained.head.weights).all()


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_optimizers_are_those_of_keras(tmp_path: Path, optimizer: Optimizer) -> None:
    on = lesson(validation=0)
    options = RunOptions(
        how_many_training_steps=25, learning_rate=0.02, train_batch_size=20, optimizer=optimizer, l2=0.05
    )
    trained = train(tmp_path, options, on=on)
    vectors, labels = Draw(on, options)(range(1, 26))
    training = on.vectors[on.training].astype(np.float64)
    scaled = (vectors - training.mean(axis=0)) / np.sqrt(training.var(axis=0).mean())
    theirs = (
        keras.optimizers.SGD(0.02, momentum=0.9) if optimizer == "momentum" else keras.optimizers.Adam(0.02)
    )
    layer = [keras.Variable(np.zeros(shape, np.float32)) for shape in ((FEATURES, CLASSES), (CLASSES,))]
    for step in range(25):
        weights, bias = (variable.numpy() for variable in layer)
        logits = scaled[step] @ weights + bias
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        error = (chances - np.eye(CLASSES)[labels[step]]) / 20
        slopes = [scaled[step].T @ error + 0.05 * weights, error.sum(axis=0)]
        theirs.apply([keras.ops.convert_to_tensor(slope.astype(np.float32)) for slope in slopes], layer)
    deviation = np.sqrt(training.var(axis=0).mean())
    np.testing.assert_allclose(trained.head.weights * deviation, layer[0].numpy(), rtol=1e-3, atol=1e-4)


def test_without_class_weighting_images_count_alike() -> None:
    on = lesson()
    vectors, labels = Draw(on, RunOptions(train_batch_size=3000, class_weighting="none"))(range(1, 3))
    shares = np.bincount(on.labels[on.training]) / len(on.training)
    np.testing.assert_allclose(np.bincount(labels.ravel()) / labels.size, shares, atol=0.03)
    assert len(np.unique(vectors.reshape(-1, FEATURES), axis=0)) == len(on.training)


def test_of_a_image_with_views_one_is_drawn_and_all_are() -> None:
    on = lesson()
    distorted = on.vectors[on.training] + 100
    rows = np.stack([on.training, len(on.vectors) + np.arange(len(on.training))], axis=1)
    seen = replace(
        on,
        vectors=np.concatenate([on.vectors, distorted]),
        labels=np.concatenate([on.labels, on.labels[on.training]]),
        views=rows,
    )
    vectors, labels = Draw(seen, RunOptions(train_batch_size=2000))(range(1, 2))
    far = vectors[0].mean(axis=1) > 50
    assert 0.4 < far.mean() < 0.6
    plain = {vector.tobytes(): label for vector, label in zip(seen.vectors, seen.labels, strict=True)}
    assert [plain[vector.tobytes()] for vector in vectors[0]] == labels[0].tolist()


def test_patience_ends_training_and_a_resumed_run_keeps_to_it(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=2000, learning_rate=3.0, train_batch_size=5, patience=4)
    on = lesson(spread=4)
    trained = train(tmp_path, options, on=on)
    assert trained.stopped_early
    assert trained.steps == trained.step + 4 * options.eval_step_interval < 2000
    points: list[CurvePoint] = []
    again = train(tmp_path, options, on=on, points=points)
    assert same(again, trained)
    assert again.steps == trained.steps == points[-1].step


def test_l2_holds_weights_down_and_the_validation_images_choose_it(tmp_path: Path) -> None:
    on = lesson(spread=4)
    options = RunOptions(how_many_training_steps=300, learning_rate=0.5, l2=None, train_batch_size=20)
    points: list[CurvePoint] = []
    arguments = {"checkpoint": tmp_path / "checkpoint.npz", "identity": "this", "progress": Watched()}
    best, heads = choose_l2(on, options, on_points=points.extend, **arguments)  # type: ignore[arg-type]
    assert tuple(head.l2 for head in heads) == L2S
    assert merit(best.validation) == max(merit(head.validation) for head in heads)
    alone = train(tmp_path / "alone", replace(options, l2=best.l2), on=on)
    assert same(alone, best)
    assert best.validation in points
    assert len([point for point in points if point.split == "training"]) == 300  # of one head only
    strong, none = (
        train(tmp_path / f"{l2}", replace(options, l2=l2), on=replace(on, validation=on.validation[:0]))
        for l2 in (1.0, 0.0)
    )
    assert np.linalg.norm(strong.head.weights) < np.linalg.norm(none.head.weights) / 2
