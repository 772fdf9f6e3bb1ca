"""Projects: made, found, renamed; and what a name may be."""

import pytest

from db.engine import Database
from studio.datasets.projects import create_project, find_project, list_projects, rename_project
from studio.errors import ProjectError
from tests.conftest import NOW


def test_a_project_is_made_found_and_renamed(database: Database) -> None:
    with database.write() as session:
        made = create_project(session, "  꽃 flowers ", NOW)
        other = create_project(session, "cats", NOW)
    assert (made.name, made.created_at) == ("꽃 flowers", NOW)
    with database.write() as session:
        assert find_project(session, "꽃 flowers ") == made
        assert find_project(session, "dogs") is None
        assert list_projects(session) == [other, made]
        assert rename_project(session, made.id, "roses").name == "roses"
        assert rename_project(session, made.id, "roses").name == "roses"
    with database.read() as session:
        assert [project.name for project in list_projects(session)] == ["cats", "roses"]


def test_a_name_is_taken_once(database: Database) -> None:
    with database.write() as session:
        made = create_project(session, "flowers", NOW)
        create_project(session, "cats", NOW)
        with pytest.raises(ProjectError, match="named cats already"):
            rename_project(session, made.id, "cats")
    with database.write() as session, pytest.raises(ProjectError, match="named flowers already"):
        create_project(session, " flowers", NOW)


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\nb", "a\0b"])
def test_a_name_has_limits(database: Database, name: str) -> None:
    with database.write() as session, pytest.raises(ProjectError, match="1 to 80 characters"):
        create_project(session, name, NOW)


def test_what_is_not_there_cannot_be_renamed(database: Database) -> None:
    with database.write() as session, pytest.raises(ProjectError, match="no such project"):
        rename_project(session, 7, "flowers")
