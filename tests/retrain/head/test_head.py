from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from studio.errors import Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.head.dataset import BatchSampler, HeadDataset
from studio.retrain.head.head import (
    L2_CANDIDATES,
    TrainedHead,
    TrainingContext,
    fit_head,
    search_l2,
    validation_score,
)
from studio.retrain.options import Optimizer, RunOptions
from tests.retrain.material import RecordingProgress

FEATURES, CLASSES = 12, 3


def make_dataset(validation: int = 60, spread: float = 1.0) -> HeadDataset:
    random = np.random.default_rng(0)
    labels = np.concatenate([np.zeros(200, np.intp), np.arange(160) % CLASSES])  # the first class has most
    centres = random.normal(size=(CLASSES, FEATURES)) * 2 + 5
    vectors = (centres[labels] + spread * random.normal(size=(len(labels), FEATURES))).astype(np.float32)
    rows = random.permutation(len(labels))
    return HeadDataset(vectors, labels, rows[validation:], rows[:validation], CLASSES)


def train(
    folder: Path,
    options: RunOptions,
    *,
    dataset: HeadDataset | None = None,
    stop_after: int | None = None,
    points: list[CurvePoint] | None = None,
    identity: str = "this",
) -> TrainedHead:
    progress = RecordingProgress() if stop_after is None else RecordingProgress("Training", stop_after)
    return fit_head(
        dataset or make_dataset(),
        options,
        TrainingContext(
            folder / "checkpoint.npz", identity, progress, (points if points is not None else []).extend
        ),
    )


def is_same_head(one: TrainedHead, other: TrainedHead) -> bool:
    return (
        np.array_equal(one.head.weights, other.head.weights)
        and np.array_equal(one.head.bias, other.head.bias)
        and (one.step, one.validation) == (other.step, other.validation)
    )


