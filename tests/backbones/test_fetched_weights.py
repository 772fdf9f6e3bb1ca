"""Download of weights from a local server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.backbones import BACKBONES, prepare_backbone
from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.keras_weights import KerasWeights
from studio.errors import BackboneError, Stopped
from studio.progress import Silent
from tests.backbones.networks import untrained
from tests.collect.one_file_site import OneFileSite, one_file_site
from tests.retrain.material import RecordingProgress

_NAME = "mobilenet_0.25_128"
_FILE = "mobilenet_2_5_128_tf_no_top.h5"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(folder))
        untrained(_NAME, folder)
    return (folder / "models" / _FILE).read_bytes()


@pytest.fixture
def site(weights: bytes, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneFileSite]:
    """The server, and the registry pointing to it."""
    monkeypatch.setenv("KERAS_HOME", str(home / "케라스 home"))
    with one_file_site(weights, _FILE) as made:
        entry = BACKBONES[_NAME]
        assert isinstance(entry.source, KerasWeights)
        source = replace(entry.source, url=made.address)
        monkeypatch.setitem(BACKBONES, _NAME, replace(entry, source=source))
        yield made


def _files(home: Path) -> list[str]:
    folder = home / "케라스 home" / "models"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_an_interrupted_download_is_resumed(site: OneFileSite, home: Path) -> None:
    assert not BACKBONES[_NAME].installed
    site.breaks_after = [3 << 16]
    progress = RecordingProgress()
    file = prepare_backbone(_NAME, home / "backbones", progress)
    assert BACKBONES[_NAME].installed
    assert _files(home) == [_FILE]
    assert site.asked == [None, f"bytes={3 << 16}-"]
    assert ("Downloading", len(site.content), len(site.content)) in progress.reports
    answer = LiteRTInterpreter(file.path.read_bytes())(np.full((128, 128, 3), 90, np.uint8))
    assert answer.shape == (256,)
    prepare_backbone(_NAME, home / "backbones", Silent())
    assert len(site.asked) == 2


def test_a_stopped_download_is_resumed(site: OneFileSite, home: Path) -> None:
    with pytest.raises(Stopped):
        prepare_backbone(_NAME, home / "backbones", RecordingProgress(stop_in="Downloading", after=5 << 16))
    assert _files(home) == [f"{_FILE}.part", f"{_FILE}.part.json"]
    assert not BACKBONES[_NAME].installed
    site.ranges = False  # and a server that cannot go on in the middle is asked for all
    BACKBONES[_NAME].download(Silent())
    assert _files(home) == [_FILE]
    assert (home / "케라스 home" / "models" / _FILE).read_bytes() == site.content


def test_a_download_with_another_hash_is_removed(
    site: OneFileSite, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = BACKBONES[_NAME]
    assert isinstance(entry.source, KerasWeights)
    source = replace(entry.source, published_hash="0" * 32)
    monkeypatch.setitem(BACKBONES, _NAME, replace(entry, source=source))
    with pytest.raises(BackboneError, match=f"needs {_FILE}.*another file came.*put it at"):
        prepare_backbone(_NAME, home / "backbones", Silent())
    assert _files(home) == []


def test_a_failed_download_names_the_url_and_the_path(site: OneFileSite, home: Path) -> None:
    site.status = 404
    with pytest.raises(BackboneError) as caught:
        prepare_backbone(_NAME, home / "backbones", Silent())
    message = str(caught.value)
    assert "404" in message
    assert (
        f"download {site.address} elsewhere and put it at {home / '케라스 home' / 'models' / _FILE}"
        in message
    )
    assert "\n" not in message
    assert not (home / "backbones").exists()


def test_a_folder_that_is_not_writable_is_an_error(site: OneFileSite, home: Path) -> None:
    (home / "케라스 home").write_text("a file", encoding="utf-8")
    with pytest.raises(BackboneError, match="models cannot be written"):
        prepare_backbone(_NAME, home / "backbones", Silent())
