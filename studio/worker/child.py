"""The process in which jobs run, `python -m studio.worker.child`. The worker starts it and keeps it.

It reads one line a job, `<job id> <token>`, from standard input, and writes all that comes of it to the
database; the line `warm` makes it import what training needs. When standard input ends, the worker is gone
and so is the child: no orphan works on.
"""

import os
import queue as queues
import sys
import threading
from pathlib import Path

import numpy as np

from studio.backbones import DEFAULT, ready
from studio.data import open_database
from studio.progress import Silent
from studio.retrain.head.optimizers import descent
from studio.settings import settings
from studio.worker.perform import JobProgress, perform


def main() -> None:
    """Do the jobs that standard input names until it ends."""
    lines: queues.SimpleQueue[str] = queues.SimpleQueue()
    threading.Thread(target=_read_lines, args=(lines,), daemon=True).start()
    database = open_database(settings())
    while line := lines.get():
        if line == "warm\n":
            # In a thread of its own, so that a job which needs no TensorFlow does not wait for it.
            threading.Thread(target=_warm, daemon=True).start()
            continue
        job_id, token = line.split()
        progress = JobProgress(database, int(job_id), token, on_lost=_leave)
        perform(database, settings(), int(job_id), token, progress)


def _leave() -> None:
    os._exit(3)  # the job was given to another: whatever we would still write is not ours to write


def _read_lines(lines: queues.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _warm() -> None:

    warm(settings().backbones_dir)


def warm(backbones_dir: Path) -> None:
    """Import TensorFlow and LiteRT, compile the training loop, convert the default backbone where missing.

    Takes seconds once in a process, and ten more once in a data folder. Raises BackboneError.
    """
    import ai_edge_litert.interpreter  # noqa: F401 - to have it imported

    layer = [np.zeros(shape, np.float32) for shape in ((3, 2), (2,), (0, 3, 2), (0, 2))]
    batch = np.zeros((1, 4, 3), np.float32), np.zeros((1, 4), np.int32)
    descent("sgd")(tuple(layer), *batch, 0, 0.01, 0.0)
    ready(DEFAULT, backbones_dir, Silent())


if __name__ == "__main__":
    main()
