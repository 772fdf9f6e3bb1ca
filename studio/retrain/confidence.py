"""Confidence of a model: calibration by a temperature, and abstention ("not sure") by two thresholds.

They are set on the validation images and stored in a run's folder: `sureness.json`, which every export
carries, and `anchors.npy`, float16 (M, features), the prototypes: features of training images that the
out-of-distribution score is measured from. The names in the files are older than those in the code, and are
mapped here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, IndexArray
from studio.files import atomic_bytes, atomic_text
from studio.retrain.evaluation.metrics import Calibration

CONFIDENCE_FILE, PROTOTYPES_FILE = "sureness.json", "anchors.npy"
_VERSION = 1
_MAX_CORRECT_LOW_CONFIDENCE = 0.05
_MAX_CORRECT_OUT_OF_DISTRIBUTION = 0.02
"""The largest share of the correct predictions on the validation images that each threshold may withhold."""
_MAX_MIN_PROBABILITY = 0.9
"""Upper bound of `min_probability`: a prediction that is right nine times in ten is not withheld."""
_DEFAULT_MIN_PROBABILITY = 0.5
"""`min_probability` where nothing was measured: below it a prediction is as likely wrong as right."""
_MARGIN, _ROUNDING = 2e-3, 2e-6
"""How far a threshold lies below the lowest value if it withholds none, and below equal values otherwise."""
_TEMPERATURES = np.geomspace(0.1, 10, 401)

AbstentionReason = Literal["low_confidence", "out_of_distribution"]
"""Why a prediction is "not sure": no class is probable enough, or the image is unlike all training images."""
STORED_REASONS: dict[AbstentionReason, str] = {"low_confidence": "unlikely", "out_of_distribution": "strange"}
"""The reasons as CSV files, `sureness.json` and exported pages name them."""


@dataclass(frozen=True)
class AbstentionCounts:
    """Numbers of withheld predictions on the validation images, correct and wrong ones."""

    correct: int
    wrong: int


@dataclass(frozen=True)
class AbstentionCosts:
    """Effect of the thresholds on the validation images.

    correct: correct predictions before abstention. low_confidence, out_of_distribution: what each threshold
    withholds alone; both: what they withhold together.
    calibration_error: as `Calibration.expected_error`, before and after the temperature.
    """

    images: int
    correct: int
    low_confidence: AbstentionCounts
    out_of_distribution: AbstentionCounts
    both: AbstentionCounts
    calibration_error: tuple[float, float]

    @property
    def wrong(self) -> int:
        """Number of wrong predictions before abstention."""
        return self.images - self.correct

    @property
    def answered(self) -> int:
        """Number of images whose prediction is not withheld."""
        return self.images - self.both.correct - self.both.wrong

    @property
    def accuracy(self) -> float | None:
        """Accuracy over the images whose prediction is not withheld, 0-1; None if there are none."""
        return (self.correct - self.both.correct) / self.answered if self.answered else None


@dataclass(frozen=True)
class Confidence:
    """Calibration and abstention thresholds of a model.

    temperature: above 1 where the model is overconfident; see `calibrated`.
    min_probability: of the likeliest class, calibrated, 0-1; below it the reason is "low_confidence".
    max_ood_score: as `with_ood_score` gives it, 0-2; above it the reason is "out_of_distribution"; None where
    it was not measured.
    costs: None where there were no images to measure on. model_sha256: of the model file measured.
    """

    temperature: float = 1.0
    min_probability: float = _DEFAULT_MIN_PROBABILITY
    max_ood_score: float | None = None
    costs: AbstentionCosts | None = None
    model_sha256: str = ""

    @classmethod
    def of(
        cls,
        probabilities: Float32Array,
        labels: IndexArray,
        ood_scores: Float32Array | None,
        model_sha256: str = "",
    ) -> "Confidence":
        """Set temperature and thresholds on the validation images.

        probabilities: float32, (N, classes), uncalibrated; labels: int, (N,); ood_scores: float32, (N,), or
        None. Of the correct predictions at most one in twenty is withheld for low confidence, and one in
        fifty as out of distribution.
        """
        if not len(labels):
            return cls(model_sha256=model_sha256)
        temperature = _fit_temperature(probabilities, labels)
        calibrated = _apply_temperature(probabilities, temperature)
        correct = probabilities.argmax(axis=1) == labels
        scores = calibrated.max(axis=1)
        min_probability = min(
            _highest_threshold(scores[correct], _MAX_CORRECT_LOW_CONFIDENCE), _MAX_MIN_PROBABILITY
        )
        max_ood_score = None
        if ood_scores is not None and correct.any():
            max_ood_score = -_highest_threshold(-ood_scores[correct], _MAX_CORRECT_OUT_OF_DISTRIBUTION)
        low_confidence = scores < min_probability
        out_of_distribution = (
            np.zeros_like(low_confidence)
            if ood_scores is None or max_ood_score is None
            else ood_scores > max_ood_score
        )

        def count(withheld: npt.NDArray[np.bool_]) -> AbstentionCounts:
            return AbstentionCounts(int((withheld & correct).sum()), int((withheld & ~correct).sum()))

        costs = AbstentionCosts(
            images=len(labels),
            correct=int(correct.sum()),
            low_confidence=count(low_confidence),
            out_of_distribution=count(out_of_distribution),
            both=count(low_confidence | out_of_distribution),
            calibration_error=(
                _calibration_error(probabilities.max(axis=1), correct),
                _calibration_error(scores, correct),
            ),
        )
        return cls(temperature, min_probability, max_ood_score, costs, model_sha256)

    def calibrated(self, probabilities: Float32Array) -> Float32Array:
        """Return p ** (1 / temperature), normalised to sum to 1. float32, (…, classes), in and out.

        The order of the classes stays. Equal to dividing the logits by the temperature: Guo et al., "On
        calibration of modern neural networks", 2017.
        """
        return _apply_temperature(probabilities, self.temperature)

    def abstention_reason(self, probability: float, ood_score: float | None) -> AbstentionReason | None:
        """Return why a prediction is not sure; None if it is sure.

        probability: of the likeliest class, calibrated, 0-1. ood_score: 0-2, or None where not measured.
        """
        limit = self.max_ood_score
        if limit is not None and ood_score is not None and not ood_score <= limit:  # NaN included
            return "out_of_distribution"
        return None if probability >= self.min_probability else "low_confidence"

    def to_json(self) -> dict[str, Any]:
        """Return the values under their names in `sureness.json`."""
        return {
            "temperature": self.temperature,
            "least_probability": self.min_probability,
            "most_strangeness": self.max_ood_score,
            "costs": None if self.costs is None else _costs_to_json(self.costs),
            "model_sha256": self.model_sha256,
        }

    def write(self, run_dir: Path, prototypes: Float32Array | None) -> None:
        """Write both files, `sureness.json` last. prototypes: float32, (M, features)."""
        if prototypes is not None:
            with atomic_bytes(run_dir / PROTOTYPES_FILE) as file:
                np.save(file, prototypes.astype(np.float16))
        with atomic_text(run_dir / CONFIDENCE_FILE) as text:
            json.dump({"version": _VERSION, **self.to_json()}, text, indent=1, allow_nan=False)

    @classmethod
    def read(cls, run_dir: Path) -> "Confidence | None":
        """Read `sureness.json`; None where it does not exist or is of another version or damaged."""
        try:
            values = json.loads((run_dir / CONFIDENCE_FILE).read_text(encoding="utf-8"))
            if values["version"] != _VERSION:
                return None
            max_ood_score = values["most_strangeness"]
            return cls(
                float(values["temperature"]),
                float(values["least_probability"]),
                None if max_ood_score is None else float(max_ood_score),
                _costs_from_json(values["costs"]),
                str(values["model_sha256"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def read_prototypes(run_dir: Path) -> Float32Array | None:
    """Read `anchors.npy`: float32, (M, features); None where it does not exist or is damaged."""
    try:
        prototypes = np.load(run_dir / PROTOTYPES_FILE, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if prototypes.ndim != 2 or not len(prototypes):  # noqa: PLR2004
        return None
    return np.asarray(prototypes.astype(np.float32))


def _apply_temperature(probabilities: Float32Array, temperature: float) -> Float32Array:
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)) / np.float32(temperature)
    raised = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float32)


def _fit_temperature(probabilities: Float32Array, labels: IndexArray) -> float:
    """Return the temperature that minimises the log loss of "the likeliest class is correct".

    With a few images that are all correct, the optimum would have no lower bound. So below 1 the temperature
    is not lower than the optimum for targets of (n + 1) / (n + 2) and 1 / (n + 2) instead of 1 and 0, as in
    Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    correct = probabilities.argmax(axis=1) == labels
    hits = np.count_nonzero(correct)
    smoothed = np.where(correct, (hits + 1) / (hits + 2), 1 / (len(correct) - hits + 2))

    def best(targets: npt.NDArray[np.float64]) -> float:
        return float(min(_TEMPERATURES, key=lambda temperature: loss(temperature, targets)))

    def loss(temperature: float, targets: npt.NDArray[np.float64]) -> float:
        scores = np.clip(
            _apply_temperature(probabilities, temperature).max(axis=1).astype(np.float64), 1e-6, 1 - 1e-6
        )
        return float(-np.mean(targets * np.log(scores) + (1 - targets) * np.log(1 - scores)))

    optimum = best(correct.astype(np.float64))
    return round(optimum if optimum >= 1 else min(1.0, best(smoothed)), 4)


