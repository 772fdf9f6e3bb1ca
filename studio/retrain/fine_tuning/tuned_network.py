"""A fine-tuned run's network: a backbone whose last blocks were trained, and beside them as they were."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from studio.arrays import Float32Array
from studio.retrain.backbones import Backbone
from studio.retrain.fine_tuning.tap import cut, taps
from studio.retrain.head.head import Head

_LARGER = 4 / 3
_TRAINED_SHARE = np.float32(4 / 5)
"""Of the logits; the rest is the untouched blocks'."""
_STRIDE_PX = 32
"""What these networks divide a picture by, all in all: nothing is gained by an edge in between."""


def larger(backbone: Backbone) -> Backbone:
    """Return the same backbone for pictures a third larger, each edge rounded up to a multiple of 32 px.

    Networks are trained on crops, in which things look larger than in the whole pictures they are asked about
    later: Touvron et al., "Fixing the train-test resolution discrepancy", 2019.
    """
    size_px = -(-int(backbone.preprocessing.width_px * _LARGER) // _STRIDE_PX) * _STRIDE_PX
    preprocessing = replace(backbone.preprocessing, width_px=size_px, height_px=size_px)
    return replace(backbone, preprocessing=preprocessing)


def tuned_network(backbone: Backbone, before: str, tuned: Mapping[str, Float32Array]) -> Any:
    """Return the Keras model: float32, (N, h, w, 3), scaled, in; float32, (N, 2 * features) out.

    The trained blocks' features come first, then those of the same blocks as they were.
    before: the tap's name. tuned: the trained weights, as `tune` takes them.
    Raises ValueError where they are not this backbone's.
    """
    import keras

    trained, untouched = backbone.network(), backbone.network()
    tune(trained, tuned)
    tap = next((tap for tap in taps(trained) if tap.name == before), None)
    if tap is None:
        raise ValueError(f"expected a network that can be cut at {before!r}")
    front, tail = cut(trained, tap)
    _front, tail_before = cut(untouched, tap)
    # Layers of both tails share their names, and no two in one model may.
    front.name, tail.name, tail_before.name = "front", "trained", "untouched"
    pixels = keras.Input(trained.input.shape[1:])
    maps = front(pixels)
    features = keras.layers.Concatenate(name="features")([tail(maps), tail_before(maps)])
    return keras.Model(pixels, features, name="tuned_network")


def together(trained: Head, untouched: Head) -> Head:
    """Return the head on both networks' features, which answers with the two heads' logits, `mixed`."""
    halves = [_TRAINED_SHARE * trained.weights, (1 - _TRAINED_SHARE) * untouched.weights]
    weights = np.concatenate(halves, dtype=np.float32)
    return Head(weights, mixed(trained.bias, untouched.bias))


def mixed(trained: Float32Array, untouched: Float32Array) -> Float32Array:
    """Return what the trained blocks say and what the untouched ones say in one, by `_TRAINED_SHARE`."""
    return np.asarray(_TRAINED_SHARE * trained + (1 - _TRAINED_SHARE) * untouched, np.float32)


def tune(network: Any, tuned: Mapping[str, Float32Array]) -> None:
    """Put trained weights into a backbone's network. Raises ValueError where one has no place in it."""
    places = {
        f"{layer.name}/{variable.name}": variable
        for layer in network.layers
        for variable in layer.trainable_variables
    }
    if unknown := set(tuned) - set(places):
        raise ValueError(f"expected weights of this network; it has no {sorted(unknown)[0]}")
    for name, values in tuned.items():
        places[name].assign(values)
