"""Models made elsewhere, opened for `label_image` and `evaluate`.

Formats: a frozen GraphDef, a TFLite file, a Keras file, or the folder of a SavedModel.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from studio.arrays import Float32Array
from studio.backbones.interpreter import captured_output, tensorflow
from studio.backbones.preprocessing import Preprocessing
from studio.errors import ModelUnreadable
from studio.i18n import _
from studio.predict.model import ClassScore
from studio.share.exports.frozen_graph import open_frozen_graph

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF"
_INPUT_RANK = 4


@dataclass(frozen=True)
class LoadedModel:
    """An opened Keras model or SavedModel.

    shape: of the input, (batch, height, width, 3), None where any size is accepted. dtype: of the input.
    call: from a batch of one image of that dtype to the probabilities.
    """

    shape: tuple[int | None, ...]
    dtype: str
    call: Callable[[Any], Any]

    def with_input_size(self, preprocessing: Preprocessing) -> Preprocessing:
        """Return the preprocessing with the model's own input size, if that is fixed."""
        if len(self.shape) != _INPUT_RANK:
            raise ValueError(f"expected an input of (batch, height, width, 3); it has {self.shape}")
        height, width = self.shape[1:3]
        return replace(
            preprocessing,
            height_px=height or preprocessing.height_px,
            width_px=width or preprocessing.width_px,
        )

    def predict_function(self, preprocessing: Preprocessing) -> Callable[[Float32Array], Float32Array]:
        """Return a function from pixels, float32, (1, height, width, 3), 0-255, to (classes,).

        An integer input is not scaled, since such a model scales it itself; a float input is.
        """
        unscaled = self.dtype in {"uint8", "int32", "int64"}

        def predict(pixels: Float32Array) -> Float32Array:
            values = pixels.astype(self.dtype) if unscaled else preprocessing.scaled(pixels.astype(np.uint8))
            return np.asarray(self.call(values), np.float32).reshape(-1)

        return predict


