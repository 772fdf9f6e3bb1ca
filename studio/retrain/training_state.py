"""Where training stands, as a file: what a killed run goes on from."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.atomic import atomic_bytes
from studio.retrain.curve import CurvePoint, CurveSplit

_SPLITS: tuple[CurveSplit, ...] = ("training", "validation")


@dataclass(frozen=True)
class Best:
    """The weights with the best validation point so far."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    point: CurvePoint


@dataclass(frozen=True)
class TrainingState:
    """Weights (features, classes) and bias (classes,), float32, after `step` steps, and the way there.

    Plain gradient descent has no state of its own, and batches are drawn by step: this is all there is.
    """

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    step: int = 0
    points: list[CurvePoint] = field(default_factory=list)
    best: Best | None = None

    def write(self, path: Path, identity: str) -> None:
        """Write the state, whole or not at all."""
        points = np.array(
            [(p.step, _SPLITS.index(p.split), p.accuracy, p.cross_entropy) for p in self.points], np.float64
        ).reshape(-1, 4)
        arrays = {"weights": self.weights, "bias": self.bias, "step": np.array(self.step), "points": points}
        if self.best is not None:
            at = self.points.index(self.best.point)
            arrays |= {"best_weights": self.best.weights, "best_bias": self.best.bias, "best": np.array(at)}
        with atomic_bytes(path) as file:
            np.savez(file, identity=np.array(identity), **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path, identity: str) -> "TrainingState | None":
        """Return the state in a file, or None if there is none, or it is damaged or another run's."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if str(arrays["identity"]) != identity:
                    return None
                points = [
                    CurvePoint(int(step), _SPLITS[int(split)], accuracy, cross_entropy)
                    for step, split, accuracy, cross_entropy in arrays["points"].tolist()
                ]
                best = None
                if "best" in arrays:
                    best = Best(arrays["best_weights"], arrays["best_bias"], points[int(arrays["best"])])
                return cls(arrays["weights"], arrays["bias"], int(arrays["step"]), points, best)
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
            return None
