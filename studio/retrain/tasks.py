"""Jobs of retraining: the functions that enqueue a job, each one transaction, and the tasks that run it."""

import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.engine import Database
from studio.arrays import Float32Array
from studio.backbones import BACKBONES
from studio.backbones.speed import measure_speeds
from studio.errors import JobAlreadyRunning, Stopped, StudioError
from studio.i18n import _
from studio.images.near_duplicates import refine_duplicate_groups, run_image_ids
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.jobs.context import JobContext, Task
from studio.progress import Progress
from studio.retrain.curve import CurvePoint
from studio.retrain.measure_confidence import measure_confidence
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, retrain
from studio.retrain.runs import run_records, snapshot_records
from studio.retrain.runs.compare import rerun_options
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext


def enqueue_run(
    database: Database,
    store: ImageStore,
    project_id: int,
    options: RunOptions,
    now: datetime,
    *,
    name: str = "",
) -> int:
    """Freeze the project's labels, create a run on them, and enqueue its job; returns the run's id.

    Raises TooFewImages for fewer than two classes, and JobAlreadyRunning while another retraining of this
    project waits or runs.
    """
    with database.write() as session:
        _check_none_active(session, project_id)
        snapshot_id = _freeze_snapshot(session, store, project_id, options, now)
        run_id = run_records.create_run(session, project_id, snapshot_id, options, now, name=name)
        _enqueue_runs(session, project_id, {"run_id": run_id}, (run_id,), now)
    return run_id


def enqueue_sweep(
    database: Database,
    store: ImageStore,
    project_id: int,
    sweep_options: Sequence[RunOptions],
    now: datetime,
    *,
    name: str = "",
) -> tuple[int, ...]:
    """Create a run for each of `sweep_options` on the current labels, as one job; returns the runs' ids.

    The runs are done in turn; a failed one does not stop the others. A name gets a number for each run.
    Raises what `enqueue_run` does.
    """
    if not sweep_options:
        raise ValueError("expected options of at least one run; got none")
    with database.write() as session:
        _check_none_active(session, project_id)
        snapshot_ids: dict[tuple[float, float, int], int] = {}
        run_ids = []
        for number, options in enumerate(sweep_options, 1):
            # The options that decide the splits; the runs may differ in all others.
            key = options.validation_percentage, options.testing_percentage, options.seed
            if key not in snapshot_ids:
                snapshot_ids[key] = _freeze_snapshot(session, store, project_id, options, now)
            run_name = f"{name} {number}" if name else ""
            run_ids.append(
                run_records.create_run(session, project_id, snapshot_ids[key], options, now, name=run_name)
            )
        _enqueue_runs(session, project_id, {"run_ids": run_ids}, run_ids, now)
    return tuple(run_ids)


def enqueue_rerun(database: Database, run_id: int, now: datetime) -> int:
    """Create and enqueue a run with the snapshot and the options of another; returns the new run's id.

    A run that chose its options within a time budget is repeated with the options that it chose. Raises
    ProjectError if there is no such run, and JobAlreadyRunning as `enqueue_run` does.
    """
    with database.write() as session:
        earlier = run_records.get_run(session, run_id)
        _check_none_active(session, earlier.project_id)
        new_id = run_records.create_run(
            session,
            earlier.project_id,
            earlier.snapshot_id,
            rerun_options(earlier.options, earlier.facts),
            now,
            name=earlier.name,
            rerun_of=run_id,
        )
        _enqueue_runs(session, earlier.project_id, {"run_id": new_id}, (new_id,), now)
    return new_id


def enqueue_backbone_measurement(database: Database, project_id: int, now: datetime) -> int:
    """Enqueue a speed measurement of the installed backbones on this machine; returns the job's id.

    project_id: of the page that shows the progress. While such a job waits or runs, its id is returned.
    """
    with database.write() as session:
        active = queue.latest(session, project_id, {"measure_backbones"}, live_only=True)
        if active is not None:
            return active.id
        return queue.enqueue(session, "measure_backbones", {}, project_id, now)


def _check_none_active(session: Session, project_id: int) -> None:
    if queue.latest(session, project_id, {"retrain"}, live_only=True) is not None:
        raise JobAlreadyRunning(
            _("This project is already being retrained. Wait until it ends, or stop it first.")
        )


def _freeze_snapshot(
    session: Session, store: ImageStore, project_id: int, options: RunOptions, now: datetime
) -> int:
    snapshot = snapshot_records.current_snapshot(session, project_id, options, store)
    snapshot.check()
    return snapshot_records.freeze_snapshot(session, project_id, snapshot, now)


def _enqueue_runs(
    session: Session, project_id: int, arguments: dict[str, Any], run_ids: Sequence[int], now: datetime
) -> None:
    job_id = queue.enqueue(session, "retrain", arguments, project_id, now)
    for run_id in run_ids:
        run_records.set_job(session, run_id, job_id)


