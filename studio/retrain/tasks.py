"""Asking for long work: each function is one transaction that leaves a job in the queue."""

import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.engine import Database
from studio.arrays import Float32Array
from studio.errors import JobAlreadyRunning, Stopped, StudioError
from studio.i18n import _
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.jobs.context import JobContext, Task
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records, snapshot_records
from studio.retrain.runs.compare import options_to_repeat

if TYPE_CHECKING:
    from studio.progress import Progress
    from studio.retrain.curve import CurvePoint
    from studio.retrain.run import RunResult
    from studio.retrain.snapshot import Snapshot


def retrain(
    database: Database,
    store: ImageStore,
    project_id: int,
    options: RunOptions,
    now: datetime,
    *,
    name: str = "",
) -> int:
    """Freeze the project's labels as they are and ask for a run on them; returns the run's id.

    Raises TooLittleToLearnFrom where there are fewer than two classes, and AlreadyAtWork while another
    retraining of this project waits or runs.
    """
    with database.write() as session:
        _refuse_two_at_once(session, project_id)
        snapshot_id = _frozen(session, store, project_id, options, now)
        run_id = run_records.create_run(session, project_id, snapshot_id, options, now, name=name)
        _enqueue_runs(session, project_id, {"run_id": run_id}, (run_id,), now)
    return run_id


def sweep(
    database: Database,
    store: ImageStore,
    project_id: int,
    several: Sequence[RunOptions],
    now: datetime,
    *,
    name: str = "",
) -> tuple[int, ...]:
    """Ask for a run with each of `several` options, on the labels as they are, as one job; returns their ids.

    They are done in turn; one that fails does not keep the others from it. A name is numbered. Raises what
    `retrain` does.
    """
    if not several:
        raise ValueError("expected options of one run or more; got none")
    with database.write() as session:
        _refuse_two_at_once(session, project_id)
        frozen: dict[tuple[float, float, int], int] = {}
        run_ids = []
        for number, options in enumerate(several, 1):
            # What deals images out; all else the runs may have each for itself.
            dealt = options.validation_percentage, options.testing_percentage, options.seed
            if dealt not in frozen:
                frozen[dealt] = _frozen(session, store, project_id, options, now)
            said = f"{name} {number}" if name else ""
            run_ids.append(
                run_records.create_run(session, project_id, frozen[dealt], options, now, name=said)
            )
        _enqueue_runs(session, project_id, {"run_ids": run_ids}, run_ids, now)
    return tuple(run_ids)


def rerun(database: Database, run_id: int, now: datetime) -> int:
    """Ask for a run to be done again, with the same images, labels, splits and options; returns the new id.

    A run that chose its options within so many minutes is done again with what it chose. Raises ProjectError
    where there is no such run, and AlreadyAtWork as `retrain` does.
    """
    with database.write() as session:
        again = run_records.run(session, run_id)
        _refuse_two_at_once(session, again.project_id)
        new_id = run_records.create_run(
            session,
            again.project_id,
            again.snapshot_id,
            options_to_repeat(again.options, again.facts),
            now,
            name=again.name,
            rerun_of=run_id,
        )
        _enqueue_runs(session, again.project_id, {"run_id": new_id}, (new_id,), now)
    return new_id


def measure_backbones(database: Database, project_id: int, now: datetime) -> int:
    """Ask for the backbones that need no download to be measured on this machine; returns the job's id.

    project_id: of the page that shows how far it is. Asked twice, it is one job.
    """
    with database.write() as session:
        under_way = queue.latest(session, project_id, {"measure_backbones"}, live_only=True)
        if under_way is not None:
            return under_way.id
        return queue.enqueue(session, "measure_backbones", {}, project_id, now)


def _refuse_two_at_once(session: Session, project_id: int) -> None:
    if queue.latest(session, project_id, {"retrain"}, live_only=True) is not None:
        raise JobAlreadyRunning(_("This project is being retrained already. Wait for it, or stop it first."))


def _frozen(session: Session, store: ImageStore, project_id: int, options: RunOptions, now: datetime) -> int:
    snapshot = snapshot_records.snapshot_of(session, project_id, options, store)
    snapshot.check()
    return snapshot_records.freeze(session, project_id, snapshot, now)


def _enqueue_runs(
    session: Session, project_id: int, arguments: dict[str, Any], run_ids: Sequence[int], now: datetime
) -> None:
    job_id = queue.enqueue(session, "retrain", arguments, project_id, now)
    for run_id in run_ids:
        run_records.give_job(session, run_id, job_id)


def _retrain(work: JobContext) -> dict[str, Any]:
    if "run_ids" in work.job.arguments:
        return _sweep(work, work.job.arguments["run_ids"])
    return _run(work, work.job.arguments["run_id"], work.progress)


