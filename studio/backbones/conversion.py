"""From a backbone to a LiteRT file in the data folder: once, and again where the file was damaged."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.backbones.backbone import Backbone
from studio.backbones.interpreter import Engine, captured_output, tensorflow
from studio.backbones.preprocessing import Preprocessing
from studio.backbones.registry import backbone_named
from studio.errors import BackboneError
from studio.files import atomic_bytes
from studio.i18n import _
from studio.progress import Progress


def kept(folder: Path, stem: str) -> Path | None:
    """Return the file that `keep` wrote under a stem; None where there is none, or it was damaged since."""
    files = sorted(folder.glob(f"{stem}-*.tflite"))
    return next((file for file in files if _seal(file.read_bytes()) == file.stem.rpartition("-")[2]), None)


def keep(folder: Path, stem: str, make: Callable[[], bytes], *, phase: str, progress: Progress) -> Path:
    """Make a file and write it, whole or not at all, named also by its own hash."""
    progress.report(phase, 0, 1)
    content = make()
    path = folder / f"{stem}-{_seal(content)}.tflite"
    with atomic_bytes(path) as file:
        file.write(content)
    progress.report(phase, 1, 1)
    return path


def _seal(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def converted_on_pixels(
    answer: Callable[[Any], Any],
    preprocessing: Preprocessing,
    name: str | None = None,
    configure: Callable[[Any], None] = lambda _converter: None,
) -> bytes:
    """Return as a LiteRT file what answers on pixels: input `input`, uint8, (1, h, w, 3), 0-255.

    answer: from a symbolic tensor of Keras, the pixels, to the output; name: the model's, by chance if None.
    configure: as `converted` takes it.
    """
    tensorflow()
    import keras

    # A static batch of one: LiteRT.js refuses a file whose batch is open.
    shape = (1, preprocessing.height_px, preprocessing.width_px, 3)
    pixels = keras.Input(batch_shape=shape, dtype="uint8", name="input")
    return converted(keras.Model(pixels, answer(pixels), name=name), configure)


def converted(model: Any, configure: Callable[[Any], None] = lambda _converter: None) -> bytes:
    """Return a Keras model with one input, of fixed shape, and one output as a LiteRT file.

    Its signature `serving_default` names the input as the model does.
    configure: changes TensorFlow's converter before it runs.

    The variables are made constants here: what `from_keras_model` does with them takes several times as long
    for the same answers, and a function that still has some becomes a file that answers with NaN.
    """
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    entry = model.inputs[0]
    taken = tf.TensorSpec(entry.shape, entry.dtype, name=entry.name)

    @tf.function(input_signature=[taken], autograph=False)
    def answer(pixels):  # type: ignore[no-untyped-def]
        return model(pixels, training=False)

    with captured_output():
        frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())
        configure(converter)
        return bytes(converter.convert())


_BLOCKS_PX = (1, 2, 4, 8, 16, 32, 64)
_OF_EACH = 2
"""Images for calibration, for each size of block."""


def quantized(backbone: Backbone) -> bytes:
    """Return a LiteRT file: uint8, (1, h, w, 3), 0-255 in; float32, (1, features) out; whole numbers inside.

    The scaling costs nothing: it is how the bytes that come in are understood. Raises BackboneError.
    """
    content = in_whole_numbers(backbone.network(), backbone.preprocessing, lambda: _blocks(backbone))
    _check_input(content, backbone)
    return content


def in_whole_numbers(
    network: Any, preprocessing: Preprocessing, images: Callable[[], Iterable[npt.NDArray[np.uint8]]]
) -> bytes:
    """Return a LiteRT file that computes in whole numbers of 8 bits; in and out as in `quantized`.

    network: Keras model; float32, (N, h, w, 3), scaled, in; float32, (N, features), out.
    images: uint8, (h, w, 3), each: how far numbers reach is measured on them, and they should have 0 and
    255 somewhere.
    """
    tf = tensorflow()
    import keras

    # One number for all channels can stand in how bytes are understood; of several the network takes care.
    outside = not isinstance(preprocessing.mean, tuple) and not isinstance(preprocessing.scale, tuple)
    pixels = keras.Input(batch_shape=(1, preprocessing.height_px, preprocessing.width_px, 3), name="input")
    scaled = pixels if outside else preprocessing.scaling_layer()(pixels)

    def calibration() -> Iterator[list[npt.NDArray[np.float32]]]:
        for image in images():
            values = preprocessing.scaled(image) if outside else image.astype(np.float32)
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


@dataclass(frozen=True)
class BackboneFile:
    """A backbone ready to run: uint8 (1, h, w, 3) in, scaling inside, float32 (1, features) out."""

    path: Path
    name: str
    fingerprint: str
    preprocessing: Preprocessing
    features: int


_one_conversion = threading.Lock()


def ready(name: str, backbones_dir: Path, progress: Progress) -> BackboneFile:
    """Return a backbone's LiteRT file, fetching its weights and converting it on first use.

    The file's name ends in its own SHA-256's first 16 digits: a file that does not match its name is
    made anew. Threads that ask at once wait for one conversion. Raises BackboneError, and Stopped while
    weights are fetched.
    """
    backbone = backbone_named(name)
    with _one_conversion:
        path = kept(backbones_dir, _stem(backbone))
        if path is None:
            backbone.fetch(progress)
            # The fingerprint may have been waiting for the weights.
            path = kept(backbones_dir, _stem(backbone)) or keep(
                backbones_dir,
                _stem(backbone),
                lambda: _converted(backbone),
                phase=_("Preparing the backbone"),
                progress=progress,
            )
    return BackboneFile(path, backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features)


def _stem(backbone: Backbone) -> str:
    return f"{backbone.name}-{backbone.fingerprint}"


def _converted(backbone: Backbone) -> bytes:
    if backbone.quantized:
        return quantized(backbone)
    return converted_on_pixels(backbone.on_pixels, backbone.preprocessing)
