"""A trained model answering on new images, out of a run's folder alone and without TensorFlow."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array, Uint8Array
from studio.backbones.interpreter import Engine
from studio.backbones.preprocessing import Preprocessing
from studio.predict.explain import evidence
from studio.retrain.confidence import Confidence, Doubt, read_anchors
from studio.retrain.model_file import head_of
from studio.retrain.model_outputs import Inner, inner
from studio.retrain.run_folder import CARD, altered, read_labels, read_model, read_model_json


@dataclass(frozen=True)
class Prediction:
    """How sure the model is of one class. score: a probability, 0-1."""

    label: str
    score: float


@dataclass(frozen=True)
class Answer:
    """What a model says of an image, as sure as it may be.

    predictions: every class, likeliest first, calibrated. doubt: why it is not sure; None where it is.
    strangeness: how unlike all training images it is, 0-2; None where that was not measured.
    """

    predictions: tuple[Prediction, ...]
    doubt: Doubt | None = None
    strangeness: float | None = None


@dataclass(frozen=True)
class Look:
    """What a model sees in an image, for whoever wants to know why it answers so.

    features: float32, (features,). heat: as `studio.predict.explain.evidence` gives it, for the likeliest
    class or the one asked for. Both None where the file is not one of ours.
    """

    answer: Answer
    features: Float32Array | None
    heat: Float32Array | None


class Model:
    """A model ready to answer; safe in threads. sureness: None where it has not been measured yet."""

    def __init__(
        self,
        file: Inner,
        labels: tuple[str, ...],
        preprocessing: Preprocessing,
        sureness: Confidence | None = None,
        threads: int = 1,
    ) -> None:
        self.labels = labels
        self.preprocessing = preprocessing
        self.sureness = sureness
        self._file = file
        self._engine = Engine(file.content, threads)
        self._head = None if file.features is None else head_of(file.content)

    @classmethod
    def open(cls, run_dir: Path, *, threads: int = 1) -> "Model":
        """Open a finished run's folder. Raises ModelUnreadable if a file is missing or not as it was."""
        card = read_model_json(run_dir)
        labels = read_labels(run_dir, card)
        try:
            preprocessing = Preprocessing.from_json(card["preprocessing"])
        except (KeyError, TypeError, ValueError) as error:
            raise altered(run_dir / CARD, error) from error
        content = read_model(run_dir, card)
        sureness = Confidence.read(run_dir)
        if sureness is not None and sureness.model_sha256 != card["model_sha256"]:
            sureness = None  # measured on another model
        anchors = None if sureness is None or sureness.most_strangeness is None else read_anchors(run_dir)
        return cls(inner(content, anchors), labels, preprocessing, sureness, threads)

    def answer(self, pixels: Uint8Array) -> Answer:
        """Say what an image is and whether that is sure."""
        count = None if self._file.strangeness is None else self._file.strangeness + 1
        return self._answer(self._engine.outputs(pixels, count or 1))

    def answer_file(self, source: Path | bytes, name: str) -> Answer:
        """Say what a file's image is, on the very pixels training would take. Raises ImageRefused."""
        return self.answer(self.preprocessing.read(source, name))

    def look(self, pixels: Uint8Array, label: str | None = None) -> Look:
        """Answer, and say what the answer comes from. label: whose heat map, if not the likeliest's."""
        outputs = self._engine.outputs(pixels)
        answer = self._answer(outputs)
        if self._head is None or self._file.features is None:
            return Look(answer, None, None)
        at = self.labels.index(label or answer.predictions[0].label)
        heat = evidence(outputs, self._file.maps, self._head, at)
        return Look(answer, np.asarray(outputs[self._file.features], np.float32), heat)

    def classify(self, image: Image.Image) -> tuple[Prediction, ...]:
        """Return every class, surest first. image: RGB, upright, of any size, as `decode` gives it."""
        return self._ranked(self.probabilities(self.preprocessing.pixels(image)))

    def classify_file(self, source: Path | bytes, name: str) -> tuple[Prediction, ...]:
        """Return every class, surest first, on the very pixels training would take. Raises ImageRefused."""
        return self._ranked(self.probabilities(self.preprocessing.read(source, name)))

    def probabilities(self, pixels: Uint8Array) -> Float32Array:
        """Return float32, (classes,), in the order of `labels`, as the file gives them: not calibrated."""
        return self._engine(pixels)

    def _answer(self, outputs: list[npt.NDArray[np.float32]]) -> Answer:
        at = self._file.strangeness
        strangeness = None if at is None else max(0.0, float(outputs[at][0]))  # rounding may go below
        sureness = self.sureness or Confidence()
        predictions = self._ranked(sureness.calibrated(outputs[0]))
        return Answer(predictions, sureness.doubt(predictions[0].score, strangeness), strangeness)

    def _ranked(self, scores: Float32Array) -> tuple[Prediction, ...]:
        return tuple(
            Prediction(self.labels[at], float(scores[at])) for at in np.argsort(-scores, kind="stable")
        )


class ModelPool:
    """A model that several threads ask at once, each through an interpreter of its own with one thread."""

    def __init__(self, run_dir: Path, count: int) -> None:
        self._models = [Model.open(run_dir) for _number in range(count)]
        self._turn = threading.Lock()
        self._next = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self._models[0].labels

    @property
    def sureness(self) -> Confidence | None:
        """How sure the model may be; None where that has not been measured."""
        return self._models[0].sureness

    def __len__(self) -> int:
        return len(self._models)

    def answer_file(self, source: Path | bytes, name: str) -> Answer:
        """Say what a file's image is. Raises ImageRefused."""
        return self._any().answer_file(source, name)

    def classify_file(self, source: Path | bytes, name: str) -> tuple[Prediction, ...]:
        """Return every class, surest first, as the file gives them. Raises ImageRefused."""
        return self._any().classify_file(source, name)

    def _any(self) -> Model:
        # An interpreter that is busy makes its caller wait: whoever decodes meanwhile has the next one.
        with self._turn:
            self._next = (self._next + 1) % len(self._models)
            return self._models[self._next]