def _sweep(work: JobContext, run_ids: Sequence[int]) -> dict[str, Any]:
    """Do several runs, each that has not ended yet; raise only where none of them has come to an end."""
    from studio.retrain.runs import run_records

    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    first: Exception | None = None
    for number, run_id in enumerate(run_ids, 1):
        with work.database.write() as session:
            if run_records.run(session, run_id).ended_at is not None:
                done.append({"run_id": run_id, "warnings": [], "refused": []})
                continue
            run_records.fail(session, run_id, None)
        try:
            done.append(_run(work, run_id, _Numbered(work.progress, number, len(run_ids))))
        except Stopped:
            raise
        except Exception as error:
            first = first or error
            said = " ".join(str(error).split())
            if not isinstance(error, StudioError):
                said = _("Something unexpected happened ({kind}: {error}).").format(
                    kind=type(error).__name__, error=said
                )
            failed.append({"run_id": run_id, "error": said, "details": traceback.format_exc()})
            with work.database.write() as session:
                run_records.fail(session, run_id, said)
    if first is not None and not done:
        raise first
    return {
        "run_ids": list(run_ids),
        "failed": failed,
        # Several runs say the same of the same images.
        "warnings": list(dict.fromkeys(warning for each in done for warning in each["warnings"])),
        "refused": list({each["name"]: each for run in done for each in run["refused"]}.values()),
    }


class _Numbered:
    """A `Progress` that says which of several runs it speaks of."""

    def __init__(self, progress: "Progress", number: int, count: int) -> None:
        self._progress, self._number, self._count = progress, number, count

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Pass it on."""
        said = _("Run {number} of {count}: {phase}").format(
            number=self._number, count=self._count, phase=phase
        )
        self._progress.report(said, done, total)


def _run(work: JobContext, run_id: int, progress: "Progress") -> dict[str, Any]:
    from studio.images.store import ImageStore
    from studio.retrain.measure_confidence import measured
    from studio.retrain.run import retrain
    from studio.retrain.runs import run_records, snapshot_records

    with work.database.read() as session:
        run = run_records.run(session, run_id)
        store = ImageStore(work.settings.images_dir)
        snapshot = snapshot_records.load_snapshot(session, run_id, store)

    waiting: list[CurvePoint] = []

    def add(points: "Sequence[CurvePoint]") -> None:
        waiting.extend(points)
        try:
            with work.database.write() as session:
                run_records.add_points(session, run_id, waiting)
        except OperationalError:  # they cannot be written now, and go with the next
            return
        waiting.clear()

    def attribute(used: "Snapshot", folder: Path) -> None:
        with work.database.read() as session:
            snapshot_records.write_attribution(session, work.project_id, used, folder)

    def find_copies(used: "Snapshot", vectors: Float32Array | None) -> frozenset[str]:
        if vectors is not None:
            _compare(work, run_id, used, vectors, progress)
        with work.database.read() as session:
            return snapshot_records.copies_tested(session, run_id)

    result = retrain(
        snapshot,
        run.options,
        run_dir=work.settings.runs_dir / run.folder,
        bottleneck_dir=work.settings.bottleneck_dir,
        backbones_dir=work.settings.backbones_dir,
        threads=work.settings.threads_used,
        progress=progress,
        on_points=add,
        attribute=attribute,
        find_copies=find_copies,
    )
    with work.database.write() as session:
        run_records.add_points(session, run_id, waiting)
        run_records.finish(session, run_id, result, datetime.now(UTC))
    measured(
        result.run_dir,
        work.settings.bottleneck_dir,
        threads=work.settings.threads_used,
        progress=progress,
    )
    return _told(run_id, result)


def _compare(
    work: JobContext, run_id: int, used: "Snapshot", vectors: Float32Array, progress: "Progress"
) -> None:
    """Look for near copies among a run's images by their bottlenecks, which are there now."""
    from studio.images.near_duplicates import images_of_run, refine_duplicate_groups

    with work.database.read() as session:
        image_ids, new = images_of_run(session, run_id)
    if new:
        ids = [image_ids[example.sha256] for example in used.examples]
        refine_duplicate_groups(work.database, work.project_id, ids, vectors, new=new, progress=progress)


def _told(run_id: int, result: "RunResult") -> dict[str, Any]:
    return {
        "run_id": run_id,
        "warnings": list(result.warnings),
        "refused": [{"name": str(r.path), "reason": r.reason} for r in result.refusals],
    }


def _measure_backbones(work: JobContext) -> dict[str, Any]:
    from studio.backbones import BACKBONES
    from studio.backbones.speed import measure

    found = measure(
        [backbone.name for backbone in BACKBONES.values() if backbone.installed],
        work.settings.backbones_dir,
        threads=work.settings.threads_used,
        progress=work.progress,
    )
    return {"pictures_a_second": found}


TASKS = (Task("retrain", _retrain), Task("measure_backbones", _measure_backbones))
