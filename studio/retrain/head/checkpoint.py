"""Where training stands, as a file: what a killed run goes on from."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.files import atomic_bytes
from studio.retrain.curve import CurvePoint, CurveSplit

_SPLITS: tuple[CurveSplit, ...] = ("training", "validation")
Arrays = tuple[npt.NDArray[np.float32], ...]


@dataclass(frozen=True)
class Best:
    """The weights with the best validation point so far."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    point: CurvePoint


@dataclass(frozen=True)
class TrainingState:
    """A layer after `step` steps, and the way there.

    layer: float32: weights (features, classes), bias (classes,), and the optimizer's moments of both, as
    `descent` takes them. Batches are drawn by step: this is all there is. elapsed_s: seconds of training.
    """

    layer: Arrays
    step: int = 0
    points: list[CurvePoint] = field(default_factory=list)
    best: Best | None = None
    elapsed_s: float = 0.0

    @property
    def fruitless(self) -> int:
        """Validations since the best one."""
        validations = [point for point in self.points if point.split == "validation"]
        return 0 if self.best is None else sum(point.step > self.best.point.step for point in validations)

    @property
    def validated(self) -> CurvePoint | None:
        """The last validation."""
        return next((point for point in reversed(self.points) if point.split == "validation"), None)

    def write(self, path: Path, identity: str) -> None:
        """Write the state, whole or not at all."""
        arrays: dict[str, npt.NDArray[Any]] = {f"layer_{at}": array for at, array in enumerate(self.layer)}
        arrays |= {"step": np.array(self.step), "points": points_as_array(self.points)}
        arrays["elapsed_s"] = np.array(self.elapsed_s)
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
                points = points_of_array(arrays["points"])
                best = None
                if "best" in arrays:
                    best = Best(arrays["best_weights"], arrays["best_bias"], points[int(arrays["best"])])
                layer = tuple(arrays[f"layer_{at}"] for at in range(4))
                return cls(layer, int(arrays["step"]), points, best, float(arrays["elapsed_s"]))
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
            return None


def points_as_array(points: list[CurvePoint]) -> npt.NDArray[np.float64]:
    """Return points as rows of step, split, accuracy, cross-entropy and seconds."""
    rows = [
        (
            p.step,
            _SPLITS.index(p.split),
            p.accuracy,
            p.cross_entropy,
            np.nan if p.elapsed_s is None else p.elapsed_s,
        )
        for p in points
    ]
    return np.array(rows, np.float64).reshape(-1, 5)


def points_of_array(rows: npt.NDArray[np.float64]) -> list[CurvePoint]:
    """Return what `points_as_array` was given."""
    return [
        CurvePoint(int(step), _SPLITS[int(split)], accuracy, cross_entropy, None if np.isnan(at) else at)
        for step, split, accuracy, cross_entropy, at in rows.tolist()
    ]
