"""Models as Keras and TensorFlow save them, of any maker, opened to be asked about one picture."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from studio.arrays import Float32Array
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.quiet import captured_output, tensorflow

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF"
_DIMENSIONS = 4


@dataclass(frozen=True)
class SavedForm:
    """An opened model. shape: (batch, h, w, 3), None where it takes any; dtype: of its input.

    call: from a batch of one of that type to the probabilities.
    """

    shape: tuple[int | None, ...]
    dtype: str
    call: Callable[[Any], Any]

    def sized(self, asked: Preprocessing) -> Preprocessing:
        """Return the preprocessing with the model's own size, where it has one."""
        if len(self.shape) != _DIMENSIONS:
            raise ValueError(f"expected an input of (batch, height, width, 3); it has {self.shape}")
        height, width = self.shape[1:3]
        return replace(asked, height_px=height or asked.height_px, width_px=width or asked.width_px)

    def answering(self, asked: Preprocessing) -> Callable[[Float32Array], Float32Array]:
        """Return what asks it: from float32 (1, h, w, 3), 0-255, to (classes,).

        Bytes are taken as they are: the model scales by itself. Float32Array are scaled before.
        """
        as_they_are = self.dtype in {"uint8", "int32", "int64"}

        def answer(pixels: Float32Array) -> Float32Array:
            values = pixels.astype(self.dtype) if as_they_are else asked.scaled(pixels.astype(np.uint8))
            return np.asarray(self.call(values), np.float32).reshape(-1)

        return answer


def saved_model_dir(folder: Path) -> Path | None:
    """Return the folder of a SavedModel: itself, or the newest version in it as TensorFlow Serving has them.

    None where it is neither.
    """
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [path.parent for path in folder.glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    return max(versions, key=lambda path: int(path.name), default=None)


def is_keras(content: bytes) -> bool:
    """Whether a file looks like a Keras model: a zip, or an older one's HDF5."""
    return content[:4] in {_ZIP, _HDF5}


def opened_keras(path: Path, _output: str) -> SavedForm:
    """Open a `.keras` or `.h5` file. Nothing in it is run but layers; raises what Keras does, of any kind."""
    tensorflow()
    import keras

    with captured_output():
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    (taken,) = model.inputs
    return SavedForm(tuple(taken.shape), str(taken.dtype), lambda values: model(values, training=False))


def opened_saved_model(path: Path, output: str) -> SavedForm:
    """Open a SavedModel's folder by its signature `serving_default`. Raises what TensorFlow does.

    output: which of several outputs is meant.
    """
    tf = tensorflow()
    with captured_output():
        model = tf.saved_model.load(str(saved_model_dir(path) or path))
    signature = model.signatures["serving_default"]
    ((name, taken),) = signature.structured_input_signature[1].items()

    def call(values: Any) -> Any:
        outputs = signature(**{name: tf.constant(values)})
        return outputs[output] if output in outputs else next(iter(outputs.values()))

    # What is loaded lives as long as somebody holds it.
    call.model = model  # type: ignore[attr-defined]
    return SavedForm(tuple(taken.shape), taken.dtype.name, call)
