"""When a model had better say "not sure": a temperature and two thresholds, set on the validation images.

`sureness.json` in a run's folder, which every export carries, and `anchors.npy`, float16 (M, features), the
features of training images that strangeness is measured from.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, IndexArray
from studio.files import atomic_bytes, atomic_text
from studio.retrain.evaluation.metrics import Calibration

SURENESS, ANCHORS = "sureness.json", "anchors.npy"
_VERSION = 1
_LOST_TO_PROBABILITY = 0.05
_LOST_TO_STRANGENESS = 0.02
"""Of the right answers on the validation images, the share that each threshold may hold back."""
_SURE_ENOUGH = 0.9
"""However sure a model is of its validation images: what is right nine times in ten is an answer."""
_LEAST_WITHOUT = 0.5
"""The probability below which nobody who has measured nothing is sure: an answer is as likely wrong."""
_BESIDE, _ROUNDING = 2e-3, 2e-6
"""How far below the lowest value a threshold lies that loses none, and below several that are the same."""
_TEMPERATURES = np.geomspace(0.1, 10, 401)

Doubt = Literal["unlikely", "strange"]
"""Why an answer is not sure: no class is likely enough, or the image is like nothing in training."""


@dataclass(frozen=True)
class Withheld:
    """How many answers on the validation images are held back, of the right and of the wrong ones."""

    right: int
    wrong: int


@dataclass(frozen=True)
class Costs:
    """What the thresholds cost on the validation images.

    unlikely, strange: what each threshold alone holds back; both: what they do together.
    calibration_error: as `Calibration.expected_error`, before the temperature and after it.
    """

    images: int
    right: int
    unlikely: Withheld
    strange: Withheld
    both: Withheld
    calibration_error: tuple[float, float]

    @property
    def wrong(self) -> int:
        """Answers that are not right."""
        return self.images - self.right

    @property
    def answered(self) -> int:
        """Images that get an answer."""
        return self.images - self.both.right - self.both.wrong

    @property
    def accuracy(self) -> float | None:
        """The share of right ones among the answers that are given, 0-1."""
        return (self.right - self.both.right) / self.answered if self.answered else None


@dataclass(frozen=True)
class Confidence:
    """How sure a model may be.

    temperature: above 1 where the model is surer than it should be; see `calibrated`.
    least_probability: of the likeliest class, calibrated, 0-1. most_strangeness: as `with_strangeness` gives
    it, 0-2; None where it was not measured. costs: None where there was nothing to measure on.
    model_sha256: of the file that it is of.
    """

    temperature: float = 1.0
    least_probability: float = _LEAST_WITHOUT
    most_strangeness: float | None = None
    costs: Costs | None = None
    model_sha256: str = ""

    @classmethod
    def of(
        cls,
        probabilities: Float32Array,
        labels: IndexArray,
        strangeness: Float32Array | None,
        model_sha256: str = "",
    ) -> "Confidence":
        """Set temperature and thresholds on the validation images.

        probabilities: float32, (N, classes), as the model gives them; labels: int, (N,); strangeness:
        float32, (N,), or None. Of the answers that are right, one in twenty at most is held back as unlikely
        and one in fifty as strange.
        """
        if not len(labels):
            return cls(model_sha256=model_sha256)
        temperature = _temperature(probabilities, labels)
        calibrated = _at(probabilities, temperature)
        right = probabilities.argmax(axis=1) == labels
        scores = calibrated.max(axis=1)
        least = min(_highest_that_keeps(scores[right], _LOST_TO_PROBABILITY), _SURE_ENOUGH)
        most = None
        if strangeness is not None and right.any():
            most = -_highest_that_keeps(-strangeness[right], _LOST_TO_STRANGENESS)
        unlikely = scores < least
        strange = np.zeros_like(unlikely) if strangeness is None or most is None else strangeness > most

        def withheld(chosen: npt.NDArray[np.bool_]) -> Withheld:
            return Withheld(int((chosen & right).sum()), int((chosen & ~right).sum()))

        costs = Costs(
            images=len(labels),
            right=int(right.sum()),
            unlikely=withheld(unlikely),
            strange=withheld(strange),
            both=withheld(unlikely | strange),
            calibration_error=(_error(probabilities.max(axis=1), right), _error(scores, right)),
        )
        return cls(temperature, least, most, costs, model_sha256)

    def calibrated(self, probabilities: Float32Array) -> Float32Array:
        """Return p ** (1 / temperature), made to sum to 1. float32, (…, classes), in and out.

        The order stays. The same as the logits divided by the temperature: Guo et al., "On calibration of
        modern neural networks", 2017.
        """
        return _at(probabilities, self.temperature)

    def doubt(self, probability: float, strangeness: float | None) -> Doubt | None:
        """Return why an answer is not sure; None where it is. probability: the likeliest's, calibrated."""
        most = self.most_strangeness
        if most is not None and strangeness is not None and not strangeness <= most:  # NaN is strange too
            return "strange"
        return None if probability >= self.least_probability else "unlikely"

    def write(self, run_dir: Path, anchors: Float32Array | None) -> None:
        """Write both files, `sureness.json` last. anchors: float32, (M, features)."""
        if anchors is not None:
            with atomic_bytes(run_dir / ANCHORS) as file:
                np.save(file, anchors.astype(np.float16))
        values = asdict(self)
        if self.costs is not None:
            values["costs"] = {
                "pictures": values["costs"].pop("images"),
                **values["costs"],
                "accuracy": self.costs.accuracy,
            }
        with atomic_text(run_dir / SURENESS) as text:
            json.dump({"version": _VERSION, **values}, text, indent=1, allow_nan=False)

    @classmethod
    def read(cls, run_dir: Path) -> "Confidence | None":
        """Return what `write` left; None where nothing was measured yet, or what is there is not that."""
        try:
            values = json.loads((run_dir / SURENESS).read_text(encoding="utf-8"))
            if values["version"] != _VERSION:
                return None
            most = values["most_strangeness"]
            return cls(
                float(values["temperature"]),
                float(values["least_probability"]),
                None if most is None else float(most),
                _costs(values["costs"]),
                str(values["model_sha256"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def read_anchors(run_dir: Path) -> Float32Array | None:
    """Return the anchors, float32, (M, features); None where there are none, or what is there is not that."""
    try:
        anchors = np.load(run_dir / ANCHORS, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return anchors.astype(np.float32) if anchors.ndim == 2 and len(anchors) else None  # noqa: PLR2004


def _at(probabilities: Float32Array, temperature: float) -> Float32Array:
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)) / np.float32(temperature)
    raised = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float32)


def _temperature(probabilities: Float32Array, labels: IndexArray) -> float:
    """Return the temperature at which the likeliest classes' probabilities fit best how often they are right.

    A few images that are all right are no reason to be surer without bounds: below 1 it goes no further
    than where right and wrong count as (n + 1) / (n + 2) and 1 / (n + 2), as in Platt, "Probabilistic outputs
    for support vector machines", 1999.
    """
    right = probabilities.argmax(axis=1) == labels
    hits = np.count_nonzero(right)
    careful = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))

    def best(targets: npt.NDArray[np.float64]) -> float:
        return float(min(_TEMPERATURES, key=lambda temperature: loss(temperature, targets)))

    def loss(temperature: float, targets: npt.NDArray[np.float64]) -> float:
        scores = np.clip(_at(probabilities, temperature).max(axis=1).astype(np.float64), 1e-6, 1 - 1e-6)
        return float(-np.mean(targets * np.log(scores) + (1 - targets) * np.log(1 - scores)))

    found = best(right.astype(np.float64))
    return round(found if found >= 1 else min(1.0, best(careful)), 4)


def _highest_that_keeps(values: Float32Array, lost: float) -> float:
    """Return the highest threshold below which at most a share of the values lies, midway between two.

    A threshold that is one of the values would turn on how each machine rounds.
    """
    if not len(values):
        return _LEAST_WITHOUT
    found = np.sort(values).astype(np.float64)
    at = int(lost * len(found))
    below = found[at - 1] if at else found[0] - _BESIDE
    return round(float((below + found[at]) / 2) - _ROUNDING, 6)


def _error(scores: Float32Array, right: npt.NDArray[np.bool_]) -> float:
    found = Calibration.of(scores, right)
    return 0.0 if found is None else round(found.expected_error, 6)


def _costs(values: Any) -> Costs | None:
    if values is None:
        return None
    before, after = values["calibration_error"]
    unlikely, strange, both = (Withheld(**values[name]) for name in ("unlikely", "strange", "both"))
    return Costs(
        images=int(values["pictures"]),
        right=int(values["right"]),
        unlikely=unlikely,
        strange=strange,
        both=both,
        calibration_error=(float(before), float(after)),
    )
