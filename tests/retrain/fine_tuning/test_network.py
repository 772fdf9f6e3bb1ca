from functools import cache
from math import prod
from typing import Any

import keras
import numpy as np
import pytest

from studio.backbones import DEFAULT, backbone_named
from studio.errors import BackboneError
from studio.retrain.fine_tuning.fine_tune import SHARE
from studio.retrain.fine_tuning.network import cut, multiply_adds, tap_of, taps


@cache
def network(name: str, size_px: int = 96) -> Any:
    shape, random = (size_px, size_px, 3), {"include_top": False, "weights": None, "pooling": "avg"}
    if name == "mobilenet":
        return keras.applications.MobileNet(input_shape=shape, alpha=0.25, **random)
    if name == "mobilenet_v2":
        return keras.applications.MobileNetV2(input_shape=shape, alpha=0.35, **random)
    if name == "mobilenet_v3_small":
        return keras.applications.MobileNetV3Small(input_shape=shape, **random)
    return backbone_named(DEFAULT).network()


def test_a_branch_cannot_be_cut_through() -> None:
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
    found = taps(model)
    assert [tap.name for tap in found] == ["stem", "joined", "top"]
    assert found[0].shape == (8, 8, 4)
    assert found[1].share == pytest.approx(costs["top"] / sum(costs.values()))


@pytest.mark.parametrize("name", [DEFAULT, "mobilenet", "mobilenet_v2", "mobilenet_v3_small"])
def test_front_and_tail_together_are_the_network(name: str) -> None:
    whole = network(name)
    tap = tap_of(whole, SHARE)
    assert SHARE / 4 < tap.share <= SHARE
    front, tail = cut(whole, tap)
    pixels = np.random.default_rng(0).normal(size=(2, *whole.input.shape[1:])).astype(np.float32)
    maps = front(pixels, training=False)
    assert maps.shape[1:] == tap.shape
    assert prod(tap.shape) <= prod(whole.get_layer(tap.name).output.shape[1:])
    np.testing.assert_allclose(
        tail(maps, training=False).numpy(), whole(pixels, training=False).numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2", "mobilenet_v3_small"])
def test_a_larger_network_s_tail_takes_the_weights_of_one_that_was_trained_on_windows(name: str) -> None:
    larger = network(name, 128)
    tap = tap_of(larger, SHARE)
    (_front, whole), (_own_front, windows) = cut(larger, tap), cut(network(name), tap)
    assert [v.path for v in whole.trainable_variables] == [v.path for v in windows.trainable_variables]
    assert windows.input.shape[1] < whole.input.shape[1]


def test_the_tap_of_the_default_is_between_two_blocks_and_small() -> None:
    tap = tap_of(network(DEFAULT), SHARE)
    assert (tap.name, tap.shape) == ("blocks.11.bn2", (7, 7, 192))
    assert tap_of(network(DEFAULT), 0.15).name == "blocks.14.add"


def test_a_network_without_such_a_place_is_refused() -> None:
    entry = keras.Input((4, 4, 3))
    flat = keras.Model(entry, keras.layers.Dense(2)(keras.layers.Flatten()(entry)))
    with pytest.raises(BackboneError, match=r"at most 15% .* Choose another"):
        tap_of(flat, 0.15)
