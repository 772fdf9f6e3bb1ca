"""A model in a file of any kind, asked as `retrain.py`'s companion asks it.

A frozen GraphDef, a LiteRT file, a Keras model, or the folder of a SavedModel.
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
from studio.predict.model import Prediction
from studio.share.frozen_graph import opened_frozen_graph

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


LABEL_FILES = ("retrained_labels.txt", "labels.txt", "output_labels.txt")
"""What files with labels are called by those who write them."""


@dataclass(frozen=True)
class GraphFile:
    """A model that takes float32 pixels, scaled as the flags say, or bytes, which it takes as they are.

    answer: from float32 (1, h, w, 3), 0-255, to (classes,).
    """

    path: Path
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    answer: Callable[[Float32Array], Float32Array]

    @classmethod
    def open(
        cls,
        graph: Path,
        labels: Path | None,
        *,
        input_height: int,
        input_width: int,
        input_mean: float,
        input_std: float,
        input_layer: str,
        output_layer: str,
    ) -> "GraphFile":
        """Open a file or a SavedModel's folder. All but a frozen graph know size and kind of their input.

        labels: a label a line, numbered (`0 daisy`) or not; by default the file beside the model.
        Raises ModelUnreadable.
        """
        try:
            named = _labels(labels or labels_beside(graph))
            content = b"" if graph.is_dir() else graph.read_bytes()
        except (OSError, ValueError) as error:
            raise ModelUnreadable(
                _("{path} cannot be read as a model and its labels: {error}").format(path=graph, error=error)
            ) from error
        if content[4:8] == b"TFL3":
            return cls._lite(graph, content, named, input_mean, input_std)
        size = Preprocessing(input_width, input_height, mean=input_mean, scale=input_std)
        opens = opened_saved_model if graph.is_dir() else opened_keras if is_keras(content) else None
        if opens is not None:
            try:
                form = opens(graph, output_layer)
            except Exception as error:  # TensorFlow's have no common ancestor
                raise _unusable(graph, error) from error
            return cls(graph, named, form.sized(size), form.answering(size))
        try:
            opened = opened_frozen_graph(content, output=output_layer, input_=input_layer)
        except Exception as error:  # TensorFlow's have no common ancestor
            raise _unusable(graph, error) from error

        def answer(pixels: Float32Array) -> Float32Array:
            scaled = np.asarray((pixels - np.float32(input_mean)) / np.float32(input_std), np.float32)
            return np.asarray(opened(scaled), np.float32).reshape(-1)

        return cls(graph, named, size, answer)

    @classmethod
    def _lite(
        cls, path: Path, content: bytes, labels: tuple[str, ...], mean: float, std: float
    ) -> "GraphFile":
        from ai_edge_litert.interpreter import Interpreter

        from studio.backbones.interpreter import captured_output

        try:
            with captured_output():
                interpreter = Interpreter(model_content=content)
                interpreter.allocate_tensors()
            taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
            _one, height, width, _channels = taken["shape"].tolist()
        except (RuntimeError, ValueError) as error:
            raise _unusable(path, error) from error

        def answer(pixels: Float32Array) -> Float32Array:
            as_they_are = taken["dtype"] == np.uint8
            values = pixels.astype(np.uint8) if as_they_are else (pixels - np.float32(mean)) / np.float32(std)
            interpreter.set_tensor(taken["index"], values.astype(taken["dtype"]))
            interpreter.invoke()
            answers = interpreter.get_tensor(given["index"])[0].astype(np.float32)
            # An integer output stands for 0 to 1 by the file's own scale.
            scale, zero = given["quantization"]
            return np.asarray((answers - zero) * scale if scale else answers, np.float32)

        return cls(path, labels, Preprocessing(width, height), answer)

    def classify_file(self, source: Path | bytes, name: str) -> tuple[tuple[Prediction, ...], float]:
        """Return every class, surest first, and the seconds that the graph took for them.

        Raises ImageRefused, and ModelUnreadable.
        """
        pixels = self.preprocessing.read(source, name).astype(np.float32)[np.newaxis]
        began = time.perf_counter()
        try:
            scores = self.answer(pixels)
        except Exception as error:  # TensorFlow's have no common ancestor
            raise _unusable(self.path, error) from error
        taken_s = time.perf_counter() - began
        if len(scores) != len(self.labels):
            raise ModelUnreadable(
                _(
                    "{path} answers with {found} numbers; the labels are {expected}. Name those it came with."
                ).format(path=self.path, found=len(scores), expected=len(self.labels))
            )
        order = np.argsort(-scores, kind="stable")
        return tuple(Prediction(self.labels[at], float(scores[at])) for at in order), taken_s


def labels_beside(graph: Path) -> Path:
    """Return the file with a model's labels that is beside it, or in it if it is a folder.

    Raises ModelUnreadable where there is none.
    """
    folders = (graph, graph.parent, graph.absolute().parent.parent) if graph.is_dir() else (graph.parent,)
    for folder in folders:
        for name in LABEL_FILES:
            if (folder / name).is_file():
                return folder / name
    raise ModelUnreadable(
        _("expected a file with labels beside {path}, such as {name}. Name it with --labels.").format(
            path=graph, name=LABEL_FILES[0]
        )
    )


def _labels(path: Path) -> tuple[str, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    # As Teachable Machine writes them.
    if lines and all(line.startswith(f"{number} ") for number, line in enumerate(lines)):
        return tuple(line.partition(" ")[2] for line in lines)
    return tuple(lines)


def _unusable(path: Path, error: Exception) -> ModelUnreadable:
    return ModelUnreadable(
        _(
            "{path} cannot be asked: {error}. Check that it is a frozen graph, a LiteRT file, a Keras model "
            "or a SavedModel, --input_layer, --output_layer and the input's size."
        ).format(path=path, error=" ".join(str(error).split())[:300])
    )