def _highest_threshold(values: Float32Array, max_share: float) -> float:
    """Return the highest threshold below which at most a share of the values lies, midway between two.

    A threshold equal to a value would depend on how each machine rounds.
    """
    if not len(values):
        return _DEFAULT_MIN_PROBABILITY
    ordered = np.sort(values).astype(np.float64)
    rank = int(max_share * len(ordered))
    below = ordered[rank - 1] if rank else ordered[0] - _MARGIN
    return round(float((below + ordered[rank]) / 2) - _ROUNDING, 6)


def _calibration_error(scores: Float32Array, correct: npt.NDArray[np.bool_]) -> float:
    calibration = Calibration.of(scores, correct)
    return 0.0 if calibration is None else round(calibration.expected_error, 6)


def _costs_to_json(costs: AbstentionCosts) -> dict[str, Any]:
    return {
        "pictures": costs.images,
        "right": costs.correct,
        "unlikely": _counts_to_json(costs.low_confidence),
        "strange": _counts_to_json(costs.out_of_distribution),
        "both": _counts_to_json(costs.both),
        "calibration_error": costs.calibration_error,
        "accuracy": costs.accuracy,
    }


def _counts_to_json(counts: AbstentionCounts) -> dict[str, int]:
    return {"right": counts.correct, "wrong": counts.wrong}


def _costs_from_json(values: Any) -> AbstentionCosts | None:
    if values is None:
        return None
    before, after = values["calibration_error"]
    low_confidence, out_of_distribution, both = (
        AbstentionCounts(correct=values[name]["right"], wrong=values[name]["wrong"])
        for name in ("unlikely", "strange", "both")
    )
    return AbstentionCosts(
        images=int(values["pictures"]),
        correct=int(values["right"]),
        low_confidence=low_confidence,
        out_of_distribution=out_of_distribution,
        both=both,
        calibration_error=(float(before), float(after)),
    )
