"""A studio of its own for the browser tests, and the browser that visits it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.conftest import until

expect.set_options(timeout=30_000)  # a test is of what comes, not of how busy the machine is
ROOT = Path(__file__).resolve().parents[2]
_HERE = re.compile(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|(data|blob|about|chrome-error):")
SCREENSHOTS = os.environ.get("STUDIO_SCREENSHOTS")
"""A folder for screenshots, for whoever wants to look."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], address: str) -> bool:
    assert process.poll() is None, "the server ended at its start"
    try:
        urllib.request.urlopen(f"{address}/_stcore/health", timeout=60).close()
    except urllib.error.HTTPError:
        return True  # it answers, if only to refuse: the gate is up
    except OSError:
        return False
    return True


@contextmanager
def serving(home: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run `python -m studio serve` on a free port; give its address and its process.

    Few tests train: unless STUDIO_WARM is given, nothing is imported for that before it is needed.
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
    """A studio with nothing in it: its address, and its data folder."""
    home = tmp_path_factory.mktemp("스튜디오 home") / "data"
    with serving(home) as (address, _process):
        yield address, home


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page in which no script fails, none that came with a name runs, and that needs no internet."""
    page = context.new_page()
    faults: list[str] = []
    elsewhere: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if _HERE.match(request.url) else elsewhere.append(request.url))
    yield page
    assert faults == []
    assert elsewhere == []
    if not page.is_closed():  # as a test that closes it half way leaves it
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


def settled(page: Page) -> None:
    """Wait until a page of the studio has come and nothing in it moves.

    Streamlit fetches the parts of a page one after the other, and what is above moves what is below: a click
    sent meanwhile goes past its aim, now and then. A person looks first and clicks again; a test does not.
    """
    page.wait_for_function(_SETTLED)


def visit(page: Page, address: str) -> None:
    """Open a page of the studio and wait until it has settled."""
    page.goto(address)
    settled(page)


def go_to(page: Page, room: str) -> None:
    """Open a room by its name at the top, once the page has settled, and wait until it is there."""
    settled(page)
    page.get_by_role("link", name=room, exact=True).click()
    page.wait_for_url(re.compile(r"/(\?|$)" if room == "Home" else f"/{room.lower()}"))
    settled(page)


def choose_tab(page: Page, name: str) -> None:
    """Choose a tab by its name, once the page has settled."""
    settled(page)
    page.get_by_role("tab", name=name).click()


def look(page: Page, name: str) -> None:
    """Keep a screenshot where somebody asked for them."""
    if SCREENSHOTS:
        page.wait_for_timeout(700)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)
