"""Nothing that a person presses is lost: a plain model of the keys, and the database, agree key by key."""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from db.models import ProvenanceRow
from studio.data import open_database
from studio.datasets.projects import Project
from studio.datasets.sources import Source
from studio.settings import Settings
from tests.collect.material import image_bytes
from tests.conftest import FLOWERS
from tests.e2e.conftest import run_server
from tests.e2e.labelling_grid import (
    LONG_MS,
    Target,
    fill,
    focused,
    killed,
    open_grid,
    press,
    source,
    targets,
    tile,
    wait_until_saved,
)

pytestmark = pytest.mark.browser
FEW, MANY = 260, 1_000
NAME = "나의 *정원* #1"
CLASSES = ["장미 rose", "tulip", "daisy"]


class Act(NamedTuple):
    """Changes of images by an operation (before and after), and the focus; None after a reload."""

    changes: dict[int, tuple[Target, Target]]
    focus: int | None


class Model:
    """A model of the keys: a row of images, a focus, a selection, undone operations."""

    def __init__(self, row: Sequence[int], state: dict[int, Target]) -> None:
        self.row, self.state = list(row), state
        self.focus = 0
        self.selected: set[int] = set()
        self.anchor: int | None = None
        self.done: list[Act] = []
        self.undone: list[Act] = []

    def act(self, target: Target) -> None:
        places = self.selected or {self.focus}
        changes = {self.row[at]: (self.state[self.row[at]], target) for at in places}
        self.state.update({image: after for image, (_before, after) in changes.items()})
        self.done.append(Act(changes, self.focus))
        self.undone = []
        to = self.focus
        if self.selected:
            while to < len(self.row) and to in self.selected:
                to += 1
        else:
            to += 1
        if to < len(self.row):
            self.focus = to
        self.selected, self.anchor = set(), None

    def undo(self) -> None:
        act = self.done.pop()
        self.state.update({image: before for image, (before, _after) in act.changes.items()})
        self.undone.append(act)
        self.go_to(act)

    def redo(self) -> None:
        act = self.undone.pop()
        self.state.update({image: after for image, (_before, after) in act.changes.items()})
        self.done.append(act)
        self.go_to(act)

    def go_to(self, act: "Act") -> None:
        """The focus goes to where the act was, unless it is only the studio that remembers."""
        if act.focus is not None:
            self.focus = act.focus

    def reloaded(self, focus: int) -> None:
        self.focus, self.selected, self.anchor = focus, set(), None
        self.done = [Act(act.changes, None) for act in self.done]

    def key(self, key: str) -> None:
        last = len(self.row) - 1
        if key in "123":
            self.act(("labelled", CLASSES[int(key) - 1]))
        elif key in {"x", "Backspace"}:
            self.act(("rejected" if key == "x" else "unlabelled", None))
        elif key in {"ArrowRight", "ArrowLeft"}:
            self.focus = min(last, max(0, self.focus + (1 if key == "ArrowRight" else -1)))
        elif key == "Space":
            self.selected ^= {self.focus}
            self.anchor = self.focus
        elif key == "Shift+ArrowRight":
            self.anchor = self.focus if self.anchor is None else self.anchor
            self.focus = min(last, self.focus + 1)
            low, high = sorted((self.anchor, self.focus))
            self.selected = set(range(low, high + 1))
        elif key == "Control+a":
            self.selected = set(range(len(self.row)))
        elif key == "Escape":
            self.selected, self.anchor = set(), None
        elif key == "u":
            self.undo()
        elif key == "Shift+U":
            self.redo()
        else:
            raise AssertionError(key)

    def press(self, page: Page, *keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)
            self.key(key)


def images() -> Iterator[Source]:
    photographs = sorted(FLOWERS.rglob("*.jpg"))[::3] if FLOWERS.is_dir() else []
    for number in range(FEW):
        if number < len(photographs):
            yield source(f"꽃 {number}.jpg", photographs[number].read_bytes)
        else:
            yield source(f"그림 {number}.jpg", lambda n=number: image_bytes(n))  # type: ignore[misc]
    for number in range(FEW, FEW + MANY):
        yield source(f"많은 {number}.png", lambda n=number: image_bytes(n, 24, 16, "PNG"), None, "upload")  # type: ignore[misc]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    home = tmp_path_factory.mktemp("작은 home") / "data"
    with run_server(home) as (address, _server):
        yield address, home


def few_images(home: Path, name: str) -> tuple[Project, list[int]]:
    """Make a project of eight images, two of them labelled; return the ids, the newest first."""
    classes = ["rose", "tulip"]
    project = fill(
        home,
        name,
        [source(f"{n}.jpg", lambda n=n: image_bytes(n), classes[n] if n < 2 else None) for n in range(8)],  # type: ignore[misc]
    )
    return project, sorted(targets(home, project.id), reverse=True)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path, Project, psutil.Process]]:
    home = tmp_path / "스튜디오 home"
    project = fill(home, NAME, images())
    with run_server(home) as (address, server):
        yield address, home, project, server


