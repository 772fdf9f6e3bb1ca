"""Networks with random weights in Keras' files, and the multiply-adds of a network."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from studio.backbones import get_backbone
from studio.backbones.interpreter import tensorflow
from studio.backbones.keras_weights import KerasWeights

SHARED_KERAS = Path(__file__).parents[3] / "shared" / "keras"


def untrained(name: str, keras_home: Path, also: tuple[str, ...] = ()) -> None:
    """Write weights of chance for a backbone of Keras Applications to where they are looked for.

    also: others that the same weights fit.
    """
    backbone = get_backbone(name)
    source = backbone.source
    assert isinstance(source, KerasWeights)
    tensorflow()
    import h5py
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    size_px = backbone.preprocessing.width_px
    network = getattr(keras.applications, source.constructor)(
        include_top=False, weights=None, input_shape=(size_px, size_px, 3), **dict(source.arguments)
    )
    fill(network)
    folder = keras_home / "models"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / source.file
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    for other in also:
        fits = get_backbone(other).source
        assert isinstance(fits, KerasWeights)
        (folder / fits.file).write_bytes(path.read_bytes())


def fill(network: Any, seed: int = 0) -> None:
    """Give a network weights that let an image through: He's deviation, norms that do something."""
    random = np.random.default_rng(seed)
    for layer in network.layers:
        if hasattr(layer, "layers"):
            fill(layer, seed)
            continue
        kind = type(layer).__name__
        weights = layer.get_weights()
        if kind == "BatchNormalization":
            weights = [values + random.uniform(0, 0.2, values.shape) for values in weights]
        elif kind != "Normalization":
            weights = [_he(random, kind, values.shape) for values in weights]
        layer.set_weights(weights)


def _he(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Any:
    inputs = prod(shape[:2]) if kind == "DepthwiseConv2D" else prod(shape[:-1])
    return (
        random.normal(0, (2 / max(inputs, 1)) ** 0.5, shape)
        if len(shape) > 1
        else random.uniform(0, 0.1, shape)
    )


def multiply_adds(network: Any) -> int:
    """Return what one image costs in convolutions and dense layers, nested networks included."""
    import keras

    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            total += multiply_adds(layer)
        elif isinstance(layer, keras.layers.SeparableConv2D):
            kernels = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
            total += prod(layer.output.shape[1:3]) * kernels
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)):
            # One place's cost is the kernel's size: a group's kernel has its own channels only.
            total += prod(layer.output.shape[1:-1]) * prod(layer.kernel.shape)
    return total
