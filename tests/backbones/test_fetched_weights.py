"""Weights that come from a real server on this machine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.backbones import BACKBONES, ready
from studio.backbones.interpreter import Engine
from studio.backbones.keras_weights import KerasWeights
from studio.errors import BackboneError, Stopped
from studio.progress import Silent
from tests.backbones.networks import untrained
from tests.collect.one_file_site import OneFileSite, one_file_site
from tests.retrain.material import Watched

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
        found = BACKBONES[_NAME]
        assert isinstance(found.source, KerasWeights)
        source = replace(found.source, address=made.address)
        monkeypatch.setitem(BACKBONES, _NAME, replace(found, source=source))
        yield made


def _kept(home: Path) -> list[str]:
    folder = home / "케라스 home" / "models"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_weights_come_over_a_line_that_breaks_and_are_used(site: OneFileSite, home: Path) -> None:
    assert not BACKBONES[_NAME].installed
    site.breaks_after = [3 << 16]
    progress = Watched()
    file = ready(_NAME, home / "backbones", progress)
    assert BACKBONES[_NAME].installed
    assert _kept(home) == [_FILE]
    assert site.asked == [None, f"bytes={3 << 16}-"]
    assert ("Downloading", len(site.content), len(site.content)) in progress.told
    answer = Engine(file.path.read_bytes())(np.full((128, 128, 3), 90, np.uint8))
    assert answer.shape == (256,)
    ready(_NAME, home / "backbones", Silent())
    assert len(site.asked) == 2


def test_a_stop_keeps_what_has_come(site: OneFileSite, home: Path) -> None:
    with pytest.raises(Stopped):
        ready(_NAME, home / "backbones", Watched(stop_in="Downloading", after=5 << 16))
    assert _kept(home) == [f"{_FILE}.part", f"{_FILE}.part.json"]
    assert not BACKBONES[_NAME].installed
    site.ranges = False  # and a server that cannot go on in the middle is asked for all
    BACKBONES[_NAME].fetch(Silent())
    assert _kept(home) == [_FILE]
    assert (home / "케라스 home" / "models" / _FILE).read_bytes() == site.content


def test_another_file_than_was_published_is_not_kept(
    site: OneFileSite, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = BACKBONES[_NAME]
    assert isinstance(found.source, KerasWeights)
    source = replace(found.source, published_hash="0" * 32)
    monkeypatch.setitem(BACKBONES, _NAME, replace(found, source=source))
    with pytest.raises(BackboneError, match=f"needs {_FILE}.*another file came.*put it at"):
        ready(_NAME, home / "backbones", Silent())
    assert _kept(home) == []


def test_without_an_answer_it_says_which_file_from_where_and_where_to_put_it(
    site: OneFileSite, home: Path
) -> None:
    site.status = 404
    with pytest.raises(BackboneError) as caught:
        ready(_NAME, home / "backbones", Silent())
    said = str(caught.value)
    assert "404" in said
    assert f"get {site.address} elsewhere and put it at {home / '케라스 home' / 'models' / _FILE}" in said
    assert "\n" not in said
    assert not (home / "backbones").exists()


def test_a_folder_that_cannot_be_written_is_said(site: OneFileSite, home: Path) -> None:
    (home / "케라스 home").write_text("a file", encoding="utf-8")
    with pytest.raises(BackboneError, match="models cannot be written"):
        ready(_NAME, home / "backbones", Silent())
