"""All tasks of all rooms, by the kind of job that they run."""

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
    """Return the kinds of job that a pool of the worker runs."""
    return {kind for kind, task in TASKS.items() if task.pool == pool}
