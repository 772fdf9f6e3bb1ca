"""Tasks, which rooms register with the worker, and the context in which one runs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from db.engine import Database
from studio.jobs.queue import Job
from studio.progress import Progress
from studio.settings import Settings

Pool = Literal["compute", "network", "analysis", "files"]
"""The part of the worker that runs a task. Each takes jobs by itself, so that none waits for another's.

compute: decoding and training, as many at once as `STUDIO_WORKERS` says. network: mostly waits for other
servers. analysis: what the studio starts by itself. files: ends within seconds or a few minutes.
"""


@dataclass(frozen=True)
class JobContext:
    """A job, and what its task needs to run it."""

    database: Database
    settings: Settings
    job: Job
    progress: Progress

    @property
    def project_id(self) -> int:
        """The project that the job belongs to."""
        if self.job.project_id is None:
            raise ValueError(
                f"expected a {self.job.kind} job to name its project; job {self.job.id} does not"
            )
        return self.job.project_id

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class Task:
    """One kind of job, and the function that runs it.

    run: returns the job's result, which must be JSON. Raises StudioError for what a person can mend, and
    Stopped when a person stops the job.
    """

    kind: str
    run: Callable[[JobContext], dict[str, Any]]
    pool: Pool = "compute"
