"""Classes and the history in a browser: all that can be done to a class, and the way back from it."""

import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from studio.curate import classes, labels
from studio.curate.classes import ClassCount
from studio.data import open_database
from studio.datasets.projects import Project
from studio.settings import Settings
from tests.collect.material import image_bytes
from tests.conftest import NOW, until
from tests.e2e.conftest import take_screenshot
from tests.e2e.labelling_grid import fill, open_grid, press, source, targets

pytestmark = pytest.mark.browser
PHONE: ViewportSize = {"width": 390, "height": 844}
HOSTILE = "<img src=x onerror=window.hacked=1> *daisy*"
SIZES = {"장미": 4, HOSTILE: 3, "tulip": 2}
UNLABELLED = 3


def filled(home: Path, name: str) -> Project:
    classes = [class_name for class_name, size in SIZES.items() for _number in range(size)]
    return fill(
        home,
        name,
        [
            source(f"사진 {number}.jpg", lambda number=number: image_bytes(number), class_name)  # type: ignore[misc]
            for number, class_name in enumerate([*classes, *[None] * UNLABELLED])
        ],
    )


def kept(home: Path, project: Project) -> tuple[ClassCount, ...]:
    """Return the classes as the database has them."""
    database = open_database(Settings(home=home))
    with database.read() as session:
        found = classes.project_counts(session, project.id).classes
    database.close()
    return found


def names(home: Path, project: Project) -> list[str]:
    return [each.name for each in kept(home, project)]


def sizes(home: Path, project: Project) -> Counter[str]:
    """Return how many images have which class's name, or else which state."""
    return Counter(name or state for state, name in targets(home, project.id).values())


def open_classes(page: Page) -> Locator:
    page.get_by_role("button", name="Classes…").click()
    dialog = page.get_by_role("dialog", name="Classes")
    expect(dialog).to_be_visible()
    return dialog


def acts_in(history: Locator) -> Locator:
    """Return what people did: images may have come in at once or in two lots."""
    return history.get_by_role("listitem").filter(has_not_text="added")


def change(field: Locator, value: str) -> None:
    field.fill(value)
    field.press("Enter")


def test_classes_are_added_named_coloured_and_given_keys(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    project = filled(home, "이름")
    open_grid(page, address, "이름")
    dialog = open_classes(page)
    take_screenshot(page, "classes")
    new = dialog.get_by_label("Name of a new class")
    change(new, "   ")
    expect(dialog.get_by_text("expected a class name of 1 to 80 characters")).to_be_visible()
    change(new, "  새   class ")
    expect(dialog.get_by_label("Name of 새 class")).to_be_visible()
    assert names(home, project) == [*SIZES, "새 class"]

    tulip = dialog.get_by_label("Name of tulip")
    change(tulip, "장미")
    expect(dialog.get_by_text("There is already a class named 장미")).to_be_visible()
    expect(tulip).to_have_value("장미")  # there to be mended
    expect(tulip).to_have_attribute("aria-invalid", "true")
    take_screenshot(page, "classes-refused")
    tulip.press("Escape")
    expect(tulip).to_have_value("tulip")
    expect(dialog).to_be_visible()
    change(tulip, "튤립")
    until(lambda: names(home, project) == ["장미", HOSTILE, "튤립", "새 class"])

    dialog.get_by_label("Colour of 장미").evaluate(
        "field => { field.value = '#0055aa'; field.dispatchEvent(new Event('change')); }"
    )
    until(lambda: kept(home, project)[0].colour == "#0055aa")
    change(dialog.get_by_label("Key that labels images as 튤립"), "q")
    until(lambda: kept(home, project)[2].hotkey == "q")
    change(dialog.get_by_label("Key that labels images as 장미"), "q")
    until(lambda: [each.hotkey for each in kept(home, project)] == ["q", "", "", ""])
    expect(dialog.get_by_label("Key that labels images as 튤립")).to_have_value("")
    expect(dialog.get_by_label("Key that labels images as 튤립")).to_have_attribute("placeholder", "3")
    change(dialog.get_by_label("Key that labels images as 튤립"), "!")
    expect(dialog.get_by_text("expected one digit or one letter as the key")).to_be_visible()

    # What was given holds in the grid.
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).not_to_be_visible()
    before = sizes(home, project)
    page.get_by_role("listbox", name="Images").focus()
    press(page, "Home", "q")
    until(lambda: sizes(home, project)["장미"] == before["장미"] + 1)
    expect(page.get_by_role("button", name=re.compile("^튤립"))).to_be_visible()


