"""The process in which jobs run: `python -m studio.jobs.child`, started by the worker and kept for the next.

It reads one line a job, `<job id> <token>`, from standard input, and writes all that comes of it to the
database; the line `warm` makes it import what training needs. When standard input ends, the worker is gone
and so is the child: no orphan works on.
"""

import os
import queue as queues
import sys
import threading

from studio.data import open_database
from studio.jobs.performing import JobProgress, perform
from studio.settings import settings


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
    from studio.retrain.warmth import warm

    warm(settings().backbones_dir)


if __name__ == "__main__":
    main()
