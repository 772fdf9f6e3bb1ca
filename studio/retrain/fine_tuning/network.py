"""Splitting a network for fine-tuning, and the fine-tuned network.

The layers up to the split layer stay frozen; the trainable blocks behind it are trained.
"""

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

_MAP_DIMENSIONS = 4
"""Dimensions of a feature map: images, height, width, channels."""
_INPUT_SCALE = 4 / 3
_STRIDE_PX = 32
"""Total stride of these networks: other edge lengths would only be padded."""
_TRAINED_SHARE = np.float32(4 / 5)
"""Weight of the trained blocks' logits; the rest is that of the pretrained blocks."""


@dataclass(frozen=True)
class SplitLayer:
    """A layer whose output is the only input of everything behind it.

    name: of the layer; several layers may have one shape, but names are unique.
    shape: of its output, (h, w, channels).
    share: 0-1, share of the network's multiply-adds behind it.
    """

    name: str
    shape: tuple[int, int, int]
    share: float


def split_layers(network: Any) -> tuple[SplitLayer, ...]:
    """Return the possible split layers of a Keras functional model with one input, from its input on."""
    layers = network.operations  # some networks add and multiply without a layer
    layer_ids = {id(layer) for layer in network.layers}
    made_by = {id(layer.output): at for at, layer in enumerate(layers)}
    last_use = list(range(len(layers)))
    for at, layer in enumerate(layers[1:], 1):
        for tensor in _flat(layer.input):
            last_use[made_by[id(tensor)]] = at
    costs = [multiply_adds(layer) for layer in layers]
    found, last_use_before = [], 0
    for at, layer in enumerate(layers[:-1]):
        # No output of an earlier layer is used behind this one.
        is_split = at and last_use_before <= at and id(layer) in layer_ids
        if is_split and len(layer.output.shape) == _MAP_DIMENSIONS:
            _images, *shape = layer.output.shape
            found.append(SplitLayer(layer.name, tuple(shape), sum(costs[at + 1 :]) / max(sum(costs), 1)))
        last_use_before = max(last_use_before, last_use[at])
    return tuple(found)


def choose_split_layer(network: Any, share: float) -> SplitLayer:
    """Return the split layer with between `share` / 4 and `share` of the multiply-adds behind it.

    Among these, the one with the smallest feature map is chosen, since the map of each image is cached:
    mostly between two blocks. Of several it is the first from the input, but after the normalisation and
    activation that follow.
    Raises BackboneError if there is none: in NASNet, each cell also uses the output of the cell before the
    last.
    """
    candidates = [layer for layer in split_layers(network) if share / 4 < layer.share <= share]
    if not candidates:
        raise BackboneError(
            _(
                "This backbone cannot be fine-tuned: it has no layer at which its last blocks, at most "
                "{share:.0%} of its computing, could be split off. Choose another one, or turn "
                "fine-tuning off."
            ).format(share=share)
        )
    smallest = min(prod(layer.shape) for layer in candidates)
    first = next(layer for layer in candidates if prod(layer.shape) == smallest)
    return [layer for layer in candidates if (layer.share, layer.shape) == (first.share, first.shape)][-1]


def split_network(network: Any, split_layer: SplitLayer) -> tuple[Any, Any]:
    """Return the Keras models up to the split layer and behind it; they share their layers with `network`."""
    import keras

    maps = network.get_layer(split_layer.name).output
    return keras.Model(network.input, maps), keras.Model(maps, network.output)


def multiply_adds(layer: Any) -> int:
    """Return a layer's multiply-adds per image: its kernel's size times the positions of its output."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    positions = prod(layer.output.shape[1:3]) if len(layer.output.shape) == _MAP_DIMENSIONS else 1
    return int(prod(kernel.shape)) * positions


def _flat(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def with_larger_input(backbone: Backbone) -> Backbone:
    """Return the backbone with an input a third larger, its edge rounded up to a multiple of 32 px.

    Networks are trained on crops, in which things appear larger than in the whole images they are applied to:
    Touvron et al., "Fixing the train-test resolution discrepancy", 2019.
    """
    size_px = -(-int(backbone.preprocessing.width_px * _INPUT_SCALE) // _STRIDE_PX) * _STRIDE_PX
    preprocessing = replace(backbone.preprocessing, width_px=size_px, height_px=size_px)
    return replace(backbone, preprocessing=preprocessing)


def fine_tuned_network(
    backbone: Backbone, split_layer_name: str, tuned_weights: Mapping[str, Float32Array]
) -> Any:
    """Return the Keras model: input float32, (N, h, w, 3), scaled; output float32, (N, 2 * features).

    The features of the trained blocks come first, then those of the pretrained blocks.
    tuned_weights: as in `assign_weights`. Raises ValueError if they do not fit the backbone.
    """
    import keras

    trained, pretrained = backbone.network(), backbone.network()
    assign_weights(trained, tuned_weights)
    split_layer = next((layer for layer in split_layers(trained) if layer.name == split_layer_name), None)
    if split_layer is None:
        raise ValueError(f"expected a network with the split layer {split_layer_name!r}; it has none")
    frozen, trained_blocks = split_network(trained, split_layer)
    _frozen, pretrained_blocks = split_network(pretrained, split_layer)
    # Layers of both blocks share names, which must differ in a model. The names are part of the file's bytes.
    frozen.name, trained_blocks.name, pretrained_blocks.name = "front", "trained", "untouched"
    pixels = keras.Input(trained.input.shape[1:])
    maps = frozen(pixels)
    features = keras.layers.Concatenate(name="features")([trained_blocks(maps), pretrained_blocks(maps)])
    return keras.Model(pixels, features, name="tuned_network")


def combined_head(trained: Head, pretrained: Head) -> Head:
    """Return the head on the features of both blocks whose logits are those of the two heads, mixed."""
    halves = [_TRAINED_SHARE * trained.weights, (1 - _TRAINED_SHARE) * pretrained.weights]
    weights = np.concatenate(halves, dtype=np.float32)
    return Head(weights, mix_logits(trained.bias, pretrained.bias))


def mix_logits(trained: Float32Array, pretrained: Float32Array) -> Float32Array:
    """Return the weighted mean of the logits of the trained and the pretrained blocks: 4 to 1."""
    return np.asarray(_TRAINED_SHARE * trained + (1 - _TRAINED_SHARE) * pretrained, np.float32)


def assign_weights(network: Any, tuned_weights: Mapping[str, Float32Array]) -> None:
    """Assign trained weights to a backbone's network. tuned_weights: by "layer/variable".

    Raises ValueError for a name that the network does not have.
    """
    variables = {
        f"{layer.name}/{variable.name}": variable
        for layer in network.layers
        for variable in layer.trainable_variables
    }
    if unknown := set(tuned_weights) - set(variables):
        raise ValueError(f"expected weights of this network; it has no {sorted(unknown)[0]}")
    for name, values in tuned_weights.items():
        variables[name].assign(values)