def came(home: Path, kind: str) -> set[int]:
    """Return the images that came in one way."""
    database = open_database(Settings(home=home))
    with database.read() as session:
        found = set(session.scalars(select(ProvenanceRow.image_id).where(ProvenanceRow.kind == kind)))
    database.close()
    return found


def strokes(rng: random.Random, count: int) -> list[str]:
    """Keys that label images one by one, now and then some at once, now and then with a step back."""
    keys: list[str] = []
    while sum(key in {"1", "2", "3", "x", "Backspace"} for key in keys) < count:
        kind = rng.random()
        label = rng.choice(["1", "2", "3", "1", "2", "3", "x", "Backspace"])
        if kind < 0.8:
            keys.append(label)
        elif kind < 0.87:
            keys += ["Shift+ArrowRight", "Shift+ArrowRight", label]
        elif kind < 0.93:
            keys += ["Space", "ArrowRight", "ArrowRight", "Space", label]
        else:
            keys += ["ArrowLeft", label]
    return keys


def test_every_key_ends_in_the_database(
    served: tuple[str, Path, Project, psutil.Process], browser: Browser
) -> None:
    address, home, project, server = served
    rng = random.Random(7)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    state = targets(home, project.id)
    assert set(state.values()) == {("unlabelled", None)}
    assert len(state) >= FEW + MANY - 20  # copies of one another are one image
    open_grid(page, address, NAME, "&source=folder")
    few = sorted(came(home, "folder"), reverse=True)
    model = Model(few, state)

    # The classes come from typing their names.
    for name in CLASSES:
        press(page, "l")
        page.keyboard.insert_text(name)
        press(page, "Enter")
        model.act(("labelled", name))
        expect(page.get_by_role("navigation", name="Filter images").get_by_text(name)).to_be_visible()

    # 200 images by keyboard alone, 50 acts undone, 10 done again.
    model.press(page, *strokes(rng, 200))
    model.press(page, *["u"] * 50, *["Shift+U"] * 10)
    wait_until_saved(page)
    assert targets(home, project.id) == state

    # A thousand at once, and back, and again.
    page.get_by_text("Filters").click()
    page.get_by_label("Source").select_option("upload")
    page.locator(".grid").focus()
    many = sorted(came(home, "upload"), reverse=True)
    expect(page.get_by_text(f"{len(many):,} images", exact=True)).to_be_visible()
    wide = Model(many, state)
    wide.press(page, "Control+a", "2")
    expect(page.locator(".live")).to_have_text(f"tulip · {len(many):,} images")
    wide.press(page, "u", "Shift+U", "Control+a", "3")
    wait_until_saved(page)
    assert targets(home, project.id) == state

    # The page is reloaded in the middle of a burst: what was pressed before counts.
    open_grid(page, address, NAME, "&source=folder")
    model = Model(few, state)
    model.press(page, "ArrowRight", *strokes(rng, 60))
    page.reload()
    expect(page.locator(".tile img").first).to_be_visible(timeout=LONG_MS)
    page.get_by_role("listbox", name="Images").focus()
    model.reloaded(few.index(focused(page)))
    # Undoing needs nothing that was kept in the page.
    model.press(page, "u", "u", "Shift+U", *strokes(rng, 30))
    wait_until_saved(page)
    assert targets(home, project.id) == state

    # The server dies in the middle of a burst, and is away for five seconds.
    model.press(page, *strokes(rng, 30))
    with killed(server) as start_again:
        model.press(page, *strokes(rng, 30))
        expect(page.get_by_text("wait to be saved")).to_be_visible()
        page.wait_for_timeout(4_000)
        model.press(page, *strokes(rng, 20))
        start_again()
        model.press(page, *strokes(rng, 20))
        wait_until_saved(page)
        assert targets(home, project.id) == state
        model.press(page, "u", "u", "Shift+U", "1")
        wait_until_saved(page)
        assert targets(home, project.id) == state
    context.close()
    assert errors == []


def test_a_closed_tab_s_labels_are_sent_by_the_next_one(small: tuple[str, Path], page: Page) -> None:
    address, home = small
    project, ids = few_images(home, "닫힘")
    before = targets(home, project.id)
    page.route("**/labels", lambda route: route.abort())
    open_grid(page, address, "닫힘")
    press(page, "1", "2", "x")
    expect(page.get_by_text("3 labels wait to be saved")).to_be_visible()
    expect(page.get_by_text("The studio does not answer.")).to_be_visible()
    page.close()
    assert targets(home, project.id) == before
    later = page.context.new_page()
    open_grid(later, address, "닫힘")
    wait_until_saved(later)
    expect(tile(later, ids[0]).locator(".chip")).to_have_text("rose")
    now = targets(home, project.id)
    assert [now[image] for image in ids[:3]] == [
        ("labelled", "rose"),
        ("labelled", "tulip"),
        ("rejected", None),
    ]
    # What was sent by another tab is this browser's own, and can be undone.
    press(later, "u")
    wait_until_saved(later)
    assert targets(home, project.id)[ids[2]] == before[ids[2]]


