from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from studio.arrays import Float32Array, IndexArray
from studio.errors import Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.fine_tuning.features import FeatureMapDataset
from studio.retrain.fine_tuning.network import assign_weights, combined_head
from studio.retrain.fine_tuning.training import BlockTrainer, _epoch_order, _random_window, train_blocks
from studio.retrain.head.dataset import FeatureScaling
from studio.retrain.head.head import Head, TrainingContext, evaluate_probabilities, softmax
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Example, sample_evenly
from tests.retrain.material import RecordingProgress

SHAPE, WINDOW, CLASSES = (4, 4, 6), (3, 3, 6), 3
OPTIONS = RunOptions(fine_tune=True, fine_tune_epochs=10, seed=5)


def blocks(shape: tuple[int, int, int] = SHAPE) -> keras.Model:
    keras.utils.set_random_seed(1)
    entry = keras.Input(shape)
    x = keras.layers.Conv2D(8, 3, padding="same", name="conv")(entry)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(entry, keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU()(x)))


def make_dataset(count: int = 200) -> FeatureMapDataset:
    random = np.random.default_rng(0)
    labels = np.arange(count) % CLASSES
    centres = random.normal(size=(CLASSES, 1, 1, SHAPE[-1])) * 4
    maps = (centres[labels][:, None] + random.normal(size=(count, 2, *SHAPE))).astype(np.float16)
    return FeatureMapDataset(maps[40:], labels[40:], maps[:40, 0], labels[:40])


def make_trainer(dataset: FeatureMapDataset) -> BlockTrainer:
    steps = OPTIONS.fine_tune_epochs * dataset.steps_per_epoch
    scaling = FeatureScaling(np.zeros(8, np.float32), np.float32(1))
    return BlockTrainer(blocks(WINDOW), blocks(), CLASSES, scaling, steps=steps, seed=5)


def train(
    folder: Path,
    dataset: FeatureMapDataset,
    *,
    stop_after: int | None = None,
    pretrained_logits: Float32Array | None = None,
) -> tuple[BlockTrainer, list[CurvePoint]]:
    trainer = make_trainer(dataset)
    reported: list[CurvePoint] = []
    progress = RecordingProgress() if stop_after is None else RecordingProgress("Fine-tuning", stop_after)
    if pretrained_logits is None:
        pretrained_logits = np.zeros((len(dataset.validation), CLASSES), np.float32)
    points = train_blocks(
        trainer,
        dataset,
        OPTIONS,
        TrainingContext(folder / "checkpoint.npz", "this", progress, reported.extend),
        pretrained_logits=pretrained_logits,
    )
    assert reported == points
    return trainer, points


def test_training_learns_classes_and_keeps_batch_norm_averages(tmp_path: Path) -> None:
    dataset = make_dataset()
    trainer, points = train(tmp_path, dataset)
    assert trainer.window == WINDOW[:2]
    answers = trainer.logits(dataset.validation)
    assert np.mean(answers.argmax(axis=1) == dataset.validation_labels) > 0.9
    assert [p.step for p in points if p.split == "training"] == list(range(1, 10 * 5 + 1))
    assert [p.step for p in points if p.split == "validation"] == list(range(5, 51, 5))
    before = blocks()
    norm = trainer._blocks.get_layer("norm")
    assert np.array_equal(norm.moving_mean.numpy(), before.get_layer("norm").moving_mean.numpy())
    assert not np.array_equal(norm.gamma.numpy(), before.get_layer("norm").gamma.numpy())
    assert set(trainer.tuned_weights()) == {"conv/kernel", "conv/bias", "norm/gamma", "norm/beta"}


