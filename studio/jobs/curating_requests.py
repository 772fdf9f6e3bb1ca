"""Asking for the looks that the studio takes at pictures and labels by itself: only where one is due."""

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from db.curate_models import Study
from db.engine import Database
from db.labelling import hold
from db.models import ImageClass, Job, Label, LabelChange, LabelOperation
from studio.jobs import queue

DECISIONS = 10
"""After so many the suggestions are worth being made anew."""
_AGAIN_AFTER = timedelta(minutes=1)
"""A look that ended badly, or that somebody stopped, is not asked for again at once."""
_Look = Literal["survey", "review"]


def survey_soon(database: Database, project_id: int, now: datetime) -> int | None:
    """Ask for a survey of a project's pictures where some have come since the last; returns the job's id.

    None where none is due: not while pictures are coming in, nor while a survey waits or runs.
    """
    with database.read() as session:
        due = _survey_due(session, project_id, now)
    return _enqueue(database, "survey", project_id, now) if due else None


def review_soon(database: Database, project_id: int, now: datetime) -> int | None:
    """Ask for a review of a project's labels where one is due; returns the job's id.

    One is due after ten decisions, after a survey of other pictures, and once there are two classes to tell
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
    """Ask for what follows from a job that has ended: pictures that came are surveyed, then reviewed."""
    if job.project_id is None:
        return
    looked = job.kind in {"survey", "review"} and outcome == "done"
    if not looked and not job.kind.startswith("ingest_"):
        return
    # After a look too: pictures may have come meanwhile, and if not, enough may have been decided.
    if survey_soon(database, job.project_id, now) is None and looked:
        review_soon(database, job.project_id, now)


def _survey_due(session: Session, project_id: int, now: datetime) -> bool:
    if _is_live(session, project_id, Job.kind == "survey") or _is_live(
        session, project_id, Job.kind.startswith("ingest_")
    ):
        return False
    studied = _studied(session, project_id, "survey")
    number = -1 if studied is None else studied[0]
    operation, change = LabelOperation, LabelChange
    # What brings pictures in has no author, so that an index finds it among all that people decided.
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
    if _is_live(session, project_id, Job.kind.in_(("survey", "review"))):
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
        select(Study.operation_number, Study.at).where(Study.project_id == project_id, Study.kind == kind)
    ).first()
    return None if row is None else (row.operation_number, row.at)


def _decided(session: Session, project_id: int, number: int) -> int:
    """Return how many decisions there are after a number of the history; DECISIONS where there are more."""
    since = (
        select(LabelChange.image_id)
        .join(LabelOperation, LabelOperation.id == LabelChange.operation_id)
        .where(LabelOperation.project_id == project_id, LabelOperation.number > number)
        .limit(DECISIONS)
    )
    return len(session.scalars(since).all())


def _was_blind(session: Session, project_id: int) -> bool:
    """Whether the last review had fewer than two classes to tell apart."""
    facts = session.scalar(select(Study.facts).where(Study.project_id == project_id, Study.kind == "review"))
    return facts is not None and facts.get("classes", 0) < 2  # noqa: PLR2004 - telling apart takes two


def _two_classes(session: Session, project_id: int) -> bool:
    """Whether two classes have two pictures each."""
    second = (
        select(Label.image_id)
        .where(Label.project_id == project_id, Label.state == "labelled", Label.class_id == ImageClass.id)
        .offset(1)
        .limit(1)
    )
    classes = select(ImageClass.id).where(
        ImageClass.project_id == project_id, ImageClass.removed_at.is_(None), second.exists()
    )
    return len(session.scalars(classes.limit(2)).all()) == 2  # noqa: PLR2004


def _is_live(session: Session, project_id: int, which: ColumnElement[bool]) -> bool:
    live = select(Job.id).where(Job.project_id == project_id, Job.state.in_(("queued", "running")), which)
    return session.scalar(live.limit(1)) is not None


def _ended_badly(session: Session, project_id: int, kind: _Look, now: datetime) -> bool:
    newest = session.execute(
        select(Job.state, Job.ended_at)
        .where(Job.project_id == project_id, Job.kind == kind)
        .order_by(Job.id.desc())
        .limit(1)
    ).first()
    if newest is None or newest.state not in {"failed", "stopped"}:
        return False
    return newest.ended_at is not None and now - newest.ended_at < _AGAIN_AFTER


def _enqueue(database: Database, kind: _Look, project_id: int, now: datetime) -> int | None:
    with database.write() as session:
        # Looked at again under the lock: of two that ask at once one is heard.
        if not hold(session, project_id) or _is_live(session, project_id, Job.kind == kind):
            return None
        return queue.enqueue(session, kind, {}, project_id, now)
