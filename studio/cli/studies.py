"""Bringing up to date what the studio finds about a project, before a command writes it down."""

import time
from collections.abc import Sequence
from typing import Literal

from db.engine import Database
from studio.collect.projects import Project, find_project
from studio.errors import JobFailed, ProjectError
from studio.jobs import queue
from studio.language import _
from studio.settings import settings

_LOOK_EVERY_S = 0.3

Look = Literal["survey", "review"]


def project_named(database: Database, name: str) -> Project:
    """Return the project of this name. Raises ProjectError where there is none, and makes none."""
    with database.read() as session:
        project = find_project(session, name)
    if project is None:
        raise ProjectError(
            _(
                "expected the name of a project as Home shows it; there is none named {name} in {home}."
            ).format(name=name, home=settings().home)
        )
    return project


def look(database: Database, project: Project, kinds: Sequence[Look]) -> None:
    """Do each look in this process, where it has not seen everything yet; wait for one that runs elsewhere.

    Raises what ended it, and JobFailed.
    """
    for kind in kinds:
        while _is_stale(database, project.id, kind):
            if _runs(database, project.id, kind):
                time.sleep(_LOOK_EVERY_S)
            elif _did(database, project, kind):
                break


def _did(database: Database, project: Project, kind: Look) -> bool:
    """Do a look to its end; False where a worker was quicker to begin it."""
    from studio.cli.here import run_here

    try:
        run_here(kind, {}, project.name)
    except JobFailed:
        if _runs(database, project.id, kind):
            return False
        raise
    return True


def _runs(database: Database, project_id: int, kind: Look) -> bool:
    # One that only stands in the queue is taken from there.
    with database.read() as session:
        return any(job.state == "running" for job in queue.live(session, project_id, {kind}))


def _is_stale(database: Database, project_id: int, kind: Look) -> bool:
    from db.labelling import newest_number
    from studio.curate.findings import last_study

    with database.read() as session:
        last = last_study(session, project_id, kind)
        survey = last_study(session, project_id, "survey")
        if last is None or last.operation_number < newest_number(session, project_id):
            return True
        return survey is not None and survey.at > last.at
