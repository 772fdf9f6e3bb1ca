"""LiteRT files out of Keras models, and kept in a folder."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.atomic import atomic_bytes
from studio.progress import Progress
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.quiet import captured_output, tensorflow


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
