"""Waiting times: from Retrain to the first point of the curve, everything cached, and from Stop to the end.

    python tests/benchmarks/responsiveness.py

The target is two seconds for each.
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
from studio.retrain.tasks import enqueue_run
from studio.settings import Settings
from studio.worker.supervisor import Supervisor

ROUNDS = 5


def wait_until(condition: Callable[[], object]) -> float:
    """Wait until a condition is true; return the seconds."""
    began = time.monotonic()
    while not condition():
        time.sleep(0.02)
    return time.monotonic() - began


def main() -> None:
    """Create a project of drawings, embed them once, and measure."""
    settings = Settings(home=Path(tempfile.mkdtemp()))
    database = open_database(settings)
    store = ImageStore(settings.images_dir)
    supervisor = Supervisor(settings)
    supervisor.start()
    try:
        tasks.create_project_with_samples(database, "ingest_drawings", "Shapes", datetime.now(UTC))
        with database.read() as session:
            project = find_project(session, "Shapes")
        assert project is not None

        def is_busy() -> bool:
            with database.read() as session:
                return queue.count_live(session) > 0

        def count_points(run_id: int) -> int:
            with database.read() as session:
                return len(run_records.get_curve(session, run_id))

        wait_until(lambda: not is_busy())
        first, stop = [], []
        for seed in range(ROUNDS + 1):
            options = RunOptions(how_many_training_steps=100_000, seed=seed)
            run_id = enqueue_run(database, store, project.id, options, datetime.now(UTC))
            first.append(wait_until(lambda run_id=run_id: count_points(run_id)))  # type: ignore[misc]
            with database.write() as session:
                job = queue.latest(session, project.id, {"retrain"})
                assert job is not None
                queue.request_stop(session, job.id, datetime.now(UTC))
            stop.append(wait_until(lambda: not is_busy()))
        # The first round computes bottlenecks and imports TensorFlow; the target does not apply to it.
        print(f"cold start to first point  {first[0]:.2f} s")
        print(f"Retrain to first point     {statistics.median(first[1:]):.2f} s (worst {max(first[1:]):.2f})")
        print(f"Stop to stopped            {statistics.median(stop):.2f} s (worst {max(stop):.2f})")
    finally:
        supervisor.stop()


if __name__ == "__main__":
    main()
