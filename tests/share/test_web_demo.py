"""The web demo on disk: its runtime, what is written, and what stands in the page."""

import base64
import dataclasses
import gzip
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import PIL
import pytest

from studio.backbones.interpreter import Engine
from studio.backbones.preprocessing import Preprocessing
from studio.errors import DownloadFailed, Stopped
from studio.progress import Silent
from studio.retrain.confidence import Confidence
from studio.share.exports.format import Context
from studio.share.exports.formats import FORMATS
from studio.share.web_demo import runtime as runtime_module
from studio.share.web_demo.runtime import PACKAGES, runtime, runtime_here
from studio.share.web_demo.web_demo import Demo, Places, assets, html, policy
from tests.collect.one_file_site import one_file_site
from tests.retrain.material import Watched, drawings_run
from tests.share.browser_runtime import pack_into, packages

CORE, UTILS = PACKAGES
NAMES = ["LICENSE.txt", "core.js", "wasm", "wasm-utils.js"]


def served(monkeypatch: pytest.MonkeyPatch, core: str, utils: str) -> None:
    """Have the packages come from other addresses."""
    moved = (dataclasses.replace(CORE, address=core), dataclasses.replace(UTILS, address=utils))
    monkeypatch.setattr(runtime_module, "PACKAGES", moved)


def test_the_runtime_is_fetched_once_and_goes_on_where_it_broke(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, utils = ((packages() / package.file).read_bytes() for package in PACKAGES)
    with one_file_site(core, CORE.file) as first, one_file_site(utils, UTILS.file) as second:
        served(monkeypatch, first.address, second.address)
        assert runtime_here(home) is None
        with pytest.raises(Stopped):
            runtime(home, Watched(stop_in="Downloading", after=3_000_000))
        have = (home / f"{CORE.file}.part").stat().st_size
        first.breaks_after = [5_000_000]
        progress = Watched()
        folder = runtime(home, progress)
        assert progress.told[0] == ("Downloading", have, len(core))
        assert first.asked[1] == f"bytes={have}-"
        assert len(first.asked) == 3
        assert sorted(path.name for path in folder.iterdir()) == NAMES
        assert (folder / "core.js").read_text(encoding="utf-8").count("loadLiteRt") > 1
        assert b"Apache License" in (folder / "LICENSE.txt").read_bytes()
        assert sorted(path.name for path in home.iterdir()) == [folder.name]  # the packages are not kept
        assert runtime_here(home) == folder == runtime(home, Silent())
        assert len(first.asked) == 3


def test_another_file_than_was_published_is_not_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = bytearray((packages() / CORE.file).read_bytes())
    core[-20] ^= 1
    with one_file_site(bytes(core), CORE.file) as site:
        served(monkeypatch, site.address, site.address)
        with pytest.raises(DownloadFailed, match=CORE.sha256):
            runtime(home, Silent())
    assert list(home.iterdir()) == []
    (home / CORE.file).write_bytes(bytes(core))  # put there by hand
    with pytest.raises(DownloadFailed, match="Remove it"):
        runtime(home, Silent())
    assert runtime_here(home) is None


def test_without_internet_it_is_said_how_to_bring_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:9/core.tgz"
    served(monkeypatch, nobody, nobody)
    with pytest.raises(DownloadFailed) as failed:
        runtime(home, Silent())
    for said in (CORE.file, nobody, str(home / CORE.file), f"npm pack {CORE.name}@2.5.3"):
        assert said in str(failed.value)
    pack_into(home)
    assert runtime_here(home) is None
    assert sorted(path.name for path in runtime(home, Silent()).iterdir()) == NAMES


@cache
def written() -> Path:
    """Return a written export of a run on drawings, with Korean letters in its classes."""
    run_dir = drawings_run().run_dir
    output = run_dir.parent / "웹 demo"
    output.mkdir()
    downloads = run_dir.parent / "downloads"
    pack_into(downloads)
    FORMATS["web"].write(run_dir, output, Context("모양 & <shapes>", downloads, Silent()))
    return output


def config_of(page: str) -> dict[str, object]:
    found = re.search(r'id="config">(.*?)</script>', page)
    assert found
    read: dict[str, object] = json.loads(found[1])
    return read


def test_a_folder_and_one_file_are_written() -> None:
    site = written() / "site"
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert names == {
        "index.html",
        "model.tflite",
        *(path.name for path in assets()),
        "litert/LICENSE.txt",
        "litert/core.js",
        "litert/wasm-utils.js",
        "litert/wasm/litert_wasm_compat_internal.js",
        "litert/wasm/litert_wasm_compat_internal.wasm",
    }
    page = (site / "index.html").read_text(encoding="utf-8")
    assert "<title>모양 &amp; &lt;shapes&gt;</title>" in page
    model = (site / "model.tflite").read_bytes()
    assert config_of(page) | {"texts": {}} == {
        "labels": ["square", "원 circle"],
        "preprocessing": {"width_px": 224, "height_px": 224, "pillow": int(PIL.__version__.split(".")[0])},
        "sureness": {"temperature": 1.0, "least_probability": 0.5, "most_strangeness": None},
        "model": {"address": "./model.tflite", "size_bytes": len(model)},
        "runtime": "./litert/",
        "server": None,
        "feedback": None,
        "asks_for_image": False,
        "language": "en",
        "texts": {},
    }
    whole = (written() / "demo.html").read_text(encoding="utf-8")
    assert config_of(whole)["labels"] == ["square", "원 circle"]
    pieces = re.findall(r'data-inside="model">([\w+/=]+)</script>', whole)
    assert gzip.decompress(b"".join(map(base64.b64decode, pieces))) == model
    assert max(map(len, pieces)) < 300_000
    # It asks nobody: what is not inside of it cannot be fetched.
    assert "connect-src &#x27;none&#x27;" in whole
    assert not re.search(r'(?:src|href)="(?!data:)', whole)


def test_the_model_in_the_folder_answers_as_the_run() -> None:
    run_dir = drawings_run().run_dir
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    ours = FORMATS["web"].answer
    assert ours is not None
    assert np.array_equal(ours(written())(pixels), Engine((run_dir / "model.tflite").read_bytes())(pixels))


def test_the_same_run_gives_the_same_files(tmp_path: Path) -> None:
    run_dir = drawings_run().run_dir
    FORMATS["web"].write(
        run_dir, tmp_path, Context("모양 & <shapes>", run_dir.parent / "downloads", Silent())
    )
    for path in written().rglob("*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(written())).read_bytes() == path.read_bytes(), path


def test_no_text_of_a_person_becomes_markup() -> None:
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    demo = Demo(evil, (evil, "b"), Preprocessing(32, 24), b"1234", Confidence(), ((evil, evil),), evil)
    page = html(demo, Places(server=f"/{evil}", examples={evil: (f"/{evil}",)}))
    assert "<img src=x" not in page
    assert page.count("</script>") == 3
    assert config_of(page)["labels"] == [evil, "b"]
    assert config_of(page)["server"] == f"/{evil}"


def test_the_policy_knows_the_pages_own_import_map() -> None:
    places = Places(assets="/share/assets/", runtime="/share/runtime/", model=None, server="/answer")
    demo = Demo("n", ("a", "b"), Preprocessing(32, 24), b"1234", Confidence(), (), "")
    page = html(demo, places)
    assert policy(places).replace("'", "&#x27;") in page
    found = re.search(r'type="importmap">(.*?)</script>', page)
    assert found
    assert json.loads(found[1])["imports"]["demo/"] == "/share/assets/"
    assert config_of(page)["model"] is None
    assert "LiteRT.js" not in page  # nothing of it is used
