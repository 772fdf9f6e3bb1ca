"""The process in which jobs run, `python -m studio.worker.child`. The worker starts it and keeps it.

It reads one line per job, `<job id> <token>`, from standard input, and writes the results to the database;
the line `warm` makes it import TensorFlow ahead of time. It ends when standard input closes, so that no child
outlives its worker.
"""

import os
import queue as queues
import sys
import threading
from pathlib import Path

from studio.data import open_database
from studio.settings import settings
from studio.worker.perform import JobProgress, perform


def main() -> None:
    """Run the jobs that standard input names until it closes."""
    lines: queues.SimpleQueue[str] = queues.SimpleQueue()
    threading.Thread(target=_read_lines, args=(lines,), daemon=True).start()
    database = open_database(settings())
    while line := lines.get():
        if line == "warm\n":
            # In a thread, so that a job that needs no TensorFlow does not wait for it.
            threading.Thread(target=_warm, daemon=True).start()
            continue
        job_id, token = line.split()
        progress = JobProgress(database, int(job_id), token, on_lost=_leave)
        perform(database, settings(), int(job_id), token, progress)


def _leave() -> None:
    os._exit(3)  # another worker has the job: nothing more may be written for it


def _read_lines(lines: queues.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _warm() -> None:
    warm(settings().backbones_dir)


def warm(backbones_dir: Path) -> None:
    """Import TensorFlow and LiteRT, compile the training loop, and convert the default backbone if missing.

    Takes seconds once per process, and ten more once per data folder. Raises BackboneError.
    """
    # Imported here: a child that trains nothing does without.
    import ai_edge_litert.interpreter  # noqa: F401
    import numpy as np

    from studio.backbones import DEFAULT, prepare_backbone
    from studio.progress import Silent
    from studio.retrain.head.optimizers import optimizer_steps

    layer = [np.zeros(shape, np.float32) for shape in ((3, 2), (2,), (0, 3, 2), (0, 2))]
    batch = np.zeros((1, 4, 3), np.float32), np.zeros((1, 4), np.int32)
    optimizer_steps("sgd")(tuple(layer), *batch, 0, 0.01, 0.0)
    prepare_backbone(DEFAULT, backbones_dir, Silent())


if __name__ == "__main__":
    main()
