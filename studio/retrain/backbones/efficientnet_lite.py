"""EfficientNet-Lite 0 to 2 in Keras, filled from Google's ImageNet weights.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019, in the Lite
form of https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html:
no squeeze-and-excitation, ReLU6 for swish, stem and head not scaled by width, first and last stage not
repeated by depth.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

FEATURES = 1280
"""Length of the pooled output, the same for every size."""

# kernel, repeats, stride, expansion, channels out
_STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)


def _channels(base: int, width: float) -> int:
    """Scale by width, rounded to a multiple of 8 but never down by more than a tenth."""
    scaled = base * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def efficientnet_lite(
    weights: Mapping[str, npt.NDArray[Any]],
    *,
    size_px: int,
    width: float,
    depth: float,
    classifier: bool = False,
) -> Any:
    """Return a Keras model with the weights in it.

    weights: arrays by their names in the PyTorch checkpoint; the layers bear the same names without the first
    underscore (`blocks.15.depthwise_conv`; `blocks.15.bn1_relu`, `blocks.15.add`), whatever was built before.
    Input: float32, (N, size_px, size_px, 3), scaled to about [-1, 1].
    Output: float32, (N, 1280) pooled features; with `classifier`, (N, 1000) ImageNet logits.
    """
    import keras

    layers = keras.layers
    values: list[tuple[Any, list[npt.NDArray[Any]]]] = []  # set once the graph is built

    def named(name: str) -> str:
        return name.removeprefix("_").replace("._", ".")

    def conv(x: Any, name: str, kernel: int, channels: int, stride: int = 1) -> Any:
        layer = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=named(name))
        values.append((layer, [weights[f"{name}.weight"].transpose(2, 3, 1, 0)]))
        return layer(x)

    def depthwise(x: Any, name: str, kernel: int, stride: int) -> Any:
        layer = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=named(name))
        values.append((layer, [weights[f"{name}.weight"].transpose(2, 3, 0, 1)]))
        return layer(x)

    def norm(x: Any, name: str, *, activate: bool = True) -> Any:
        layer = layers.BatchNormalization(epsilon=1e-3, name=named(name))
        parts = ("weight", "bias", "running_mean", "running_var")
        values.append((layer, [weights[f"{name}.{part}"] for part in parts]))
        return layers.ReLU(6.0, name=f"{named(name)}_relu")(layer(x)) if activate else layer(x)

    inputs = keras.Input((size_px, size_px, 3))
    x = norm(conv(inputs, "_conv_stem", 3, 32, 2), "_bn0")
    block = 0
    for stage, (kernel, repeats, stride, expansion, base) in enumerate(_STAGES):
        deepened = repeats if stage in (0, len(_STAGES) - 1) else ceil(repeats * depth)
        for repeat in range(deepened):
            name = f"_blocks.{block}"
            entered, x_in = x.shape[-1], x
            if expansion > 1:
                x = norm(conv(x, f"{name}._expand_conv", 1, entered * expansion), f"{name}._bn0")
            step = stride if repeat == 0 else 1
            x = norm(depthwise(x, f"{name}._depthwise_conv", kernel, step), f"{name}._bn1")
            channels = _channels(base, width)
            x = norm(conv(x, f"{name}._project_conv", 1, channels), f"{name}._bn2", activate=False)
            if step == 1 and entered == channels:
                x = layers.Add(name=named(f"{name}.add"))([x, x_in])
            block += 1
    x = norm(conv(x, "_conv_head", 1, FEATURES), "_bn1")
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    if classifier:
        dense = layers.Dense(1000, name="fc")
        values.append((dense, [weights["_fc.weight"].T, weights["_fc.bias"]]))
        x = dense(x)
    for layer, arrays in values:
        layer.set_weights([np.ascontiguousarray(array) for array in arrays])
    return keras.Model(inputs, x, name="efficientnet_lite")
