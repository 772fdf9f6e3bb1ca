"""Jobs of curating: the analysis of a project's images and that of its labels, run and requested when due."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from db.engine import Database
from db.labelling import lock_project
from db.models import AnalysisRow, ImageClassRow, JobRow, LabelChangeRow, LabelOperationRow, LabelRow
from studio.curate.analysis_results import (
    IMAGE_ANALYSIS,
    LABEL_ANALYSIS,
    AnalysisContext,
    AnalysisKind,
    last_analysis,
    write_analysis,
)
from studio.curate.image_quality import AnalysedImage
from studio.jobs import queue
from studio.jobs.context import JobContext, Task

MIN_NEW_DECISIONS = 10
"""So many labels after a label analysis the next one is due."""
_RETRY_AFTER = timedelta(minutes=1)
"""An analysis that failed or was stopped is not requested again before."""


def request_image_analysis(database: Database, project_id: int, now: datetime) -> int | None:
    """Queue an analysis of a project's images where images were added since the last; return the job's id.

    None where none is due: not while an import waits or runs, nor while an image analysis does.
    """
    with database.read() as session:
        due = _image_analysis_due(session, project_id, now)
    return _enqueue(database, IMAGE_ANALYSIS, project_id, now) if due else None


def request_label_analysis(database: Database, project_id: int, now: datetime) -> int | None:
    """Queue an analysis of a project's labels where one is due; return the job's id.

    One is due after ten labels, after an analysis of other images, and once two classes have two images each.
    None where none is due, or one waits or runs: the next label requests it again. Without an image analysis
    that is requested, and the label analysis follows it. Takes 2 ms: it is called after each batch of labels.
    """
    with database.read() as session:
        image_analysis = _last_analysis(session, project_id, IMAGE_ANALYSIS)
        due = image_analysis is not None and _label_analysis_due(session, project_id, image_analysis, now)
    if image_analysis is None:
        return request_image_analysis(database, project_id, now)
    return _enqueue(database, LABEL_ANALYSIS, project_id, now) if due else None


def request_follow_up_analysis(
    database: Database, job: queue.Job, outcome: queue.State, now: datetime
) -> None:
    """Queue what follows from an ended job: an image analysis after an import, then a label analysis."""
    if job.project_id is None:
        return
    analysed = job.kind in ANALYSIS_KINDS and outcome == "done"
    if not analysed and not job.kind.startswith("ingest_"):
        return
    # After an analysis, too: images may have been added meanwhile, or enough labels.
    if request_image_analysis(database, job.project_id, now) is None and analysed:
        request_label_analysis(database, job.project_id, now)


@dataclass(frozen=True)
class _SourceFile:
    sha256: str
    path: Path


def _run_image_analysis(job: JobContext) -> dict[str, Any]:
    import numpy as np

    from db.labelling import latest_operation_number
    from studio.backbones import DEFAULT, get_backbone, prepare_backbone
    from studio.backbones.bottleneck_cache import BottleneckCache
    from studio.backbones.embedding import embed
    from studio.curate.analyse_images import (
        ImageSet,
        analyse_images,
        analysed_image_ids,
        images_fingerprint,
        is_current,
        list_images,
    )
    from studio.images.store import ImageStore

    settings, context = job.settings, _context(job)
    with job.database.read() as session:
        number = latest_operation_number(session, job.project_id)
        images = list_images(session, job.project_id)
        last = last_analysis(session, job.project_id, IMAGE_ANALYSIS)
    default = get_backbone(DEFAULT)
    fingerprint = images_fingerprint(images, f"{default.fingerprint} {default.preprocessing.fingerprint}")
    if last is not None and is_current(last, fingerprint, context.folder):
        _mark_up_to_date(job, number)
        return {"pictures": len(images), "unreadable": last.facts.get("unreadable", 0), "changed": False}
    store = ImageStore(settings.images_dir)
    backbone = prepare_backbone(DEFAULT, settings.backbones_dir, job.progress)
    cache = BottleneckCache.of(settings.bottleneck_dir, backbone)
    files = [_SourceFile(each.sha256, store.original(each.sha256, each.format)) for each in images]
    failed = embed(files, backbone, cache, threads=settings.threads_used, progress=job.progress)
    unreadable = {each.sha256 for each in failed}
    readable = [each for each in images if each.sha256 not in unreadable]
    context.folder.mkdir(parents=True, exist_ok=True)
    # Mapped from disk, so that memory does not grow with the images. The file goes with the array.
    with tempfile.TemporaryFile(dir=context.folder) as scratch:
        # An empty file cannot be mapped.
        vectors = np.memmap(scratch, np.float32, "w+", shape=(max(1, len(readable)), backbone.features))
        try:
            cache.vectors([each.sha256 for each in readable], out=vectors[: len(readable)])
            _group_duplicates(job, readable, vectors[: len(readable)], analysed_image_ids(context.folder))
            image_set = ImageSet(readable, vectors[: len(readable)], fingerprint, number, len(unreadable))
            facts = analyse_images(_context(job), store, image_set, last)
        finally:
            del vectors  # Windows cannot remove a mapped file
    return {
        "pictures": len(images),
        "unreadable": len(unreadable),
        "odd": facts["odd"],
        "changed": True,
    }


def _run_label_analysis(job: JobContext) -> dict[str, Any]:
    from studio.curate.analyse_labels import analyse_labels
    from studio.curate.analysis_files import read_vectors

    if read_vectors(_context(job).folder) is None:  # never analysed, or the files are missing
        _run_image_analysis(job)
    return dict(analyse_labels(_context(job)))


TASKS = (
    Task(IMAGE_ANALYSIS, _run_image_analysis, "analysis"),
    Task(LABEL_ANALYSIS, _run_label_analysis, "analysis"),
)
ANALYSIS_KINDS = {task.kind for task in TASKS}


def _context(job: JobContext) -> AnalysisContext:
    return AnalysisContext(
        job.database,
        job.project_id,
        job.settings.analyses_dir / str(job.project_id),
        job.progress,
        job.now(),
        job.settings.threads_used,
    )


def _group_duplicates(
    job: JobContext, images: Sequence[AnalysedImage], vectors: Any, analysed: frozenset[int]
) -> None:
    """Group near-duplicates by bottlenecks: images added since the last analysis with all."""
    from studio.images.near_duplicates import refine_duplicate_groups

    ids = [each.id for each in images]
    new = [image_id for image_id in ids if image_id not in analysed]
    if new:
        refine_duplicate_groups(job.database, job.project_id, ids, vectors, new=new, progress=job.progress)


def _mark_up_to_date(job: JobContext, number: int) -> None:
    """Record that the images are still the same at this operation's number."""
    with job.database.write() as session:
        last = last_analysis(session, job.project_id, IMAGE_ANALYSIS)
        if last is not None and last.operation_number < number:
            write_analysis(
                session,
                job.project_id,
                IMAGE_ANALYSIS,
                {},
                operation_number=number,
                facts=last.facts,
                now=job.now(),
            )


