"""Several interpreters of one model, one for each thread that asks: what makes many pictures fast."""

import threading
from pathlib import Path

from studio.predict.model import Answer, Model, Prediction
from studio.predict.sureness import Sureness


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
    def sureness(self) -> Sureness | None:
        """How sure the model may be; None where that has not been measured."""
        return self._models[0].sureness

    def __len__(self) -> int:
        return len(self._models)

    def answer_file(self, source: Path | bytes, name: str) -> Answer:
        """Say what a file's picture is. Raises PictureRefused."""
        return self._any().answer_file(source, name)

    def classify_file(self, source: Path | bytes, name: str) -> tuple[Prediction, ...]:
        """Return every class, surest first, as the file gives them. Raises PictureRefused."""
        return self._any().classify_file(source, name)

    def _any(self) -> Model:
        # An interpreter that is busy makes its caller wait: whoever decodes meanwhile has the next one.
        with self._turn:
            self._next = (self._next + 1) % len(self._models)
            return self._models[self._next]
