"""Projects and their classes: create, find, list and rename."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import models
from studio.datasets.names import MAX_NAME_CHARACTERS
from studio.errors import ProjectError
from studio.i18n import _


@dataclass(frozen=True)
class Project:
    """A set of images with labels, from which classifiers are trained."""

    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True)
class ProjectClass:
    """One of a project's classes."""

    id: int
    name: str
    position: int
    """Its place among the project's classes, from 0."""


def create_project(session: Session, name: str, now: datetime) -> Project:
    """Create a project. Raises ProjectError when the name is not allowed or taken."""
    name = _check_name(name)
    if find_project(session, name):
        raise _taken(name)
    row = models.ProjectRow(name=name, created_at=now)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:  # another process created it in between
        raise _taken(name) from error
    return _project(row)


def find_project(session: Session, name: str) -> Project | None:
    """Return the project of this name, or None. Spaces around the name are ignored."""
    row = session.scalar(select(models.ProjectRow).where(models.ProjectRow.name == name.strip()))
    return None if row is None else _project(row)


def project_of(session: Session, project_id: int) -> Project:
    """Return the project of this id. Raises ProjectError when there is none."""
    row = session.get(models.ProjectRow, project_id)
    if row is None:
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    return _project(row)


def list_projects(session: Session) -> list[Project]:
    """Return all projects, the newest first."""
    return [
        _project(row)
        for row in session.scalars(select(models.ProjectRow).order_by(models.ProjectRow.id.desc()))
    ]


def rename_project(session: Session, project_id: int, name: str) -> Project:
    """Rename a project. Raises ProjectError as `create_project`, and when there is no such project."""
    name = _check_name(name)
    row = session.get(models.ProjectRow, project_id)
    if row is None:
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    other = find_project(session, name)
    if other and other.id != project_id:
        raise _taken(name)
    row.name = name
    session.flush()
    return _project(row)


def project_classes(session: Session, project_id: int) -> list[ProjectClass]:
    """Return a project's classes in their order."""
    rows = session.scalars(
        select(models.ImageClassRow)
        .where(models.ImageClassRow.project_id == project_id, models.ImageClassRow.removed_at.is_(None))
        .order_by(models.ImageClassRow.position, models.ImageClassRow.id)
    )
    return [ProjectClass(row.id, row.name, row.position) for row in rows]


def _project(row: models.ProjectRow) -> Project:
    return Project(row.id, row.name, row.created_at)


def _check_name(name: str) -> str:
    name = name.strip()
    if not (1 <= len(name) <= MAX_NAME_CHARACTERS and name.isprintable()):
        raise ProjectError(
            _("expected a name of 1 to {limit} characters on one line; {name!r} has {count}.").format(
                limit=MAX_NAME_CHARACTERS, name=name[:MAX_NAME_CHARACTERS], count=len(name)
            )
        )
    return name


def _taken(name: str) -> ProjectError:
    return ProjectError(_("There is a project named {name} already. Choose another name.").format(name=name))
