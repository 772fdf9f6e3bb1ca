"""What a model's file has inside: features, maps, heat, strangeness; also of two networks side by side."""

from typing import Any

import numpy as np
import pytest

from studio.backbones.conversion import converted_on_pixels
from studio.backbones.interpreter import Engine
from studio.backbones.preprocessing import Preprocessing
from studio.predict.explain import NearestImages, evidence, over
from studio.predict.model import Model
from studio.retrain.head.head import Head
from studio.retrain.model_file import head_of, with_head
from studio.retrain.model_outputs import inner, only_features, with_strangeness
from studio.retrain.run_folder import MODEL
from tests.predict.material import flowers_run
from tests.retrain.material import ROOM, needs_flowers

SIZE = Preprocessing(48, 32)


def pixels(seed: int = 0, height: int = 32, width: int = 48) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def two_branches() -> tuple[bytes, Head]:
    """Return a file as fine-tuning leaves it: the features of two branches, of maps of two sizes."""
    import keras

    keras.utils.set_random_seed(3)

    def answer(entry: Any) -> Any:
        scaled = keras.layers.Rescaling(1 / 128, offset=-1)(entry)
        branches = [
            keras.layers.GlobalAveragePooling2D()(
                keras.layers.Conv2D(channels, 3, strides=stride, padding="same", activation="relu")(scaled)
            )
            for channels, stride in ((5, 8), (7, 16))
        ]
        return keras.layers.Concatenate()(branches)

    chance = np.random.default_rng(4)
    head = Head(chance.normal(size=(12, 3)).astype(np.float32), chance.normal(size=3).astype(np.float32))
    return with_head(converted_on_pixels(answer, SIZE, "two"), head), head


def pooled_twice() -> bytes:
    """Return a file whose features are not the means of a map."""
    import keras

    def answer(entry: Any) -> Any:
        maps = keras.layers.Conv2D(4, 3, strides=8, padding="same")(keras.layers.Rescaling(1 / 255)(entry))
        return keras.layers.Dense(6, activation="relu")(keras.layers.GlobalAveragePooling2D()(maps))

    head = Head(np.ones((6, 2), np.float32), np.zeros(2, np.float32))
    return with_head(converted_on_pixels(answer, SIZE, "deep"), head)


def test_heat_of_two_branches_sums_to_what_the_class_got() -> None:
    model, head = two_branches()
    found = inner(model)
    assert [(each.first, each.channels) for each in found.maps] == [(0, 5), (5, 7)]
    outputs = Engine(found.content).outputs(pixels())
    assert np.array_equal(outputs[0], Engine(model)(pixels()))
    assert found.features is not None
    logits = outputs[found.features] @ head.weights
    for at in range(3):
        heat = evidence(outputs, found.maps, head, at)
        assert heat is not None and heat.shape == (4, 6)
        assert float(heat.sum()) == pytest.approx(float(logits[at] - logits.mean()), abs=1e-4)


def test_a_head_that_stands_on_no_map_has_no_heat_and_answers_all_the_same() -> None:
    model = pooled_twice()
    found = inner(model)
    assert found.maps == ()
    assert found.features is not None
    outputs = Engine(found.content).outputs(pixels())
    assert evidence(outputs, found.maps, head_of(model), 0) is None
    assert np.array_equal(outputs[0], Engine(model)(pixels()))


def test_a_file_without_a_head_comes_back_as_it_is() -> None:
    import keras

    bare = converted_on_pixels(keras.layers.GlobalAveragePooling2D(), SIZE, "bare")
    assert inner(bare).content == bare
    for refused in (only_features, lambda model: with_strangeness(model, np.ones((1, 3), np.float32))):
        with pytest.raises(ValueError, match="head of ours"):
            refused(bare)


def test_strangeness_is_the_distance_from_the_nearest_anchor() -> None:
    model, _head = two_branches()
    features = Engine(only_features(model))
    anchors = np.stack([features(pixels(seed)) for seed in range(1, 6)])
    file = Engine(with_strangeness(model, anchors))
    answer, strangeness = file.outputs(pixels(1))
    assert np.array_equal(answer, Engine(model)(pixels(1)))
    assert float(strangeness[0]) == pytest.approx(0, abs=1e-5)
    mine = features(pixels(0))
    cosines = anchors @ mine / np.linalg.norm(anchors, axis=1) / np.linalg.norm(mine)
    assert float(file.outputs(pixels(0))[1][0]) == pytest.approx(1 - float(cosines.max()), abs=1e-5)


@needs_flowers
def test_heat_of_a_run_is_exact_and_drawn_at_the_network_s_size() -> None:
    run = flowers_run()
    model, head = Model.open(run.run_dir), head_of((run.run_dir / MODEL).read_bytes())
    example = run.snapshot.of_split("testing")[0]
    seen = model.preprocessing.read(example.path, "x")
    for label in (None, *model.labels):
        look = model.look(seen, label)
        assert look.features is not None and look.heat is not None
        logits = look.features @ head.weights
        at = model.labels.index(label or look.answer.predictions[0].label)
        assert float(look.heat.sum()) == pytest.approx(float(logits[at] - logits.mean()), abs=1e-3)
        assert look.answer == model.answer(seen)
        drawn = over(seen, look.heat)
        assert (drawn.height, drawn.width) == seen.shape[:2]


@needs_flowers
def test_heat_lies_where_the_flower_is() -> None:
    """A flower on one half of a grey image: most of what speaks for it is on that half."""
    run = flowers_run()
    model = Model.open(run.run_dir)
    size = model.preprocessing.width_px
    on_its_side = asked = 0
    for example in run.snapshot.of_split("training")[:24]:
        flower = model.preprocessing.read(example.path, "x")[::2, ::2]
        for left in (True, False):
            image = np.full((size, size, 3), 127, np.uint8)
            at = 0 if left else size // 2
            image[size // 4 : size // 4 + size // 2, at : at + size // 2] = flower
            heat = model.look(image, example.label).heat
            assert heat is not None
            good = np.maximum(heat, 0)
            halves = good[:, : good.shape[1] // 2].sum(), good[:, -(good.shape[1] // 2) :].sum()
            asked += 1
            on_its_side += (halves[0] > halves[1]) == left
    assert on_its_side / asked > 0.8


@needs_flowers
def test_the_nearest_training_images_of_one_begin_with_itself() -> None:
    run = flowers_run()
    model = Model.open(run.run_dir)
    images = NearestImages.of(run.run_dir, ROOM / "bottlenecks")
    same = asked = 0
    for example in run.snapshot.of_split("training")[:5]:
        features = model.look(model.preprocessing.read(example.path, "x")).features
        assert features is not None
        first, *others = images.to(features, 4)
        assert (first.sha256, first.label, first.path) == (example.sha256, example.label, example.path)
        assert first.likeness == pytest.approx(1, abs=1e-3)
        assert [each.likeness for each in others] == sorted((e.likeness for e in others), reverse=True)
    for example in run.snapshot.of_split("testing"):
        features = model.look(model.preprocessing.read(example.path, "x")).features
        assert features is not None
        asked += 1
        same += images.to(features, 1)[0].label == example.label
    assert same / asked > 0.6
