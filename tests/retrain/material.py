"""Fixtures of the retrain tests: photographs of flowers where available, drawings, one backbone, a run."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio.backbones import DEFAULT, BackboneFile, prepare_backbone
from studio.progress import Silent
from studio.retrain.curve import CurvePoint
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, retrain
from studio.retrain.runs.compare import ImageChange, LabelAndSplit, SnapshotChanges
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext
from studio.settings import settings

FLOWERS = Path(__file__).parents[3] / "shared" / "data" / "flowers"
needs_flowers = pytest.mark.skipif(not FLOWERS.is_dir(), reason=f"the photographs are not at {FLOWERS}")

_room = TemporaryDirectory(prefix="retrain-tests-", ignore_cleanup_errors=True)
ROOM = Path(_room.name)
BACKBONES_DIR = ROOM / "backbones"


@cache
def backbone() -> BackboneFile:
    """Return the default backbone, converted once per process."""
    return prepare_backbone(DEFAULT, BACKBONES_DIR, Silent())


@contextmanager
def data_folder(folder: Path) -> Iterator[Path]:
    """Make the settings use a new data folder that holds the backbone only."""
    (folder / "backbones").mkdir(parents=True)
    shutil.copy(backbone().path, folder / "backbones")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STUDIO_HOME", str(folder))
        settings.cache_clear()
        yield folder
    settings.cache_clear()


def draw(folder: Path, classes: tuple[str, ...] = ("원 circle", "square"), count: int = 24) -> Path:
    """Draw `count` images of each class, each different from the others, and return the folder."""
    for number, label in enumerate(classes):
        random = np.random.default_rng(number)
        (folder / label).mkdir(parents=True, exist_ok=True)
        for at in range(count):
            image = Image.new("RGB", (96, 72), tuple(random.integers(150, 256, 3).tolist()))
            left, top, size = random.integers(2, 30, 3).tolist()
            box = (left, top, left + 20 + size, top + 15 + size)
            colour = tuple(random.integers(0, 120, 3).tolist())
            canvas = ImageDraw.Draw(image)
            if number % 3 == 0:
                canvas.ellipse(box, fill=colour)
            elif number % 3 == 1:
                canvas.rectangle(box, fill=colour)
            else:
                canvas.line(box, fill=colour, width=3)
            image.save(folder / label / f"그림 {at:03d}.png")
    return folder


class RecordingProgress:
    """A `Progress` that records its reports, and raises Stopped in a phase `stop_in` from step `after` on."""

    def __init__(self, stop_in: str = "", after: int = 0) -> None:
        self.reports: list[tuple[str, int, int | None]] = []
        self._stop_in, self._after = stop_in, after

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        from studio.errors import Stopped

        self.reports.append((phase, done, total))
        if phase == self._stop_in and done >= self._after:
            raise Stopped("stop")


def snapshot_of(folder: Path, seed: int = 0) -> Snapshot:
    """Return the snapshot of a folder of class folders."""
    return Snapshot.of(read_image_folder(folder, Silent()).images, seed=seed)


def train_run(
    snapshot: Snapshot,
    run_dir: Path,
    options: RunOptions | None = None,
    progress: RecordingProgress | None = None,
    points: list[CurvePoint] | None = None,
    bottleneck_dir: Path = ROOM / "bottlenecks",
) -> RunResult:
    """Train a run with a shared bottleneck cache."""
    context = RunContext(
        run_dir,
        bottleneck_dir,
        backbone().path.parent,
        2,
        progress or RecordingProgress(),
        on_points=(points if points is not None else []).extend,
    )
    return retrain(snapshot, options or RunOptions(how_many_training_steps=60), context)


@cache
def drawings_run() -> RunResult:
    """Return a finished run on drawings of two classes."""
    return train_run(snapshot_of(draw(ROOM / "drawings")), ROOM / "runs" / "그림 run")


def changes(before: Snapshot, after: Snapshot) -> SnapshotChanges:
    """Compare two snapshots in memory, as `compare_snapshots` does in the database."""
    old, new = _labels_and_splits(before), _labels_and_splits(after)
    return SnapshotChanges.of(
        (
            ImageChange(digest, old.get(digest), new.get(digest))
            for digest in {*old, *new}
            if old.get(digest) != new.get(digest)
        ),
        Counter(value.label for value in old.values()),
        Counter(value.label for value in new.values()),
    )


def _labels_and_splits(snapshot: Snapshot) -> dict[str, LabelAndSplit]:
    return {example.sha256: LabelAndSplit(example.label, example.split) for example in snapshot.examples}
