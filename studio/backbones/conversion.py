"""Conversion of Keras models and backbones to LiteRT files, kept in the data folder under their hash."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.backbones.backbone import Backbone
from studio.backbones.interpreter import LiteRTInterpreter, captured_output, tensorflow
from studio.backbones.preprocessing import Preprocessing
from studio.backbones.registry import get_backbone
from studio.errors import BackboneError
from studio.files import atomic_bytes
from studio.i18n import _
from studio.progress import Progress

_BLOCK_SIZES_PX = (1, 2, 4, 8, 16, 32, 64)
_IMAGES_PER_SIZE = 2
"""Calibration images for each block size."""
_conversion_lock = threading.Lock()


@dataclass(frozen=True)
class BackboneFile:
    """A converted backbone: input uint8, (1, h, w, 3), scaled inside; output float32, (1, features)."""

    path: Path
    name: str
    fingerprint: str
    preprocessing: Preprocessing
    features: int


def prepare_backbone(name: str, backbones_dir: Path, progress: Progress) -> BackboneFile:
    """Return a backbone's LiteRT file; download its weights and convert them on first use.

    The file's name ends in the first 16 digits of its own SHA-256: a file that does not match its name is
    converted again. Concurrent calls wait for one conversion. Raises BackboneError, and Stopped during a
    download.
    """
    backbone = get_backbone(name)
    with _conversion_lock:
        path = cached_file(backbones_dir, _file_stem(backbone))
        if path is None:
            backbone.download(progress)
            # Without a published hash, the fingerprint is known only after the download.
            path = cached_file(backbones_dir, _file_stem(backbone)) or write_cached_file(
                backbones_dir,
                _file_stem(backbone),
                lambda: _convert_backbone(backbone),
                phase=_("Preparing the backbone"),
                progress=progress,
            )
    return BackboneFile(path, backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features)


def cached_file(folder: Path, stem: str) -> Path | None:
    """Return the file that `write_cached_file` wrote under a stem; None if it is missing or damaged."""
    files = sorted(folder.glob(f"{stem}-*.tflite"))
    return next(
        (file for file in files if _content_hash(file.read_bytes()) == file.stem.rpartition("-")[2]), None
    )


def write_cached_file(
    folder: Path, stem: str, make: Callable[[], bytes], *, phase: str, progress: Progress
) -> Path:
    """Write what `make` returns, atomically, under a name that ends in the content's hash."""
    progress.report(phase, 0, 1)
    content = make()
    path = folder / f"{stem}-{_content_hash(content)}.tflite"
    with atomic_bytes(path) as file:
        file.write(content)
    progress.report(phase, 1, 1)
    return path


def convert_on_pixels(
    outputs: Callable[[Any], Any],
    preprocessing: Preprocessing,
    name: str | None = None,
    configure: Callable[[Any], None] = lambda _converter: None,
) -> bytes:
    """Return a LiteRT file that takes pixels: its input `input` is uint8, (1, h, w, 3), 0-255.

    outputs: from the pixels to the output, both symbolic Keras tensors.
    name: of the Keras model; Keras numbers it if None.
    configure: as in `convert`.
    """
    tensorflow()
    import keras

    # The batch size is fixed at 1: LiteRT.js refuses a file with an open batch size.
    shape = (1, preprocessing.height_px, preprocessing.width_px, 3)
    pixels = keras.Input(batch_shape=shape, dtype="uint8", name="input")
    return convert(keras.Model(pixels, outputs(pixels), name=name), configure)


def convert(model: Any, configure: Callable[[Any], None] = lambda _converter: None) -> bytes:
    """Return a Keras model as a LiteRT file; the model has one input, of fixed shape, and one output.

    Its signature `serving_default` names the input as the model does.
    configure: called with TensorFlow's converter before it runs.

    Variables become constants before the conversion: `from_keras_model` takes several times as long for the
    same outputs, and a function that still has variables becomes a file whose outputs are NaN.
    """
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    entry = model.inputs[0]
    input_spec = tf.TensorSpec(entry.shape, entry.dtype, name=entry.name)

    # The function's name is part of the file.
    @tf.function(input_signature=[input_spec], autograph=False)
    def answer(pixels):  # type: ignore[no-untyped-def]
        return model(pixels, training=False)

    with captured_output():
        frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())
        configure(converter)
        return bytes(converter.convert())


def quantize(backbone: Backbone) -> bytes:
    """Return a backbone's LiteRT file in 8-bit integers.

    Input: uint8, (1, h, w, 3), 0-255. Output: float32, (1, features).
    Scaling costs no computing: it is the quantization of the input. Raises BackboneError.
    """
    content = convert_to_int8(
        backbone.network(), backbone.preprocessing, lambda: _calibration_images(backbone)
    )
    _check_input(content, backbone)
    return content


def convert_to_int8(
    network: Any, preprocessing: Preprocessing, images: Callable[[], Iterable[npt.NDArray[np.uint8]]]
) -> bytes:
    """Return a LiteRT file that computes in 8-bit integers; input and output as in `quantize`.

    network: Keras model, input float32, (N, h, w, 3), scaled; output float32, (N, features).
    images: uint8, (h, w, 3), for calibration of the ranges; 0 and 255 should occur in them.
    """
    tf = tensorflow()
    import keras

    # The input's quantization can express one mean and scale for all channels; several need a layer.
    scaled_by_input = not isinstance(preprocessing.mean, tuple) and not isinstance(preprocessing.scale, tuple)
    pixels = keras.Input(batch_shape=(1, preprocessing.height_px, preprocessing.width_px, 3), name="input")
    scaled = pixels if scaled_by_input else preprocessing.scaling_layer()(pixels)

    def calibration() -> Iterator[list[npt.NDArray[np.float32]]]:
        for image in images():
            values = preprocessing.scaled(image) if scaled_by_input else image.astype(np.float32)
            yield [values[np.newaxis]]

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32

    return convert(keras.Model(pixels, network(scaled)), configure)


def _file_stem(backbone: Backbone) -> str:
    return f"{backbone.name}-{backbone.fingerprint}"


def _convert_backbone(backbone: Backbone) -> bytes:
    if backbone.quantized:
        return quantize(backbone)
    return convert_on_pixels(backbone.extract_features, backbone.preprocessing)


def _content_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _calibration_images(backbone: Backbone) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield images of blocks in random colours: uint8, (h, w, 3)."""
    height, width = backbone.preprocessing.height_px, backbone.preprocessing.width_px
    random = np.random.default_rng(0)
    for block in _BLOCK_SIZES_PX * _IMAGES_PER_SIZE:
        rows, columns = -(-height // block), -(-width // block)
        colours = random.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        colours[0, 0], colours[-1, -1] = 0, 255  # the whole range of the input
        yield colours.repeat(block, axis=0).repeat(block, axis=1)[:height, :width]


def _check_input(content: bytes, backbone: Backbone) -> None:
    """Raise BackboneError if the input's quantization differs from the backbone's scaling."""
    scale, zero_point = LiteRTInterpreter(content).input_scale
    values = np.arange(256, dtype=np.uint8)
    dequantized = (values.astype(np.float32) - zero_point) * scale
    expected = backbone.preprocessing.scaled(np.stack([values] * 3, axis=-1))
    if not np.abs(dequantized[:, np.newaxis] - expected).max() <= scale:
        raise BackboneError(
            _(
                "{title} cannot be quantized: the quantized file would scale pixels differently. "
                "Choose it without _quantized."
            ).format(title=backbone.title)
        )
