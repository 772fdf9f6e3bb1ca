"""Analysis of a project's images: image issues, a diverse order, reduced bottlenecks, the embedding map."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.duplicate_groups import memberships
from db.models import ImageRow, LabelRow
from studio.arrays import Float32Array, FloatArray
from studio.curate.active_learning import rank_by_diversity
from studio.curate.analysis_files import (
    IDS_FILE,
    MAP_FILE,
    VECTORS_FILE,
    read_array,
    read_vectors,
    write_array,
)
from studio.curate.analysis_results import (
    IMAGE_ANALYSIS,
    IMAGE_ISSUE_KINDS,
    AnalysisContext,
    AnalysisResult,
    LastAnalysis,
    write_analysis,
)
from studio.curate.embedding_map import DIMENSIONS, compute_layout, fit_basis, reduce_vectors
from studio.curate.image_issues import IMAGE_ISSUES, ImageFeatures
from studio.curate.image_quality import AnalysedImage, measure_images
from studio.curate.kernel_model import kernel_width
from studio.i18n import _
from studio.images.store import ImageStore

_VERSION = 1
"""Raise when the analysis has other results for the same images."""
_BASIS_FILE = "basis.npy"
_REFIT_FACTOR = 1.25
"""The basis is fitted again once there are so many times the images; until then vectors do not change."""
_SEED = 0


@dataclass(frozen=True)
class ImageSet:
    """The images of an analysis."""

    images: Sequence[AnalysedImage]
    """Those that have bottlenecks."""
    vectors: Float32Array
    """Their bottlenecks: float32, (N, features), in memory or mapped and read in blocks."""
    fingerprint: str
    """See `images_fingerprint`."""
    operation_number: int
    """The newest label operation when the images were listed."""
    unreadable: int
    """The number of images without bottlenecks."""


def list_images(session: Session, project_id: int) -> list[AnalysedImage]:
    """Return all of a project's images, rejected ones included, in the order of their ids."""
    rows = session.connection().execute(
        select(ImageRow.id, ImageRow.sha256, ImageRow.format, ImageRow.width_px, ImageRow.height_px)
        .join(LabelRow, LabelRow.image_id == ImageRow.id)
        .where(LabelRow.project_id == project_id)
        .order_by(ImageRow.id)
    )
    return [AnalysedImage(*row) for row in rows]


def images_fingerprint(images: Sequence[AnalysedImage], backbone: str) -> str:
    """Return a hash of the images and of the backbone that computes their bottlenecks."""
    ids = np.array([image.id for image in images], np.int64)
    return hashlib.sha256(f"{_VERSION} {backbone} ".encode() + ids.tobytes()).hexdigest()


def is_current(last: LastAnalysis | None, fingerprint: str, folder: Path) -> bool:
    """Return whether the last analysis had exactly these images and its files exist."""
    files = all((folder / name).exists() for name in (IDS_FILE, VECTORS_FILE, MAP_FILE))
    return last is not None and last.facts.get("identity") == fingerprint and files


def analysed_image_ids(folder: Path) -> frozenset[int]:
    """Return the ids of the images of the last analysis."""
    analysed = read_vectors(folder)
    return frozenset() if analysed is None else frozenset(analysed.ids.tolist())


