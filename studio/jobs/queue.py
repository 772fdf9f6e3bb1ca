"""The job queue: functions over the `jobs` table (see `docs/decisions/0004-jobs.md`).

A worker that claims a job writes a token of its own into the row. Every later update needs that token, so
that a worker that was taken for dead and comes back cannot interfere with its successor.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from db import models
from db.engine import BUSY_TIMEOUT_S
from studio.i18n import _

State = Literal["queued", "running", "done", "failed", "stopped"]

SILENCE = timedelta(seconds=BUSY_TIMEOUT_S + 5)
"""A running job without a heartbeat for this long is given to another worker.

Longer than a worker may have to wait for the database while others write.
"""

ATTEMPTS = 3
"""A job whose process dies this often fails."""


@dataclass(frozen=True)
class Job:
    """A job in its current state."""

    id: int
    project_id: int | None
    kind: str
    arguments: Mapping[str, Any]
    state: State
    phase: str
    done: int
    total: int | None
    phase_started_at: datetime | None
    phase_started_from: int
    stop_requested: bool
    error: str | None
    result: Mapping[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def live(self) -> bool:
        """Return whether the job is queued or running."""
        return self.state in {"queued", "running"}

    @property
    def fraction(self) -> float:
        """Return the finished share of the phase, 0 to 1; 0 if the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def seconds_left(self, now: datetime) -> float | None:
        """Estimate the seconds that the phase still takes; None if unknown."""
        finished = self.done - self.phase_started_from
        if self.phase_started_at is None or not self.total or finished <= 0:
            return None
        elapsed_s = (now - self.phase_started_at).total_seconds()
        return max(0.0, elapsed_s / finished * (self.total - self.done))


def enqueue(
    session: Session, kind: str, arguments: Mapping[str, Any], project_id: int | None, now: datetime
) -> int:
    """Add a job to the end of the queue and return its id."""
    job = models.JobRow(
        kind=kind, arguments=dict(arguments), project_id=project_id, state="queued", created_at=now
    )
    session.add(job)
    session.flush()
    return job.id


def find(session: Session, job_id: int) -> Job | None:
    """Return a job; None if there is none of this id."""
    row = session.get(models.JobRow, job_id)
    return None if row is None else _job(row)


def latest(
    session: Session, project_id: int, kinds: Collection[str], *, live_only: bool = False
) -> Job | None:
    """Return a project's newest job of these kinds."""
    wanted = select(models.JobRow).where(
        models.JobRow.project_id == project_id, models.JobRow.kind.in_(kinds)
    )
    if live_only:
        wanted = wanted.where(models.JobRow.state.in_(("queued", "running")))
    row = session.scalars(wanted.order_by(models.JobRow.id.desc()).limit(1)).first()
    return None if row is None else _job(row)


def live(session: Session, project_id: int, kinds: Collection[str]) -> list[Job]:
    """Return a project's queued and running jobs of these kinds, the oldest first."""
    rows = session.scalars(
        select(models.JobRow)
        .where(
            models.JobRow.project_id == project_id,
            models.JobRow.kind.in_(kinds),
            models.JobRow.state.in_(("queued", "running")),
        )
        .order_by(models.JobRow.id)
    )
    return [_job(row) for row in rows]


def unfinished(session: Session, project_id: int, kind: str, arguments: Mapping[str, Any]) -> Job | None:
    """Return the newest job of this kind with exactly these arguments that is not done."""
    rows = session.scalars(
        select(models.JobRow)
        .where(
            models.JobRow.project_id == project_id, models.JobRow.kind == kind, models.JobRow.state != "done"
        )
        .order_by(models.JobRow.id.desc())
    )
    return next((_job(row) for row in rows if row.arguments == arguments), None)


def request_stop(session: Session, job_id: int, now: datetime) -> None:
    """Stop a job: at once if it is queued, within two seconds if it runs."""
    session.execute(
        update(models.JobRow)
        .where(models.JobRow.id == job_id, models.JobRow.state == "queued")
        .values(state="stopped", stop_requested=True, ended_at=now)
    )
    session.execute(
        update(models.JobRow)
        .where(models.JobRow.id == job_id, models.JobRow.state == "running")
        .values(stop_requested=True)
    )


def resume(session: Session, job_id: int) -> None:
    """Queue a stopped or failed job again; it continues from what it had finished."""
    session.execute(
        update(models.JobRow)
        .where(models.JobRow.id == job_id, models.JobRow.state.in_(("stopped", "failed")))
        .values(state="queued", stop_requested=False, attempts=0, error=None, details=None, ended_at=None)
    )


