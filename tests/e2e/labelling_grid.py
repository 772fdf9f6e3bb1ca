"""Helpers to drive the labelling grid, and to read what it shows and what the database holds."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any
from urllib.parse import quote

import psutil
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import insert, select

from db.models import AnalysisRow, ImageClassRow, LabelRow
from studio.collect.ingest import ImportContext, ingest
from studio.data import open_database
from studio.datasets.projects import Project, create_project
from studio.datasets.sources import Source
from studio.images.provenance import Provenance
from studio.images.store import ImageStore
from studio.settings import Settings
from tests.conftest import NOW
from tests.e2e.conftest import ROOT

LONG_MS = 60_000
Target = tuple[str, str | None]
"""A state, and the name of a class."""


def fill(home: Path, name: str, sources: Iterable[Source], *, analyse: bool = False) -> Project:
    """Create a project with images in a data folder.

    analyse: let the studio analyse the images; otherwise the database says that it has.
    """
    settings = Settings(home=home)
    database = open_database(settings)
    with database.write() as session:
        project = create_project(session, name, NOW)
    store = ImageStore(settings.images_dir)
    ingest(
        ImportContext(database=database, store=store, project_id=project.id, clock=lambda: NOW), list(sources)
    )
    if not analyse:
        with database.write() as session:
            session.execute(insert(AnalysisRow), finished_analysis_rows(project.id))
    database.close()
    return project


def finished_analysis_rows(project_id: int) -> list[dict[str, Any]]:
    """Return rows of analyses that are up to date whatever a test does."""
    never = {"project_id": project_id, "operation_number": 2**30, "facts": {"classes": 9}, "at": NOW}
    return [{"kind": kind, **never} for kind in ("survey", "review")]


def source(
    name: str, read: Callable[[], bytes], class_name: str | None = None, kind: str = "folder"
) -> Source:
    return Source(name, read, class_name, kind, Provenance())


def targets(home: Path, project_id: int) -> dict[int, Target]:
    """Return state and class of each image in the database."""
    database = open_database(Settings(home=home))
    with database.read() as session:
        rows = session.execute(
            select(LabelRow.image_id, LabelRow.state, ImageClassRow.name)
            .outerjoin(ImageClassRow, ImageClassRow.id == LabelRow.class_id)
            .where(LabelRow.project_id == project_id)
        ).all()
    database.close()
    return {image: (state, name) for image, state, name in rows}


def open_grid(page: Page, address: str, project: str, query: str = "") -> Locator:
    """Open Curate, wait for the first images, and return the grid."""
    page.goto(f"{address}/curate?project={quote(project)}{query}")
    grid = page.get_by_role("listbox", name="Images")
    expect(page.locator(".tile img").first).to_be_visible(timeout=LONG_MS)
    grid.focus()
    return grid


def sidebar_entry(page: Page, name: str) -> Locator:
    """Return the entry of a state, a class or a finding in the sidebar."""
    return page.locator(".sidebar-entry").filter(has=page.get_by_text(name, exact=True))


def expect_count(page: Page, name: str, count: int) -> None:
    """Expect the image count of an entry of the sidebar."""
    expect(sidebar_entry(page, name).locator(".count")).to_have_text(f"{count:,}", timeout=LONG_MS)


def tile(page: Page, image_id: int) -> Locator:
    return page.locator(f".tile[data-id='{image_id}']")


def focused(page: Page) -> int:
    """Return the id of the focused image."""
    return int(page.locator(".tile.focus").get_attribute("data-id") or 0)


def shown(page: Page) -> list[int]:
    """Return the ids of the drawn tiles, in their order."""
    ids: list[int] = page.locator(".floor").evaluate(
        "floor => [...floor.querySelectorAll('.tile')]"
        ".sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map(tile => Number(tile.dataset.id))"
    )
    return ids


def wait_until_saved(page: Page) -> None:
    """Wait until all labels are saved."""
    # The status of a key press is drawn with the next frame.
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    expect(page.locator(".status .saved")).to_have_text("All saved", timeout=LONG_MS)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


@contextmanager
def killed(server: psutil.Process) -> Iterator[Callable[[], None]]:
    """Kill a server; yield a function that starts it again on the same port and folder, until the end."""
    command, environment = server.cmdline(), server.environ()
    server.kill()
    server.wait(20)
    started: list[Popen[bytes]] = []

    def again() -> None:
        started.append(Popen(command, cwd=ROOT, env=environment, stdout=DEVNULL))

    try:
        yield again
    finally:
        for process in started:
            family = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait(60)
            psutil.wait_procs(family, timeout=60)
