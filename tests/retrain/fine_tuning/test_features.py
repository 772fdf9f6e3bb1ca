from pathlib import Path

import numpy as np
import pytest

from studio.backbones import DEFAULT, BackboneFile, backbone_named
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import EmbeddingRequest
from studio.backbones.preprocessing import Preprocessing
from studio.errors import Stopped
from studio.progress import Silent
from studio.retrain.fine_tuning.features import (
    Front,
    cache_of,
    embed_deep,
    front_of,
    make_room,
    mirrored_digest,
)
from studio.retrain.fine_tuning.fine_tune import SHARE
from studio.retrain.fine_tuning.network import Tap, cut, tap_of
from tests.retrain.material import BACKBONES_DIR, Watched, draw, snapshot_of


@pytest.fixture(scope="module")
def front() -> Front:
    backbone = backbone_named(DEFAULT)
    network = backbone.network()
    return front_of(backbone, network, tap_of(network, SHARE), BACKBONES_DIR, Silent())


def small() -> Front:
    file = BackboneFile(Path("none"), "none", "0" * 16, Preprocessing(8, 8), 100)
    return Front(Tap("block", (2, 5, 10), 0.1), file)


def digests(count: int, name: str = "") -> list[str]:
    return [mirrored_digest(f"{name}{number}") for number in range(count)]


def test_a_image_s_views_are_what_the_network_makes_of_it(front: Front, tmp_path: Path) -> None:
    examples = snapshot_of(draw(tmp_path / "그림 a", count=3)).examples
    cache = cache_of(tmp_path / "bottle necks", front)
    wanted = [
        EmbeddingRequest(example, (example.sha256, mirrored_digest(example.sha256))) for example in examples
    ]
    assert embed_deep(wanted, front, cache, threads=2, progress=Silent()) == ()
    before, _tail = cut(backbone_named(DEFAULT).network(), front.tap)
    for errand in wanted:
        pixels = front.file.preprocessing.read(errand.image.path, "x")
        for digest, seen in zip(errand.digests, (pixels, pixels[:, ::-1]), strict=True):
            (found,) = cache.vectors([digest])
            assert found.dtype == np.float16
            expected = before(front.file.preprocessing.scaled(seen)[np.newaxis], training=False).numpy()
            np.testing.assert_allclose(found.reshape(front.tap.shape), expected[0], atol=0.02)
    progress = Watched()
    embed_deep(wanted, front, cache_of(tmp_path / "bottle necks", front), threads=2, progress=progress)
    assert progress.told == [("Computing deep bottlenecks", 12, 12)]


def test_the_front_is_converted_once_and_again_where_it_was_damaged(front: Front, tmp_path: Path) -> None:
    backbone = backbone_named(DEFAULT)
    good = front.file.path.read_bytes()
    path = tmp_path / front.file.path.name
    path.write_bytes(good)
    network = backbone.network()
    progress = Watched()
    assert front_of(backbone, network, front.tap, tmp_path, progress).file.path == path
    assert progress.told == []
    path.write_bytes(good[:1000])
    with pytest.raises(Stopped):
        front_of(backbone, network, front.tap, tmp_path, Watched("Preparing the backbone's front"))


def test_a_refused_image_is_named_and_a_stop_keeps_what_was_made(front: Front, tmp_path: Path) -> None:
    examples = snapshot_of(draw(tmp_path / "a", count=4)).examples
    examples[0].path.write_bytes(b"not an image")
    wanted = [EmbeddingRequest(example, (example.sha256,)) for example in examples]
    cache = cache_of(tmp_path / "b", front)
    with pytest.raises(Stopped):
        embed_deep(wanted, front, cache, threads=1, progress=Watched("Computing deep bottlenecks", 5))
    assert len(cache_of(tmp_path / "b", front).missing([e.sha256 for e in examples])) <= 4
    (refusal,) = embed_deep(wanted, front, cache, threads=1, progress=Silent())
    assert refusal.sha256 == examples[0].sha256


def test_the_oldest_go_first_and_what_is_wanted_stays(tmp_path: Path) -> None:
    front = small()
    cache = cache_of(tmp_path, front)
    other = BottleneckCache(cache.folder.with_name("other"), 100, "<f2")
    vectors = np.ones((10, 100), np.float32)
    names = [digests(10, f"{number}-") for number in range(4)]
    for at, own in enumerate(names):
        (other if at == 2 else cache).add(own, vectors)
    size = next(cache.folder.glob("*.npy")).stat().st_size
    fresh = digests(5)
    # Four shards and five more views: room for three shards and a half.
    make_room(cache, [*names[0], *fresh], bound_bytes=4 * size - 100)
    assert cache_of(tmp_path, front).missing(names[0]) == []
    assert len(cache_of(tmp_path, front).missing(names[1])) == 10
    assert BottleneckCache(other.folder, 100, "<f2").missing(names[2]) == []
    make_room(cache, [*names[0], *fresh], bound_bytes=size)
    assert [path.parent.name for path in tmp_path.rglob("*.npy")] == [cache.folder.name]


def test_taps_of_one_shape_have_caches_of_their_own(tmp_path: Path, front: Front) -> None:
    network = backbone_named(DEFAULT).network()
    deeper = tap_of(network, 0.2)
    assert deeper.shape == front.tap.shape
    assert deeper.name != front.tap.name
    other = front_of(backbone_named(DEFAULT), network, deeper, BACKBONES_DIR, Silent())
    assert cache_of(tmp_path, other).folder != cache_of(tmp_path, front).folder
