from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from studio.arrays import Float32Array, IndexArray
from studio.errors import Stopped
from studio.retrain.curve import CurvePoint
from studio.retrain.fine_tuning.features import DeepLesson
from studio.retrain.fine_tuning.network import together, tune
from studio.retrain.fine_tuning.training import Tuner, _epoch, _window, train_tail
from studio.retrain.head.dataset import Scaling
from studio.retrain.head.head import Head, judged, softmax
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Example, evenly
from tests.retrain.material import Watched

SHAPE, WINDOW, CLASSES = (4, 4, 6), (3, 3, 6), 3
OPTIONS = RunOptions(fine_tune=True, fine_tune_epochs=10, seed=5)


def tail(shape: tuple[int, int, int] = SHAPE) -> keras.Model:
    keras.utils.set_random_seed(1)
    entry = keras.Input(shape)
    x = keras.layers.Conv2D(8, 3, padding="same", name="conv")(entry)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(entry, keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU()(x)))


def lesson(count: int = 200) -> DeepLesson:
    random = np.random.default_rng(0)
    labels = np.arange(count) % CLASSES
    centres = random.normal(size=(CLASSES, 1, 1, SHAPE[-1])) * 4
    maps = (centres[labels][:, None] + random.normal(size=(count, 2, *SHAPE))).astype(np.float16)
    return DeepLesson(maps[40:], labels[40:], maps[:40, 0], labels[:40])


def tuner(on: DeepLesson) -> Tuner:
    steps = OPTIONS.fine_tune_epochs * on.epoch_steps
    scaling = Scaling(np.zeros(8, np.float32), np.float32(1))
    return Tuner(tail(WINDOW), tail(), CLASSES, scaling, steps=steps, seed=5)


def train(
    folder: Path, on: DeepLesson, *, stop_after: int | None = None, beside: Float32Array | None = None
) -> tuple[Tuner, list[CurvePoint]]:
    made = tuner(on)
    told: list[CurvePoint] = []
    points = train_tail(
        made,
        on,
        OPTIONS,
        beside=np.zeros((len(on.validation), CLASSES), np.float32) if beside is None else beside,
        checkpoint=folder / "checkpoint.npz",
        identity="this",
        progress=Watched() if stop_after is None else Watched("Fine-tuning", stop_after),
        on_points=told.extend,
    )
    assert told == points
    return made, points


def test_it_learns_and_leaves_the_averages_of_batchnorm_alone(tmp_path: Path) -> None:
    on = lesson()
    made, points = train(tmp_path, on)
    assert made.window == WINDOW[:2]
    answers = made.logits(on.validation)
    assert np.mean(answers.argmax(axis=1) == on.validation_labels) > 0.9
    assert [p.step for p in points if p.split == "training"] == list(range(1, 10 * 5 + 1))
    assert [p.step for p in points if p.split == "validation"] == list(range(5, 51, 5))
    before = tail()
    norm = made._tail.get_layer("norm")
    assert np.array_equal(norm.moving_mean.numpy(), before.get_layer("norm").moving_mean.numpy())
    assert not np.array_equal(norm.gamma.numpy(), before.get_layer("norm").gamma.numpy())
    assert set(made.tuned()) == {"conv/kernel", "conv/bias", "norm/gamma", "norm/beta"}


