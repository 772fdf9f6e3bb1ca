"""The labelling grid by every key, by mouse and by touch; what it is called, and what its address keeps."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect
from sqlalchemy import insert
from sqlalchemy.orm import Session

from db.duplicate_groups import merge_pairs
from db.models import FindingRow
from studio.data import open_database
from studio.datasets.projects import Project, project_classes
from studio.datasets.sources import Source
from studio.images.provenance import Provenance
from studio.settings import Settings
from tests.collect.material import image_bytes
from tests.conftest import FLOWERS
from tests.e2e.conftest import go_to, take_screenshot
from tests.e2e.labelling_grid import (
    LONG_MS,
    fill,
    focused,
    open_grid,
    press,
    source,
    targets,
    tile,
    wait_until_saved,
)

pytestmark = pytest.mark.browser
PHONE: ViewportSize = {"width": 390, "height": 844}
LABELLED, UNLABELLED = 12, 48
HOSTILE = "<img src=x onerror=window.hacked=1> *daisy*"
CLASSES = [HOSTILE, "tulip", "장미 rose"]
"""In the order in which the studio meets them."""


def photographs() -> list[bytes]:
    count = LABELLED + UNLABELLED
    found = sorted(FLOWERS.rglob("*.jpg")) if FLOWERS.is_dir() else []
    data = [path.read_bytes() for path in found[:: max(1, len(found) // count)][:count]]
    return data + [image_bytes(n) for n in range(count - len(data))]


def filled(home: Path, name: str) -> tuple[Project, list[int]]:
    """Make a project of labelled images and, newer, of others; return the ids of these, the newest first.

    Of every two the studio suggests a tulip.
    """
    sources: list[Source] = []
    for number, data in enumerate(photographs()):
        class_name = CLASSES[number % 3] if number < LABELLED else None
        sources.append(source(f"꽃 {number}.jpg", lambda d=data: d, class_name))  # type: ignore[misc]
    free = Provenance(licence="CC BY 4.0", licence_address="https://creativecommons.org/licenses/by/4.0/")
    sources[20] = Source("https://정원.example/free.jpg", sources[20].read, None, "crawl", free)
    project = fill(home, name, sources)
    now = targets(home, project.id)
    ids = sorted((image for image, (state, _class) in now.items() if state == "unlabelled"), reverse=True)
    database = open_database(Settings(home=home))
    with database.write() as session:
        tulip = class_id(session, project, "tulip")
        session.execute(
            insert(FindingRow),
            [
                {
                    "project_id": project.id,
                    "kind": "suggestion",
                    "image_id": image,
                    "score": 0.9 - 0.01 * at,
                    "class_id": tulip,
                    "operation_number": 1,
                }
                for at, image in enumerate(ids)
                if at % 2 == 0
            ],
        )
        merge_pairs(session, project.id, [(ids[-1], ids[-2]), (ids[-1], ids[-3])])
    database.close()
    return project, ids


def class_id(session: Session, project: Project, name: str) -> int:
    return next(each.id for each in project_classes(session, project.id) if each.name == name)


def selected(page: Page) -> Locator:
    return page.locator(".tile[aria-selected='true']")


def chip(page: Page, image_id: int) -> Locator:
    return tile(page, image_id).locator(".chip")


def on_screen(page: Page, kind: str = "") -> list[int]:
    """Return the ids of the tiles that are seen whole."""
    ids: list[int] = page.locator(".grid").evaluate(
        "(grid, kind) => { const box = grid.getBoundingClientRect();"
        " return [...grid.querySelectorAll('.tile' + kind)].filter((tile) => {"
        "  const its = tile.getBoundingClientRect(); return its.top >= box.top && its.bottom <= box.bottom;"
        " }).map((tile) => Number(tile.dataset.id)).sort((a, b) => a - b); }",
        kind,
    )
    return ids


def columns(page: Page) -> int:
    count: int = page.locator(".floor").evaluate(
        "floor => {"
        " const tops = [...floor.querySelectorAll('.tile')].map(t => t.getBoundingClientRect().top);"
        " return tops.filter(top => top === Math.min(...tops)).length; }"
    )
    return count


def test_every_key_of_the_list(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    _project, ids = filled(home, "글쇠")
    open_grid(page, address, "글쇠", "&state=unlabelled")
    expect(page.locator(".tile img").nth(5)).to_be_visible()
    listed: set[str] = set()
    tried: set[str] = set()

    def at(place: int) -> None:
        expect(page.locator(".tile.focus")).to_have_attribute("data-id", str(ids[place]))

    press(page, "?")
    listed = set(page.locator(".help-dialog kbd").all_inner_texts())
    take_screenshot(page, "curating-keys")
    press(page, "Escape")
    expect(page.locator(".help-dialog")).not_to_be_visible()
    tried.add("?")

    wide = columns(page)
    press(page, "ArrowRight", "ArrowDown", "ArrowRight", "ArrowLeft", "ArrowUp")
    at(1)
    press(page, "ArrowUp", "ArrowLeft", "ArrowLeft")
    at(0)
    press(page, "End")
    at(len(ids) - 1)
    press(page, "Home")
    at(0)
    press(page, "PageDown")
    assert ids.index(focused(page)) % wide == 0 and ids.index(focused(page)) >= wide
    press(page, "PageUp")
    at(0)
    tried |= {"← ↑ → ↓", "Home End", "PageUp PageDown"}

    press(page, "Space", "ArrowRight", "ArrowRight", "Space")
    expect(selected(page)).to_have_count(2)
    press(page, "Escape")
    expect(selected(page)).to_have_count(0)
    press(page, "Shift+ArrowRight", "Shift+ArrowDown")
    expect(selected(page)).to_have_count(wide + 2)
    press(page, "Control+a")
    expect(page.get_by_text(f"{len(ids)} images · {len(ids)} selected")).to_be_visible()
    press(page, "Escape", "Home")
    tried |= {"Space", "Esc", "Shift + ←↑→↓", "Ctrl/⌘ + A"}

    press(page, "1")
    expect(chip(page, ids[0])).to_have_text(CLASSES[0])
    at(1)
    press(page, "3", "t")
    expect(chip(page, ids[1])).to_have_text(CLASSES[2])
    box = page.get_by_role("combobox", name="Class")
    expect(box).to_have_value("t")
    expect(box).to_be_focused()
    press(page, "u", "Enter")
    expect(chip(page, ids[2])).to_have_text("tulip")
    at(3)
    press(page, "l", "Escape", "/")
    expect(box).to_have_value("")
    page.keyboard.insert_text("들꽃 새로운")
    expect(page.get_by_role("option", name="Make the class “들꽃 새로운”")).to_be_visible()
    press(page, "Enter")
    expect(chip(page, ids[3])).to_have_text("들꽃 새로운")
    expect(page.get_by_role("button", name="들꽃 새로운")).to_be_visible()
    tried |= {"1 … 9", "A … Z", "L /"}

    at(4)
    expect(chip(page, ids[4])).to_contain_text("? tulip")
    press(page, "Enter")
    expect(chip(page, ids[4])).to_have_text("tulip")
    press(page, "Enter")  # nothing is suggested here
    expect(page.get_by_text("Nothing is suggested here.", exact=True).first).to_be_attached()
    press(page, "x")
    expect(chip(page, ids[6])).to_have_text("rejected")
    press(page, "ArrowLeft", "Backspace")
    expect(chip(page, ids[6])).to_contain_text("? tulip")
    tried |= {"Enter", "X"}
    press(page, "ArrowLeft", "x", "ArrowLeft", "Delete")
    tried.add("Backspace Delete")

    press(page, "u")
    expect(chip(page, ids[6])).to_have_text("rejected")
    at(6)  # where it was undone
    press(page, "Shift+U")
    expect(chip(page, ids[6])).to_contain_text("? tulip")
    press(page, "Control+z")
    expect(chip(page, ids[6])).to_have_text("rejected")
    press(page, "Control+Shift+Z")
    expect(chip(page, ids[6])).to_contain_text("? tulip")
    tried |= {"U", "Shift + U", "Ctrl/⌘ + Z", "Ctrl/⌘ + Shift + Z"}

    press(page, "z")
    dialog = page.locator("dialog.viewer")
    expect(dialog.locator("img")).to_be_visible()
    seen = focused(page)
    press(page, "ArrowRight", "ArrowLeft", "2")  # keys for labels work here, and go on to the next
    expect(chip(page, seen)).to_have_text("tulip")
    expect(dialog.locator(".caption")).to_contain_text(re.compile("unlabelled|suggested"))
    press(page, "u", "z")
    expect(dialog).not_to_be_visible()
    press(page, "i")
    expect(dialog.locator("dl")).to_have_count(2)
    press(page, "Escape")
    tried |= {"Z", "I"}

    press(page, "Home")
    there = on_screen(page, ".suggested")
    assert len(there) > 5
    press(page, "Shift+Enter")
    for image in there:
        expect(chip(page, image)).to_have_text("tulip")
    press(page, "u")
    assert on_screen(page, ".suggested") == there
    tried.add("Shift + Enter")
    wait_until_saved(page)
    assert tried == listed

    # None of these reached the page's own shortcuts: r runs it again, c clears what it keeps.
    press(page, "r", "Escape", "c", "Escape")
    expect(page.get_by_text("Clear cache")).to_have_count(0)
    take_screenshot(page, "curating-labelled")
    expect(page.get_by_text("no longer belong here")).to_be_visible()
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_text("no longer belong here")).not_to_be_visible()
    assert page.locator(".tile[data-state='labelled']").count() == 0


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_mouse_does_it_all(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    project, ids = filled(home, "쥐")
    open_grid(page, address, "쥐", "&state=unlabelled")
    wide = columns(page)
    tile(page, ids[1]).click()
    tile(page, ids[3]).click()
    expect(selected(page)).to_have_count(2)
    expect(page.get_by_text("2 selected", exact=True)).to_be_visible()
    tile(page, ids[3]).click()
    expect(selected(page)).to_have_count(1)
    tile(page, ids[5]).click(modifiers=["Shift"])
    expect(selected(page)).to_have_count(3)
    page.get_by_role("button", name="Select none").click()

    # A band over two rows of three.
    from_x, from_y = middle(tile(page, ids[0]))
    to_x, to_y = middle(tile(page, ids[wide + 2]))
    page.mouse.move(from_x, from_y)
    page.mouse.down()
    page.mouse.move((from_x + to_x) / 2, to_y, steps=4)
    page.mouse.move(to_x, to_y, steps=4)
    take_screenshot(page, "curating-band")
    page.mouse.up()
    expect(selected(page)).to_have_count(6)

    # Dragged onto a class.
    first = page.get_by_role("button", name=CLASSES[0])
    page.mouse.move(*middle(tile(page, ids[wide + 1])))
    page.mouse.down()
    page.mouse.move(*middle(first), steps=6)
    expect(page.get_by_text("6 images", exact=True)).to_be_visible()
    take_screenshot(page, "curating-drop")
    page.mouse.up()
    band = [ids[row * wide + column] for row in range(2) for column in range(3)]
    for image in band:
        expect(chip(page, image)).to_have_text(CLASSES[0])
    expect(selected(page)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(chip(page, band[1])).to_have_text("")
    page.get_by_role("button", name="Redo").click()
    expect(chip(page, band[1])).to_have_text(CLASSES[0])

    # With the buttons below.
    tile(page, ids[wide + 3]).click()
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(chip(page, ids[wide + 3])).to_have_text("rejected")
    tile(page, ids[wide + 3]).click()
    page.get_by_role("button", name="Unlabel", exact=True).click()
    tile(page, ids[wide + 4]).click()
    page.get_by_role("button", name="Label…").click()
    page.locator(".class-picker").get_by_role("option", name="tulip").click()
    expect(chip(page, ids[wide + 4])).to_have_text("tulip")
    suggested = page.locator(".tile.suggested").first
    image = int(suggested.get_attribute("data-id") or 0)
    suggested.click()
    page.get_by_role("button", name="Accept suggestions").click()
    expect(chip(page, image)).to_have_text("tulip")

    tile(page, ids[4]).dblclick()
    expect(page.locator("dialog.viewer img")).to_be_visible()
    expect(selected(page)).to_have_count(0)
    take_screenshot(page, "curating-closer")
    page.locator("dialog.viewer").get_by_role("button", name=re.compile("tulip")).click()
    expect(chip(page, ids[4])).to_have_text("tulip")
    press(page, "Escape")

    # Grouped by duplicates: all but the best are rejected.
    wait_until_saved(page)
    page.get_by_role("button", name="Duplicates").click()
    expect(page.locator(".tile")).to_have_count(3)
    expect(page.locator(".badge.duplicate", has_text="★")).to_have_count(1)
    press(page, "Control+a")
    page.get_by_role("button", name="Reject duplicates, keep ★").click()
    expect(page.locator(".tile.rejected")).to_have_count(2)
    wait_until_saved(page)
    now = targets(home, project.id)
    assert sorted(now[image][0] for image in ids[-3:]) == ["rejected", "rejected", "unlabelled"]
    assert all(now[image] == ("labelled", CLASSES[0]) for image in band if image != ids[4])


def hold(page: Page, place: Locator) -> None:
    """Touch an image for longer than a tap, until it is selected."""
    x, y = middle(place)
    finger = page.context.new_cdp_session(page)
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    expect(selected(page)).to_have_count(1)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_does_it_all(served: tuple[str, Path], browser: Browser) -> None:
    address, home = served
    project, ids = filled(home, "손가락")
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    context.set_default_timeout(30_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_grid(page, address, "손가락", "&state=unlabelled")
    take_screenshot(page, "phone-curating")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")

    hold(page, tile(page, ids[0]))
    expect(selected(page)).to_have_count(1)
    tile(page, ids[2]).tap()
    tile(page, ids[3]).tap()
    expect(page.get_by_text("3 selected", exact=True)).to_be_visible()
    take_screenshot(page, "phone-curating-selected")
    page.get_by_role("button", name="Label…").tap()
    page.locator(".class-picker").get_by_role("option", name="tulip").tap()
    for image in (ids[0], ids[2], ids[3]):
        expect(chip(page, image)).to_have_text("tulip")

    tile(page, ids[1]).tap()  # nothing is selected: a tap looks closer
    dialog = page.locator("dialog.viewer")
    expect(dialog.locator("img")).to_be_visible()
    take_screenshot(page, "phone-curating-closer")
    dialog.get_by_role("button", name=re.compile("tulip")).tap()
    dialog.get_by_role("button", name="Next image").tap()
    dialog.get_by_role("button", name="Reject", exact=True).tap()
    dialog.get_by_role("button", name="Close").tap()
    expect(chip(page, ids[1])).to_have_text("tulip")
    expect(chip(page, ids[3])).to_have_text("rejected")
    page.get_by_role("button", name="Undo").tap()
    expect(chip(page, ids[3])).to_have_text("tulip")

    page.get_by_role("button", name=re.compile("^tulip")).tap()  # the strip of shelves
    wait_until_saved(page)
    expect(page.locator(".tile[data-state='labelled']")).to_have_count(4 + LABELLED // 3)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    assert {image for image, target in targets(home, project.id).items() if target[1] == "tulip"} >= set(
        ids[:4]
    )
    context.close()
    assert errors == []


def test_the_url_keeps_the_filters(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    _project, ids = filled(home, "주소")
    open_grid(page, address, "주소")
    side = page.get_by_role("navigation", name="Filter images")
    side.get_by_role("button", name="Unlabelled").click()
    order = page.get_by_role("combobox", name="Sort order")
    order.select_option("oldest")
    expect(page.locator(".tile").first).to_have_attribute("data-id", str(ids[-1]))
    page.get_by_text("Filters").click()
    page.get_by_label("Licence").select_option("CC BY 4.0")
    expect(page.locator(".tile")).to_have_count(1)
    expect(tile(page, ids[0]).or_(page.locator(".tile").first)).to_have_attribute("title", "free.jpg")
    take_screenshot(page, "curating-filtered")
    for part in ("state=unlabelled", "order=oldest", "licence=CC", "project="):
        assert part in page.url
    page.reload()
    expect(page.locator(".tile")).to_have_count(1, timeout=LONG_MS)
    expect(order).to_have_value("oldest")
    page.get_by_role("button", name="Licence: CC BY 4.0").click()
    expect(page.get_by_text(f"{len(ids)} images", exact=True)).to_be_visible()

    # Each choice is a step that the back button takes back.
    page.go_back()
    expect(page.locator(".tile")).to_have_count(1)
    page.go_back()
    expect(page.get_by_text(f"{len(ids)} images", exact=True)).to_be_visible()
    assert "licence" not in page.url
    page.go_back()
    expect(order).to_have_value("newest")

    # The image in focus comes back, too.
    page.locator(".grid").focus()
    press(page, *["ArrowRight"] * 30)
    expect(page).to_have_url(re.compile(f"at={ids[30]}"))
    page.reload()
    expect(page.locator(".tile.focus")).to_have_attribute("data-id", str(ids[30]), timeout=LONG_MS)

    page.get_by_placeholder("Search names").fill("없는 이름")
    expect(page.get_by_text("No images here.")).to_be_visible()
    page.get_by_role("button", name="Show all images").click()
    expect(page.get_by_text(f"{len(ids) + LABELLED} images", exact=True)).to_be_visible()
    # Another room and back, and what was done can still be undone.
    image = focused(page)
    press(page, "2")
    wait_until_saved(page)
    go_to(page, "Retrain")
    expect(page.get_by_role("heading", name="Retrain", exact=True)).to_be_visible()
    go_to(page, "Curate")
    expect(chip(page, image)).to_have_text("tulip")
    page.get_by_role("button", name="Undo").click()
    expect(chip(page, image)).not_to_have_text("tulip")
    wait_until_saved(page)


def test_what_a_screen_reader_hears(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    _project, ids = filled(home, "소리")
    grid = open_grid(page, address, "소리", "&state=unlabelled")
    expect(grid).to_have_attribute("aria-multiselectable", "true")
    names = [tile(page, image).get_attribute("title") for image in ids[:3]]
    first = page.get_by_role("option", name=f"{names[0]}, unlabelled, suggested: tulip, 90%", exact=True)
    expect(first).to_have_attribute("aria-posinset", "1")
    expect(first).to_have_attribute("aria-setsize", str(len(ids)))
    expect(grid).to_have_attribute("aria-activedescendant", "image-0")
    live = page.locator(".live")
    press(page, "1")
    expect(live).to_have_text(f"{CLASSES[0]} · 1 image")
    expect(
        page.get_by_role("option", name=f"{names[0]}, {CLASSES[0]}, no longer belongs here")
    ).to_be_visible()
    expect(grid).to_have_attribute("aria-activedescendant", "image-1")
    press(page, "Shift+ArrowRight")
    expect(page.locator(".tile.focus")).to_have_attribute("aria-selected", "true")
    press(page, "x")
    expect(live).to_have_text("Rejected · 2 images")
    press(page, "u")
    expect(live).to_have_text("Undone: Rejected · 2 images")
    expect(page.get_by_role("option", name=f"{names[1]}, unlabelled", exact=True)).to_be_visible()
    page.get_by_role("button", name="Duplicates").click()
    expect(page.get_by_role("option", name=re.compile("best of its duplicates"))).to_have_count(1)
    expect(page.get_by_role("option", name=re.compile("duplicate of another image"))).to_have_count(2)


def test_more_like_this_the_map_classes_and_history_open(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    filled(home, "창")
    open_grid(page, address, "창")
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_role("region", name="Map of the images")).to_be_visible()
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_role("button", name="Classes…").click()
    expect(page.get_by_role("dialog", name="Classes")).to_be_visible()
    page.get_by_role("textbox", name="Name of a new class").fill("늦은 class")
    press(page, "Enter")
    expect(page.get_by_role("textbox", name="Name of 늦은 class")).to_be_visible()
    press(page, "Escape")
    expect(page.get_by_role("button", name="늦은 class")).to_be_visible()
    press(page, "4")
    expect(page.locator(".tile").first.locator(".chip")).to_have_text("늦은 class")
    wait_until_saved(page)
    page.get_by_role("button", name="History").click()
    history = page.get_by_role("dialog", name="History")
    history.get_by_role("button", name="Undo").first.click()
    expect(history.get_by_text("undone").first).to_be_visible()
    press(page, "Escape")
    expect(page.locator(".tile").first.locator(".chip")).not_to_have_text("늦은 class")
