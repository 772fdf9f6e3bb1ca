"""A share link in a browser: a phone without any other access to the studio uses the model."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from db.engine import Database
from db.migrate import migrate
from studio.images.provenance import VISITOR
from studio.predict.model import Model
from studio.progress import Silent
from studio.share import feedback, links
from studio.share.web_demo.runtime import ensure_runtime
from studio.web.state import now
from tests.conftest import NOW, until
from tests.e2e.conftest import SCREENSHOTS, run_server, take_screenshot, visit, wait_until_settled
from tests.retrain.material import ROOM
from tests.share.browser_runtime import pack_into
from tests.share.links_material import Studio, studio

pytestmark = pytest.mark.browser
PHONE: ViewportSize = {"width": 390, "height": 844}
SECRET = "문 열려라 참깨"
NEAR = 1e-4
"""Tolerance: the browser rounds differently from this machine's processor."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Studio]]:
    """The URL of a server that listens on all interfaces, and its data."""
    home = tmp_path_factory.mktemp("나눔 home") / "data"
    home.mkdir()
    database = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
    migrate(database)
    made = studio(database, home)
    pack_into(made.settings.downloads_dir)
    ensure_runtime(made.settings.downloads_dir, Silent())
    with run_server(home, "--host", "0.0.0.0", STUDIO_SECRET=SECRET) as (address, _process):
        yield address, made
    database.close()


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
    context.grant_permissions(["camera"])
    yield context
    context.close()


def image(number: int) -> Path:
    return ROOM / "drawings" / "square" / f"그림 {number:03d}.png"


def answers_as_the_run_does(page: Page, made: Studio, number: int) -> None:
    page.set_input_files("#files", image(number))
    card = page.locator(f".card[data-name='{image(number).name}']")
    expect(card).to_be_visible()
    expected = Model.open(made.folder).classify_file(image(number), "x")
    for place, each in enumerate(expected):
        bar = card.locator("li").nth(place)
        assert bar.get_attribute("data-label") == each.label
        assert abs(float(bar.get_attribute("data-probability") or 9) - each.score) < NEAR


def test_a_telephone_asks_by_file_and_camera_and_says_what_is_wrong(
    shared: tuple[str, Studio], phone: BrowserContext, context: BrowserContext
) -> None:
    address, made = shared
    link_id, token = made.link(keeps_images=True)
    page = phone.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(f"{request.method} {request.url}"))
    page.goto(f"{address}/share/{token}")
    expect(page.get_by_role("heading", name="도형 demo")).to_be_visible()
    expect(page.locator("body")).to_have_attribute("data-state", "here")
    answers_as_the_run_does(page, made, 3)
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#live-answer .bars li")).to_have_count(2)
    page.get_by_role("button", name="Turn the camera off").click()
    take_screenshot(page, "link-phone")
    assert not [each for each in requests if each.startswith("POST")], "an image left the device"
    assert all(each.split()[1].startswith((f"{address}/share/", "blob:", "data:")) for each in requests)

    page.get_by_text("Is this wrong?").first.click()
    page.get_by_label("Correct class").select_option("원 circle")
    page.get_by_label("Send the image too").check()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Thank you")).to_be_visible()
    seen = made.find_link(link_id)
    assert (seen.feedback_count, seen.feedback_images) == (1, 1)

    owner = context.new_page()
    visit(owner, f"{address}/curate?project=도형&source={VISITOR}&secret={SECRET}")
    tile = owner.locator("[data-id] img").first
    expect(tile).to_have_js_property("complete", True)
    expect(tile).to_have_js_property("naturalWidth", 96)
    take_screenshot(owner, "link-in-curate")
    visit(owner, f"{address}/?project=도형")
    owner.get_by_role("link", name="1 prediction reported as wrong").click()
    expect(owner.get_by_text("Source: reported by a visitor")).to_be_visible()
    with made.database.read() as session:
        assert feedback.list_feedback(session, made.project_id)[0].correct == "원 circle"


def test_where_the_browser_cannot_the_studio_answers(
    shared: tuple[str, Studio], phone: BrowserContext
) -> None:
    address, made = shared
    link_id, token = made.link()
    page = phone.new_page()
    page.route("**/*.wasm", lambda route: route.abort())
    page.goto(f"{address}/share/{token}")
    expect(page.locator("body")).to_have_attribute("data-state", "server")
    answers_as_the_run_does(page, made, 4)
    page.get_by_text("Is this wrong?").click()
    expect(page.get_by_label("Correct class")).to_be_visible()
    expect(page.get_by_label("Send the image too")).to_have_count(0)
    until(lambda: (made.find_link(link_id).page_views, made.find_link(link_id).server_predictions) == (1, 1))


def test_closed_and_guessed_links_cannot_be_distinguished_and_the_studio_stays_closed(
    shared: tuple[str, Studio], phone: BrowserContext
) -> None:
    address, made = shared
    expired, revoked = made.link(expires_at=NOW)[1], made.link()
    with made.database.write() as session:
        links.revoke(session, revoked[0], now())
    page = phone.new_page()
    answers = set()
    for token in (expired, revoked[1], links.new_token()):
        answer = page.goto(f"{address}/share/{token}")
        assert answer is not None
        answers.add((answer.status, answer.text()))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 404
    take_screenshot(page, "link-closed")
    for inside in ("/", "/share", "/curate", "/studio/projects/1/items?ids=1", "/share/../curate"):
        answer = page.goto(f"{address}{inside}")
        assert answer is not None
        assert answer.status == 401


def test_the_owner_makes_a_link_hands_it_out_and_closes_it(
    shared: tuple[str, Studio], context: BrowserContext, phone: BrowserContext
) -> None:
    address, made = shared
    owner = context.new_page()
    visit(owner, f"{address}/share?project=도형&secret={SECRET}")
    owner.get_by_label("Page title").fill("우리 <b>demo</b>")
    owner.get_by_role("button", name="Create link").click()
    code_block = owner.locator("[data-testid='stCode'] code")
    expect(code_block).to_contain_text("/share/")
    link = code_block.inner_text().strip()
    image = owner.locator(f".st-key-new-link-{made.project_id} img")
    image.evaluate("image => image.decode()")
    wait_until_settled(owner)
    code = image.screenshot()
    take_screenshot(owner, "links-owner")
    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(code)))
    assert [each.text for each in read] == [link]

    visitor = phone.new_page()
    here = link.replace(link.split("/share/")[0], address)
    visitor.goto(here)
    expect(visitor.get_by_role("heading", name="우리 <b>demo</b>")).to_be_visible()
    owner.get_by_role("button", name="Done").click()
    expect(owner.locator("[data-testid='stCode']")).to_have_count(0)
    newest = owner.locator("[class*='st-key-link-']", has_text="우리").first
    newest.get_by_role("button", name="Revoke").click()
    expect(newest.get_by_text("revoked")).to_be_visible()
    answer = visitor.goto(here)
    assert answer is not None
    assert answer.status == 404

    newest.get_by_role("button", name="Renew link").click()
    expect(code_block).to_contain_text("/share/")
    renewed = code_block.inner_text().strip()
    assert renewed != link
    answer = visitor.goto(renewed.replace(renewed.split("/share/")[0], address))
    assert answer is not None
    assert answer.status == 200
    take_screenshot(owner, "links-owner-after")
    if SCREENSHOTS:
        owner.emulate_media(color_scheme="dark")
        owner.set_viewport_size(PHONE)
        owner.reload()
        owner.get_by_role("button", name="Create link").scroll_into_view_if_needed()
        take_screenshot(owner, "links-owner-phone")
