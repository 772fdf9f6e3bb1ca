"""Make the README's screenshots of each page from a running studio, on the sample shapes.

python tests/tools/screenshots.py [--output FOLDER] [--phone] [--dark]
"""

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from studio.collect.sample_data import sample_shapes
from tests.conftest import until
from tests.e2e.conftest import go_to, run_server, visit, wait_until_settled

DESKTOP, PHONE = (1280, 860), (390, 844)
COLOURS = 128
LONG_MS = 300_000
TILES = 32
_LOADED = "images => images.filter((image) => image.naturalWidth).length"


def save(page: Page, path: Path) -> None:
    """Write what is in sight as a PNG of few colours, which GitHub shows as well and which is small."""
    wait_until_settled(page)
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def shoot(page: Page, address: str, output: Path) -> None:
    """Walk through the five steps with the sample shapes and keep a screenshot of each."""
    visit(page, address)
    save(page, output / "home.png")
    page.get_by_role("button", name="Create sample shapes").click()
    page.wait_for_url("**/collect**")
    expect(page.get_by_role("button", name="Next: curate")).to_be_visible(timeout=LONG_MS)
    save(page, output / "collect.png")
    go_to(page, "Curate")
    expect(page.get_by_text("appear here after the analysis")).to_be_hidden(timeout=LONG_MS)
    until(lambda: page.locator(".tile img").evaluate_all(_LOADED) >= TILES)
    save(page, output / "curate.png")
    go_to(page, "Retrain")
    page.get_by_role("button", name="Retrain", exact=True).click()
    expect(page.locator(".figure").first).to_contain_text("Test accuracy", timeout=LONG_MS)
    save(page, output / "retrain.png")
    go_to(page, "Predict")
    drawing = next(iter(sample_shapes(np.random.default_rng(1), 1).sources))
    page.locator("input[type=file]").first.set_input_files(
        {"name": "drawing.png", "mimeType": "image/png", "buffer": drawing.read()}
    )
    expect(page.locator("[class*=st-key-card-]").first).to_be_visible(timeout=LONG_MS)
    page.locator("[class*=st-key-card-]").first.scroll_into_view_if_needed()
    save(page, output / "predict.png")
    go_to(page, "Share")
    save(page, output / "share.png")


def main() -> None:
    """Make the screenshots."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--phone", action="store_true", help="at the width of a phone")
    parser.add_argument("--dark", action="store_true", help="in the dark theme")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    width, height = PHONE if given.phone else DESKTOP
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with (
        tempfile.TemporaryDirectory() as home,
        run_server(Path(home) / "data") as (address, _process),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if given.dark else "light",
        )
        page.set_default_timeout(60_000)
        shoot(page, address, given.output)
        browser.close()


if __name__ == "__main__":
    main()
