"""A project's runs and their curves in the database."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from db import models
from db.engine import insert_ignoring
from studio.errors import ProjectError
from studio.i18n import _
from studio.retrain.curve import CurvePoint, CurveSplit
from studio.retrain.evaluation.evaluation import ANSWERS, Evaluation
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.retrain.run_folder import MODEL
from studio.retrain.runs.compare import Outcome

JobState = Literal["queued", "running", "done", "failed", "stopped"]


def run_row(session: Session, run_id: int) -> models.RunRow:
    """Return a run's row. Raises ProjectError where there is none of that id."""
    found = session.get(models.RunRow, run_id)
    if found is None:
        raise ProjectError(
            _("expected the number of a run; there is none with the number {id}.").format(id=run_id)
        )
    return found


def runs_under_way(session: Session, jobs: Collection[models.JobRow]) -> set[int]:
    """Return the runs that running jobs are at: of each the first that has neither ended nor failed."""
    running = {job.id for job in jobs if job.state == "running"}
    if not running:
        return set()
    row = models.RunRow
    rows = session.execute(
        select(row.job_id, row.id, row.facts)
        .where(row.job_id.in_(running), row.ended_at.is_(None))
        .order_by(row.id.desc())
    )
    return set({job_id: run_id for job_id, run_id, facts in rows if not (facts or {}).get("error")}.values())


