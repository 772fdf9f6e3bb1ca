"""Fixtures of the predict tests: a run on photographs of three flowers, and two unknown classes."""

import shutil
from functools import cache
from pathlib import Path

from studio.progress import Silent
from studio.retrain.measure_confidence import measure_confidence
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from tests.retrain.material import FLOWERS, ROOM, snapshot_of, train_run

OF_EACH = 110
KNOWN, UNKNOWN = ("daisy", "roses", "tulips"), ("sunflowers", "dandelion")


@cache
def photographs() -> Path:
    """Return a folder of class folders, whose names have Korean letters and a space in them."""
    folder = ROOM / "꽃 photographs"
    for label in KNOWN:
        (folder / f"꽃 {label}").mkdir(parents=True)
        for path in sorted((FLOWERS / label).iterdir())[:OF_EACH]:
            shutil.copy(path, folder / f"꽃 {label}" / f"사진 {path.name}")
    return folder


@cache
def flowers_run() -> RunResult:
    """Return a finished run with measured confidence."""
    result = train_run(
        snapshot_of(photographs()), ROOM / "runs" / "꽃 run", RunOptions(how_many_training_steps=300)
    )
    measure_confidence(result.run_dir, ROOM / "bottlenecks", threads=2, progress=Silent())
    return result