def _run_retrain(work: JobContext) -> dict[str, Any]:
    if "run_ids" in work.job.arguments:
        return _run_sweep(work, work.job.arguments["run_ids"])
    return _run_one(work, work.job.arguments["run_id"], work.progress)


def _run_sweep(work: JobContext, run_ids: Sequence[int]) -> dict[str, Any]:
    """Do the runs that have not ended yet; raise the first error only if none of them ends."""
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    first_error: Exception | None = None
    for number, run_id in enumerate(run_ids, 1):
        with work.database.write() as session:
            if run_records.get_run(session, run_id).ended_at is not None:
                done.append({"run_id": run_id, "warnings": [], "refused": []})
                continue
            run_records.set_error(session, run_id, None)
        try:
            done.append(_run_one(work, run_id, _NumberedProgress(work.progress, number, len(run_ids))))
        except Stopped:
            raise
        except Exception as error:
            first_error = first_error or error
            message = " ".join(str(error).split())
            if not isinstance(error, StudioError):
                message = _("Something unexpected happened ({kind}: {error}).").format(
                    kind=type(error).__name__, error=message
                )
            failed.append({"run_id": run_id, "error": message, "details": traceback.format_exc()})
            with work.database.write() as session:
                run_records.set_error(session, run_id, message)
    if first_error is not None and not done:
        raise first_error
    return {
        "run_ids": list(run_ids),
        "failed": failed,
        # Runs of a sweep give the same warnings about the same images.
        "warnings": list(dict.fromkeys(warning for run in done for warning in run["warnings"])),
        "refused": list({file["name"]: file for run in done for file in run["refused"]}.values()),
    }


class _NumberedProgress:
    """A `Progress` that adds the number of the run in a sweep to the phase."""

    def __init__(self, progress: Progress, number: int, count: int) -> None:
        self._progress, self._number, self._count = progress, number, count

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Report with the run's number."""
        numbered = _("Run {number} of {count}: {phase}").format(
            number=self._number, count=self._count, phase=phase
        )
        self._progress.report(numbered, done, total)


def _run_one(work: JobContext, run_id: int, progress: Progress) -> dict[str, Any]:
    settings = work.settings
    with work.database.read() as session:
        run = run_records.get_run(session, run_id)
        store = ImageStore(settings.images_dir)
        snapshot = snapshot_records.load_snapshot(session, run_id, store)

    unwritten: list[CurvePoint] = []

    def add_points(points: Sequence[CurvePoint]) -> None:
        unwritten.extend(points)
        try:
            with work.database.write() as session:
                run_records.add_points(session, run_id, unwritten)
        except OperationalError:  # the database is locked: they are written with the next points
            return
        unwritten.clear()

    def write_attribution(used: Snapshot, folder: Path) -> None:
        with work.database.read() as session:
            snapshot_records.write_attribution(session, work.project_id, used, folder)

    def check_leakage(used: Snapshot, vectors: Float32Array | None) -> frozenset[str]:
        if vectors is not None:
            _refine_duplicate_groups(work, run_id, used, vectors, progress)
        with work.database.read() as session:
            return snapshot_records.leaked_test_images(session, run_id)

    context = RunContext(
        settings.runs_dir / run.folder,
        settings.bottleneck_dir,
        settings.backbones_dir,
        settings.threads_used,
        progress,
        on_points=add_points,
        write_attribution=write_attribution,
        check_leakage=check_leakage,
    )
    result = retrain(snapshot, run.options, context)
    with work.database.write() as session:
        run_records.add_points(session, run_id, unwritten)
        run_records.finish(session, run_id, result, datetime.now(UTC))
    measure_confidence(
        result.run_dir, settings.bottleneck_dir, threads=settings.threads_used, progress=progress
    )
    return _result_json(run_id, result)


def _refine_duplicate_groups(
    work: JobContext, run_id: int, used: Snapshot, vectors: Float32Array, progress: Progress
) -> None:
    """Refine the duplicate groups of a run's images by their bottlenecks, which exist by now."""
    with work.database.read() as session:
        image_ids, new = run_image_ids(session, run_id)
    if new:
        ids = [image_ids[example.sha256] for example in used.examples]
        refine_duplicate_groups(work.database, work.project_id, ids, vectors, new=new, progress=progress)


def _result_json(run_id: int, result: RunResult) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "warnings": list(result.warnings),
        "refused": [{"name": str(file.path), "reason": file.reason} for file in result.skipped],
    }


def _run_measure_backbones(work: JobContext) -> dict[str, Any]:
    speeds = measure_speeds(
        [backbone.name for backbone in BACKBONES.values() if backbone.installed],
        work.settings.backbones_dir,
        threads=work.settings.threads_used,
        progress=work.progress,
    )
    return {"pictures_a_second": speeds}


TASKS = (Task("retrain", _run_retrain), Task("measure_backbones", _run_measure_backbones))
