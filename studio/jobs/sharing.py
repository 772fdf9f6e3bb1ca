"""What links need before visitors come: the runtime by which a model answers in their browsers."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from db.engine import Database
from studio.jobs import queue

if TYPE_CHECKING:  # which itself imports this
    from studio.jobs.kinds import Work


def _fetch_runtime(work: "Work") -> dict[str, Any]:
    from studio.share.web_demo.runtime import runtime

    runtime(work.settings.downloads_dir, work.progress)
    return {}


def fetch_runtime(database: Database, project_id: int, now: datetime) -> None:
    """Ask for the runtime to be fetched, unless that is under way."""
    with database.write() as session:
        if queue.latest(session, project_id, set(SHARING), live_only=True) is None:
            queue.enqueue(session, "fetch_runtime", {}, project_id, now)


SHARING = {"fetch_runtime": _fetch_runtime}
