"""Pages while jobs start and end: elements with state keep their position, and the outcome is shown.

Streamlit identifies an element by its position. A moved element is removed and built again; on a busy machine
that takes seconds, cameras turn off, and half-typed text is lost.
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
STATEFUL = {"tab_container", "form", "text_input", "text_area", "number_input", "selectbox", "bidi_component"}


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
    """Run a page as the entry point does."""
    import runpy

    import streamlit as st

    from studio.web.layout import pages

    st.navigation(list(pages().values()))
    runpy.run_path(page)


def app_test(page: str, project: str) -> AppTest:
    at = AppTest.from_function(_open, args=(str(PAGES_DIR / f"{page}.py"),), default_timeout=120)
    at.query_params["project"] = project
    return at


def stateful_elements(node: Node, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], str]]:
    """Return the positions of elements with state, with type and label."""
    if node.type in STATEFUL:
        yield path, f"{node.type} {getattr(node, 'label', '')}"
    if isinstance(node, Block):
        for position, child in node.children.items():
            yield from stateful_elements(child, (*path, position))


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("collect", "ingest_path"),
        ("retrain", "retrain"),
        ("share", "export_model"),
    ],
)
def test_jobs_move_no_element(made: Studio, page: str, kind: str) -> None:
    at = app_test(page, "도형")

    def positions() -> set[tuple[tuple[int, ...], str]]:
        at.run()
        assert not at.exception
        return set(stateful_elements(at.main))

    before = positions()
    assert before
    with made.database.write() as session:
        job_id = queue.enqueue(session, kind, {}, made.project_id, NOW)
    during = positions()
    assert at.get("progress")
    with made.database.write() as session:
        queue.claim_one(session, job_id, "me", NOW)
        queue.end(session, job_id, "me", NOW, "failed", error="no room")
    after = positions()
    assert "no room" in [error.value for error in at.error]
    assert before == during == after


def test_retrain_shows_the_progress_of_an_import(made: Studio) -> None:
    with made.database.write() as session:
        project = create_project(session, "새 꽃", NOW)
        queue.enqueue(session, "ingest_drawings", {"seed": 1}, project.id, NOW)
    at = app_test("retrain", "새 꽃").run()
    assert at.get("progress")
    assert "at least two classes" in at.info[0].value
