"""Where a network can be cut in two: in front what stays as it is, behind what is trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from studio.arrays import Float32Array
from studio.backbones import Backbone
from studio.errors import BackboneError
from studio.i18n import _
from studio.retrain.head.head import Head

_SPATIAL = 4
"""Axes of a map: images, height, width, channels."""


@dataclass(frozen=True)
class Tap:
    """A layer through whose output everything behind it must pass.

    name: the layer's; layers share shapes, never names. shape: of its output, (h, w, channels).
    share: 0-1, of the network's multiply-adds, those behind it.
    """

    name: str
    shape: tuple[int, int, int]
    share: float


def taps(network: Any) -> tuple[Tap, ...]:
    """Return where a Keras functional model with one input can be cut, from its input to its output."""
    layers = network.operations  # some networks add and multiply without a layer
    named = {id(layer) for layer in network.layers}
    made_by = {id(layer.output): at for at, layer in enumerate(layers)}
    last_use = list(range(len(layers)))
    for at, layer in enumerate(layers[1:], 1):
        for tensor in _flat(layer.input):
            last_use[made_by[id(tensor)]] = at
    costs = [multiply_adds(layer) for layer in layers]
    found, reach = [], 0
    for at, layer in enumerate(layers[:-1]):
        # Nothing made before it is asked for after it.
        if at and reach <= at and id(layer) in named and len(layer.output.shape) == _SPATIAL:
            _images, *shape = layer.output.shape
            found.append(Tap(layer.name, tuple(shape), sum(costs[at + 1 :]) / max(sum(costs), 1)))
        reach = max(reach, last_use[at])
    return tuple(found)


def tap_of(network: Any, share: float) -> Tap:
    """Return a tap behind which are at most `share` of the multiply-adds, and a quarter of that or more.

    It is where the map is smallest, for each image's is kept: between blocks, mostly. Of several it is the
    first, from the input on, but after the norm and activation that follow.
    Raises BackboneError where there is none: in NASNet each cell also takes what came before the last one.
    """
    behind = [tap for tap in taps(network) if share / 4 < tap.share <= share]
    if not behind:
        raise BackboneError(
            _(
                "This backbone cannot be fine-tuned: its last blocks, at most {share:.0%} of its computing, "
                "cannot be cut off from the rest. Choose another one, or leave fine-tuning out."
            ).format(share=share)
        )
    least = min(prod(tap.shape) for tap in behind)
    found = next(tap for tap in behind if prod(tap.shape) == least)
    return [tap for tap in behind if (tap.share, tap.shape) == (found.share, found.shape)][-1]


def cut(network: Any, tap: Tap) -> tuple[Any, Any]:
    """Return the Keras models in front of a tap and behind it; they share their layers with `network`."""
    import keras

    middle = network.get_layer(tap.name).output
    return keras.Model(network.input, middle), keras.Model(middle, network.output)


def multiply_adds(layer: Any) -> int:
    """Return a layer's multiply-adds for one image: of its kernel, at each place of its output."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    places = prod(layer.output.shape[1:3]) if len(layer.output.shape) == _SPATIAL else 1
    return int(prod(kernel.shape)) * places


def _flat(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


_LARGER = 4 / 3
_TRAINED_SHARE = np.float32(4 / 5)
"""Of the logits; the rest is the untouched blocks'."""
_STRIDE_PX = 32
"""What these networks divide an image by, all in all: nothing is gained by an edge in between."""


def larger(backbone: Backbone) -> Backbone:
    """Return the same backbone for images a third larger, each edge rounded up to a multiple of 32 px.

    Networks are trained on crops, in which things look larger than in the whole images they are asked about
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
