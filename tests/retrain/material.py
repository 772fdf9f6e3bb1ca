"""What these rooms' tests work on: photographs where there are any, drawings, one backbone."""

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

from studio.backbones import DEFAULT, BackboneFile, ready
from studio.progress import Silent
from studio.retrain.curve import CurvePoint
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, retrain
from studio.retrain.runs.compare import Change, Changes, Place
from studio.retrain.snapshot import Snapshot
from studio.settings import settings

FLOWERS = Path(__file__).parents[3] / "shared" / "data" / "flowers"
needs_flowers = pytest.mark.skipif(not FLOWERS.is_dir(), reason=f"the photographs are not at {FLOWERS}")

_room = TemporaryDirectory(prefix="retrain-tests-", ignore_cleanup_errors=True)
ROOM = Path(_room.name)
BACKBONES_DIR = ROOM / "backbones"


@cache
def backbone() -> BackboneFile:
    """Return the default backbone, converted once in a process."""
    return ready(DEFAULT, BACKBONES_DIR, Silent())


@contextmanager
def data_folder(folder: Path) -> Iterator[Path]:
    """Have the settings name an empty data folder, but for the backbone."""
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
            pen = ImageDraw.Draw(image)
            if number % 3 == 0:
                pen.ellipse(box, fill=colour)
            elif number % 3 == 1:
                pen.rectangle(box, fill=colour)
            else:
                pen.line(box, fill=colour, width=3)
            image.save(folder / label / f"그림 {at:03d}.png")
    return folder


class Watched:
    """A `Progress` that remembers what it was told, and may ask for an end."""

    def __init__(self, stop_in: str = "", after: int = 0) -> None:
        self.told: list[tuple[str, int, int | None]] = []
        self._stop_in, self._after = stop_in, after

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        from studio.errors import Stopped

        self.told.append((phase, done, total))
        if phase == self._stop_in and done >= self._after:
            raise Stopped("stop")


def snapshot_of(folder: Path, seed: int = 0) -> Snapshot:
    """Return a folder's images, dealt out."""
    return Snapshot.of(read_image_folder(folder, Silent()).images, seed=seed)


def run_on(
    snapshot: Snapshot,
    run_dir: Path,
    options: RunOptions | None = None,
    progress: Watched | None = None,
    points: list[CurvePoint] | None = None,
    bottleneck_dir: Path = ROOM / "bottlenecks",
) -> RunResult:
    """Retrain with a shared cache."""
    return retrain(
        snapshot,
        options or RunOptions(how_many_training_steps=60),
        run_dir=run_dir,
        bottleneck_dir=bottleneck_dir,
        backbones_dir=backbone().path.parent,
        threads=2,
        progress=progress or Watched(),
        on_points=(points if points is not None else []).extend,
    )


@cache
def drawings_run() -> RunResult:
    """Return a finished run on drawings of two classes."""
    return run_on(snapshot_of(draw(ROOM / "drawings")), ROOM / "runs" / "그림 run")


def changes(before: Snapshot, after: Snapshot) -> Changes:
    """Compare two snapshots in memory, as `changes_between` has the database do it."""
    one, other = _places(before), _places(after)
    return Changes.of(
        (
            Change(digest, one.get(digest), other.get(digest))
            for digest in {*one, *other}
            if one.get(digest) != other.get(digest)
        ),
        Counter(place.label for place in one.values()),
        Counter(place.label for place in other.values()),
    )


def _places(snapshot: Snapshot) -> dict[str, Place]:
    return {example.sha256: Place(example.label, example.split) for example in snapshot.examples}
