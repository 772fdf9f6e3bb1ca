"""The web demo: download of its runtime, written files, content of the page."""

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

from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.preprocessing import Preprocessing
from studio.errors import DownloadFailed, Stopped
from studio.progress import Silent
from studio.retrain.confidence import Confidence
from studio.share.exports.export_format import ExportContext
from studio.share.exports.formats import EXPORT_FORMATS
from studio.share.web_demo import runtime as runtime_module
from studio.share.web_demo.demo_page import Demo, PageUrls, content_security_policy, page_assets, page_html
from studio.share.web_demo.runtime import PACKAGES, ensure_runtime, installed_runtime
from tests.collect.one_file_site import one_file_site
from tests.retrain.material import RecordingProgress, drawings_run
from tests.share.browser_runtime import pack_into, packages

CORE, UTILS = PACKAGES
NAMES = ["LICENSE.txt", "core.js", "wasm", "wasm-utils.js"]


def use_servers(monkeypatch: pytest.MonkeyPatch, core: str, utils: str) -> None:
    """Download the packages from other URLs."""
    moved = (dataclasses.replace(CORE, address=core), dataclasses.replace(UTILS, address=utils))
    monkeypatch.setattr(runtime_module, "PACKAGES", moved)


def test_the_runtime_is_downloaded_once_and_resumed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core, utils = ((packages() / package.file).read_bytes() for package in PACKAGES)
    with one_file_site(core, CORE.file) as first, one_file_site(utils, UTILS.file) as second:
        use_servers(monkeypatch, first.address, second.address)
        assert installed_runtime(home) is None
        with pytest.raises(Stopped):
            ensure_runtime(home, RecordingProgress(stop_in="Downloading", after=3_000_000))
        received_bytes = (home / f"{CORE.file}.part").stat().st_size
        first.breaks_after = [5_000_000]
        progress = RecordingProgress()
        folder = ensure_runtime(home, progress)
        assert progress.reports[0] == ("Downloading", received_bytes, len(core))
        assert first.asked[1] == f"bytes={received_bytes}-"
        assert len(first.asked) == 3
        assert sorted(path.name for path in folder.iterdir()) == NAMES
        assert (folder / "core.js").read_text(encoding="utf-8").count("loadLiteRt") > 1
        assert b"Apache License" in (folder / "LICENSE.txt").read_bytes()
        assert sorted(path.name for path in home.iterdir()) == [folder.name]  # the packages are not kept
        assert installed_runtime(home) == folder == ensure_runtime(home, Silent())
        assert len(first.asked) == 3


def test_a_file_with_a_wrong_hash_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = bytearray((packages() / CORE.file).read_bytes())
    core[-20] ^= 1
    with one_file_site(bytes(core), CORE.file) as site:
        use_servers(monkeypatch, site.address, site.address)
        with pytest.raises(DownloadFailed, match=CORE.sha256):
            ensure_runtime(home, Silent())
    assert list(home.iterdir()) == []
    (home / CORE.file).write_bytes(bytes(core))  # put there by hand
    with pytest.raises(DownloadFailed, match="Remove it"):
        ensure_runtime(home, Silent())
    assert installed_runtime(home) is None


def test_without_internet_the_message_says_how_to_get_the_runtime(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = "http://127.0.0.1:9/core.tgz"
    use_servers(monkeypatch, unreachable, unreachable)
    with pytest.raises(DownloadFailed) as failed:
        ensure_runtime(home, Silent())
    for text in (CORE.file, unreachable, str(home / CORE.file), f"npm pack {CORE.name}@2.5.3"):
        assert text in str(failed.value)
    pack_into(home)
    assert installed_runtime(home) is None
    assert sorted(path.name for path in ensure_runtime(home, Silent()).iterdir()) == NAMES


@cache
def written() -> Path:
    """Return a written export of a run on drawings, with Korean letters in its classes."""
    run_dir = drawings_run().run_dir
    output = run_dir.parent / "웹 demo"
    output.mkdir()
    downloads = run_dir.parent / "downloads"
    pack_into(downloads)
    EXPORT_FORMATS["web"].write(run_dir, output, ExportContext("모양 & <shapes>", downloads, Silent()))
    return output


def config_of(page: str) -> dict[str, object]:
    match = re.search(r'id="config">(.*?)</script>', page)
    assert match
    config: dict[str, object] = json.loads(match[1])
    return config


def test_a_folder_and_one_file_are_written() -> None:
    site = written() / "site"
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert names == {
        "index.html",
        "model.tflite",
        *(path.name for path in page_assets()),
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
    standalone = (written() / "demo.html").read_text(encoding="utf-8")
    assert config_of(standalone)["labels"] == ["square", "원 circle"]
    chunks = re.findall(r'data-inside="model">([\w+/=]+)</script>', standalone)
    assert gzip.decompress(b"".join(map(base64.b64decode, chunks))) == model
    assert max(map(len, chunks)) < 300_000
    # It asks unreachable: what is not inside of it cannot be fetched.
    assert "connect-src &#x27;none&#x27;" in standalone
    assert not re.search(r'(?:src|href)="(?!data:)', standalone)


def test_the_model_in_the_folder_predicts_as_the_run() -> None:
    run_dir = drawings_run().run_dir
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    load_predictor = EXPORT_FORMATS["web"].load_predictor
    assert load_predictor is not None
    assert np.array_equal(
        load_predictor(written())(pixels), LiteRTInterpreter((run_dir / "model.tflite").read_bytes())(pixels)
    )


def test_the_same_run_gives_the_same_files(tmp_path: Path) -> None:
    run_dir = drawings_run().run_dir
    EXPORT_FORMATS["web"].write(
        run_dir, tmp_path, ExportContext("모양 & <shapes>", run_dir.parent / "downloads", Silent())
    )
    for path in written().rglob("*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(written())).read_bytes() == path.read_bytes(), path


def test_texts_of_people_are_escaped() -> None:
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    demo = Demo(evil, (evil, "b"), Preprocessing(32, 24), b"1234", Confidence(), ((evil, evil),), evil)
    page = page_html(demo, PageUrls(server=f"/{evil}", examples={evil: (f"/{evil}",)}))
    assert "<img src=x" not in page
    assert page.count("</script>") == 3
    assert config_of(page)["labels"] == [evil, "b"]
    assert config_of(page)["server"] == f"/{evil}"


def test_the_content_security_policy_allows_the_import_map() -> None:
    urls = PageUrls(assets="/share/assets/", runtime="/share/runtime/", model=None, server="/answer")
    demo = Demo("n", ("a", "b"), Preprocessing(32, 24), b"1234", Confidence(), (), "")
    page = page_html(demo, urls)
    assert content_security_policy(urls).replace("'", "&#x27;") in page
    match = re.search(r'type="importmap">(.*?)</script>', page)
    assert match
    assert json.loads(match[1])["imports"]["demo/"] == "/share/assets/"
    assert config_of(page)["model"] is None
    assert "LiteRT.js" not in page  # not used without a model