def _image_analysis_due(session: Session, project_id: int, now: datetime) -> bool:
    if _is_live(session, project_id, JobRow.kind == IMAGE_ANALYSIS) or _is_live(
        session, project_id, JobRow.kind.startswith("ingest_")
    ):
        return False
    last = _last_analysis(session, project_id, IMAGE_ANALYSIS)
    number = -1 if last is None else last[0]
    operation, change = LabelOperationRow, LabelChangeRow
    # Imports have no author, so that an index finds them among all labels of people.
    added = (
        select(operation.id)
        .where(
            operation.project_id == project_id,
            operation.author == "",
            operation.direction == "do",
            operation.number > number,
            exists().where(change.operation_id == operation.id, change.state_before.is_(None)),
        )
        .limit(1)
    )
    return session.scalar(added) is not None and not _failed_recently(
        session, project_id, IMAGE_ANALYSIS, now
    )


def _label_analysis_due(
    session: Session, project_id: int, image_analysis: tuple[int, datetime], now: datetime
) -> bool:
    if _is_live(session, project_id, JobRow.kind.in_((IMAGE_ANALYSIS, LABEL_ANALYSIS))):
        return False
    last = _last_analysis(session, project_id, LABEL_ANALYSIS)
    due = (
        last is None
        or image_analysis[1] > last[1]
        or _count_decisions(session, project_id, last[0]) >= MIN_NEW_DECISIONS
        or (_had_too_few_classes(session, project_id) and _has_two_classes(session, project_id))
    )
    return due and not _failed_recently(session, project_id, LABEL_ANALYSIS, now)


