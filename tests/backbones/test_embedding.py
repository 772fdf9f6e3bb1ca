import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import SHARD_SIZE, embed
from studio.backbones.interpreter import LiteRTInterpreter
from studio.errors import Stopped
from studio.progress import Silent
from studio.retrain.image_folder import read_image_folder
from studio.retrain.snapshot import LabelledImage
from tests.retrain.material import RecordingProgress, backbone, draw

ROOT = Path(__file__).parents[2]


def images_in(folder: Path) -> tuple[LabelledImage, ...]:
    return read_image_folder(folder, Silent()).images


def test_each_image_gets_its_own_vector(tmp_path: Path) -> None:
    images = images_in(draw(tmp_path / "사진", count=8))
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    assert embed(images, backbone(), cache, threads=3, progress=Silent()) == ()
    interpreter = LiteRTInterpreter(backbone().path.read_bytes())
    expected = [interpreter(backbone().preprocessing.read(image.path, "x")) for image in images]
    assert np.array_equal(cache.vectors([image.sha256 for image in images]), np.array(expected))


def test_only_missing_vectors_are_computed(tmp_path: Path) -> None:
    draw(tmp_path / "a", count=3)
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    for _pass in range(2):
        progress = RecordingProgress()
        embed(images_in(tmp_path / "a"), backbone(), cache, threads=2, progress=progress)
        assert progress.reports[-1][1:] == (6, 6)
        assert len(list(cache.folder.iterdir())) == 1
    draw(tmp_path / "a", count=5)
    embed(images_in(tmp_path / "a"), backbone(), cache, threads=2, progress=Silent())
    sizes = sorted(shard.stat().st_size for shard in cache.folder.iterdir())
    assert len(sizes) == 2
    assert sizes[0] < sizes[1]  # the second shard holds the four new ones only


def test_unreadable_files_are_returned_and_the_others_embedded(tmp_path: Path) -> None:
    draw(tmp_path / "a", count=4)
    folder = tmp_path / "a" / "square"
    (folder / "bad.jpg").write_bytes(b"no image at all")
    (folder / "empty.png").write_bytes(b"")
    images = images_in(tmp_path / "a")
    changed, gone = folder / "그림 000.png", folder / "그림 001.png"
    changed.write_bytes((folder / "그림 002.png").read_bytes())
    gone.unlink()
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    refusals = embed(images, backbone(), cache, threads=2, progress=Silent())
    assert [refusal.path.name for refusal in refusals] == ["bad.jpg", "empty.png", changed.name, gone.name]
    assert [refusal.path.name in refusal.reason for refusal in refusals] == [True] * 4, refusals
    assert "changed" in refusals[2].reason
    assert len(cache.missing([image.sha256 for image in images])) == 4


def test_stop_is_fast_and_keeps_results(tmp_path: Path) -> None:
    images = images_in(draw(tmp_path / "a", count=100))
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    progress = RecordingProgress(stop_in="Computing bottlenecks", after=20)
    with pytest.raises(Stopped):
        embed(images, backbone(), cache, threads=2, progress=progress)
    assert len(cache.missing([image.sha256 for image in images])) == len(images) - 20


_KILLED = """
import os, sys
from pathlib import Path
from studio.backbones.embedding import embed
from tests.backbones.test_embedding import images_in
from studio.backbones import prepare_backbone
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.progress import Silent

class Dies:
    def report(self, phase, done, total=None):
        print(done, flush=True)
        if done == int(sys.argv[4]):
            os._exit(9)

folder, cache, backbones = map(Path, sys.argv[1:4])
backbone = prepare_backbone("efficientnet_lite0", backbones, Silent())
embed(images_in(folder), backbone, BottleneckCache(cache, backbone.features), threads=2, progress=Dies())
"""


def test_a_killed_process_loses_at_most_one_batch(tmp_path: Path) -> None:
    folder = draw(tmp_path / "a", count=120)
    died_at = SHARD_SIZE + 40
    script = tmp_path / "killed.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{_KILLED}", encoding="utf-8")
    words = [folder, tmp_path / "cache", backbone().path.parent, died_at]
    done = subprocess.run([sys.executable, str(script), *map(str, words)], check=False, capture_output=True)
    assert done.returncode == 9, done.stderr.decode()
    images = images_in(folder)
    missing = BottleneckCache(tmp_path / "cache", backbone().features).missing(p.sha256 for p in images)
    assert len(images) - died_at <= len(missing) <= len(images) - died_at + SHARD_SIZE
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    embed(images, backbone(), cache, threads=2, progress=Silent())
    assert cache.missing(p.sha256 for p in images) == []


def test_an_error_in_a_thread_is_raised(tmp_path: Path) -> None:
    images = [LabelledImage("0" * 64, None, "x")]  # type: ignore[arg-type] # no path: a fault of ours
    cache = BottleneckCache(tmp_path, backbone().features)
    with pytest.raises(AttributeError):
        embed(images, backbone(), cache, threads=2, progress=Silent())
