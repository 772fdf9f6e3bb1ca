"""A backbone that computes in whole numbers of 8 bits: a quarter of the size, and faster.

How far each layer's numbers reach has to be known beforehand. It is measured on blocks of colours of
chance, so that the file depends on nobody's photographs: in a MobileNet ReLU6 ends all ranges at 6, which
any pictures reach. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-
Arithmetic-Only Inference", 2018.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.errors import BackboneError
from studio.language import _
from studio.retrain.backbones.backbone import Backbone
from studio.retrain.engine import Engine
from studio.retrain.litert import converted
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.quiet import tensorflow

_BLOCKS_PX = (1, 2, 4, 8, 16, 32, 64)
_OF_EACH = 2
"""Pictures for calibration, for each size of block."""


def quantized(backbone: Backbone) -> bytes:
    """Return a LiteRT file: uint8, (1, h, w, 3), 0-255 in; float32, (1, features) out; whole numbers inside.

    The scaling costs nothing: it is how the bytes that come in are understood. Raises BackboneError.
    """
    content = in_whole_numbers(backbone.network(), backbone.preprocessing, lambda: _blocks(backbone))
    _check_input(content, backbone)
    return content


def in_whole_numbers(
    network: Any, preprocessing: Preprocessing, pictures: Callable[[], Iterable[npt.NDArray[np.uint8]]]
) -> bytes:
    """Return a LiteRT file that computes in whole numbers of 8 bits; in and out as in `quantized`.

    network: Keras model; float32, (N, h, w, 3), scaled, in; float32, (N, features), out.
    pictures: uint8, (h, w, 3), each: how far numbers reach is measured on them, and they should have 0 and
    255 somewhere.
    """
    tf = tensorflow()
    import keras

    # One number for all channels can stand in how bytes are understood; of several the network takes care.
    outside = not isinstance(preprocessing.mean, tuple) and not isinstance(preprocessing.scale, tuple)
    pixels = keras.Input(batch_shape=(1, preprocessing.height_px, preprocessing.width_px, 3), name="input")
    scaled = pixels if outside else preprocessing.scaling_layer()(pixels)

    def calibration() -> Iterator[list[npt.NDArray[np.float32]]]:
        for picture in pictures():
            values = preprocessing.scaled(picture) if outside else picture.astype(np.float32)
            yield [values[np.newaxis]]

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32

    return converted(keras.Model(pixels, network(scaled)), configure)


def _blocks(backbone: Backbone) -> Iterator[npt.NDArray[np.uint8]]:
    height, width = backbone.preprocessing.height_px, backbone.preprocessing.width_px
    random = np.random.default_rng(0)
    for block in _BLOCKS_PX * _OF_EACH:
        tall, wide = -(-height // block), -(-width // block)
        colours = random.integers(0, 256, (tall, wide, 3), dtype=np.uint8)
        colours[0, 0], colours[-1, -1] = 0, 255  # the whole of what can come in
        yield colours.repeat(block, axis=0).repeat(block, axis=1)[:height, :width]


def _check_input(content: bytes, backbone: Backbone) -> None:
    """Raise BackboneError where bytes are understood otherwise than the backbone scales pixels."""
    scale, zero = Engine(content).input_scale
    bytes_ = np.arange(256, dtype=np.uint8)
    understood = (bytes_.astype(np.float32) - zero) * scale
    meant = backbone.preprocessing.scaled(np.stack([bytes_] * 3, axis=-1))
    if not np.abs(understood[:, np.newaxis] - meant).max() <= scale:
        raise BackboneError(
            _("{title} cannot be quantized: its file would understand pixels otherwise.").format(
                title=backbone.title
            )
        )
