"""A server on a free port for the browser tests, the browser, and helpers that wait for pages."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.conftest import free_port, until

expect.set_options(timeout=30_000)  # long: a busy machine must not fail a test
ROOT = Path(__file__).resolve().parents[2]
_HERE = re.compile(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|(data|blob|about|chrome-error):")
SCREENSHOTS = os.environ.get("STUDIO_SCREENSHOTS")
"""Folder for screenshots; none are taken without it."""


def _answers(process: subprocess.Popen[bytes], address: str) -> bool:
    assert process.poll() is None, "the server did not start"
    try:
        urllib.request.urlopen(f"{address}/_stcore/health", timeout=60).close()
    except urllib.error.HTTPError:
        return True  # it answers, with 401 where authentication is on
    except OSError:
        return False
    return True


@contextmanager
def run_server(home: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run `python -m studio serve` on a free port; yield its URL and its process.

    Few tests train: unless STUDIO_WARM is given, the worker does not import training libraries in advance.
    """
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "studio", "serve", "--port", str(port), "--no-browser", *arguments],
        cwd=ROOT,
        env={**os.environ, "STUDIO_HOME": str(home), "STUDIO_WARM": "no", **environment},
        stdout=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(process, address))
        yield address, psutil.Process(process.pid)
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()
        process.wait(60)
        _gone, alive = psutil.wait_procs(family, timeout=60)
        assert alive == [], "the server left processes behind"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium or Chrome is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with an empty data folder: its URL, and the folder."""
    home = tmp_path_factory.mktemp("스튜디오 home") / "data"
    with run_server(home) as (address, _process):
        yield address, home


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page; fails the test on a script error, an injected script, or a request to another host."""
    page = context.new_page()
    errors: list[str] = []
    external: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: None if _HERE.match(request.url) else external.append(request.url))
    yield page
    assert errors == []
    assert external == []
    if not page.is_closed():  # by the test itself
        assert page.evaluate("window.hacked") is None


_SETTLED = """() => {
    const state = document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
    const controls = document.querySelectorAll("main button, main input, [role=tab], [role=combobox]");
    const places = [...controls].map((control) => Object.values(control.getBoundingClientRect().toJSON()));
    if (state !== "notRunning" || String(places) !== window.placesBefore) {
        window.placesBefore = String(places);
        window.placesSince = performance.now();
    }
    return performance.now() - window.placesSince > 300;
}"""


def wait_until_settled(page: Page) -> None:
    """Wait until a page has loaded and its controls do not move.

    Streamlit loads the parts of a page one after the other, and elements move meanwhile: a click could miss.
    """
    page.wait_for_function(_SETTLED)


def visit(page: Page, address: str) -> None:
    """Open a URL of the studio and wait until the page does not move."""
    page.goto(address)
    wait_until_settled(page)


def go_to(page: Page, name: str) -> None:
    """Open a page by its link in the navigation, and wait until it is there."""
    wait_until_settled(page)
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(re.compile(r"/(\?|$)" if name == "Home" else f"/{name.lower()}"))
    wait_until_settled(page)


def choose_tab(page: Page, name: str) -> None:
    """Choose a tab by its name."""
    wait_until_settled(page)
    page.get_by_role("tab", name=name).click()


def take_screenshot(page: Page, name: str) -> None:
    """Take a screenshot if STUDIO_SCREENSHOTS names a folder."""
    if SCREENSHOTS:
        page.wait_for_timeout(700)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)
