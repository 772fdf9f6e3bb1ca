"""What this room's tests ask: a run on photographs of three flowers; two more that it never saw."""

import shutil
from functools import cache
from pathlib import Path

from studio.progress import Silent
from studio.retrain.measure_confidence import measured
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from tests.retrain.material import FLOWERS, ROOM, run_on, snapshot_of

OF_EACH = 110
KNOWN, UNKNOWN = ("daisy", "roses", "tulips"), ("sunflowers", "dandelion")


@cache
def photographs() -> Path:
    """Return a folder of class folders, whose names have a space and Korean letters before them."""
    folder = ROOM / "꽃 photographs"
    for label in KNOWN:
        (folder / f"꽃 {label}").mkdir(parents=True)
        for path in sorted((FLOWERS / label).iterdir())[:OF_EACH]:
            shutil.copy(path, folder / f"꽃 {label}" / f"사진 {path.name}")
    return folder


@cache
def flowers_run() -> RunResult:
    """Return a finished run whose sureness has been measured."""
    result = run_on(
        snapshot_of(photographs()), ROOM / "runs" / "꽃 run", RunOptions(how_many_training_steps=300)
    )
    measured(result.run_dir, ROOM / "bottlenecks", threads=2, progress=Silent())
    return result