def _last_analysis(session: Session, project_id: int, kind: AnalysisKind) -> tuple[int, datetime] | None:
    row = session.execute(
        select(AnalysisRow.operation_number, AnalysisRow.at).where(
            AnalysisRow.project_id == project_id, AnalysisRow.kind == kind
        )
    ).first()
    return None if row is None else (row.operation_number, row.at)


def _count_decisions(session: Session, project_id: int, number: int) -> int:
    """Count the labels given after an operation's number, up to `MIN_NEW_DECISIONS`."""
    since = (
        select(LabelChangeRow.image_id)
        .join(LabelOperationRow, LabelOperationRow.id == LabelChangeRow.operation_id)
        .where(LabelOperationRow.project_id == project_id, LabelOperationRow.number > number)
        .limit(MIN_NEW_DECISIONS)
    )
    return len(session.scalars(since).all())


def _had_too_few_classes(session: Session, project_id: int) -> bool:
    """Return whether the last label analysis had fewer than two classes."""
    facts = session.scalar(
        select(AnalysisRow.facts).where(
            AnalysisRow.project_id == project_id, AnalysisRow.kind == LABEL_ANALYSIS
        )
    )
    return facts is not None and facts.get("classes", 0) < 2  # noqa: PLR2004 - a classifier takes two


def _has_two_classes(session: Session, project_id: int) -> bool:
    """Return whether two classes have two images each."""
    second = (
        select(LabelRow.image_id)
        .where(
            LabelRow.project_id == project_id,
            LabelRow.state == "labelled",
            LabelRow.class_id == ImageClassRow.id,
        )
        .offset(1)
        .limit(1)
    )
    classes = select(ImageClassRow.id).where(
        ImageClassRow.project_id == project_id, ImageClassRow.removed_at.is_(None), second.exists()
    )
    return len(session.scalars(classes.limit(2)).all()) == 2  # noqa: PLR2004


def _is_live(session: Session, project_id: int, condition: ColumnElement[bool]) -> bool:
    live = select(JobRow.id).where(
        JobRow.project_id == project_id, JobRow.state.in_(("queued", "running")), condition
    )
    return session.scalar(live.limit(1)) is not None


def _failed_recently(session: Session, project_id: int, kind: AnalysisKind, now: datetime) -> bool:
    newest = session.execute(
        select(JobRow.state, JobRow.ended_at)
        .where(JobRow.project_id == project_id, JobRow.kind == kind)
        .order_by(JobRow.id.desc())
        .limit(1)
    ).first()
    if newest is None or newest.state not in {"failed", "stopped"}:
        return False
    return newest.ended_at is not None and now - newest.ended_at < _RETRY_AFTER


def _enqueue(database: Database, kind: AnalysisKind, project_id: int, now: datetime) -> int | None:
    with database.write() as session:
        # Checked again under the lock: of two requests at once one adds the job.
        if not lock_project(session, project_id) or _is_live(session, project_id, JobRow.kind == kind):
            return None
        return queue.enqueue(session, kind, {}, project_id, now)
