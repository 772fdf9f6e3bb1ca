"""What the jobs of retraining do: one run, or several in turn; measuring the backbones."""

import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError

from studio.arrays import Float32Array
from studio.errors import Stopped, StudioError
from studio.language import _

if TYPE_CHECKING:  # the first itself imports this; who only needs the kind's name does not pay for the rest
    from studio.jobs.kinds import Work
    from studio.progress import Progress
    from studio.retrain.curve import CurvePoint
    from studio.retrain.run import RunResult
    from studio.retrain.snapshot import Snapshot


def _retrain(work: "Work") -> dict[str, Any]:
    if "run_ids" in work.job.arguments:
        return _sweep(work, work.job.arguments["run_ids"])
    return _run(work, work.job.arguments["run_id"], work.progress)


def _sweep(work: "Work", run_ids: Sequence[int]) -> dict[str, Any]:
    """Do several runs, each that has not ended yet; raise only where none of them has come to an end."""
    from studio.retrain.runs import project_runs

    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    first: Exception | None = None
    for number, run_id in enumerate(run_ids, 1):
        with work.database.write() as session:
            if project_runs.run(session, run_id).ended_at is not None:
                done.append({"run_id": run_id, "warnings": [], "refused": []})
                continue
            project_runs.fail(session, run_id, None)
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
                project_runs.fail(session, run_id, said)
    if first is not None and not done:
        raise first
    return {
        "run_ids": list(run_ids),
        "failed": failed,
        # Several runs say the same of the same pictures.
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


def _run(work: "Work", run_id: int, progress: "Progress") -> dict[str, Any]:
    from studio.collect.store import PictureStore
    from studio.predict.measuring import measured
    from studio.retrain.run import retrain
    from studio.retrain.runs import project_runs, project_snapshots

    with work.database.read() as session:
        run = project_runs.run(session, run_id)
        store = PictureStore(work.settings.pictures_dir)
        snapshot = project_snapshots.load_snapshot(session, run_id, store)

    waiting: list[CurvePoint] = []

    def add(points: "Sequence[CurvePoint]") -> None:
        waiting.extend(points)
        try:
            with work.database.write() as session:
                project_runs.add_points(session, run_id, waiting)
        except OperationalError:  # they cannot be written now, and go with the next
            return
        waiting.clear()

    def attribute(used: "Snapshot", folder: Path) -> None:
        with work.database.read() as session:
            project_snapshots.write_attribution(session, work.project_id, used, folder)

    def find_copies(used: "Snapshot", vectors: Float32Array | None) -> frozenset[str]:
        if vectors is not None:
            _compare(work, run_id, used, vectors, progress)
        with work.database.read() as session:
            return project_snapshots.copies_tested(session, run_id)

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
        project_runs.add_points(session, run_id, waiting)
        project_runs.finish(session, run_id, result, datetime.now(UTC))
    measured(
        result.run_dir,
        work.settings.bottleneck_dir,
        threads=work.settings.threads_used,
        progress=progress,
    )
    return _told(run_id, result)


def _compare(
    work: "Work", run_id: int, used: "Snapshot", vectors: Float32Array, progress: "Progress"
) -> None:
    """Look for near copies among a run's pictures by their bottlenecks, which are there now."""
    from studio.collect.refinement import pictures_of_run, refine

    with work.database.read() as session:
        image_ids, new = pictures_of_run(session, run_id)
    if new:
        ids = [image_ids[example.sha256] for example in used.examples]
        refine(work.database, work.project_id, ids, vectors, new=new, progress=progress)


def _told(run_id: int, result: "RunResult") -> dict[str, Any]:
    return {
        "run_id": run_id,
        "warnings": list(result.warnings),
        "refused": [{"name": str(r.path), "reason": r.reason} for r in result.refusals],
    }


def _measure_backbones(work: "Work") -> dict[str, Any]:
    from studio.retrain.backbones import BACKBONES
    from studio.retrain.backbones.speed import measure

    found = measure(
        [backbone.name for backbone in BACKBONES.values() if backbone.installed],
        work.settings.backbones_dir,
        threads=work.settings.threads_used,
        progress=work.progress,
    )
    return {"pictures_a_second": found}


RETRAINING = {"retrain": _retrain, "measure_backbones": _measure_backbones}
