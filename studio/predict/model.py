"""A trained model answering on new pictures, out of a run's folder alone and without TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.retrain.engine import Engine
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.run_folder import CARD, altered, read_card, read_labels, read_model


@dataclass(frozen=True)
class Prediction:
    """How sure the model is of one class. score: a probability, 0-1."""

    label: str
    score: float


class Model:
    """A model ready to answer; safe in threads."""

    def __init__(self, engine: Engine, labels: tuple[str, ...], preprocessing: Preprocessing) -> None:
        self.labels = labels
        self.preprocessing = preprocessing
        self._engine = engine

    @classmethod
    def open(cls, run_dir: Path, *, threads: int = 1) -> "Model":
        """Open a finished run's folder. Raises ModelUnreadable if a file is missing or not as it was."""
        card = read_card(run_dir)
        labels = read_labels(run_dir, card)
        try:
            preprocessing = Preprocessing.from_json(card["preprocessing"])
        except (KeyError, TypeError, ValueError) as error:
            raise altered(run_dir / CARD, error) from error
        return cls(Engine(read_model(run_dir, card), threads), labels, preprocessing)

    def classify(self, image: Image.Image) -> tuple[Prediction, ...]:
        """Return every class, surest first. image: RGB, upright, of any size, as `decode` gives it."""
        return self._ranked(self.preprocessing.pixels(image))

    def classify_file(self, source: Path | bytes, name: str) -> tuple[Prediction, ...]:
        """Return every class, surest first, on the very pixels training would take. Raises PictureRefused."""
        return self._ranked(self.preprocessing.read(source, name))

    def probabilities(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return float32, (classes,), in the order of `labels`. pixels: uint8, (height_px, width_px, 3)."""
        return self._engine(pixels)

    def _ranked(self, pixels: npt.NDArray[np.uint8]) -> tuple[Prediction, ...]:
        scores = self._engine(pixels)
        return tuple(
            Prediction(self.labels[at], float(scores[at])) for at in np.argsort(-scores, kind="stable")
        )
