"""Where a network can be cut in two: in front what stays as it is, behind what is trained on."""

from dataclasses import dataclass
from math import prod
from typing import Any

from studio.errors import BackboneError
from studio.language import _

_SPATIAL = 4
"""Axes of a map: pictures, height, width, channels."""


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
            _pictures, *shape = layer.output.shape
            found.append(Tap(layer.name, tuple(shape), sum(costs[at + 1 :]) / max(sum(costs), 1)))
        reach = max(reach, last_use[at])
    return tuple(found)


def tap_of(network: Any, share: float) -> Tap:
    """Return a tap behind which are at most `share` of the multiply-adds, and a quarter of that or more.

    It is where the map is smallest, for each picture's is kept: between blocks, mostly. Of several it is the
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
    """Return a layer's multiply-adds for one picture: of its kernel, at each place of its output."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    places = prod(layer.output.shape[1:3]) if len(layer.output.shape) == _SPATIAL else 1
    return int(prod(kernel.shape)) * places


def _flat(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]