def state_of(
    row: models.RunRow, job: models.JobRow | None, under_way: Collection[int], *, failed: bool
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


_AT_ONCE = 500
"""So many values at most stand in one statement."""


@dataclass(frozen=True)
class RunSummary:
    """A run as lists show it. ended_at and evaluation: None until it has ended well.

    evaluation: in lists without its predictions and precision-recall curves, which `run` has.
    images: in its snapshot. facts: what it was made with, what it took and tried; empty until then.
    job_state: how this run stands, whatever becomes of others of its job; None where it has no job.
    error: why it failed, one line; empty where it did not.
    """

    id: int
    project_id: int
    job_id: int | None
    folder: str
    options: RunOptions
    evaluation: Evaluation | None
    images: int
    created_at: datetime
    ended_at: datetime | None
    name: str = ""
    note: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    rerun_of: int | None = None
    deleted_at: datetime | None = None
    snapshot_id: int = 0
    job_state: JobState | None = None
    error: str = ""


def create_run(
    session: Session,
    project_id: int,
    snapshot_id: int,
    options: RunOptions,
    now: datetime,
    *,
    name: str = "",
    rerun_of: int | None = None,
) -> int:
    """Add a run that has not begun and return its id."""
    run = models.RunRow(
        project_id=project_id,
        snapshot_id=snapshot_id,
        folder="",
        name=name.strip(),
        options=options.to_json(),
        rerun_of=rerun_of,
        created_at=now,
    )
    session.add(run)
    session.flush()
    # Several may be asked for in one instant.
    run.folder = f"{now:%Y%m%d-%H%M%S-%f}-{project_id}-{run.id}"
    session.flush()
    return run.id


def give_job(session: Session, run_id: int, job_id: int) -> None:
    """Say which job does the run."""
    run_row(session, run_id).job_id = job_id


def add_points(session: Session, run_id: int, points: Sequence[CurvePoint]) -> None:
    """Append to a run's curves; a point that is there already, after work was taken up again, is left."""
    insert_ignoring(
        session,
        models.CurvePointRow,
        [
            {
                "run_id": run_id,
                "split": point.split,
                "step": point.step,
                "accuracy": point.accuracy,
                "cross_entropy": point.cross_entropy,
                "elapsed_s": point.elapsed_s,
            }
            for point in points
        ],
    )


def curve(session: Session, run_id: int) -> tuple[CurvePoint, ...]:
    """Return a run's points in the order of their steps."""
    return curves(session, (run_id,))[run_id]


def curves(
    session: Session, run_ids: Iterable[int], after: Mapping[int, int] | None = None
) -> dict[int, tuple[CurvePoint, ...]]:
    """Return the points of each run in the order of their steps.

    after: for a run the step after which its points are wanted; all of them where it names none.
    """
    row = models.CurvePointRow
    found = {}
    for run_id in run_ids:
        wanted = select(row.step, row.split, row.accuracy, row.cross_entropy, row.elapsed_s).where(
            row.run_id == run_id,
            # Named, so that the key serves the steps too.
            row.split.in_(("training", "validation")),
            row.step > (after or {}).get(run_id, -1),
        )
        found[run_id] = tuple(
            CurvePoint(step, cast(CurveSplit, split), accuracy, cross_entropy, elapsed_s)
            for step, split, accuracy, cross_entropy, elapsed_s in session.execute(wanted.order_by(row.step))
        )
    return found


def finish(session: Session, run_id: int, result: RunResult, now: datetime) -> None:
    """Store what a run came to, and its model. Done twice, it changes nothing."""
    run = run_row(session, run_id)
    values = result.evaluation.to_json()
    run.answers = {part: values.pop(part) for part in ANSWERS}
    run.evaluation = values
    run.facts = dict(result.facts)
    run.ended_at = run.ended_at or now
    insert_ignoring(
        session,
        models.ModelRow,
        [
            {
                "run_id": run_id,
                "sha256": result.model_sha256,
                "size_bytes": (result.run_dir / MODEL).stat().st_size,
                "created_at": now,
            }
        ],
    )


def fail(session: Session, run_id: int, error: str | None) -> None:
    """Write why a run failed, one line, or None when it is begun anew."""
    run_row(session, run_id).facts = {"error": error} if error else {}


def rename(session: Session, run_id: int, name: str) -> None:
    """Give a run a name; an empty one takes it away."""
    run_row(session, run_id).name = " ".join(name.split())


def annotate(session: Session, run_id: int, note: str) -> None:
    """Give a run a note; an empty one takes it away."""
    run_row(session, run_id).note = note.strip()


def delete(session: Session, run_ids: Collection[int], now: datetime) -> None:
    """Show some runs no longer; all they left stays, so that they can be brought back."""
    _mark(session, run_ids, now)


def bring_back(session: Session, run_ids: Collection[int]) -> None:
    """Show runs again that were deleted."""
    _mark(session, run_ids, None)


def _mark(session: Session, run_ids: Collection[int], at: datetime | None) -> None:
    row = models.RunRow
    chosen = row.id.in_(run_ids), row.deleted_at.is_(None) if at else row.deleted_at.is_not(None)
    session.execute(update(row).where(*chosen).values(deleted_at=at))


def runs(session: Session, project_id: int, *, deleted: bool = False) -> tuple[RunSummary, ...]:
    """Return a project's runs, the newest first: those that are shown, or instead those that were deleted."""
    gone = models.RunRow.deleted_at.is_not(None) if deleted else models.RunRow.deleted_at.is_(None)
    return tuple(_summaries(session, models.RunRow.project_id == project_id, gone))


def run(session: Session, run_id: int) -> RunSummary:
    """Return one run with all its answers. Raises ProjectError where there is none of that id."""
    answers = run_row(session, run_id).answers
    return next(_summaries(session, models.RunRow.id == run_id, answers=answers or {}))


def outcome(session: Session, run_id: int) -> Outcome | None:
    """Return what a run came to, to be compared with its repetition; None until it has ended well."""
    found = run(session, run_id)
    model = session.scalar(select(models.ModelRow.sha256).filter_by(run_id=run_id))
    if found.evaluation is None or model is None:
        return None
    return Outcome(found.evaluation, model, found.facts.get("versions", {}))


def previous(session: Session, run_id: int) -> int | None:
    """Return the newest run of the same project before this one that ended well and is shown."""
    this = run_row(session, run_id)
    row = models.RunRow
    return session.scalar(
        select(row.id)
        .where(
            row.project_id == this.project_id,
            row.id < run_id,
            row.ended_at.is_not(None),
            row.deleted_at.is_(None),
        )
        .order_by(row.id.desc())
        .limit(1)
    )


def newest_accuracy(session: Session, project_id: int) -> float | None:
    """Return the test accuracy, 0-1, of the project's newest finished run; None where there is none."""
    row = models.RunRow
    return session.scalar(
        select(row.evaluation["accuracy"].as_float())
        .where(row.project_id == project_id, row.ended_at.is_not(None), row.deleted_at.is_(None))
        .order_by(row.id.desc())
        .limit(1)
    )


def image_ids(session: Session, digests: Collection[str]) -> dict[str, int]:
    """Return the ids of images by their SHA-256, of those that there are."""
    wanted = sorted(digests)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        rows = session.execute(
            select(models.ImageRow.sha256, models.ImageRow.id).where(models.ImageRow.sha256.in_(part))
        )
        found.update((sha256, image_id) for sha256, image_id in rows)
    return found


def _summaries(
    session: Session, *which: ColumnElement[bool], answers: Mapping[str, Any] | None = None
) -> Iterator[RunSummary]:
    rows = session.execute(
        select(models.RunRow, models.SnapshotRow.images, models.JobRow)
        .join(models.SnapshotRow, models.SnapshotRow.id == models.RunRow.snapshot_id)
        .outerjoin(models.JobRow, models.JobRow.id == models.RunRow.job_id)
        .where(*which)
        .order_by(models.RunRow.id.desc())
    ).all()
    under_way = runs_under_way(session, [job for _run, _images, job in rows if job is not None])
    for row, images, job in rows:
        facts = dict(row.facts or {})
        error = facts.pop("error", "")
        state = state_of(row, job, under_way, failed=bool(error))
        if state == "failed" and job is not None:
            error = error or job.error or ""
        yield RunSummary(
            id=row.id,
            project_id=row.project_id,
            job_id=row.job_id,
            folder=row.folder,
            options=RunOptions.from_json(row.options),
            evaluation=None
            if row.evaluation is None
            else Evaluation.from_json({**row.evaluation, **(answers or {})}),
            images=images,
            created_at=row.created_at,
            ended_at=row.ended_at,
            name=row.name,
            note=row.note,
            facts=facts,
            rerun_of=row.rerun_of,
            deleted_at=row.deleted_at,
            snapshot_id=row.snapshot_id,
            job_state=state,
            error=error,
        )


def best_validations(session: Session, run_ids: Collection[int]) -> dict[int, float]:
    """Return each run's best validation accuracy, 0-1; runs without a validation point are left out."""
    rows = session.execute(
        select(models.CurvePointRow.run_id, func.max(models.CurvePointRow.accuracy))
        .where(models.CurvePointRow.run_id.in_(run_ids), models.CurvePointRow.split == "validation")
        .group_by(models.CurvePointRow.run_id)
    )
    return dict(rows.all())


def runs_among(session: Session, project_id: int, run_ids: Collection[int]) -> list[int]:
    """Return those of the ids that are runs of this project."""
    wanted = (
        select(models.RunRow.id)
        .where(models.RunRow.id.in_(run_ids), models.RunRow.project_id == project_id)
        .order_by(models.RunRow.id)
    )
    return list(session.scalars(wanted))
