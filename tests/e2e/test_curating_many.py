"""A hundred thousand images: few tiles, flat memory, the right images; how fast it is, is printed."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image as Pillow
from playwright.sync_api import BrowserContext, CDPSession, Page, Route, expect
from sqlalchemy import insert

from db.models import AnalysisRow, ImageClassRow, ImageRow, LabelOperationRow, LabelRow, ProvenanceRow
from studio.data import open_database
from studio.datasets.projects import create_project
from studio.images.decode import decode
from studio.images.store import ImageStore
from studio.settings import Settings
from tests.collect.material import image_bytes
from tests.conftest import FLOWERS, NOW, until
from tests.e2e.conftest import run_server
from tests.e2e.labelling_grid import (
    LONG_MS,
    finished_analysis_rows,
    open_grid,
    press,
    shown,
    tile,
    wait_until_saved,
)

pytestmark = pytest.mark.browser
COUNT = 100_000
WITH_FILES = 240
"""So many at each end have a thumbnail; between them there are none, which costs the same to ask for."""
NAME = "십만"
MEGABYTE = 1_000_000

WATCH = """
(() => {
  const inside = () => {
    for (const each of document.querySelectorAll("*")) {
      const found = each.shadowRoot?.querySelector(".curating");
      if (found) return found;
    }
  };
  // Resolves with the time when the screen that is seen is drawn, thumbnails and all, and `holds` of it.
  window.drawn = (holds) => new Promise((resolve) => {
    const look = () => {
      const grid = inside()?.querySelector(".grid");
      const box = grid?.getBoundingClientRect();
      const tiles = [...(grid?.querySelectorAll(".tile") ?? [])].filter((tile) => {
        const its = tile.getBoundingClientRect();
        return its.bottom > box.top && its.top < box.bottom;
      });
      const done = tiles.length > 0 && tiles.every((tile) => {
        const image = tile.querySelector("img");
        return image?.complete && image.naturalWidth > 0;
      });
      if (done && holds(tiles)) resolve(performance.now());
      else requestAnimationFrame(look);
    };
    look();
  });
  window.inside = inside;
  const seen = () => { if (inside()) window.began = performance.now(); else requestAnimationFrame(seen); };
  requestAnimationFrame(seen);
  window.first = window.drawn(() => true);
})();
"""
KEY_TO_LABEL = """
() => new Promise((resolve) => {
  addEventListener("keydown", () => {
    const before = performance.now();
    const grid = window.inside().querySelector(".grid");
    const focus = grid.querySelector(".tile.focus");
    requestAnimationFrame(() => {
      const labelled = focus.dataset.state === "labelled" && focus.querySelector(".chip").textContent !== "";
      const channel = new MessageChannel();
      channel.port1.onmessage = () => resolve(labelled ? performance.now() - before : Infinity);
      channel.port2.postMessage(0); // after the frame has been drawn
    });
  }, { capture: true, once: true });
})
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("많은 home") / "data"
    fill(home)
    with run_server(home) as (address, _server):
        yield address


def fill(home: Path) -> None:
    settings = Settings(home=home)
    database = open_database(settings)
    store = ImageStore(settings.images_dir)
    with database.write() as session:
        project = create_project(session, NAME, NOW)
        add = session.execute
        add(
            insert(ImageClassRow),
            [{"project_id": project.id, "name": n, "position": i} for i, n in enumerate("가나다")],
        )
        images = [
            {
                "id": number,
                "sha256": f"{number:064x}",
                "format": "JPEG",
                "width_px": 320,
                "height_px": 240,
                "size_bytes": 9_000,
                "perceptual_hash": f"{number * 2_654_435_761 % 2**64:016x}",
                "created_at": NOW,
            }
            for number in range(1, COUNT + 1)
        ]
        add(insert(ImageRow), images)
        own = {"project_id": project.id}
        add(insert(AnalysisRow), finished_analysis_rows(project.id))
        add(insert(LabelOperationRow), [{"id": "first", "number": 1, "author": "", "at": NOW, **own}])
        add(
            insert(LabelRow),
            [
                {"image_id": n, "state": "unlabelled", "operation_number": 1, "updated_at": NOW, **own}
                for n in range(1, COUNT + 1)
            ],
        )
        add(
            insert(ProvenanceRow),
            [
                {"image_id": n, "kind": "folder", "address": f"사진/{n:06}.jpg", "found_at": NOW, **own}
                for n in range(1, COUNT + 1)
            ],
        )
    ready = thumbnails()
    for number in [*range(1, WITH_FILES + 1), *range(COUNT - WITH_FILES + 1, COUNT + 1)]:
        store.put_thumbnail(f"{number:064x}", ready[number % len(ready)])
    database.close()


