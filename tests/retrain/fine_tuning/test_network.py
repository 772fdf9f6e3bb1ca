from functools import cache
from math import prod
from typing import Any

import keras
import numpy as np
import pytest

from studio.backbones import DEFAULT, get_backbone
from studio.errors import BackboneError
from studio.retrain.fine_tuning.fine_tune import TRAINABLE_SHARE
from studio.retrain.fine_tuning.network import choose_split_layer, multiply_adds, split_layers, split_network


@cache
def network(name: str, size_px: int = 96) -> Any:
    shape, random = (size_px, size_px, 3), {"include_top": False, "weights": None, "pooling": "avg"}
    if name == "mobilenet":
        return keras.applications.MobileNet(input_shape=shape, alpha=0.25, **random)
    if name == "mobilenet_v2":
        return keras.applications.MobileNetV2(input_shape=shape, alpha=0.35, **random)
    if name == "mobilenet_v3_small":
        return keras.applications.MobileNetV3Small(input_shape=shape, **random)
    return get_backbone(DEFAULT).network()


def test_a_branch_has_no_split_layer() -> None:
    entry = keras.Input((8, 8, 3))
    stem = keras.layers.Conv2D(4, 3, padding="same", name="stem")(entry)
    left = keras.layers.Conv2D(4, 1, name="left")(stem)
    right = keras.layers.DepthwiseConv2D(3, padding="same", name="right")(left)
    joined = keras.layers.Add(name="joined")([stem, right])
    top = keras.layers.Conv2D(6, 1, name="top")(joined)
    model = keras.Model(entry, keras.layers.GlobalAveragePooling2D()(top))
    costs = {"stem": 64 * 3 * 9 * 4, "left": 64 * 16, "right": 64 * 4 * 9, "top": 64 * 24}
    for name, cost in costs.items():
        assert multiply_adds(model.get_layer(name)) == cost
    found = split_layers(model)
    assert [split_layer.name for split_layer in found] == ["stem", "joined", "top"]
    assert found[0].shape == (8, 8, 4)
    assert found[1].share == pytest.approx(costs["top"] / sum(costs.values()))


@pytest.mark.parametrize("name", [DEFAULT, "mobilenet", "mobilenet_v2", "mobilenet_v3_small"])
def test_frozen_and_trainable_blocks_together_are_the_network(name: str) -> None:
    whole = network(name)
    split_layer = choose_split_layer(whole, TRAINABLE_SHARE)
    assert TRAINABLE_SHARE / 4 < split_layer.share <= TRAINABLE_SHARE
    frozen, trainable = split_network(whole, split_layer)
    pixels = np.random.default_rng(0).normal(size=(2, *whole.input.shape[1:])).astype(np.float32)
    maps = frozen(pixels, training=False)
    assert maps.shape[1:] == split_layer.shape
    assert prod(split_layer.shape) <= prod(whole.get_layer(split_layer.name).output.shape[1:])
    np.testing.assert_allclose(
        trainable(maps, training=False).numpy(), whole(pixels, training=False).numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2", "mobilenet_v3_small"])
def test_blocks_for_windows_and_for_whole_maps_have_the_same_weights(name: str) -> None:
    larger = network(name, 128)
    split_layer = choose_split_layer(larger, TRAINABLE_SHARE)
    (_frozen, whole), (_own_frozen, windows) = (
        split_network(larger, split_layer),
        split_network(network(name), split_layer),
    )
    assert [v.path for v in whole.trainable_variables] == [v.path for v in windows.trainable_variables]
    assert windows.input.shape[1] < whole.input.shape[1]


def test_the_default_backbone_is_split_between_two_blocks() -> None:
    split_layer = choose_split_layer(network(DEFAULT), TRAINABLE_SHARE)
    assert (split_layer.name, split_layer.shape) == ("blocks.11.bn2", (7, 7, 192))
    assert choose_split_layer(network(DEFAULT), 0.15).name == "blocks.14.add"


def test_a_network_without_a_split_layer_is_an_error() -> None:
    entry = keras.Input((4, 4, 3))
    flat = keras.Model(entry, keras.layers.Dense(2)(keras.layers.Flatten()(entry)))
    with pytest.raises(BackboneError, match=r"at most 15% .* Choose another"):
        choose_split_layer(flat, 0.15)