def analyse_images(
    context: AnalysisContext, store: ImageStore, image_set: ImageSet, last: LastAnalysis | None
) -> Mapping[str, Any]:
    """Analyse images, write the results to the analysis files and the database, and return the facts.

    last: the analysis before, whose basis and map are continued. When stopped, nothing is written but
    image quality measures.
    """
    images, vectors, folder, progress = image_set.images, image_set.vectors, context.folder, context.progress
    ids = np.array([image.id for image in images], np.int64)
    rng = np.random.default_rng(_SEED)
    measures = measure_images(images, store, folder, threads=context.threads, progress=progress)
    phase = _("Comparing the images")
    progress.report(phase, 0, len(ids))
    basis, fitted = _load_or_fit_basis(folder, vectors, last)
    reduced = reduce_vectors(vectors, basis, lambda done: progress.report(phase, done, len(ids)))
    results = _image_issues(ids, _features(images, measures, reduced, rng))
    with context.database.read() as session:
        groups = duplicate_group_ids(session, context.project_id, ids)
    order = rank_by_diversity(reduced, kernel_width(reduced), groups=groups, rng=rng)
    results["spread"] = ranking_result(ids[order])
    progress.report(phase, len(ids), len(ids))
    coordinates = compute_layout(
        reduced,
        _previous_coordinates(folder, ids),
        threads=context.threads,
        seed=_SEED,
        on_round=lambda done, total: progress.report(_("Drawing the map"), done, total),
    )
    write_array(folder / _BASIS_FILE, basis)
    write_array(folder / VECTORS_FILE, reduced)
    write_array(folder / MAP_FILE, coordinates)
    write_array(folder / IDS_FILE, ids)
    facts = {
        "identity": image_set.fingerprint,
        "pictures": len(ids),
        "unreadable": image_set.unreadable,
        "fitted": fitted,
        "odd": {kind: len(results[kind].images) for kind in IMAGE_ISSUE_KINDS},
    }
    with context.database.write() as session:
        write_analysis(
            session,
            context.project_id,
            IMAGE_ANALYSIS,
            results,
            operation_number=image_set.operation_number,
            facts=facts,
            now=context.now,
        )
    return facts


def ranking_result(images: npt.NDArray[np.int64]) -> AnalysisResult:
    """Return a ranking as results: scores fall from 1 for the first image in equal steps."""
    return AnalysisResult(images, 1 - np.arange(len(images)) / max(1, len(images)))


def duplicate_group_ids(
    session: Session, project_id: int, ids: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the duplicate group of each image, -1 for none: int64, (N,)."""
    groups = memberships(session, project_id)
    return np.array([groups[i].group_id if i in groups else -1 for i in ids.tolist()], np.int64)


def _features(
    images: Sequence[AnalysedImage], measures: FloatArray, vectors: Float32Array, rng: np.random.Generator
) -> ImageFeatures:
    return ImageFeatures(
        measures=measures,
        width_px=np.array([image.width_px for image in images], np.float64),
        height_px=np.array([image.height_px for image in images], np.float64),
        vectors=vectors,
        rng=rng,
    )


def _image_issues(ids: npt.NDArray[np.int64], features: ImageFeatures) -> dict[str, AnalysisResult]:
    results: dict[str, AnalysisResult] = {}
    for issue in IMAGE_ISSUES:
        scores = issue.scores(features)
        rows = np.flatnonzero(scores)
        results[issue.name] = AnalysisResult(ids[rows], scores[rows])
    return results


def _load_or_fit_basis(
    folder: Path, vectors: Float32Array, last: LastAnalysis | None
) -> tuple[Float32Array, int]:
    """Return the basis, and the number of images it was fitted to."""
    fitted = int(last.facts.get("fitted", 0)) if last is not None else 0
    known = read_array(folder / _BASIS_FILE)
    shape = (vectors.shape[1], DIMENSIONS)
    if known is not None and known.shape == shape and len(vectors) <= _REFIT_FACTOR * fitted:
        return known, fitted
    return fit_basis(vectors), len(vectors)


def _previous_coordinates(folder: Path, ids: npt.NDArray[np.int64]) -> Float32Array:
    """Return each image's coordinates on the map before, NaN for a new image: float32, (N, 2)."""
    previous = np.full((len(ids), 2), np.nan, np.float32)
    analysed, coordinates = read_vectors(folder), read_array(folder / MAP_FILE)
    if analysed is not None and coordinates is not None and coordinates.shape == (len(analysed.ids), 2):
        _both, rows, known = np.intersect1d(ids, analysed.ids, assume_unique=True, return_indices=True)
        previous[rows] = coordinates[known]
    return previous
