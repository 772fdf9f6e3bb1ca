"""The registry of tasks: every kind of job and what runs it."""

from studio.collect import tasks as collect
from studio.curate import tasks as curate
from studio.datasets import tasks as datasets
from studio.jobs.context import Pool, Task
from studio.predict import tasks as predict
from studio.retrain import tasks as retrain
from studio.share import tasks as share

TASKS: dict[str, Task] = {
    task.kind: task for room in (collect, curate, datasets, retrain, predict, share) for task in room.TASKS
}


def kinds_of(pool: Pool) -> set[str]:
    """Return the kinds of job that a pool runs."""
    return {kind for kind, task in TASKS.items() if task.pool == pool}