def test_a_head_learns_classes_and_reports_each_step_once(tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    trained = train(tmp_path, RunOptions(how_many_training_steps=105), points=points)
    dataset = make_dataset()
    right = trained.head.probabilities(dataset.vectors).argmax(axis=1) == dataset.labels
    assert right.mean() > 0.97
    assert [point.step for point in points if point.split == "training"] == list(range(1, 106))
    assert [p.step for p in points if p.split == "validation"] == [*range(10, 101, 10), 105]
    first, last = points[0], points[-2]
    assert first.cross_entropy == pytest.approx(np.log(CLASSES), abs=1e-5)  # the first weights are zero
    assert last.cross_entropy < first.cross_entropy / 2


def test_one_step_follows_the_gradient(tmp_path: Path) -> None:
    dataset = make_dataset(validation=0)
    options = RunOptions(how_many_training_steps=1, learning_rate=0.5, train_batch_size=7, seed=3)
    trained = train(tmp_path, options, dataset=dataset)
    (vectors,), (labels,) = BatchSampler(dataset, options)(range(1, 2))
    training = dataset.vectors[dataset.training].astype(np.float64)
    mean, deviation = training.mean(axis=0), np.sqrt(training.var(axis=0).mean())
    scaled = (vectors - mean) / deviation
    error = np.full((7, CLASSES), 1 / CLASSES) - np.eye(CLASSES)[labels]
    weights = -0.5 * scaled.T @ error / 7 / deviation
    np.testing.assert_allclose(trained.head.weights, weights, atol=1e-6)
    np.testing.assert_allclose(trained.head.bias, -0.5 * error.mean(axis=0) - mean @ weights, atol=1e-5)


def test_balanced_batches_draw_classes_equally_often() -> None:
    dataset = make_dataset()
    _vectors, labels = BatchSampler(dataset, RunOptions(train_batch_size=3000))(range(1, 3))
    shares = np.bincount(labels.ravel()) / labels.size
    assert np.bincount(dataset.labels[dataset.training])[0] > 0.6 * len(dataset.training)
    np.testing.assert_allclose(shares, 1 / CLASSES, atol=0.03)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_a_resumed_training_gives_the_same_head(tmp_path: Path, optimizer: Optimizer) -> None:
    options = RunOptions(how_many_training_steps=137, eval_step_interval=9, optimizer=optimizer, l2=0.01)
    whole: list[CurvePoint] = []
    expected = train(tmp_path / "whole", options, points=whole)
    for stop_after in (1, 50, 100):
        with pytest.raises(Stopped):
            train(tmp_path / "parts", options, stop_after=stop_after)
    points: list[CurvePoint] = []
    progress = RecordingProgress()
    trained = fit_head(
        make_dataset(),
        options,
        TrainingContext(tmp_path / "parts" / "checkpoint.npz", "this", progress, points.extend),
    )
    assert progress.reports[0][1] >= 100  # it resumed
    assert is_same_head(trained, expected)
    assert points == whole
    times = [point.elapsed_s for point in points]
    assert all(at is not None for at in times)
    assert times == sorted(times, key=lambda at: at or 0.0)  # summed over all four calls


@pytest.mark.parametrize("spoil", ["truncated", "garbage", "another run's"])
def test_a_damaged_or_foreign_checkpoint_is_ignored(tmp_path: Path, spoil: str) -> None:
    options = RunOptions(how_many_training_steps=40)
    expected = train(tmp_path / "whole", options)
    with pytest.raises(Stopped):
        train(tmp_path, options, stop_after=20, identity="other" if spoil == "another run's" else "this")
    path = tmp_path / "checkpoint.npz"
    if spoil == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif spoil == "garbage":
        path.write_bytes(b"PK\3\4 garbage")
    assert is_same_head(train(tmp_path, options), expected)


def test_the_best_by_validation_is_kept(tmp_path: Path) -> None:
    # Large steps on mixed classes: the curve goes up and down.
    points: list[CurvePoint] = []
    options = RunOptions(how_many_training_steps=300, learning_rate=3.0, train_batch_size=5)
    dataset = make_dataset(spread=4)
    trained = train(tmp_path, options, dataset=dataset, points=points)
    validation = [point for point in points if point.split == "validation"]
    best = max(validation, key=lambda point: (point.accuracy, -point.cross_entropy))
    assert trained.validation == best
    assert trained.step == best.step < 300
    answers = trained.head.probabilities(dataset.vectors[dataset.validation]).argmax(axis=1)
    assert np.mean(answers == dataset.labels[dataset.validation]) == pytest.approx(best.accuracy)


def test_without_validation_images_the_last_head_is_returned(tmp_path: Path) -> None:
    trained = train(tmp_path, RunOptions(how_many_training_steps=25), dataset=make_dataset(validation=0))
    assert (trained.step, trained.validation) == (25, None)


def test_constant_features_give_finite_weights(tmp_path: Path) -> None:
    flat = HeadDataset(
        np.ones((4, FEATURES), np.float32), np.array([0, 1, 0, 1]), np.arange(4), np.arange(0), 2
    )
    trained = train(tmp_path, RunOptions(how_many_training_steps=5), dataset=flat)
    assert np.isfinite(trained.head.weights).all()


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_optimizers_are_those_of_keras(tmp_path: Path, optimizer: Optimizer) -> None:
    dataset = make_dataset(validation=0)
    options = RunOptions(
        how_many_training_steps=25, learning_rate=0.02, train_batch_size=20, optimizer=optimizer, l2=0.05
    )
    trained = train(tmp_path, options, dataset=dataset)
    vectors, labels = BatchSampler(dataset, options)(range(1, 26))
    training = dataset.vectors[dataset.training].astype(np.float64)
    scaled = (vectors - training.mean(axis=0)) / np.sqrt(training.var(axis=0).mean())
    theirs = (
        keras.optimizers.SGD(0.02, momentum=0.9) if optimizer == "momentum" else keras.optimizers.Adam(0.02)
    )
    layer = [keras.Variable(np.zeros(shape, np.float32)) for shape in ((FEATURES, CLASSES), (CLASSES,))]
    for step in range(25):
        weights, bias = (variable.numpy() for variable in layer)
        logits = scaled[step] @ weights + bias
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        error = (probabilities - np.eye(CLASSES)[labels[step]]) / 20
        gradients = [scaled[step].T @ error + 0.05 * weights, error.sum(axis=0)]
        theirs.apply(
            [keras.ops.convert_to_tensor(gradient.astype(np.float32)) for gradient in gradients], layer
        )
    deviation = np.sqrt(training.var(axis=0).mean())
    np.testing.assert_allclose(trained.head.weights * deviation, layer[0].numpy(), rtol=1e-3, atol=1e-4)


def test_without_class_weighting_images_are_drawn_equally_often() -> None:
    dataset = make_dataset()
    vectors, labels = BatchSampler(dataset, RunOptions(train_batch_size=3000, class_weighting="none"))(
        range(1, 3)
    )
    shares = np.bincount(dataset.labels[dataset.training]) / len(dataset.training)
    np.testing.assert_allclose(np.bincount(labels.ravel()) / labels.size, shares, atol=0.03)
    assert len(np.unique(vectors.reshape(-1, FEATURES), axis=0)) == len(dataset.training)


def test_batches_draw_one_of_the_views_of_an_image() -> None:
    dataset = make_dataset()
    distorted = dataset.vectors[dataset.training] + 100
    rows = np.stack([dataset.training, len(dataset.vectors) + np.arange(len(dataset.training))], axis=1)
    seen = replace(
        dataset,
        vectors=np.concatenate([dataset.vectors, distorted]),
        labels=np.concatenate([dataset.labels, dataset.labels[dataset.training]]),
        views=rows,
    )
    vectors, labels = BatchSampler(seen, RunOptions(train_batch_size=2000))(range(1, 2))
    far = vectors[0].mean(axis=1) > 50
    assert 0.4 < far.mean() < 0.6
    plain = {vector.tobytes(): label for vector, label in zip(seen.vectors, seen.labels, strict=True)}
    assert [plain[vector.tobytes()] for vector in vectors[0]] == labels[0].tolist()


def test_patience_stops_training_early_also_after_a_resume(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=2000, learning_rate=3.0, train_batch_size=5, patience=4)
    dataset = make_dataset(spread=4)
    trained = train(tmp_path, options, dataset=dataset)
    assert trained.stopped_early
    assert trained.steps == trained.step + 4 * options.eval_step_interval < 2000
    points: list[CurvePoint] = []
    again = train(tmp_path, options, dataset=dataset, points=points)
    assert is_same_head(again, trained)
    assert again.steps == trained.steps == points[-1].step


def test_l2_is_chosen_on_validation_images_and_keeps_weights_small(tmp_path: Path) -> None:
    dataset = make_dataset(spread=4)
    options = RunOptions(how_many_training_steps=300, learning_rate=0.5, l2=None, train_batch_size=20)
    points: list[CurvePoint] = []
    context = TrainingContext(tmp_path / "checkpoint.npz", "this", RecordingProgress(), points.extend)
    best, heads = search_l2(dataset, options, context)
    assert tuple(head.l2 for head in heads) == L2_CANDIDATES
    assert validation_score(best.validation) == max(validation_score(head.validation) for head in heads)
    alone = train(tmp_path / "alone", replace(options, l2=best.l2), dataset=dataset)
    assert is_same_head(alone, best)
    assert best.validation in points
    assert len([point for point in points if point.split == "training"]) == 300  # of one head only
    strong, none = (
        train(
            tmp_path / f"{l2}",
            replace(options, l2=l2),
            dataset=replace(dataset, validation=dataset.validation[:0]),
        )
        for l2 in (1.0, 0.0)
    )
    assert np.linalg.norm(strong.head.weights) < np.linalg.norm(none.head.weights) / 2
