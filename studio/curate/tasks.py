"""The looks that the studio takes by itself: a survey of a project's images, a review of its labels."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from db.engine import Database
from db.labelling import hold
from db.models import AnalysisRow, ImageClassRow, JobRow, LabelChangeRow, LabelOperationRow, LabelRow
from studio.jobs import queue
from studio.jobs.context import JobContext, Task

if TYPE_CHECKING:
    from studio.curate.image_quality import AnalysedImage


@dataclass(frozen=True)
class _File:
    sha256: str
    path: Path


def _survey(work: JobContext) -> dict[str, Any]:
    import numpy as np

    from db.labelling import newest_number
    from studio.backbones import DEFAULT, backbone_named, ready
    from studio.backbones.bottleneck_cache import BottleneckCache
    from studio.backbones.embedding import embed
    from studio.curate.analyse_images import identity_of, images_of, is_current, survey, surveyed_before
    from studio.curate.findings import last_study
    from studio.images.store import ImageStore

    settings, folder = work.settings, _folder(work)
    with work.database.read() as session:
        number = newest_number(session, work.project_id)
        images = images_of(session, work.project_id)
        last = last_study(session, work.project_id, "survey")
    named = backbone_named(DEFAULT)
    identity = identity_of(images, f"{named.fingerprint} {named.preprocessing.fingerprint}")
    if last is not None and is_current(last, identity, folder):
        _note(work, number)
        return {"pictures": len(images), "unreadable": last.facts.get("unreadable", 0), "changed": False}
    store = ImageStore(settings.images_dir)
    backbone = ready(DEFAULT, settings.backbones_dir, work.progress)
    cache = BottleneckCache.of(settings.bottleneck_dir, backbone)
    files = [_File(each.sha256, store.original(each.sha256, each.format)) for each in images]
    refused = embed(files, backbone, cache, threads=settings.threads_used, progress=work.progress)
    without = {refusal.sha256 for refusal in refused}
    seen = [each for each in images if each.sha256 not in without]
    folder.mkdir(parents=True, exist_ok=True)
    # On disk, mapped: memory does not grow with the images. It goes when the array does.
    with tempfile.TemporaryFile(dir=folder) as scratch:
        # A map of nothing cannot be made.
        vectors = np.memmap(scratch, np.float32, "w+", shape=(max(1, len(seen)), backbone.features))
        try:
            cache.vectors([each.sha256 for each in seen], out=vectors[: len(seen)])
            _compare(work, seen, vectors[: len(seen)], surveyed_before(folder))
            facts = survey(
                work.database,
                store,
                folder,
                work.project_id,
                seen,
                vectors[: len(seen)],
                last=last,
                identity=identity,
                operation_number=number,
                threads=settings.threads_used,
                unreadable=len(without),
                progress=work.progress,
                now=work.now(),
            )
        finally:
            del vectors  # Windows cannot remove a file that is mapped
    return {
        "pictures": len(images),
        "unreadable": len(without),
        "odd": facts["odd"],
        "changed": True,
    }


def _review(work: JobContext) -> dict[str, Any]:
    from studio.curate.analyse_labels import review
    from studio.curate.analysis_files import read_studied

    folder = _folder(work)
    if read_studied(folder) is None:  # never looked through, or the files are gone
        _survey(work)
    return dict(review(work.database, folder, work.project_id, progress=work.progress, now=work.now()))


def _compare(
    work: JobContext, images: Sequence["AnalysedImage"], vectors: Any, known: frozenset[int]
) -> None:
    """Group near copies by bottlenecks, those that came since the last survey with all."""
    from studio.images.near_duplicates import refine_duplicate_groups

    ids = [each.id for each in images]
    new = [image_id for image_id in ids if image_id not in known]
    if new:
        refine_duplicate_groups(work.database, work.project_id, ids, vectors, new=new, progress=work.progress)


def _note(work: JobContext, number: int) -> None:
    """Write that the images were the same at this point of the history."""
    from studio.curate.findings import last_study, write_study

    with work.database.write() as session:
        last = last_study(session, work.project_id, "survey")
        if last is not None and last.operation_number < number:
            write_study(
                session,
                work.project_id,
                "survey",
                {},
                operation_number=number,
                facts=last.facts,
                now=work.now(),
            )


def _folder(work: JobContext) -> Path:
    return work.settings.studies_dir / str(work.project_id)


TASKS = (Task("survey", _survey, "analysis"), Task("review", _review, "analysis"))
ANALYSIS_KINDS = {task.kind for task in TASKS}
DECISIONS = 10
"""After so many the suggestions are worth being made anew."""
_AGAIN_AFTER = timedelta(minutes=1)
"""A look that ended badly, or that somebody stopped, is not asked for again at once."""
_Look = Literal["survey", "review"]


def survey_soon(database: Database, project_id: int, now: datetime) -> int | None:
    """Ask for a survey of a project's images where some have come since the last; returns the job's id.

    None where none is due: not while images are coming in, nor while a survey waits or runs.
    """
    with database.read() as session:
        due = _survey_due(session, project_id, now)
    return _enqueue(database, "survey", project_id, now) if due else None


def review_soon(database: Database, project_id: int, now: datetime) -> int | None:
    """Ask for a review of a project's labels where one is due; returns the job's id.

    One is due after ten decisions, after a survey of other images, and once there are two classes to tell
    apart. None where none is due, or one waits or runs: whoever decides next asks again. Where no survey has
    been made, that is asked for, and the review follows it. Takes 2 ms, for it is called after every batch of
    labels.
    """
    with database.read() as session:
        surveyed = _studied(session, project_id, "survey")
        due = surveyed is not None and _review_due(session, project_id, surveyed, now)
    if surveyed is None:
        return survey_soon(database, project_id, now)
    return _enqueue(database, "review", project_id, now) if due else None


def look_after(database: Database, job: queue.Job, outcome: queue.State, now: datetime) -> None:
    """Ask for what follows from a job that has ended: images that came are surveyed, then reviewed."""
    if job.project_id is None:
        return
    looked = job.kind in {"survey", "review"} and outcome == "done"
    if not looked and not job.kind.startswith("ingest_"):
        return
    # After a look too: images may have come meanwhile, and if not, enough may have been decided.
    if survey_soon(database, job.project_id, now) is None and looked:
        review_soon(database, job.project_id, now)


def _survey_due(session: Session, project_id: int, now: datetime) -> bool:
    if _is_live(session, project_id, JobRow.kind == "survey") or _is_live(
        session, project_id, JobRow.kind.startswith("ingest_")
    ):
        return False
    studied = _studied(session, project_id, "survey")
    number = -1 if studied is None else studied[0]
    operation, change = LabelOperationRow, LabelChangeRow
    # What brings images in has no author, so that an index finds it among all that people decided.
    came = (
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
    return session.scalar(came) is not None and not _ended_badly(session, project_id, "survey", now)


def _review_due(session: Session, project_id: int, surveyed: tuple[int, datetime], now: datetime) -> bool:
    if _is_live(session, project_id, JobRow.kind.in_(("survey", "review"))):
        return False
    studied = _studied(session, project_id, "review")
    due = (
        studied is None
        or surveyed[1] > studied[1]
        or _decided(session, project_id, studied[0]) >= DECISIONS
        or (_was_blind(session, project_id) and _two_classes(session, project_id))
    )
    return due and not _ended_badly(session, project_id, "review", now)


def _studied(session: Session, project_id: int, kind: _Look) -> tuple[int, datetime] | None:
    row = session.execute(
        select(AnalysisRow.operation_number, AnalysisRow.at).where(
            AnalysisRow.project_id == project_id, AnalysisRow.kind == kind
        )
    ).first()
    return None if row is None else (row.operation_number, row.at)


def _decided(session: Session, project_id: int, number: int) -> int:
    """Return how many decisions there are after a number of the history; DECISIONS where there are more."""
    since = (
        select(LabelChangeRow.image_id)
        .join(LabelOperationRow, LabelOperationRow.id == LabelChangeRow.operation_id)
        .where(LabelOperationRow.project_id == project_id, LabelOperationRow.number > number)
        .limit(DECISIONS)
    )
    return len(session.scalars(since).all())


def _was_blind(session: Session, project_id: int) -> bool:
    """Whether the last review had fewer than two classes to tell apart."""
    facts = session.scalar(
        select(AnalysisRow.facts).where(AnalysisRow.project_id == project_id, AnalysisRow.kind == "review")
    )
    return facts is not None and facts.get("classes", 0) < 2  # noqa: PLR2004 - telling apart takes two


def _two_classes(session: Session, project_id: int) -> bool:
    """Whether two classes have two images each."""
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


def _is_live(session: Session, project_id: int, which: ColumnElement[bool]) -> bool:
    live = select(JobRow.id).where(
        JobRow.project_id == project_id, JobRow.state.in_(("queued", "running")), which
    )
    return session.scalar(live.limit(1)) is not None


def _ended_badly(session: Session, project_id: int, kind: _Look, now: datetime) -> bool:
    newest = session.execute(
        select(JobRow.state, JobRow.ended_at)
        .where(JobRow.project_id == project_id, JobRow.kind == kind)
        .order_by(JobRow.id.desc())
        .limit(1)
    ).first()
    if newest is None or newest.state not in {"failed", "stopped"}:
        return False
    return newest.ended_at is not None and now - newest.ended_at < _AGAIN_AFTER


def _enqueue(database: Database, kind: _Look, project_id: int, now: datetime) -> int | None:
    with database.write() as session:
        # Looked at again under the lock: of two that ask at once one is heard.
        if not hold(session, project_id) or _is_live(session, project_id, JobRow.kind == kind):
            return None
        return queue.enqueue(session, kind, {}, project_id, now)
