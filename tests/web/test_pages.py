"""Pages while jobs come and go: what a person is at stays in its place, and they hear of the end.

Streamlit knows an element by its place. One that has moved is taken away and built anew; between the two a
busy machine may need seconds, and cameras go off, and text that is half typed is lost.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Node

from db.engine import Database
from studio.datasets.projects import create_project
from studio.jobs import queue
from studio.settings import settings
from studio.web import state
from tests.conftest import NOW
from tests.share.links_material import Studio, studio

PAGES_DIR = Path(__file__).resolve().parents[2] / "pages"
HELD = {"tab_container", "form", "text_input", "text_area", "number_input", "selectbox", "bidi_component"}


@pytest.fixture
def made(database: Database, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    made = studio(database, home)
    monkeypatch.setenv("STUDIO_HOME", str(home))
    monkeypatch.setenv("STUDIO_DATABASE_URL", made.settings.database_url)
    settings.cache_clear()
    state.database.clear()
    yield made
    state.database().close()
    settings.cache_clear()
    state.database.clear()


def _open(page: str) -> None:
    """Run a page as the shell does."""
    import runpy

    import streamlit as st

    from studio.web.layout import pages

    st.navigation(list(pages().values()))
    runpy.run_path(page)


def opened(page: str, project: str) -> AppTest:
    at = AppTest.from_function(_open, args=(str(PAGES_DIR / f"{page}.py"),), default_timeout=120)
    at.query_params["project"] = project
    return at


def held(node: Node, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], str]]:
    """Return the places of all that a person may be at, with what it is."""
    if node.type in HELD:
        yield path, f"{node.type} {getattr(node, 'label', '')}"
    if isinstance(node, Block):
        for place, child in node.children.items():
            yield from held(child, (*path, place))


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("collect", "ingest_path"),
        ("retrain", "retrain"),
        ("share", "export_model"),
    ],
)
def test_jobs_that_come_and_go_move_nothing(made: Studio, page: str, kind: str) -> None:
    at = opened(page, "도형")

    def places() -> set[tuple[tuple[int, ...], str]]:
        at.run()
        assert not at.exception
        return set(held(at.main))

    before = places()
    assert before
    with made.database.write() as session:
        job_id = queue.enqueue(session, kind, {}, made.project_id, NOW)
    during = places()
    assert at.get("progress")
    with made.database.write() as session:
        queue.claim_one(session, job_id, "me", NOW)
        queue.end(session, job_id, "me", NOW, "failed", error="no room")
    after = places()
    assert "no room" in [error.value for error in at.error]
    assert before == during == after


def test_retrain_shows_the_images_that_are_on_their_way(made: Studio) -> None:
    with made.database.write() as session:
        project = create_project(session, "새 꽃", NOW)
        queue.enqueue(session, "ingest_drawings", {"seed": 1}, project.id, NOW)
    at = opened("retrain", "새 꽃").run()
    assert at.get("progress")
    assert "at least two classes" in at.info[0].value