def test_a_resumed_training_gives_the_same_weights(tmp_path: Path) -> None:
    dataset = make_dataset()
    expected, whole = train(tmp_path / "whole", dataset)
    for stop_after in (0, 7, 13):
        with pytest.raises(Stopped):
            train(tmp_path / "parts", dataset, stop_after=stop_after)
    trainer, points = train(tmp_path / "parts", dataset)
    assert points == whole
    for one, other in zip(trainer.state(), expected.state(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("spoil", ["truncated", "garbage", "another network's"])
def test_a_damaged_or_foreign_checkpoint_is_ignored(tmp_path: Path, spoil: str) -> None:
    dataset = make_dataset()
    expected, _points = train(tmp_path / "whole", dataset)
    with pytest.raises(Stopped):
        train(tmp_path, dataset, stop_after=7)
    path = tmp_path / "checkpoint.npz"
    if spoil == "another network's":
        with np.load(path) as arrays:
            others = {name: arrays[name] for name in arrays.files} | {"array_0000": np.zeros(3)}
        np.savez(path, **others)
    else:
        path.write_bytes(path.read_bytes()[:-500] if spoil == "truncated" else b"PK\3\4 garbage")
    trainer, _points = train(tmp_path, dataset)
    assert np.array_equal(trainer.state()[0], expected.state()[0])


def test_tuned_weights_can_be_assigned_to_a_network(tmp_path: Path) -> None:
    dataset = make_dataset()
    trainer, _points = train(tmp_path, dataset)
    fresh = blocks()
    assign_weights(fresh, trainer.tuned_weights())
    features = fresh(dataset.validation.astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(trainer.head().logits(features), trainer.logits(dataset.validation), atol=1e-4)
    with pytest.raises(ValueError, match="other/kernel"):
        assign_weights(fresh, {"other/kernel": np.zeros(3, np.float32)})


def test_validation_measures_the_mixed_logits(tmp_path: Path) -> None:
    dataset = make_dataset()
    features = blocks()(dataset.validation.astype(np.float32), training=False).numpy()
    random = np.random.default_rng(3)
    pretrained = Head(random.normal(size=(8, CLASSES)).astype(np.float32), np.array([1, 0, -1], np.float32))
    trainer, points = train(tmp_path, dataset, pretrained_logits=pretrained.logits(features))
    both = combined_head(trainer.head(), pretrained)
    fresh = blocks()
    assign_weights(fresh, trainer.tuned_weights())
    both_features = np.hstack(
        [fresh(dataset.validation.astype(np.float32), training=False).numpy(), features]
    )
    expected = evaluate_probabilities(both.probabilities(both_features), dataset.validation_labels)
    assert (points[-1].accuracy, points[-1].cross_entropy) == pytest.approx(expected, abs=1e-4)
    alone = evaluate_probabilities(softmax(trainer.logits(dataset.validation)), dataset.validation_labels)
    assert points[-1].cross_entropy != pytest.approx(alone[1], abs=1e-4)


def test_an_epoch_has_each_image_once_or_is_balanced_by_class() -> None:
    dataset = make_dataset(199)
    assert sorted(_epoch_order(dataset, OPTIONS, 0)) == list(range(159))
    assert not np.array_equal(_epoch_order(dataset, OPTIONS, 0), _epoch_order(dataset, OPTIONS, 1))
    few = replace(dataset, labels=np.where(np.arange(160) < 10, 1, 0))
    images = replace(OPTIONS, class_weighting="none")
    assert sorted(_epoch_order(few, images, 0)) == list(range(160))
    rows = _epoch_order(few, OPTIONS, 0)
    assert np.mean(few.labels[rows]) == 0.5
    assert set(rows[few.labels[rows] == 1]) == set(range(10))


def test_batches_have_equal_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, sizes = BlockTrainer.step, list[int]()

    def counted(
        trainer: BlockTrainer, windows: npt.NDArray[np.float16], labels: IndexArray, number: int
    ) -> tuple[float, float]:
        sizes.append(len(windows))
        return step(trainer, windows, labels, number)

    monkeypatch.setattr(BlockTrainer, "step", counted)
    train(tmp_path, make_dataset(40 + 97))
    assert sorted(set(sizes)) == [24, 25]
    assert sum(sizes) == 97 * OPTIONS.fine_tune_epochs


def test_windows_are_drawn_from_all_positions() -> None:
    maps = np.arange(2 * 4 * 5 * 3, dtype=np.float16).reshape(2, 4, 5, 3)
    generator = np.random.default_rng(0)
    windows = [_random_window(maps, (3, 3), generator) for _draw in range(200)]
    starts = {tuple(np.argwhere(maps[0, ..., 0] == window[0, 0, 0, 0])[0].tolist()) for window in windows}
    assert starts == {(top, left) for top in range(2) for left in range(3)}
    for window in windows:
        top, left = np.argwhere(maps[0, ..., 0] == window[0, 0, 0, 0])[0]
        np.testing.assert_array_equal(window, maps[:, top : top + 3, left : left + 3])
    np.testing.assert_array_equal(_random_window(maps, (4, 5), generator), maps)


def test_too_many_images_are_left_out_of_the_large_classes() -> None:
    examples = [
        Example(f"{at:064x}", Path(f"{at}.jpg"), "few" if at % 10 == 0 else "many", "training")
        for at in range(50)
    ]
    kept = sample_evenly(examples, 12)
    assert [example.label for example in kept].count("few") == 5
    assert list(kept) == sorted(kept, key=lambda example: example.sha256)
    assert sample_evenly(examples, 60) == tuple(examples)
