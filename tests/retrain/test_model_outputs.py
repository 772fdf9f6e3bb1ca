"""Derived models: features, feature maps, class activation maps and the out-of-distribution score."""

from typing import Any

import numpy as np
import pytest

from studio.backbones.conversion import convert_on_pixels
from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.preprocessing import Preprocessing
from studio.predict.explain import NearestTrainingImages, class_activation_map, overlay_activation_map
from studio.predict.model import Model
from studio.retrain.head.head import Head
from studio.retrain.model_file import attach_head, read_head
from studio.retrain.model_outputs import derive_model, feature_extractor_model, with_ood_score
from studio.retrain.run_folder import MODEL_FILE
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
    return attach_head(convert_on_pixels(answer, SIZE, "two"), head), head


def pooled_twice() -> bytes:
    """Return a file whose features are not the means of a map."""
    import keras

    def answer(entry: Any) -> Any:
        maps = keras.layers.Conv2D(4, 3, strides=8, padding="same")(keras.layers.Rescaling(1 / 255)(entry))
        return keras.layers.Dense(6, activation="relu")(keras.layers.GlobalAveragePooling2D()(maps))

    head = Head(np.ones((6, 2), np.float32), np.zeros(2, np.float32))
    return attach_head(convert_on_pixels(answer, SIZE, "deep"), head)


def test_the_activation_maps_of_two_branches_sum_to_the_logit() -> None:
    model, head = two_branches()
    derived = derive_model(model)
    assert [(each.first, each.channels) for each in derived.maps] == [(0, 5), (5, 7)]
    outputs = LiteRTInterpreter(derived.content).outputs(pixels())
    assert np.array_equal(outputs[0], LiteRTInterpreter(model)(pixels()))
    assert derived.features is not None
    logits = outputs[derived.features] @ head.weights
    for at in range(3):
        activation_map = class_activation_map(outputs, derived.maps, head, at)
        assert activation_map is not None and activation_map.shape == (4, 6)
        assert float(activation_map.sum()) == pytest.approx(float(logits[at] - logits.mean()), abs=1e-4)


def test_a_head_without_feature_maps_has_no_activation_map() -> None:
    model = pooled_twice()
    derived = derive_model(model)
    assert derived.maps == ()
    assert derived.features is not None
    outputs = LiteRTInterpreter(derived.content).outputs(pixels())
    assert class_activation_map(outputs, derived.maps, read_head(model), 0) is None
    assert np.array_equal(outputs[0], LiteRTInterpreter(model)(pixels()))


def test_a_file_without_a_head_is_returned_unchanged() -> None:
    import keras

    bare = convert_on_pixels(keras.layers.GlobalAveragePooling2D(), SIZE, "bare")
    assert derive_model(bare).content == bare
    for refused in (
        feature_extractor_model,
        lambda model: with_ood_score(model, np.ones((1, 3), np.float32)),
    ):
        with pytest.raises(ValueError, match="head that retraining has added"):
            refused(bare)


def test_the_ood_score_is_the_distance_from_the_nearest_prototype() -> None:
    model, _head = two_branches()
    features = LiteRTInterpreter(feature_extractor_model(model))
    prototypes = np.stack([features(pixels(seed)) for seed in range(1, 6)])
    file = LiteRTInterpreter(with_ood_score(model, prototypes))
    answer, ood_score = file.outputs(pixels(1))
    assert np.array_equal(answer, LiteRTInterpreter(model)(pixels(1)))
    assert float(ood_score[0]) == pytest.approx(0, abs=1e-5)
    mine = features(pixels(0))
    cosines = prototypes @ mine / np.linalg.norm(prototypes, axis=1) / np.linalg.norm(mine)
    assert float(file.outputs(pixels(0))[1][0]) == pytest.approx(1 - float(cosines.max()), abs=1e-5)


@needs_flowers
def test_the_activation_map_of_a_run_is_exact() -> None:
    run = flowers_run()
    model, head = Model.open(run.run_dir), read_head((run.run_dir / MODEL_FILE).read_bytes())
    example = run.snapshot.of_split("testing")[0]
    seen = model.preprocessing.read(example.path, "x")
    for label in (None, *model.labels):
        result = model.explain(seen, label)
        assert result.features is not None and result.activation_map is not None
        logits = result.features @ head.weights
        at = model.labels.index(label or result.prediction.scores[0].label)
        assert float(result.activation_map.sum()) == pytest.approx(
            float(logits[at] - logits.mean()), abs=1e-3
        )
        assert result.prediction == model.predict(seen)
        drawn = overlay_activation_map(seen, result.activation_map)
        assert (drawn.height, drawn.width) == seen.shape[:2]


@needs_flowers
def test_the_activation_map_is_highest_on_the_flower() -> None:
    """Paste a flower on one half of a grey image: most of the positive activation is on that half."""
    run = flowers_run()
    model = Model.open(run.run_dir)
    size = model.preprocessing.width_px
    on_flower_half = count = 0
    for example in run.snapshot.of_split("training")[:24]:
        flower = model.preprocessing.read(example.path, "x")[::2, ::2]
        for left in (True, False):
            image = np.full((size, size, 3), 127, np.uint8)
            at = 0 if left else size // 2
            image[size // 4 : size // 4 + size // 2, at : at + size // 2] = flower
            activation_map = model.explain(image, example.label).activation_map
            assert activation_map is not None
            positive = np.maximum(activation_map, 0)
            halves = (
                positive[:, : positive.shape[1] // 2].sum(),
                positive[:, -(positive.shape[1] // 2) :].sum(),
            )
            count += 1
            on_flower_half += (halves[0] > halves[1]) == left
    assert on_flower_half / count > 0.8


@needs_flowers
def test_the_nearest_training_image_of_one_is_itself() -> None:
    run = flowers_run()
    model = Model.open(run.run_dir)
    images = NearestTrainingImages.of(run.run_dir, ROOM / "bottlenecks")
    same = count = 0
    for example in run.snapshot.of_split("training")[:5]:
        features = model.explain(model.preprocessing.read(example.path, "x")).features
        assert features is not None
        first, *others = images.find(features, 4)
        assert (first.sha256, first.label, first.path) == (example.sha256, example.label, example.path)
        assert first.similarity == pytest.approx(1, abs=1e-3)
        assert [each.similarity for each in others] == sorted((e.similarity for e in others), reverse=True)
    for example in run.snapshot.of_split("testing"):
        features = model.explain(model.preprocessing.read(example.path, "x")).features
        assert features is not None
        count += 1
        same += images.find(features, 1)[0].label == example.label
    assert same / count > 0.6
