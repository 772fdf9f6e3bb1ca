"""The measures of a project's thumbnails, taken once a picture and kept beside what its studies leave."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from studio.arrays import Float32Array
from studio.collect.store import PictureStore
from studio.curate.measures import MEASURES, measure
from studio.curate.study_files import write_array
from studio.errors import StudioError
from studio.language import _
from studio.progress import Progress

_FILE = "measures-1.npy"
"""The number is to be raised when measures change."""
_ROW = np.dtype([("id", "<i8"), ("values", "<f4", (len(MEASURES),))])
_TOGETHER = 256
_WRITE_EVERY = 5_000


class Pictured(NamedTuple):
    """A picture of a project, as a survey knows it."""

    id: int
    sha256: str
    format: str
    width_px: int
    height_px: int


def measured(
    pictures: Sequence[Pictured], store: PictureStore, folder: Path, *, threads: int, progress: Progress
) -> Float32Array:
    """Return the measures of pictures: float32, (N, 5), NaN for one that cannot be read any more.

    Only those that `folder` does not know are looked at. What was measured is kept when it is stopped.
    """
    phase = _("Looking at the pictures")
    values = _read(folder)
    missing = [picture for picture in pictures if picture.id not in values]
    unwritten = 0
    progress.report(phase, len(pictures) - len(missing), len(pictures))
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="looking") as pool:
            for start in range(0, len(missing), _TOGETHER):
                some = missing[start : start + _TOGETHER]
                rows = pool.map(lambda picture: _measure(store, picture), some)
                values.update({picture.id: row for picture, row in zip(some, rows, strict=True)})
                unwritten += len(some)
                if unwritten >= _WRITE_EVERY:
                    _write(folder, values)
                    unwritten = 0
                done = len(pictures) - len(missing) + start + len(some)
                progress.report(phase, done, len(pictures))
    finally:
        if unwritten:
            _write(folder, values)
    return np.array([values[picture.id] for picture in pictures], np.float32).reshape(-1, len(MEASURES))


def _measure(store: PictureStore, picture: Pictured) -> Float32Array:
    try:
        with Image.open(store.thumbnail(picture.sha256, picture.format), formats=["JPEG"]) as thumbnail:
            return measure(thumbnail)
    except (StudioError, OSError):  # its file is gone
        return np.full(len(MEASURES), np.nan, np.float32)


def _read(folder: Path) -> dict[int, Float32Array]:
    try:
        rows = np.load(folder / _FILE, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return {}
    if rows.dtype != _ROW:
        return {}
    return dict(zip(rows["id"].tolist(), rows["values"], strict=True))


def _write(folder: Path, values: dict[int, Float32Array]) -> None:
    rows = np.empty(len(values), _ROW)
    rows["id"] = list(values)
    rows["values"] = np.array(list(values.values()), np.float32).reshape(-1, len(MEASURES))
    write_array(folder / _FILE, rows)
