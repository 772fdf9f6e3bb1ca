"""Open models, cached by the process for the Predict page and for the live camera."""

from functools import lru_cache
from pathlib import Path

from studio.predict.explain import NearestTrainingImages
from studio.predict.model import Model
from studio.retrain.confidence import CONFIDENCE_FILE
from studio.settings import settings

_MAX_MODELS = 4
_MAX_NEAREST = 2
"""The features of a large project's training images take up to 100 MB."""


def open_model(run_dir: Path) -> Model:
    """Return a run's model; opened again when its confidence has been measured since."""
    return _open_model(run_dir, _measured_at(run_dir))


def nearest_training_images(run_dir: Path) -> NearestTrainingImages:
    """Return the search for a run's training images that are near an image."""
    return _open_nearest(run_dir, _measured_at(run_dir))


def model_version(run_dir: Path) -> str:
    """Return a cache key that differs for another model and for other thresholds."""
    return f"{run_dir.name} {_measured_at(run_dir)}"


def _measured_at(run_dir: Path) -> int:
    try:
        return (run_dir / CONFIDENCE_FILE).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(_MAX_MODELS)
def _open_model(run_dir: Path, _measured_at: int) -> Model:
    return Model.open(run_dir, threads=settings().threads_used)


@lru_cache(_MAX_NEAREST)
def _open_nearest(run_dir: Path, _measured_at: int) -> NearestTrainingImages:
    return NearestTrainingImages.of(run_dir, settings().bottleneck_dir)