def test_the_order_by_keys_by_buttons_and_by_hand(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    project = filled(home, "차례")
    open_grid(page, address, "차례")
    dialog = open_classes(page)
    name = dialog.get_by_label("Name of tulip")
    name.focus()
    press(page, "Alt+ArrowUp", "Alt+ArrowUp")  # faster than the studio answers
    until(lambda: names(home, project) == ["tulip", "장미", HOSTILE])
    expect(name).to_be_focused()
    expect(dialog.get_by_text("Now in place 1 of 3.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Move tulip up")).to_be_disabled()
    dialog.get_by_role("button", name="Move tulip down").click()
    until(lambda: names(home, project) == ["장미", "tulip", HOSTILE])

    handle = dialog.locator(".classes-handle").first.bounding_box()
    last = dialog.locator(".classes-row").last.bounding_box()
    assert handle is not None
    assert last is not None
    page.mouse.move(handle["x"] + 8, handle["y"] + 8)
    page.mouse.down()
    page.mouse.move(handle["x"] + 8, last["y"] + last["height"] - 4, steps=8)
    take_screenshot(page, "classes-dragged")
    page.mouse.up()
    until(lambda: names(home, project) == ["tulip", HOSTILE, "장미"])
    page.reload()
    expect(page.get_by_role("navigation", name="Filter images").locator(".name")).to_contain_text(
        ["All", "Unlabelled", "Labelled", "Rejected", "tulip", HOSTILE, "장미"]
    )


def test_merged_deleted_and_brought_back_by_the_history(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    project = filled(home, "합침")
    before = targets(home, project.id)
    open_grid(page, address, "합침")
    dialog = open_classes(page)
    dialog.get_by_role("button", name="Merge tulip into another class").click()
    expect(dialog.get_by_text("Its 2 images move to")).to_be_visible()
    take_screenshot(page, "classes-merge")
    dialog.get_by_label("Class that tulip is merged into").select_option("장미")
    dialog.get_by_role("button", name="Merge", exact=True).click()
    until(lambda: sizes(home, project) == Counter({"장미": 6, HOSTILE: 3, "unlabelled": UNLABELLED}))
    assert names(home, project) == ["장미", HOSTILE]
    expect(dialog.get_by_label(f"Name of {HOSTILE}")).to_be_focused()  # the next one

    dialog.get_by_role("button", name=f"Delete {HOSTILE}").click()
    expect(dialog.get_by_text("Its 3 images return to unlabelled.")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_role("button", name=f"Delete {HOSTILE}")).to_be_focused()
    dialog.get_by_role("button", name=f"Delete {HOSTILE}").click()
    dialog.get_by_role("button", name="Delete the class").click()
    until(lambda: names(home, project) == ["장미"])
    assert sizes(home, project) == Counter({"장미": 6, "unlabelled": UNLABELLED + 3})
    expect(dialog.get_by_role("button", name="Merge 장미 into another class")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()

    page.get_by_role("button", name="History").click()
    history = page.get_by_role("dialog", name="History")
    acts = acts_in(history)
    expect(acts).to_have_count(2)
    expect(acts.nth(0)).to_contain_text(f"class {HOSTILE} removed")
    expect(acts.nth(0)).to_contain_text("You")
    expect(acts.nth(0)).to_contain_text(re.compile("second|minute|now"))
    expect(acts.nth(1)).to_contain_text("class tulip merged into 장미")
    expect(history.get_by_role("listitem").last).to_contain_text("The studio")
    take_screenshot(page, "history")
    # The older one first: what was done since stays.
    acts.nth(1).get_by_role("button", name=re.compile("^Undo")).click()
    until(lambda: sizes(home, project) == Counter({"장미": 4, "tulip": 2, "unlabelled": UNLABELLED + 3}))
    expect(acts).to_have_count(3)
    expect(acts.nth(2).locator("del")).to_contain_text("class tulip merged into 장미")
    expect(acts.nth(2)).to_contain_text("undone")
    expect(acts.nth(2).get_by_role("button")).to_have_count(0)
    acts.nth(1).get_by_role("button", name=re.compile("^Undo")).click()
    until(lambda: targets(home, project.id) == before)
    assert sorted(names(home, project)) == sorted(SIZES)
    take_screenshot(page, "history-undone")
    page.keyboard.press("Escape")
    expect(history).not_to_be_visible()


def test_a_long_history_and_one_that_cannot_be_read(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    project = filled(home, "긴")
    label_often(home, project, 70)
    open_grid(page, address, "긴")
    page.route("**/history*", lambda route: route.abort())
    page.get_by_role("button", name="History").click()
    history = page.get_by_role("dialog", name="History")
    expect(history.get_by_text("The history could not be read.")).to_be_visible()
    page.unroute("**/history*")
    history.get_by_role("button", name="Earlier").click()
    acts = acts_in(history)
    expect(acts).to_have_count(50)
    history.evaluate("panel => panel.scrollTo(0, panel.scrollHeight)")
    expect(acts).to_have_count(70)
    expect(history.get_by_role("button", name="Earlier")).not_to_be_visible()
    texts = acts.locator(".history-what").all_inner_texts()
    assert texts[0] != texts[1]


def label_often(home: Path, project: Project, times: int) -> None:
    image = min(targets(home, project.id))
    database = open_database(Settings(home=home))
    for number in range(times):
        with database.write() as session:
            name = list(SIZES)[number % 2]
            labels.label_images(session, project.id, [image], name, operation_id=f"긴 {number}", now=NOW)
    database.close()


def test_a_phone_in_the_dark(served: tuple[str, Path], browser: Browser) -> None:
    address, home = served
    project = filled(home, "전화")
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    context.set_default_timeout(30_000)
    page = context.new_page()
    open_grid(page, address, "전화")
    page.get_by_role("button", name="Classes…").tap()
    dialog = page.get_by_role("dialog", name="Classes")
    dialog.get_by_role("button", name="Delete tulip").tap()
    take_screenshot(page, "classes-phone-dark")
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    dialog.get_by_role("button", name="Delete the class").tap()
    until(lambda: names(home, project) == ["장미", HOSTILE])
    dialog.get_by_role("button", name="Close").tap()
    page.get_by_role("button", name="History").tap()
    history = page.get_by_role("dialog", name="History")
    expect(acts_in(history)).to_have_count(1)
    take_screenshot(page, "history-phone-dark")
    assert history.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
    history.get_by_role("button", name="Undo: class tulip removed").tap()
    until(lambda: sizes(home, project)["tulip"] == SIZES["tulip"])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    context.close()