def has_queued(session: Session, kinds: Collection[str]) -> bool:
    """Return whether a job of these kinds is queued, without taking a lock."""
    wanted = models.JobRow.state == "queued", models.JobRow.kind.in_(kinds)
    return session.scalar(select(models.JobRow.id).where(*wanted).limit(1)) is not None


def claim(session: Session, token: str, now: datetime, kinds: Collection[str]) -> Job | None:
    """Claim the oldest queued job of these kinds; no two workers get the same one."""
    return _claim(session, token, now, models.JobRow.kind.in_(kinds))


def claim_one(session: Session, job_id: int, token: str, now: datetime) -> Job | None:
    """Claim this job if it is still queued."""
    return _claim(session, token, now, models.JobRow.id == job_id)


def _claim(session: Session, token: str, now: datetime, wanted: ColumnElement[bool]) -> Job | None:
    row = session.scalars(
        select(models.JobRow)
        .where(models.JobRow.state == "queued", wanted)
        .order_by(models.JobRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    row.state, row.worker, row.heartbeat_at = "running", token, now
    row.attempts += 1
    row.started_at = row.started_at or now
    session.flush()
    return _job(row)


def heartbeat(session: Session, job_id: int, token: str, now: datetime) -> Job | None:
    """Record that the worker is alive; returns the job, or None if another worker has it."""
    row = session.scalars(_held(job_id, token)).first()
    if row is None:
        return None
    row.heartbeat_at = now
    return _job(row)


def progress(
    session: Session, job_id: int, token: str, now: datetime, phase: str, done: int, total: int | None
) -> Job | None:
    """Record the job's progress; returns the job, or None if another worker has it."""
    row = session.scalars(_held(job_id, token)).first()
    if row is None:
        return None
    if row.phase != phase or row.phase_started_at is None:
        row.phase, row.phase_started_at, row.phase_started_from = phase, now, done
    row.done, row.total = done, total
    return _job(row)


def end(
    session: Session,
    job_id: int,
    token: str,
    now: datetime,
    state: State,
    *,
    result: Mapping[str, Any] | None = None,
    error: str | None = None,
    details: str | None = None,
) -> bool:
    """Record how the job ended; returns False if another worker has it."""
    row = session.scalars(_held(job_id, token)).first()
    if row is None:
        return False
    row.state, row.ended_at, row.error, row.details = state, now, error, details
    row.result = None if result is None else dict(result)
    return True


def release(session: Session, job_id: int, token: str, now: datetime) -> None:
    """Requeue a job whose process died; after `ATTEMPTS` times it fails."""
    row = session.scalars(_held(job_id, token)).first()
    if row is not None:
        _requeue(row, now)


def requeue_lost(session: Session, now: datetime) -> int:
    """Requeue every job without a heartbeat for `SILENCE`; returns how many."""
    oldest = now - SILENCE
    rows = session.scalars(
        select(models.JobRow)
        .where(models.JobRow.state == "running", models.JobRow.heartbeat_at < oldest)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        _requeue(row, now)
    return len(rows)


def count_live(session: Session) -> int:
    """Count the queued and running jobs."""
    states = ("queued", "running")
    return session.scalar(select(func.count()).where(models.JobRow.state.in_(states))) or 0


def _requeue(row: models.JobRow, now: datetime) -> None:
    row.worker = None
    if row.stop_requested:
        row.state, row.ended_at = "stopped", now
    elif row.attempts >= ATTEMPTS:
        row.state, row.ended_at = "failed", now
        row.error = _(
            "The job ended unexpectedly {count} times, perhaps because memory ran out. What was finished is "
            "kept: close other programs and press Continue."
        ).format(count=row.attempts)
    else:
        row.state = "queued"


def _held(job_id: int, token: str) -> Any:
    return select(models.JobRow).where(
        models.JobRow.id == job_id, models.JobRow.state == "running", models.JobRow.worker == token
    )


def _job(row: models.JobRow) -> Job:
    return Job(
        id=row.id,
        project_id=row.project_id,
        kind=row.kind,
        arguments=row.arguments,
        state=row.state,  # type: ignore[arg-type]
        phase=row.phase,
        done=row.done,
        total=row.total,
        phase_started_at=row.phase_started_at,
        phase_started_from=row.phase_started_from,
        stop_requested=row.stop_requested,
        error=row.error,
        result=row.result,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