def saved_model_dir(folder: Path) -> Path | None:
    """Return the folder of a SavedModel: `folder` itself, or its newest numbered version.

    Numbered versions are the layout of TensorFlow Serving. None if there is neither.
    """
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [path.parent for path in folder.glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    return max(versions, key=lambda path: int(path.name), default=None)


def is_keras_file(content: bytes) -> bool:
    """Return whether a file starts as a Keras model does: a zip, or HDF5 for the older format."""
    return content[:4] in {_ZIP, _HDF5}


def open_keras(path: Path, _output: str) -> LoadedModel:
    """Open a `.keras` or `.h5` file in safe mode, which runs no code from it. Raises any Keras exception."""
    tensorflow()
    import keras

    with captured_output():
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    (model_input,) = model.inputs
    return LoadedModel(
        tuple(model_input.shape), str(model_input.dtype), lambda values: model(values, training=False)
    )


def open_saved_model(path: Path, output: str) -> LoadedModel:
    """Open a SavedModel by its signature `serving_default`. Raises any TensorFlow exception.

    output: the name of the output to use, if there are several.
    """
    tf = tensorflow()
    with captured_output():
        model = tf.saved_model.load(str(saved_model_dir(path) or path))
    signature = model.signatures["serving_default"]
    ((name, input_spec),) = signature.structured_input_signature[1].items()

    def call(values: Any) -> Any:
        outputs = signature(**{name: tf.constant(values)})
        return outputs[output] if output in outputs else next(iter(outputs.values()))

    # The signature alone does not keep the model alive.
    call.model = model  # type: ignore[attr-defined]
    return LoadedModel(tuple(input_spec.shape), input_spec.dtype.name, call)


LABEL_FILES = ("retrained_labels.txt", "labels.txt", "output_labels.txt")
"""Usual names of files with labels."""


@dataclass(frozen=True)
class ForeignModel:
    """An opened model with its labels.

    predict: from pixels, float32, (1, height, width, 3), 0-255, to scores, float32, (classes,). A float input
    is scaled by the mean and standard deviation given to `open`; an integer input is not scaled.
    """

    path: Path
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    predict: Callable[[Float32Array], Float32Array]

    @classmethod
    def open(
        cls,
        path: Path,
        labels: Path | None,
        *,
        input_height: int,
        input_width: int,
        input_mean: float,
        input_std: float,
        input_layer: str,
        output_layer: str,
    ) -> "ForeignModel":
        """Open a file, or the folder of a SavedModel.

        labels: a file with one label a line, numbered (`0 daisy`) or not; by default the file beside the
        model. The other parameters are the flags of `label_image.py`; all formats but a frozen graph have
        their own input size and names. Raises ModelUnreadable.
        """
        try:
            label_names = _read_labels(labels or find_labels_file(path))
            content = b"" if path.is_dir() else path.read_bytes()
        except (OSError, ValueError) as error:
            raise ModelUnreadable(
                _("{path} cannot be read as a model and its labels: {error}").format(path=path, error=error)
            ) from error
        if content[4:8] == b"TFL3":
            return cls._open_tflite(path, content, label_names, input_mean, input_std)
        preprocessing = Preprocessing(input_width, input_height, mean=input_mean, scale=input_std)
        opener = open_saved_model if path.is_dir() else open_keras if is_keras_file(content) else None
        if opener is not None:
            try:
                model = opener(path, output_layer)
            except Exception as error:  # TensorFlow's exceptions have no common base class
                raise _unusable(path, error) from error
            predict = model.predict_function(preprocessing)
            return cls(path, label_names, model.with_input_size(preprocessing), predict)
        try:
            predict_batch = open_frozen_graph(content, output=output_layer, input_=input_layer)
        except Exception as error:  # TensorFlow's exceptions have no common base class
            raise _unusable(path, error) from error

        def predict_scaled(pixels: Float32Array) -> Float32Array:
            scaled = np.asarray((pixels - np.float32(input_mean)) / np.float32(input_std), np.float32)
            return np.asarray(predict_batch(scaled), np.float32).reshape(-1)

        return cls(path, label_names, preprocessing, predict_scaled)

    @classmethod
    def _open_tflite(
        cls, path: Path, content: bytes, labels: tuple[str, ...], mean: float, std: float
    ) -> "ForeignModel":
        from ai_edge_litert.interpreter import Interpreter

        try:
            with captured_output():
                interpreter = Interpreter(model_content=content)
                interpreter.allocate_tensors()
            input_details = interpreter.get_input_details()[0]
            output_details = interpreter.get_output_details()[0]
            _batch, height, width, _channels = input_details["shape"].tolist()
        except (RuntimeError, ValueError) as error:
            raise _unusable(path, error) from error

        def predict(pixels: Float32Array) -> Float32Array:
            unscaled = input_details["dtype"] == np.uint8
            values = pixels.astype(np.uint8) if unscaled else (pixels - np.float32(mean)) / np.float32(std)
            interpreter.set_tensor(input_details["index"], values.astype(input_details["dtype"]))
            interpreter.invoke()
            outputs = interpreter.get_tensor(output_details["index"])[0].astype(np.float32)
            # Dequantize an integer output to 0 to 1.
            scale, zero_point = output_details["quantization"]
            return np.asarray((outputs - zero_point) * scale if scale else outputs, np.float32)

        return cls(path, labels, Preprocessing(width, height), predict)

    def classify_file(self, source: Path | bytes, name: str) -> tuple[tuple[ClassScore, ...], float]:
        """Return all classes by descending score, and the seconds that the prediction took.

        name: of the image, for messages. Raises ImageRefused and ModelUnreadable.
        """
        pixels = self.preprocessing.read(source, name).astype(np.float32)[np.newaxis]
        start = time.perf_counter()
        try:
            scores = self.predict(pixels)
        except Exception as error:  # TensorFlow's exceptions have no common base class
            raise _unusable(self.path, error) from error
        elapsed_s = time.perf_counter() - start
        if len(scores) != len(self.labels):
            raise ModelUnreadable(
                _(
                    "{path} returns {actual} scores, but there are {expected} labels. Use the model's own "
                    "labels file."
                ).format(path=self.path, actual=len(scores), expected=len(self.labels))
            )
        order = np.argsort(-scores, kind="stable")
        return tuple(ClassScore(self.labels[at], float(scores[at])) for at in order), elapsed_s


def find_labels_file(model: Path) -> Path:
    """Return the labels file beside a model, or inside it if it is a folder.

    Raises ModelUnreadable if there is none.
    """
    folders = (model, model.parent, model.absolute().parent.parent) if model.is_dir() else (model.parent,)
    for folder in folders:
        for name in LABEL_FILES:
            if (folder / name).is_file():
                return folder / name
    raise ModelUnreadable(
        _("expected a labels file beside {path}, such as {name}. Name it with --labels.").format(
            path=model, name=LABEL_FILES[0]
        )
    )


def _read_labels(path: Path) -> tuple[str, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    # Numbered lines, as Teachable Machine writes them.
    if lines and all(line.startswith(f"{number} ") for number, line in enumerate(lines)):
        return tuple(line.partition(" ")[2] for line in lines)
    return tuple(lines)


def _unusable(path: Path, error: Exception) -> ModelUnreadable:
    return ModelUnreadable(
        _(
            "{path} cannot be used: {error}. Expected a frozen graph, a TFLite file, a Keras file or a "
            "SavedModel. Check also --input_layer, --output_layer and the size of the input."
        ).format(path=path, error=" ".join(str(error).split())[:300])
    )
