"""A graph in a file, asked as `retrain.py`'s companion asks it: a frozen GraphDef, or a LiteRT file."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.errors import ModelUnreadable
from studio.language import _
from studio.predict.model import Prediction
from studio.retrain.preprocessing import Preprocessing
from studio.share.frozen_graph import opened_frozen_graph

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class GraphFile:
    """A graph that takes float32 pixels, or a LiteRT file that takes them as they are.

    answer: from float32 (1, h, w, 3), 0-255, to (classes,).
    """

    path: Path
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    answer: Callable[[Floats], Floats]

    @classmethod
    def open(
        cls,
        graph: Path,
        labels: Path,
        *,
        input_height: int,
        input_width: int,
        input_mean: float,
        input_std: float,
        input_layer: str,
        output_layer: str,
    ) -> "GraphFile":
        """Open a file. Of a LiteRT file only its labels are needed: size and kind of input stand in it.

        Raises ModelUnreadable.
        """
        try:
            content = graph.read_bytes()
            named = tuple(labels.read_text(encoding="utf-8").splitlines())
        except (OSError, ValueError) as error:
            raise ModelUnreadable(
                _("{path} cannot be read as a model and its labels: {error}").format(path=graph, error=error)
            ) from error
        if content[4:8] == b"TFL3":
            return cls._lite(graph, content, named, input_mean, input_std)
        size = Preprocessing(input_width, input_height, mean=input_mean, scale=input_std)
        try:
            opened = opened_frozen_graph(content, output=output_layer, input_=input_layer)
        except Exception as error:  # TensorFlow's have no common ancestor
            raise _unusable(graph, error) from error

        def answer(pixels: Floats) -> Floats:
            scaled = np.asarray((pixels - np.float32(input_mean)) / np.float32(input_std), np.float32)
            return np.asarray(opened(scaled), np.float32).reshape(-1)

        return cls(graph, named, size, answer)

    @classmethod
    def _lite(
        cls, path: Path, content: bytes, labels: tuple[str, ...], mean: float, std: float
    ) -> "GraphFile":
        from ai_edge_litert.interpreter import Interpreter

        from studio.retrain.quiet import captured_output

        try:
            with captured_output():
                interpreter = Interpreter(model_content=content)
                interpreter.allocate_tensors()
            taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
            _one, height, width, _channels = taken["shape"].tolist()
        except (RuntimeError, ValueError) as error:
            raise _unusable(path, error) from error

        def answer(pixels: Floats) -> Floats:
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

        Raises PictureRefused, and ModelUnreadable.
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


def _unusable(path: Path, error: Exception) -> ModelUnreadable:
    return ModelUnreadable(
        _(
            "{path} cannot be asked: {error}. Check that it is a frozen graph or a LiteRT file, "
            "--input_layer, --output_layer and the input's size."
        ).format(path=path, error=" ".join(str(error).split())[:300])
    )
