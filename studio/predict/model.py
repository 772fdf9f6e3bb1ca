"""Prediction with a trained model: loaded from a run's folder, without TensorFlow."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Float32Array, Uint8Array
from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.preprocessing import Preprocessing
from studio.predict.explain import class_activation_map
from studio.retrain.confidence import AbstentionReason, Confidence, read_prototypes
from studio.retrain.model_file import read_head
from studio.retrain.model_outputs import DerivedModel, derive_model
from studio.retrain.run_folder import MODEL_JSON, altered_file_error, read_labels, read_model, read_model_json


@dataclass(frozen=True)
class ClassScore:
    """The score of one class, 0-1: a probability, calibrated or as the model file gives it."""

    label: str
    score: float


@dataclass(frozen=True)
class Prediction:
    """The calibrated prediction for an image.

    scores: of every class, the likeliest first. abstention: why the prediction is not sure; None if it is.
    ood_score: out-of-distribution score, 0-2, one less the cosine to the nearest prototype; None where the
    model has none.
    """

    scores: tuple[ClassScore, ...]
    abstention: AbstentionReason | None = None
    ood_score: float | None = None


@dataclass(frozen=True)
class Explanation:
    """A prediction with the features and the class activation map that it comes from.

    features: float32, (features,). activation_map: as `studio.predict.explain.class_activation_map` returns
    it, for the likeliest class or the requested one. Both None for a file without the studio's head.
    """

    prediction: Prediction
    features: Float32Array | None
    activation_map: Float32Array | None


class Model:
    """A loaded model; safe in threads. confidence: None where it has not been measured yet."""

    def __init__(
        self,
        file: DerivedModel,
        labels: tuple[str, ...],
        preprocessing: Preprocessing,
        confidence: Confidence | None = None,
        threads: int = 1,
    ) -> None:
        self.labels = labels
        self.preprocessing = preprocessing
        self.confidence = confidence
        self._file = file
        self._interpreter = LiteRTInterpreter(file.content, threads)
        self._head = None if file.features is None else read_head(file.content)

    @classmethod
    def open(cls, run_dir: Path, *, threads: int = 1) -> "Model":
        """Open a finished run's folder. Raises ModelUnreadable if a file is missing or was changed."""
        model_json = read_model_json(run_dir)
        labels = read_labels(run_dir, model_json)
        try:
            preprocessing = Preprocessing.from_json(model_json["preprocessing"])
        except (KeyError, TypeError, ValueError) as error:
            raise altered_file_error(run_dir / MODEL_JSON, error) from error
        content = read_model(run_dir, model_json)
        confidence = Confidence.read(run_dir)
        if confidence is not None and confidence.model_sha256 != model_json["model_sha256"]:
            confidence = None  # measured on another model
        has_ood_score = confidence is not None and confidence.max_ood_score is not None
        prototypes = read_prototypes(run_dir) if has_ood_score else None
        return cls(derive_model(content, prototypes), labels, preprocessing, confidence, threads)

    def predict(self, pixels: Uint8Array) -> Prediction:
        """Return the calibrated prediction for an image. pixels: uint8, (h, w, 3), preprocessed."""
        count = None if self._file.ood_score is None else self._file.ood_score + 1
        return self._prediction(self._interpreter.outputs(pixels, count or 1))

    def predict_file(self, source: Path | bytes, name: str) -> Prediction:
        """Return the calibrated prediction for an image file, preprocessed as in training.

        Raises ImageRefused.
        """
        return self.predict(self.preprocessing.read(source, name))

    def explain(self, pixels: Uint8Array, label: str | None = None) -> Explanation:
        """Return the prediction and its explanation. label: class of the map, if not the likeliest one."""
        outputs = self._interpreter.outputs(pixels)
        prediction = self._prediction(outputs)
        if self._head is None or self._file.features is None:
            return Explanation(prediction, None, None)
        class_number = self.labels.index(label or prediction.scores[0].label)
        features = np.asarray(outputs[self._file.features], np.float32)
        activation_map = class_activation_map(outputs, self._file.maps, self._head, class_number)
        return Explanation(prediction, features, activation_map)

    def classify(self, image: Image.Image) -> tuple[ClassScore, ...]:
        """Return the uncalibrated scores, highest first. image: RGB, upright, of any size, from `decode`."""
        return self._ranked(self.probabilities(self.preprocessing.pixels(image)))

    def classify_file(self, source: Path | bytes, name: str) -> tuple[ClassScore, ...]:
        """Return the uncalibrated scores of an image file, highest first. Raises ImageRefused."""
        return self._ranked(self.probabilities(self.preprocessing.read(source, name)))

    def probabilities(self, pixels: Uint8Array) -> Float32Array:
        """Return the uncalibrated probabilities: float32, (classes,), in the order of `labels`."""
        return self._interpreter(pixels)

    def _prediction(self, outputs: list[npt.NDArray[np.float32]]) -> Prediction:
        index = self._file.ood_score
        ood_score = None if index is None else max(0.0, float(outputs[index][0]))  # rounding may go below
        confidence = self.confidence or Confidence()
        scores = self._ranked(confidence.calibrated(outputs[0]))
        return Prediction(scores, confidence.abstention_reason(scores[0].score, ood_score), ood_score)

    def _ranked(self, probabilities: Float32Array) -> tuple[ClassScore, ...]:
        return tuple(
            ClassScore(self.labels[number], float(probabilities[number]))
            for number in np.argsort(-probabilities, kind="stable")
        )


class ModelPool:
    """A model for several threads at once: `count` interpreters with one thread each."""

    def __init__(self, run_dir: Path, count: int) -> None:
        self._models = [Model.open(run_dir) for _number in range(count)]
        self._lock = threading.Lock()
        self._next = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self._models[0].labels

    @property
    def confidence(self) -> Confidence | None:
        """The model's confidence; None where it has not been measured."""
        return self._models[0].confidence

    def __len__(self) -> int:
        return len(self._models)

    def predict_file(self, source: Path | bytes, name: str) -> Prediction:
        """Return the calibrated prediction for an image file. Raises ImageRefused."""
        return self._next_model().predict_file(source, name)

    def classify_file(self, source: Path | bytes, name: str) -> tuple[ClassScore, ...]:
        """Return the uncalibrated scores of an image file, highest first. Raises ImageRefused."""
        return self._next_model().classify_file(source, name)

    def _next_model(self) -> Model:
        # A busy interpreter blocks its caller; threads that decode meanwhile get the next one.
        with self._lock:
            self._next = (self._next + 1) % len(self._models)
            return self._models[self._next]