def test_what_goes_on_from_a_stop_ends_as_if_never_stopped(tmp_path: Path) -> None:
    on = lesson()
    expected, whole = train(tmp_path / "whole", on)
    for stop_after in (0, 7, 13):
        with pytest.raises(Stopped):
            train(tmp_path / "parts", on, stop_after=stop_after)
    made, points = train(tmp_path / "parts", on)
    assert points == whole
    for one, other in zip(made.arrays(), expected.arrays(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("spoil", ["truncated", "garbage", "another network's"])
def test_a_checkpoint_that_is_no_use_is_not_used(tmp_path: Path, spoil: str) -> None:
    on = lesson()
    expected, _points = train(tmp_path / "whole", on)
    with pytest.raises(Stopped):
        train(tmp_path, on, stop_after=7)
    path = tmp_path / "checkpoint.npz"
    if spoil == "another network's":
        with np.load(path) as arrays:
            others = {name: arrays[name] for name in arrays.files} | {"array_0000": np.zeros(3)}
        np.savez(path, **others)
    else:
        path.write_bytes(path.read_bytes()[:-500] if spoil == "truncated" else b"PK\3\4 garbage")
    made, _points = train(tmp_path, on)
    assert np.array_equal(made.arrays()[0], expected.arrays()[0])


def test_trained_weights_go_back_into_a_network(tmp_path: Path) -> None:
    on = lesson()
    made, _points = train(tmp_path, on)
    fresh = tail()
    tune(fresh, made.tuned())
    features = fresh(on.validation.astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(made.head().logits(features), made.logits(on.validation), atol=1e-4)
    with pytest.raises(ValueError, match="other/kernel"):
        tune(fresh, {"other/kernel": np.zeros(3, np.float32)})


def test_validation_is_asked_of_the_model_that_will_be_kept(tmp_path: Path) -> None:
    on = lesson()
    features = tail()(on.validation.astype(np.float32), training=False).numpy()
    random = np.random.default_rng(3)
    untouched = Head(random.normal(size=(8, CLASSES)).astype(np.float32), np.array([1, 0, -1], np.float32))
    made, points = train(tmp_path, on, beside=untouched.logits(features))
    both = together(made.head(), untouched)
    fresh = tail()
    tune(fresh, made.tuned())
    side_by_side = np.hstack([fresh(on.validation.astype(np.float32), training=False).numpy(), features])
    expected = judged(both.probabilities(side_by_side), on.validation_labels)
    assert (points[-1].accuracy, points[-1].cross_entropy) == pytest.approx(expected, abs=1e-4)
    alone = judged(softmax(made.logits(on.validation)), on.validation_labels)
    assert points[-1].cross_entropy != pytest.approx(alone[1], abs=1e-4)


def test_an_epoch_asks_for_each_image_once_or_for_classes_alike() -> None:
    on = lesson(199)
    assert sorted(_epoch(on, OPTIONS, 0)) == list(range(159))
    assert not np.array_equal(_epoch(on, OPTIONS, 0), _epoch(on, OPTIONS, 1))
    few = replace(on, labels=np.where(np.arange(160) < 10, 1, 0))
    images = replace(OPTIONS, class_weighting="none")
    assert sorted(_epoch(few, images, 0)) == list(range(160))
    rows = _epoch(few, OPTIONS, 0)
    assert np.mean(few.labels[rows]) == 0.5
    assert set(rows[few.labels[rows] == 1]) == set(range(10))


def test_no_step_is_taken_on_a_few_left_over_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, sizes = Tuner.step, list[int]()

    def counted(
        tuner: Tuner, windows: npt.NDArray[np.float16], labels: IndexArray, number: int
    ) -> tuple[float, float]:
        sizes.append(len(windows))
        return step(tuner, windows, labels, number)

    monkeypatch.setattr(Tuner, "step", counted)
    train(tmp_path, lesson(40 + 97))
    assert sorted(set(sizes)) == [24, 25]
    assert sum(sizes) == 97 * OPTIONS.fine_tune_epochs


def test_windows_lie_anywhere_in_the_maps() -> None:
    maps = np.arange(2 * 4 * 5 * 3, dtype=np.float16).reshape(2, 4, 5, 3)
    generator = np.random.default_rng(0)
    windows = [_window(maps, (3, 3), generator) for _draw in range(200)]
    starts = {tuple(np.argwhere(maps[0, ..., 0] == window[0, 0, 0, 0])[0].tolist()) for window in windows}
    assert starts == {(top, left) for top in range(2) for left in range(3)}
    for window in windows:
        top, left = np.argwhere(maps[0, ..., 0] == window[0, 0, 0, 0])[0]
        np.testing.assert_array_equal(window, maps[:, top : top + 3, left : left + 3])
    np.testing.assert_array_equal(_window(maps, (4, 5), generator), maps)


def test_too_many_images_are_thinned_out_of_the_large_classes() -> None:
    examples = [
        Example(f"{at:064x}", Path(f"{at}.jpg"), "few" if at % 10 == 0 else "many", "training")
        for at in range(50)
    ]
    kept = evenly(examples, 12)
    assert [example.label for example in kept].count("few") == 5
    assert list(kept) == sorted(kept, key=lambda example: example.sha256)
    assert evenly(examples, 60) == tuple(examples)