def thumbnails() -> list[Pillow.Image]:
    photographs = sorted(FLOWERS.rglob("*.jpg"))[:WITH_FILES] if FLOWERS.is_dir() else []
    data = [path.read_bytes() for path in photographs] or [image_bytes(n, 320, 240) for n in range(40)]
    return [decode(each, "image", fitting_px=256) for each in data]


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    context.add_init_script(WATCH)
    return context


def all_read(page: Page) -> None:
    expect(page.get_by_text(f"{COUNT:,} images", exact=True)).to_be_visible(timeout=LONG_MS)


def tiles(page: Page) -> int:
    return page.locator(".tile").count()


def heap_bytes(line: CDPSession) -> int:
    line.send("HeapProfiler.collectGarbage")
    used: int = line.send("Runtime.getHeapUsage")["usedSize"]
    return used


def test_the_ends_are_near_and_keys_are_quick(address: str, page: Page) -> None:
    open_grid(page, address, NAME)
    first_ms, began_ms = page.evaluate("Promise.all([window.first, window.began])")
    assert shown(page)[:3] == [COUNT, COUNT - 1, COUNT - 2]
    all_read(page)

    # To the far end, as soon as the key is pressed.
    page.evaluate(
        "window.pressed = new Promise((resolve) => addEventListener('keydown', () => {"
        " const before = performance.now();"
        " window.drawn((tiles) => tiles.some((tile) => tile.dataset.id === '1'))"
        ".then((at) => resolve(at - before));"
        "}, { capture: true, once: true })); 0"
    )
    press(page, "End")
    end_ms = page.evaluate("window.pressed")
    assert shown(page)[-1] == 1
    expect(page.locator(".tile.focus")).to_have_attribute("aria-posinset", str(COUNT))

    press(page, "Home")
    expect(page.locator(".tile.focus")).to_have_attribute("data-id", str(COUNT))
    took: list[float] = []
    for number in range(40):
        page.evaluate(f"window.pressed = ({KEY_TO_LABEL})(); 0")
        press(page, "123"[number % 3])
        took.append(page.evaluate("window.pressed"))
    wait_until_saved(page)
    assert max(took) < float("inf")  # each was to be seen in the very next frame

    # As another filter is chosen.
    before_ms = page.evaluate("performance.now()")
    page.get_by_role("button", name="Unlabelled").click()
    unlabelled_ms = page.evaluate(
        f"window.drawn((tiles) => tiles.some((tile) => tile.dataset.id === '{COUNT - 40}'))"
    )
    print(
        f"\n{COUNT:,} images: first screen {first_ms - began_ms:.0f} ms after the grid stood, "
        f"{first_ms:.0f} ms after the address was opened; far end {end_ms:.0f} ms; "
        f"another filter {unlabelled_ms - before_ms:.0f} ms; "
        f"key to label median {statistics.median(took):.1f} ms, slowest of {len(took)} {max(took):.1f} ms"
    )


