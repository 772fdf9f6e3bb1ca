"""Models that are open: once in a process, for the page and for the live camera."""

from functools import lru_cache
from pathlib import Path

from studio.predict.explain import NearestImages
from studio.predict.model import Model
from studio.retrain.confidence import SURENESS
from studio.settings import settings

_OPEN = 4
_IMAGES_OPEN = 2
"""A large project's take up to 100 MB."""


def open_model(run_dir: Path) -> Model:
    """Return a run's model, opened anew where its sureness has been measured since."""
    return _opened(run_dir, _stamp(run_dir))


def stamp(run_dir: Path) -> str:
    """Return another text for another model, and for the same with other thresholds."""
    return f"{run_dir.name} {_stamp(run_dir)}"


def nearest_images(run_dir: Path) -> NearestImages:
    """Return the training images of a run."""
    return _nearest(run_dir, _stamp(run_dir))


def _stamp(run_dir: Path) -> int:
    try:
        return (run_dir / SURENESS).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(_OPEN)
def _opened(run_dir: Path, _measured: int) -> Model:
    return Model.open(run_dir, threads=settings().threads_used)


@lru_cache(_IMAGES_OPEN)
def _nearest(run_dir: Path, _measured: int) -> NearestImages:
    return NearestImages.of(run_dir, settings().bottleneck_dir)
