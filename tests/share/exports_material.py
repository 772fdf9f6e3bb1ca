"""A run on photographs and its export in each format, made once, for the tests of exports."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from studio.arrays import Float32Array, Uint8Array
from studio.predict.model import Model
from studio.progress import Silent
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.retrain.snapshot import Snapshot
from studio.share.exports.export import ExportResult, export_run
from studio.share.exports.export_format import ExportContext
from tests.conftest import FLOWERS
from tests.retrain.material import ROOM, train_run

NAME = "꽃 *flowers*"
needs_flowers = pytest.mark.skipif(not FLOWERS.is_dir(), reason=f"the photographs are not at {FLOWERS}")


@cache
def flowers_run() -> RunResult:
    """Return a finished run on half of the photographs, of which two fifths are for testing."""
    half = sorted(read_image_folder(FLOWERS, Silent()).images, key=lambda image: image.sha256)[::2]
    options = RunOptions(how_many_training_steps=300, testing_percentage=40)
    return train_run(Snapshot.of(half, testing_percentage=40), ROOM / "runs" / "나갈 꽃 run", options)


def context(folder: Path = ROOM) -> ExportContext:
    """Return a context for exports."""
    return ExportContext(NAME, folder / "downloads", Silent(), threads=2)


@cache
def exported(name: str) -> ExportResult:
    """Return an export of that run as a folder."""
    return export_run(flowers_run().run_dir, name, ROOM / "나간 것" / name, context())


@cache
def sample_images() -> tuple[tuple[Path, ...], tuple[Uint8Array, ...], Float32Array]:
    """Return twelve test images: files, pixels, and the probabilities of the run's own model."""
    model = Model.open(flowers_run().run_dir)
    tested = flowers_run().snapshot.of_split("testing")[::9][:12]
    pixels = tuple(model.preprocessing.read(example.path, "x") for example in tested)
    return (
        tuple(example.path for example in tested),
        pixels,
        np.stack([model.probabilities(each) for each in pixels]),
    )
