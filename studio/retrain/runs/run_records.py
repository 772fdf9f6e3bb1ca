"""Runs of a project and their training curves in the database: writing them, and queries over them."""

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
from studio.retrain.evaluation.evaluation import LARGE_PARTS, Evaluation
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.retrain.run_folder import MODEL_FILE
from studio.retrain.runs.compare import RunOutcome

_BATCH_SIZE = 500
"""Largest number of values in one statement."""
JobState = Literal["queued", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class RunSummary:
    """A run as lists show it. ended_at and evaluation: None until it has finished.

    evaluation: in lists without predictions and precision-recall curves, which `get_run` loads.
    images: number of images in its snapshot. facts: as `RunResult.facts`; empty until it has finished.
    job_state: the state of this run, whatever the states of other runs of its job; None without a job.
    error: why it failed, one line; empty if it did not fail.
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
    """Add a run that has not started and return its id."""
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
    # The id, because several runs may be created in one microsecond.
    run.folder = f"{now:%Y%m%d-%H%M%S-%f}-{project_id}-{run.id}"
    session.flush()
    return run.id


def set_job(session: Session, run_id: int, job_id: int) -> None:
    """Store the job that does the run."""
    run_row(session, run_id).job_id = job_id


def add_points(session: Session, run_id: int, points: Sequence[CurvePoint]) -> None:
    """Append points to a run's curves; points that exist already, after a resume, are left unchanged."""
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


def get_curve(session: Session, run_id: int) -> tuple[CurvePoint, ...]:
    """Return the points of a run's curves, sorted by step."""
    return get_curves(session, (run_id,))[run_id]


def get_curves(
    session: Session, run_ids: Iterable[int], after: Mapping[int, int] | None = None
) -> dict[int, tuple[CurvePoint, ...]]:
    """Return the points of each run's curves, sorted by step.

    after: for each run the step after which points are returned; all points of runs that it does not name.
    """
    row = models.CurvePointRow
    points = {}
    for run_id in run_ids:
        query = select(row.step, row.split, row.accuracy, row.cross_entropy, row.elapsed_s).where(
            row.run_id == run_id,
            # Both splits are named so that the index (run, split, step) also serves the step.
            row.split.in_(("training", "validation")),
            row.step > (after or {}).get(run_id, -1),
        )
        points[run_id] = tuple(
            CurvePoint(step, cast(CurveSplit, split), accuracy, cross_entropy, elapsed_s)
            for step, split, accuracy, cross_entropy, elapsed_s in session.execute(query.order_by(row.step))
        )
    return points


def finish(session: Session, run_id: int, result: RunResult, now: datetime) -> None:
    """Store the result of a run, and its model. A second call changes nothing."""
    run = run_row(session, run_id)
    values = result.evaluation.to_json()
    run.answers = {part: values.pop(part) for part in LARGE_PARTS}
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
                "size_bytes": (result.run_dir / MODEL_FILE).stat().st_size,
                "created_at": now,
            }
        ],
    )


def set_error(session: Session, run_id: int, error: str | None) -> None:
    """Store why a run failed, one line, or None when it starts again."""
    run_row(session, run_id).facts = {"error": error} if error else {}


def rename(session: Session, run_id: int, name: str) -> None:
    """Set a run's name; an empty one removes it."""
    run_row(session, run_id).name = " ".join(name.split())


def set_note(session: Session, run_id: int, note: str) -> None:
    """Set a run's note; an empty one removes it."""
    run_row(session, run_id).note = note.strip()


def delete(session: Session, run_ids: Collection[int], now: datetime) -> None:
    """Mark runs as deleted; their files and rows stay, so that they can be restored."""
    _set_deleted_at(session, run_ids, now)


def restore(session: Session, run_ids: Collection[int]) -> None:
    """Remove the mark of deleted runs."""
    _set_deleted_at(session, run_ids, None)


def _set_deleted_at(session: Session, run_ids: Collection[int], at: datetime | None) -> None:
    row = models.RunRow
    chosen = row.id.in_(run_ids), row.deleted_at.is_(None) if at else row.deleted_at.is_not(None)
    session.execute(update(row).where(*chosen).values(deleted_at=at))


def list_runs(session: Session, project_id: int, *, deleted: bool = False) -> tuple[RunSummary, ...]:
    """Return a project's runs, the newest first: those not deleted, or only the deleted ones."""
    deleted_at = models.RunRow.deleted_at
    is_wanted = deleted_at.is_not(None) if deleted else deleted_at.is_(None)
    return tuple(_summaries(session, models.RunRow.project_id == project_id, is_wanted))


def get_run(session: Session, run_id: int) -> RunSummary:
    """Return one run with its predictions and curves. Raises ProjectError if there is no such run."""
    answers = run_row(session, run_id).answers
    return next(_summaries(session, models.RunRow.id == run_id, answers=answers or {}))


