from pathlib import Path

import numpy as np
import pytest

from studio.backbones import DEFAULT, BackboneFile, get_backbone
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import EmbeddingRequest
from studio.backbones.preprocessing import Preprocessing
from studio.errors import Stopped
from studio.progress import Silent
from studio.retrain.fine_tuning.features import (
    FrozenBlocks,
    embed_feature_maps,
    evict_shards,
    feature_map_cache,
    mirrored_digest,
    prepare_frozen_blocks,
)
from studio.retrain.fine_tuning.fine_tune import TRAINABLE_SHARE
from studio.retrain.fine_tuning.network import SplitLayer, choose_split_layer, split_network
from tests.retrain.material import BACKBONES_DIR, RecordingProgress, draw, snapshot_of


@pytest.fixture(scope="module")
def frozen() -> FrozenBlocks:
    backbone = get_backbone(DEFAULT)
    network = backbone.network()
    return prepare_frozen_blocks(
        backbone, network, choose_split_layer(network, TRAINABLE_SHARE), BACKBONES_DIR, Silent()
    )


def small() -> FrozenBlocks:
    file = BackboneFile(Path("none"), "none", "0" * 16, Preprocessing(8, 8), 100)
    return FrozenBlocks(SplitLayer("block", (2, 5, 10), 0.1), file)


def digests(count: int, name: str = "") -> list[str]:
    return [mirrored_digest(f"{name}{number}") for number in range(count)]


def test_feature_maps_are_those_of_the_network(frozen: FrozenBlocks, tmp_path: Path) -> None:
    examples = snapshot_of(draw(tmp_path / "그림 a", count=3)).examples
    cache = feature_map_cache(tmp_path / "bottle necks", frozen)
    requests = [
        EmbeddingRequest(example, (example.sha256, mirrored_digest(example.sha256))) for example in examples
    ]
    assert embed_feature_maps(requests, frozen, cache, threads=2, progress=Silent()) == ()
    frozen_network, _trainable = split_network(get_backbone(DEFAULT).network(), frozen.split_layer)
    for request in requests:
        pixels = frozen.file.preprocessing.read(request.image.path, "x")
        for digest, seen in zip(request.digests, (pixels, pixels[:, ::-1]), strict=True):
            (found,) = cache.vectors([digest])
            assert found.dtype == np.float16
            expected = frozen_network(
                frozen.file.preprocessing.scaled(seen)[np.newaxis], training=False
            ).numpy()
            np.testing.assert_allclose(found.reshape(frozen.split_layer.shape), expected[0], atol=0.02)
    progress = RecordingProgress()
    embed_feature_maps(
        requests, frozen, feature_map_cache(tmp_path / "bottle necks", frozen), threads=2, progress=progress
    )
    assert progress.reports == [("Computing feature maps", 12, 12)]


def test_frozen_blocks_are_converted_once_and_again_if_damaged(frozen: FrozenBlocks, tmp_path: Path) -> None:
    backbone = get_backbone(DEFAULT)
    good = frozen.file.path.read_bytes()
    path = tmp_path / frozen.file.path.name
    path.write_bytes(good)
    network = backbone.network()
    progress = RecordingProgress()
    assert prepare_frozen_blocks(backbone, network, frozen.split_layer, tmp_path, progress).file.path == path
    assert progress.reports == []
    path.write_bytes(good[:1000])
    with pytest.raises(Stopped):
        prepare_frozen_blocks(
            backbone, network, frozen.split_layer, tmp_path, RecordingProgress("Preparing the frozen blocks")
        )


def test_an_unreadable_image_is_returned_and_a_stop_keeps_results(
    frozen: FrozenBlocks, tmp_path: Path
) -> None:
    examples = snapshot_of(draw(tmp_path / "a", count=4)).examples
    examples[0].path.write_bytes(b"not an image")
    requests = [EmbeddingRequest(example, (example.sha256,)) for example in examples]
    cache = feature_map_cache(tmp_path / "b", frozen)
    with pytest.raises(Stopped):
        embed_feature_maps(
            requests, frozen, cache, threads=1, progress=RecordingProgress("Computing feature maps", 5)
        )
    assert len(feature_map_cache(tmp_path / "b", frozen).missing([e.sha256 for e in examples])) <= 4
    (skipped,) = embed_feature_maps(requests, frozen, cache, threads=1, progress=Silent())
    assert skipped.sha256 == examples[0].sha256


def test_the_oldest_shards_are_evicted_first_and_needed_ones_kept(tmp_path: Path) -> None:
    frozen = small()
    cache = feature_map_cache(tmp_path, frozen)
    other = BottleneckCache(cache.folder.with_name("other"), 100, "<f2")
    vectors = np.ones((10, 100), np.float32)
    names = [digests(10, f"{number}-") for number in range(4)]
    for at, own in enumerate(names):
        (other if at == 2 else cache).add(own, vectors)
    size = next(cache.folder.glob("*.npy")).stat().st_size
    fresh = digests(5)
    # Four shards and five more views: room for three shards and a half.
    evict_shards(cache, [*names[0], *fresh], limit_bytes=4 * size - 100)
    assert feature_map_cache(tmp_path, frozen).missing(names[0]) == []
    assert len(feature_map_cache(tmp_path, frozen).missing(names[1])) == 10
    assert BottleneckCache(other.folder, 100, "<f2").missing(names[2]) == []
    evict_shards(cache, [*names[0], *fresh], limit_bytes=size)
    assert [path.parent.name for path in tmp_path.rglob("*.npy")] == [cache.folder.name]


def test_split_layers_of_one_shape_have_different_caches(tmp_path: Path, frozen: FrozenBlocks) -> None:
    network = get_backbone(DEFAULT).network()
    deeper = choose_split_layer(network, 0.2)
    assert deeper.shape == frozen.split_layer.shape
    assert deeper.name != frozen.split_layer.name
    other = prepare_frozen_blocks(get_backbone(DEFAULT), network, deeper, BACKBONES_DIR, Silent())
    assert feature_map_cache(tmp_path, other).folder != feature_map_cache(tmp_path, frozen).folder