def in_the_middle(page: Page) -> int:
    ids = shown(page)
    return ids[len(ids) // 2] if ids else -COUNT


def test_tiles_are_few_and_memory_is_flat(address: str, page: Page) -> None:
    open_grid(page, address, NAME)
    all_read(page)
    line = page.context.new_cdp_session(page)
    line.send("HeapProfiler.enable")
    size = page.get_by_label("Size of the images")
    most = 0
    for width in ("56", "320", "104"):
        size.fill(width)
        page.wait_for_timeout(300)
        most = max(most, tiles(page))
    grid = page.locator(".grid")
    jump = "(grid, share) => { grid.scrollTop = share * (grid.scrollHeight - grid.clientHeight); }"
    heaps: list[int] = []
    for number in range(31):
        share = number * 0.37 % 1
        grid.evaluate(jump, share)
        until(lambda middle=COUNT * (1 - share): abs(middle - in_the_middle(page)) < 500)  # type: ignore[misc]
        most = max(most, tiles(page))
        ids = shown(page)
        assert ids == sorted(ids, reverse=True)
        expect(page.locator(".tile").first).to_have_attribute("title", f"{ids[0]:06}.jpg")
        heaps.append(heap_bytes(line))
    print(
        f"\n{COUNT:,} images: {most} tiles at most; heap {heaps[0] / MEGABYTE:.1f} MB after one far jump, "
        f"{heaps[-1] / MEGABYTE:.1f} MB after 30 more, {max(heaps) / MEGABYTE:.1f} MB at most"
    )
    assert most <= 200
    assert heaps[-1] - heaps[0] < 30 * MEGABYTE
    # On a very large screen, too, with the smallest tiles.
    size.fill("56")
    page.set_viewport_size({"width": 3840, "height": 2160})
    until(lambda: tiles(page) > 100)
    assert tiles(page) <= 200


def test_what_is_taller_than_browsers_allow_is_scrolled_through_whole(address: str, page: Page) -> None:
    """Two million images, played: the grid is 30 million pixels high, and Firefox ends at 17.8 million."""
    count = 2_000_000
    page_ids = ",".join(map(str, range(count, 0, -1)))
    page.route(
        "**/walk?*",
        lambda route: route.fulfill(
            content_type="application/json", body=f'{{"ids": [{page_ids}], "next": null}}'
        ),
    )
    nothing = dict.fromkeys(("class", "suggestion", "doubt", "group", "clash"))
    item: dict[str, object] = {"sha": "", "state": "unlabelled", "w": 1, "h": 1, "keeper": False, **nothing}

    def items(route: Route) -> None:
        ids = parse_qs(urlsplit(route.request.url).query)["ids"][0].split(",")
        route.fulfill(
            json={"number": 1, "items": [{**item, "odd": [], "id": int(n), "name": n} for n in ids]}
        )

    page.route("**/items?*", items)
    page.goto(f"{address}/curate?project={NAME}")
    expect(page.get_by_text(f"{count:,} images", exact=True)).to_be_visible(timeout=LONG_MS)
    grid = page.locator(".grid")
    grid.focus()
    assert grid.evaluate("grid => grid.scrollHeight") <= 15_000_000
    press(page, "End")
    expect(page.get_by_role("option", name="1, unlabelled", exact=True)).to_be_in_viewport(ratio=0.9)
    press(page, "ArrowUp")
    expect(page.locator(".tile.focus")).to_be_in_viewport(ratio=0.9)
    press(page, "PageUp")
    expect(page.locator(".tile.focus")).to_be_in_viewport(ratio=0.9)
    press(page, "Home")
    expect(page.get_by_role("option", name=f"{count}, unlabelled", exact=True)).to_be_in_viewport(ratio=0.9)
    grid.evaluate("grid => { grid.scrollTop = (grid.scrollHeight - grid.clientHeight) / 2; }")
    until(lambda: abs(in_the_middle(page) - count / 2) < 200)
    ids = shown(page)
    assert ids == list(range(ids[0], ids[-1] - 1, -1))
    # A tile that is clicked is the one that is seen there.
    tile(page, ids[len(ids) // 2]).click()
    expect(tile(page, ids[len(ids) // 2])).to_have_attribute("aria-selected", "true")
    assert tiles(page) <= 200
