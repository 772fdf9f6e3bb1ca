"""Runs' rows, for the modules that give out what is in them: finding one, and how each stands."""

from collections.abc import Collection
from typing import Literal, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from studio.errors import ProjectError
from studio.language import _

JobState = Literal["queued", "running", "done", "failed", "stopped"]


def run_row(session: Session, run_id: int) -> models.Run:
    """Return a run's row. Raises ProjectError where there is none of that id."""
    found = session.get(models.Run, run_id)
    if found is None:
        raise ProjectError(
            _("expected the number of a run; there is none with the number {id}.").format(id=run_id)
        )
    return found


def runs_under_way(session: Session, jobs: Collection[models.Job]) -> set[int]:
    """Return the runs that running jobs are at: of each the first that has neither ended nor failed."""
    running = {job.id for job in jobs if job.state == "running"}
    if not running:
        return set()
    row = models.Run
    rows = session.execute(
        select(row.job_id, row.id, row.facts)
        .where(row.job_id.in_(running), row.ended_at.is_(None))
        .order_by(row.id.desc())
    )
    return set({job_id: run_id for job_id, run_id, facts in rows if not (facts or {}).get("error")}.values())


def state_of(
    row: models.Run, job: models.Job | None, under_way: Collection[int], *, failed: bool
) -> JobState | None:
    """Return how a run stands; None where it has no job. failed: whether it did, whatever its job does."""
    if row.ended_at is not None:
        return "done"
    if job is None:
        return None
    if job.state == "running" and row.id in under_way:
        return "running"
    if failed or job.state == "done":
        return "failed"
    # Of several runs of one job those that come later wait.
    return "queued" if job.state == "running" else cast(JobState, job.state)
