"""What each kind of job does: a room's function, given what a job knows."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db.engine import Database
from studio.collect.ingest import IngestReport
from studio.collect.store import PictureStore
from studio.jobs.queue import Job
from studio.progress import Progress
from studio.settings import Settings

_SHOWN_REFUSALS = 500
"""How many refusals a job's result lists; the `finds` table has them all."""


@dataclass(frozen=True)
class Work:
    """A job, and what its function needs."""

    database: Database
    settings: Settings
    job: Job
    progress: Progress

    @property
    def project_id(self) -> int:
        """The project that the job is for."""
        if self.job.project_id is None:
            raise ValueError(
                f"expected a {self.job.kind} job to name its project; job {self.job.id} does not"
            )
        return self.job.project_id

    def ingesting(self) -> dict[str, Any]:
        """Return the arguments that every way in shares."""
        return {
            "database": self.database,
            "store": PictureStore(self.settings.pictures_dir),
            "project_id": self.project_id,
            "progress": self.progress,
            "clock": _now,
            "job_id": self.job.id,
            "threads": self.settings.threads_used,
        }


def _now() -> datetime:
    return datetime.now(UTC)


def _ingest_path(work: Work) -> dict[str, Any]:
    from studio.collect.arrivals import ingest_path

    return _counts(ingest_path(path=Path(work.job.arguments["path"]), **work.ingesting()))


def _ingest_uploads(work: Work) -> dict[str, Any]:
    import shutil

    from studio.collect.arrivals import ingest_uploads

    folder = work.settings.uploads_dir / work.job.arguments["folder"]
    # Gone already where this job was killed between clearing up and saying so: its finds are all written.
    folder.mkdir(parents=True, exist_ok=True)
    report = ingest_uploads(folder=folder, class_name=work.job.arguments["class_name"], **work.ingesting())
    shutil.rmtree(folder, ignore_errors=True)
    return _counts(report)


def _ingest_drawings(work: Work) -> dict[str, Any]:
    from studio.collect.arrivals import ingest_drawings

    return _counts(ingest_drawings(seed=work.job.arguments["seed"], **work.ingesting()))


def _ingest_codelab(work: Work) -> dict[str, Any]:
    from studio.collect.arrivals import ingest_codelab

    return _counts(ingest_codelab(downloads_dir=work.settings.downloads_dir, **work.ingesting()))


def _retrain(work: Work) -> dict[str, Any]:
    from studio.retrain import project_runs
    from studio.retrain.run import retrain

    run_id = work.job.arguments["run_id"]
    with work.database.read() as session:
        run = project_runs.run(session, run_id)
        snapshot = project_runs.load_snapshot(session, run_id, PictureStore(work.settings.pictures_dir))

    def add(points: Any) -> None:
        with work.database.write() as session:
            project_runs.add_points(session, run_id, points)

    result = retrain(
        snapshot,
        run.options,
        run_dir=work.settings.runs_dir / run.folder,
        bottleneck_dir=work.settings.bottleneck_dir,
        backbones_dir=work.settings.backbones_dir,
        threads=work.settings.threads_used,
        progress=work.progress,
        on_points=add,
    )
    with work.database.write() as session:
        project_runs.finish(session, run_id, result, _now())
    return {
        "run_id": run_id,
        "warnings": list(result.warnings),
        "refused": [{"name": str(r.path), "reason": r.reason} for r in result.refusals],
    }


def _counts(report: IngestReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "copies": report.copies,
        "refused_count": len(report.refused),
        "refused": [asdict(refusal) for refusal in report.refused[:_SHOWN_REFUSALS]],
    }


KINDS: dict[str, Callable[[Work], dict[str, Any]]] = {
    "ingest_path": _ingest_path,
    "ingest_uploads": _ingest_uploads,
    "ingest_drawings": _ingest_drawings,
    "ingest_codelab": _ingest_codelab,
    "retrain": _retrain,
}
INGESTING = {kind for kind in KINDS if kind.startswith("ingest_")}