def test_another_data_folder_at_the_same_address_gets_none_of_them(tmp_path: Path, page: Page) -> None:
    """A browser knows a studio by its address only; labels for one project must not end in another."""
    homes = [tmp_path / "하나", tmp_path / "둘"]
    projects = [few_images(home, "같은 이름")[0] for home in homes]
    with run_server(homes[0]) as (address, _server):
        page.route("**/labels", lambda route: route.abort())
        open_grid(page, address, "같은 이름")
        press(page, "x")
        expect(page.get_by_text("1 label waits to be saved")).to_be_visible()
        page.unroute("**/labels")
        kept = page.evaluate("Object.keys(localStorage).filter((key) => key.includes('/labels/'))[0]")
        started = f"{projects[0].created_at.timestamp():.0f}"
        assert kept.split("/")[2] == f"{projects[0].id}-{started}"


def test_two_tabs_send_in_turn_and_once(small: tuple[str, Path], page: Page) -> None:
    address, home = small
    project, ids = few_images(home, "두 탭")
    other = page.context.new_page()
    for each in (page, other):
        open_grid(each, address, "두 탭")
    for at in range(4):
        press(page, "1")
        press(other, "Control+z" if at == 2 else "2")
    for each in (page, other):
        wait_until_saved(each)
    for image in ids:
        shown = tile(page, image).locator(".chip").text_content()
        expect(tile(other, image).locator(".chip")).to_have_text(shown or "")
        state = targets(home, project.id)[image]
        assert (shown or "") == (state[1] or "")
    expect(page.locator(".notice")).to_have_count(0)  # one browser does not clash with itself


def test_a_full_storage_is_reported_and_leaving_is_confirmed(small: tuple[str, Path], page: Page) -> None:
    address, home = small
    project, ids = few_images(home, "가득")
    page.route("**/labels", lambda route: route.abort())
    open_grid(page, address, "가득")
    page.evaluate(
        """() => { let some = "x".repeat(1 << 20);
        for (let at = 0; some.length > 8; at++) {
          try { localStorage.setItem("filler" + at, some); } catch { some = some.slice(some.length / 2); }
        } }"""
    )
    tile(page, ids[0]).click()  # browsers ask only where a person has done something
    press(page, "2")
    expect(tile(page, ids[0]).locator(".chip")).to_have_text("tulip")
    expect(page.get_by_text("This browser's storage is full")).to_be_visible()
    with page.expect_event("dialog") as dialog_event:
        page.close(run_before_unload=True)
    assert dialog_event.value.type == "beforeunload"
    dialog_event.value.dismiss()
    page.unroute("**/labels")
    wait_until_saved(page)
    assert targets(home, project.id)[ids[0]] == ("labelled", "tulip")


def test_the_secret_is_asked_for_and_a_refusal_gives_the_true_label_back(
    small: tuple[str, Path], page: Page
) -> None:
    address, home = small
    project, ids = few_images(home, "거절")
    page.route("**/labels", lambda route: route.fulfill(status=401, content_type="text/html", body="<h1>"))
    open_grid(page, address, "거절")
    press(page, "1")
    expect(page.get_by_text("The studio asks for its secret again")).to_be_visible()
    expect(page.get_by_text("1 label waits to be saved")).to_be_visible()
    page.unroute("**/labels")
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_until_saved(page)
    assert targets(home, project.id)[ids[0]] == ("labelled", "rose")

    # A class that somebody has just deleted.
    classes = page.request.get(f"{address}/studio/projects/{project.id}/classes").json()["classes"]
    not_heard_of = re.compile(r"/(changes|classes)")
    page.route(not_heard_of, lambda route: route.abort())
    gone = page.request.post(
        f"{address}/studio/projects/{project.id}/classes",
        headers={"X-Studio-Curate": "1", "Sec-Fetch-Site": "same-origin"},
        data={"author": "other", "id": "removal", "act": "remove", "class": classes[1]["id"]},
    )
    assert gone.ok
    press(page, "2", "x")
    expect(page.locator(".notice.error")).to_contain_text("Not saved:")
    page.unroute(not_heard_of)
    wait_until_saved(page)
    expect(tile(page, ids[1]).locator(".chip")).to_have_text("")
    expect(tile(page, ids[2]).locator(".chip")).to_have_text("rejected")
    assert targets(home, project.id)[ids[1]] == ("unlabelled", None)
    press(page, "u", "u")  # the rejection, and the first label: what was refused never happened
    wait_until_saved(page)
    now = targets(home, project.id)
    assert now[ids[2]] == ("unlabelled", None)
    assert now[ids[0]] == ("unlabelled", None)
