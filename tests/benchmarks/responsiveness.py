"""How long a person waits: from Retrain to the first point when all is cached, and from Stop to the end.

    python tests/benchmarks/responsiveness.py

Promised are two seconds for each.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from studio.collect import tasks
from studio.data import open_database
from studio.datasets.projects import find_project
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records
from studio.retrain.tasks import retrain
from studio.settings import Settings
from studio.worker.supervisor import Supervisor

ROUNDS = 5


def waited(true: Callable[[], object]) -> float:
    """Return the seconds until something is so."""
    began = time.monotonic()
    while not true():
        time.sleep(0.02)
    return time.monotonic() - began


def main() -> None:
    """Make drawings, embed them once, and measure."""
    settings = Settings(home=Path(tempfile.mkdtemp()))
    database = open_database(settings)
    store = ImageStore(settings.images_dir)
    supervisor = Supervisor(settings)
    supervisor.start()
    try:
        tasks.begin_with(database, "ingest_drawings", "Shapes", datetime.now(UTC))
        with database.read() as session:
            project = find_project(session, "Shapes")
        assert project is not None

        def live() -> bool:
            with database.read() as session:
                return queue.count_live(session) > 0

        def steps(run_id: int) -> int:
            with database.read() as session:
                return len(run_records.curve(session, run_id))

        waited(lambda: not live())
        first, stop = [], []
        for seed in range(ROUNDS + 1):
            options = RunOptions(how_many_training_steps=100_000, seed=seed)
            run_id = retrain(database, store, project.id, options, datetime.now(UTC))
            first.append(waited(lambda run_id=run_id: steps(run_id)))  # type: ignore[misc]
            with database.write() as session:
                job = queue.latest(session, project.id, {"retrain"})
                assert job is not None
                queue.request_stop(session, job.id, datetime.now(UTC))
            stop.append(waited(lambda: not live()))
        # The first round computes the bottlenecks and waits for TensorFlow: it is not what is promised.
        print(f"cold start to first point  {first[0]:.2f} s")
        print(f"Retrain to first point     {statistics.median(first[1:]):.2f} s (worst {max(first[1:]):.2f})")
        print(f"Stop to stopped            {statistics.median(stop):.2f} s (worst {max(stop):.2f})")
    finally:
        supervisor.stop()


if __name__ == "__main__":
    main()
