"""The training state of a head, and its checkpoint file, from which an interrupted run resumes."""

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
class BestHead:
    """The weights with the best validation point so far. weights: (features, classes); bias: (classes,)."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    point: CurvePoint


@dataclass(frozen=True)
class TrainingState:
    """The state of a training after `step` optimizer steps, and its curve.

    layer: float32: weights (features, classes), bias (classes,), and the optimizer's moments of both, as in
    `optimizer_steps`. Batches depend on the step alone, so no state of a random generator is needed.
    elapsed_s: seconds of training.
    """

    layer: Arrays
    step: int = 0
    points: list[CurvePoint] = field(default_factory=list)
    best: BestHead | None = None
    elapsed_s: float = 0.0

    @property
    def validations_since_best(self) -> int:
        """Number of validations after the best one."""
        validations = [point for point in self.points if point.split == "validation"]
        return 0 if self.best is None else sum(point.step > self.best.point.step for point in validations)

    @property
    def last_validation(self) -> CurvePoint | None:
        """The last validation point."""
        return next((point for point in reversed(self.points) if point.split == "validation"), None)

    def write(self, path: Path, identity: str) -> None:
        """Write the state to a file, atomically. identity: see `read`."""
        arrays: dict[str, npt.NDArray[Any]] = {f"layer_{at}": array for at, array in enumerate(self.layer)}
        arrays |= {"step": np.array(self.step), "points": points_to_array(self.points)}
        arrays["elapsed_s"] = np.array(self.elapsed_s)
        if self.best is not None:
            best_index = self.points.index(self.best.point)
            arrays |= {
                "best_weights": self.best.weights,
                "best_bias": self.best.bias,
                "best": np.array(best_index),
            }
        with atomic_bytes(path) as file:
            np.savez(file, identity=np.array(identity), **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path, identity: str) -> "TrainingState | None":
        """Return the state in a file; None if it is missing, damaged or has another identity."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if str(arrays["identity"]) != identity:
                    return None
                points = points_from_array(arrays["points"])
                best = None
                if "best" in arrays:
                    best = BestHead(arrays["best_weights"], arrays["best_bias"], points[int(arrays["best"])])
                layer = tuple(arrays[f"layer_{at}"] for at in range(4))
                return cls(layer, int(arrays["step"]), points, best, float(arrays["elapsed_s"]))
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
            return None


def points_to_array(points: list[CurvePoint]) -> npt.NDArray[np.float64]:
    """Return points as an array, (N, 5): step, split, accuracy, cross-entropy, elapsed seconds."""
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


def points_from_array(rows: npt.NDArray[np.float64]) -> list[CurvePoint]:
    """Return the points that `points_to_array` converted."""
    return [
        CurvePoint(int(step), _SPLITS[int(split)], accuracy, cross_entropy, None if np.isnan(at) else at)
        for step, split, accuracy, cross_entropy, at in rows.tolist()
    ]
