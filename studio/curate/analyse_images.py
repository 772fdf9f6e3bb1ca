"""A survey: one look at all images of a project, for what they are by themselves and to each other."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.duplicate_groups import memberships
from db.engine import Database
from db.models import ImageRow, LabelRow
from studio.arrays import Float32Array
from studio.curate.active_learning import spread
from studio.curate.analysis_files import IDS, MAP, VECTORS, read_array, read_studied, write_array
from studio.curate.embedding_map import DIMENSIONS, basis_of, layout, reduced
from studio.curate.findings import SURVEYED, Found, Kind, LastStudy, write_study
from studio.curate.image_quality import AnalysedImage, far, measured, odd_looks, odd_sizes
from studio.curate.kernel_model import kernel_width
from studio.i18n import _
from studio.images.store import ImageStore
from studio.progress import Progress

_VERSION = 1
"""To be raised when a survey finds something else in the same images."""
_BASIS = "basis.npy"
_GROWN = 1.25
"""Axes are looked for anew once there are so many times the images; till then vectors stay as they are."""
_SEED = 0


def images_of(session: Session, project_id: int) -> list[AnalysedImage]:
    """Return all of a project's images, rejected ones too, in the order of their ids."""
    rows = session.connection().execute(
        select(ImageRow.id, ImageRow.sha256, ImageRow.format, ImageRow.width_px, ImageRow.height_px)
        .join(LabelRow, LabelRow.image_id == ImageRow.id)
        .where(LabelRow.project_id == project_id)
        .order_by(ImageRow.id)
    )
    return [AnalysedImage(*row) for row in rows]


def identity_of(images: Sequence[AnalysedImage], backbone: str) -> str:
    """Return what tells one survey's images from another's. backbone: that of its bottlenecks."""
    ids = np.array([image.id for image in images], np.int64)
    return hashlib.sha256(f"{_VERSION} {backbone} ".encode() + ids.tobytes()).hexdigest()


def is_current(last: LastStudy | None, identity: str, folder: Path) -> bool:
    """Whether the last survey has seen just these images, and its files are there."""
    files = all((folder / name).exists() for name in (IDS, VECTORS, MAP))
    return last is not None and last.facts.get("identity") == identity and files


def surveyed_before(folder: Path) -> frozenset[int]:
    """Return the ids of the images that have been compared with each other already."""
    studied = read_studied(folder)
    return frozenset() if studied is None else frozenset(studied.ids.tolist())


def survey(
    database: Database,
    store: ImageStore,
    folder: Path,
    project_id: int,
    images: Sequence[AnalysedImage],
    vectors: Float32Array,
    *,
    last: LastStudy | None,
    identity: str,
    operation_number: int,
    unreadable: int,
    threads: int,
    progress: Progress,
    now: datetime,
) -> Mapping[str, Any]:
    """Look at all images and write what is found, to `folder` and to the database; return the facts.

    images: those that have bottlenecks; vectors: these, float32, (N, features), in memory or mapped and
    read in blocks. last: the survey before, whose axes and map this one goes on from; operation_number: how
    far the history went when the images were listed; unreadable: how many images have no bottlenecks.
    Nothing is written, measures aside, when it is stopped.
    """
    ids = np.array([image.id for image in images], np.int64)
    rng = np.random.default_rng(_SEED)
    measures = measured(images, store, folder, threads=threads, progress=progress)
    phase = _("Comparing the images")
    progress.report(phase, 0, len(ids))
    basis, fitted = _basis(folder, vectors, last)
    short = reduced(vectors, basis, lambda done: progress.report(phase, done, len(ids)))
    found: dict[Kind, Found] = {**odd_looks(ids, measures), **far(ids, short, rng)}
    found |= odd_sizes(
        ids,
        np.array([image.width_px for image in images], np.float64),
        np.array([image.height_px for image in images], np.float64),
    )
    with database.read() as session:
        groups = groups_of(session, project_id, ids)
    order = spread(short, kernel_width(short), groups=groups, rng=rng)
    found["spread"] = ranked(ids[order])
    progress.report(phase, len(ids), len(ids))
    places = layout(
        short,
        _known_places(folder, ids),
        threads=threads,
        seed=_SEED,
        on_round=lambda done, total: progress.report(_("Drawing the map"), done, total),
    )
    write_array(folder / _BASIS, basis)
    write_array(folder / VECTORS, short)
    write_array(folder / MAP, places)
    write_array(folder / IDS, ids)
    facts = {
        "identity": identity,
        "pictures": len(ids),
        "unreadable": unreadable,
        "fitted": fitted,
        "odd": {kind: len(found[kind].images) for kind in SURVEYED if kind != "spread"},
    }
    with database.write() as session:
        write_study(
            session, project_id, "survey", found, operation_number=operation_number, facts=facts, now=now
        )
    return facts


def ranked(images: npt.NDArray[np.int64]) -> Found:
    """Return an order as findings: the first scores 1, and each after it a little less."""
    return Found(images, 1 - np.arange(len(images)) / max(1, len(images)))


def groups_of(session: Session, project_id: int, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return each image's group of near copies, -1 for none: int64, (N,)."""
    groups = memberships(session, project_id)
    return np.array([groups[i].group_id if i in groups else -1 for i in ids.tolist()], np.int64)


def _basis(folder: Path, vectors: Float32Array, last: LastStudy | None) -> tuple[Float32Array, int]:
    """Return the axes, and from how many images they were found."""
    fitted = int(last.facts.get("fitted", 0)) if last is not None else 0
    known = read_array(folder / _BASIS)
    shape = (vectors.shape[1], DIMENSIONS)
    if known is not None and known.shape == shape and len(vectors) <= _GROWN * fitted:
        return known, fitted
    return basis_of(vectors), len(vectors)


def _known_places(folder: Path, ids: npt.NDArray[np.int64]) -> Float32Array:
    found = np.full((len(ids), 2), np.nan, np.float32)
    former, places = read_studied(folder), read_array(folder / MAP)
    if former is not None and places is not None and places.shape == (len(former.ids), 2):
        _both, mine, theirs = np.intersect1d(ids, former.ids, assume_unique=True, return_indices=True)
        found[mine] = places[theirs]
    return found
