"""A project's snapshots, runs and curves in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from sqlalchemy import ColumnElement, ScalarSelect, SQLColumnExpression, func, insert, literal, select
from sqlalchemy.orm import Session, aliased

from db import models
from db.upsert import insert_ignoring
from studio.atomic import atomic_text
from studio.collect import attribution
from studio.collect.store import PictureStore
from studio.curate.split import Split
from studio.errors import ProjectError
from studio.language import _
from studio.retrain.curve import CurvePoint, CurveSplit
from studio.retrain.evaluation import Evaluation
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.retrain.run_folder import ATTRIBUTION_TABLE, ATTRIBUTION_TEXT, MODEL
from studio.retrain.snapshot import Example, Labelled, Snapshot


@dataclass(frozen=True)
class RunSummary:
    """A run as lists show it. ended_at and evaluation: None until it has ended well."""

    id: int
    project_id: int
    job_id: int | None
    folder: str
    options: RunOptions
    evaluation: Evaluation | None
    pictures: int
    created_at: datetime
    ended_at: datetime | None


def snapshot_of(session: Session, project_id: int, options: RunOptions, store: PictureStore) -> Snapshot:
    """Return the project's labelled pictures as they are now, dealt out to splits.

    Near copies fall on the same side, and so does every picture that a split came with.
    """
    rows = session.execute(
        select(
            models.Image.sha256,
            models.Image.format,
            models.ImageClass.name,
            _group(models.Label.project_id),
            models.Label.split,
        )
        .join(models.Label, models.Label.image_id == models.Image.id)
        .join(models.ImageClass, models.ImageClass.id == models.Label.class_id)
        .where(models.Label.project_id == project_id, models.Label.state == "labelled")
    )
    return Snapshot.of(
        (
            Labelled(sha256, store.original(sha256, kind), name, group or "", cast(Split | None, given))
            for sha256, kind, name, group, given in rows
        ),
        validation_percentage=options.validation_percentage,
        testing_percentage=options.testing_percentage,
        seed=options.seed,
    )


def freeze(session: Session, project_id: int, snapshot: Snapshot, now: datetime) -> int:
    """Store a snapshot and return its id; one that the project has already is not stored again."""
    row = models.Snapshot
    known = session.scalar(select(row.id).filter_by(project_id=project_id, hash=snapshot.hash))
    if known is not None:
        return known
    frozen = models.Snapshot(project_id=project_id, hash=snapshot.hash, created_at=now)
    session.add(frozen)
    session.flush()
    rows = session.execute(
        select(models.Image.sha256, models.Image.id)
        .join(models.Label, models.Label.image_id == models.Image.id)
        .where(models.Label.project_id == project_id)
    )
    ids = {sha256: image_id for sha256, image_id in rows}  # noqa: C416 - dict(rows) does not type-check
    session.execute(
        insert(models.SnapshotImage),
        [
            {
                "snapshot_id": frozen.id,
                "image_id": ids[example.sha256],
                "class_name": example.label,
                "split": example.split,
            }
            for example in snapshot.examples
        ],
    )
    return frozen.id


def create_run(
    session: Session, project_id: int, snapshot_id: int, options: RunOptions, now: datetime
) -> int:
    """Add a run that has not begun and return its id."""
    run = models.Run(
        project_id=project_id,
        snapshot_id=snapshot_id,
        # Unique already by its time; the id that follows makes two in one instant differ.
        folder=f"{now:%Y%m%d-%H%M%S-%f}-{project_id}",
        options=options.to_json(),
        created_at=now,
    )
    session.add(run)
    session.flush()
    return run.id


def give_job(session: Session, run_id: int, job_id: int) -> None:
    """Say which job does the run."""
    _row(session, run_id).job_id = job_id


def load_snapshot(session: Session, run_id: int, store: PictureStore) -> Snapshot:
    """Return what a run trains on, as it was frozen."""
    run = _row(session, run_id)
    rows = session.execute(
        select(
            models.Image.sha256,
            models.Image.format,
            models.SnapshotImage.class_name,
            models.SnapshotImage.split,
            _group(literal(run.project_id)),
        )
        .join(models.Image, models.Image.id == models.SnapshotImage.image_id)
        .where(models.SnapshotImage.snapshot_id == run.snapshot_id)
        .order_by(models.Image.sha256)
    ).all()
    return Snapshot(
        examples=tuple(
            Example(sha256, store.original(sha256, kind), label, cast(Split, split), group or "")
            for sha256, kind, label, split, group in rows
        ),
        classes=tuple(sorted({row.class_name for row in rows})),
        seed=RunOptions.from_json(run.options).seed,
    )


def add_points(session: Session, run_id: int, points: Sequence[CurvePoint]) -> None:
    """Append to a run's curves; a point that is there already, after work was taken up again, is left."""
    insert_ignoring(
        session,
        models.CurvePoint,
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
    rows = session.scalars(
        select(models.CurvePoint).filter_by(run_id=run_id).order_by(models.CurvePoint.step)
    )
    return tuple(
        CurvePoint(row.step, cast(CurveSplit, row.split), row.accuracy, row.cross_entropy, row.elapsed_s)
        for row in rows
    )


def write_attribution(session: Session, project_id: int, snapshot: Snapshot, folder: Path) -> None:
    """Write who made a snapshot's pictures and under which licence, as a table and as a text."""
    credits = attribution.rows(session, project_id, {e.sha256: e.label for e in snapshot.examples})
    with atomic_text(folder / ATTRIBUTION_TABLE) as file:
        file.write(attribution.as_csv(credits))
    with atomic_text(folder / ATTRIBUTION_TEXT) as file:
        file.write(attribution.as_text(credits))


def finish(session: Session, run_id: int, result: RunResult, now: datetime) -> None:
    """Store what a run came to, and its model. Done twice, it changes nothing."""
    run = _row(session, run_id)
    run.evaluation = result.evaluation.to_json()
    run.ended_at = run.ended_at or now
    insert_ignoring(
        session,
        models.Model,
        [
            {
                "run_id": run_id,
                "sha256": result.model_sha256,
                "size_bytes": (result.run_dir / MODEL).stat().st_size,
                "created_at": now,
            }
        ],
    )


def runs(session: Session, project_id: int) -> tuple[RunSummary, ...]:
    """Return a project's runs, the newest first."""
    return _summaries(session, models.Run.project_id == project_id)


def run(session: Session, run_id: int) -> RunSummary:
    """Return one run. Raises ProjectError where there is none of that id."""
    _row(session, run_id)
    return _summaries(session, models.Run.id == run_id)[0]


def newest_accuracy(session: Session, project_id: int) -> float | None:
    """Return the test accuracy, 0-1, of the project's newest finished run; None where there is none."""
    evaluation = session.scalar(
        select(models.Run.evaluation)
        .where(models.Run.project_id == project_id, models.Run.ended_at.is_not(None))
        .order_by(models.Run.id.desc())
        .limit(1)
    )
    return None if evaluation is None else Evaluation.from_json(evaluation).accuracy


def _group(project_id: SQLColumnExpression[int]) -> ScalarSelect[str]:
    """The SHA-256 of the first picture of an image's group of near copies, whatever became of that one."""
    member, first = aliased(models.CopyGroup), aliased(models.Image)
    return (
        select(first.sha256)
        .join(member, member.group_id == first.id)
        .where(member.project_id == project_id, member.image_id == models.Image.id)
        .correlate(models.Image, models.Label)
        .scalar_subquery()
    )


def _summaries(session: Session, which: ColumnElement[bool]) -> tuple[RunSummary, ...]:
    pictures = (
        select(func.count())
        .where(models.SnapshotImage.snapshot_id == models.Run.snapshot_id)
        .correlate(models.Run)
        .scalar_subquery()
    )
    rows = session.execute(select(models.Run, pictures).where(which).order_by(models.Run.id.desc()))
    return tuple(_summary(row, count) for row, count in rows)


def _summary(row: models.Run, pictures: int) -> RunSummary:
    return RunSummary(
        id=row.id,
        project_id=row.project_id,
        job_id=row.job_id,
        folder=row.folder,
        options=RunOptions.from_json(row.options),
        evaluation=None if row.evaluation is None else Evaluation.from_json(row.evaluation),
        pictures=pictures,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _row(session: Session, run_id: int) -> models.Run:
    run = session.get(models.Run, run_id)
    if run is None:
        raise ProjectError(
            _("expected a run of this project; there is none with the number {id}.").format(id=run_id)
        )
    return run