def run_outcome(session: Session, run_id: int) -> RunOutcome | None:
    """Return the outcome of a run, to compare with its rerun; None until it has finished."""
    run = get_run(session, run_id)
    model_sha256 = session.scalar(select(models.ModelRow.sha256).filter_by(run_id=run_id))
    if run.evaluation is None or model_sha256 is None:
        return None
    return RunOutcome(run.evaluation, model_sha256, run.facts.get("versions", {}))


def previous_run_id(session: Session, run_id: int) -> int | None:
    """Return the newest run of the same project before this one that has finished and is not deleted."""
    run = run_row(session, run_id)
    row = models.RunRow
    return session.scalar(
        select(row.id)
        .where(
            row.project_id == run.project_id,
            row.id < run_id,
            row.ended_at.is_not(None),
            row.deleted_at.is_(None),
        )
        .order_by(row.id.desc())
        .limit(1)
    )


def newest_accuracy(session: Session, project_id: int) -> float | None:
    """Return the test accuracy, 0-1, of the project's newest finished run; None if there is no such run."""
    row = models.RunRow
    return session.scalar(
        select(row.evaluation["accuracy"].as_float())
        .where(row.project_id == project_id, row.ended_at.is_not(None), row.deleted_at.is_(None))
        .order_by(row.id.desc())
        .limit(1)
    )


def image_ids_by_sha256(session: Session, digests: Collection[str]) -> dict[str, int]:
    """Return the ids of images by SHA-256; those that do not exist are left out."""
    ordered = sorted(digests)
    ids: dict[str, int] = {}
    for start in range(0, len(ordered), _BATCH_SIZE):
        batch = ordered[start : start + _BATCH_SIZE]
        rows = session.execute(
            select(models.ImageRow.sha256, models.ImageRow.id).where(models.ImageRow.sha256.in_(batch))
        )
        ids.update((sha256, image_id) for sha256, image_id in rows)
    return ids


def best_validation_accuracies(session: Session, run_ids: Collection[int]) -> dict[int, float]:
    """Return each run's best validation accuracy, 0-1; runs without validation points are left out."""
    rows = session.execute(
        select(models.CurvePointRow.run_id, func.max(models.CurvePointRow.accuracy))
        .where(models.CurvePointRow.run_id.in_(run_ids), models.CurvePointRow.split == "validation")
        .group_by(models.CurvePointRow.run_id)
    )
    return dict(rows.all())


def run_ids_in_project(session: Session, project_id: int, run_ids: Collection[int]) -> list[int]:
    """Return the ids that are runs of this project, sorted."""
    query = (
        select(models.RunRow.id)
        .where(models.RunRow.id.in_(run_ids), models.RunRow.project_id == project_id)
        .order_by(models.RunRow.id)
    )
    return list(session.scalars(query))


def run_row(session: Session, run_id: int) -> models.RunRow:
    """Return the row of a run, for queries of this package. Raises ProjectError if there is no such run."""
    row = session.get(models.RunRow, run_id)
    if row is None:
        raise ProjectError(
            _("expected the number of a run; there is no run with the number {id}.").format(id=run_id)
        )
    return row


def _summaries(
    session: Session, *conditions: ColumnElement[bool], answers: Mapping[str, Any] | None = None
) -> Iterator[RunSummary]:
    rows = session.execute(
        select(models.RunRow, models.SnapshotRow.images, models.JobRow)
        .join(models.SnapshotRow, models.SnapshotRow.id == models.RunRow.snapshot_id)
        .outerjoin(models.JobRow, models.JobRow.id == models.RunRow.job_id)
        .where(*conditions)
        .order_by(models.RunRow.id.desc())
    ).all()
    active = _active_run_ids(session, [job for _run, _images, job in rows if job is not None])
    for row, images, job in rows:
        facts = dict(row.facts or {})
        error = facts.pop("error", "")
        state = _run_state(row, job, active, failed=bool(error))
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


def _active_run_ids(session: Session, jobs: Collection[models.JobRow]) -> set[int]:
    """Return the ids of the runs being trained: for each running job the first not ended and not failed."""
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


def _run_state(
    row: models.RunRow, job: models.JobRow | None, active: Collection[int], *, failed: bool
) -> JobState | None:
    """Return the state of a run; None without a job. failed: whether the run itself has failed."""
    if row.ended_at is not None:
        return "done"
    if job is None:
        return None
    if job.state == "running" and row.id in active:
        return "running"
    if failed or job.state == "done":
        return "failed"
    # The later runs of a sweep wait.
    return "queued" if job.state == "running" else cast(JobState, job.state)
