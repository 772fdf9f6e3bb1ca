"""Reduced bottlenecks, the map, the images alike: on made-up directions."""

import threading
from pathlib import Path

import numpy as np
import pytest

from studio.curate import paging as paging_module
from studio.curate.analysis_files import IDS_FILE, VECTORS_FILE, read_array, read_vectors, write_array
from studio.curate.embedding_map import compute_layout, fit_basis, reduce_vectors
from studio.curate.image_issues import IMAGE_ISSUES, ImageFeatures
from studio.curate.kernel_model import nearest_neighbours
from studio.curate.paging import nearest_images
from studio.errors import Stopped
from tests.curate.test_kernel_model import directions

UNKNOWN = np.float32(np.nan)


def leave(folder: Path, ids: np.ndarray, vectors: np.ndarray) -> None:
    write_array(folder / VECTORS_FILE, vectors)
    write_array(folder / IDS_FILE, ids)


def test_reducing_keeps_who_is_near_whom() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.random((300, 200)) ** 4).astype(np.float32) + np.linspace(0, 1, 200, dtype=np.float32)
    basis = fit_basis(vectors, dimensions=100)
    short = reduce_vectors(vectors, basis)
    assert short.shape == (300, 100)
    assert np.linalg.norm(short, axis=1) == pytest.approx(1, abs=1e-5)
    long = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(short @ short.T - long @ long.T).max() < 0.03
    assert np.array_equal(basis, fit_basis(vectors, dimensions=100))
    assert fit_basis(vectors[:3]).shape == (200, 3)


def test_neighbours_are_the_nearest_but_oneself() -> None:
    vectors, _kinds = directions(50)
    found = nearest_neighbours(vectors, vectors, 4, own=np.arange(50))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    assert found.cosines == pytest.approx(-np.sort(-cosines, axis=1)[:, :4], abs=1e-6)
    assert nearest_neighbours(vectors[:1], vectors[:1], 4, own=np.arange(1)).places.shape == (1, 0)
    assert nearest_neighbours(vectors[:2], vectors, 3).places[:, 0].tolist() == [0, 1]


def test_nearest_images_begin_with_the_image_itself(tmp_path: Path) -> None:
    vectors, _kinds = directions(100)
    vectors[7] = vectors[3]
    ids = np.arange(100, dtype=np.int64) * 10 + 5
    folder = tmp_path / "새 folder"
    assert nearest_images(folder, 35, 5) == []
    leave(folder, ids, vectors)
    found = nearest_images(folder, 75, 5)
    assert [image for image, _cosine in found[:2]] == [75, 35]
    assert found[0][1] == 1.0
    assert [c for _i, c in found] == sorted((c for _i, c in found), reverse=True)
    assert nearest_images(folder, 75, 1000)[:5] == found
    assert sorted(image for image, _cosine in nearest_images(folder, 75, 1000)) == ids.tolist()
    assert nearest_images(folder, 36, 5) == [] == nearest_images(folder, 75, 0)
    # A new survey is seen.
    leave(folder, ids[:50], vectors[50:])
    assert nearest_images(folder, 75, 1) == [(75, 1.0)]
    assert len(nearest_images(folder, 75, 100)) == 50


def test_vectors_of_few_projects_stay_in_memory(tmp_path: Path) -> None:
    vectors, _kinds = directions(10)
    for number in range(5):
        leave(tmp_path / str(number), np.arange(10, dtype=np.int64), vectors)
        assert len(nearest_images(tmp_path / str(number), 3, 4)) == 4
    assert len(paging_module._vector_cache) == 2


def test_files_that_are_being_replaced_are_waited_for(tmp_path: Path) -> None:
    vectors, _kinds = directions(10)
    assert read_vectors(tmp_path) is None
    leave(tmp_path, np.arange(9, dtype=np.int64), vectors)
    later = threading.Timer(0.25, write_array, (tmp_path / IDS_FILE, np.arange(10, dtype=np.int64)))
    later.start()
    found = read_vectors(tmp_path)
    later.join()
    assert found is not None and len(found.ids) == 10
    (tmp_path / "map.npy").write_bytes(b"\x93NUMPY cut short")
    assert read_array(tmp_path / "map.npy") is None


@pytest.mark.parametrize("count", [0, 1, 2, 9, 80])
def test_a_map_has_a_place_for_every_image(count: int) -> None:
    vectors, _kinds = directions(max(count, 3))
    unknown = np.full((count, 2), UNKNOWN)
    places = compute_layout(vectors[:count], unknown, threads=2, seed=0)
    assert places.shape == (count, 2) and places.dtype == np.float32
    assert np.isfinite(places).all()
    assert ((places >= 0) & (places <= 1)).all()
    assert np.array_equal(places, compute_layout(vectors[:count], unknown, threads=2, seed=0))


def test_a_map_puts_like_by_like_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, kinds = directions(200, size=32)
    unknown = np.full((200, 2), UNKNOWN)
    places = compute_layout(vectors, unknown, threads=2, seed=0)
    near = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(200)
    assert (kinds[near.argsort(axis=1)[:, :5]] == kinds[:, None]).mean() > 0.9
    known = places.copy()
    known[:10] = UNKNOWN  # a few new ones: nothing else moves
    again = compute_layout(vectors, known, threads=2, seed=0)
    assert np.array_equal(again[10:], places[10:])
    assert np.linalg.norm(again[:10] - places[:10], axis=1).mean() < 0.15
    known[:60] = UNKNOWN  # many: all is laid out again, beginning from where it was
    again = compute_layout(vectors, known, threads=2, seed=0)
    assert np.median(np.linalg.norm(again - places, axis=1)) < 0.12
    # Of very many, some are laid out and the others put among them.
    monkeypatch.setattr("studio.curate.embedding_map._MAX_LAID_OUT", 100)
    sampled = compute_layout(vectors, unknown, threads=2, seed=0)
    near = np.linalg.norm(sampled[:, None] - sampled[None], axis=2) + np.eye(200)
    assert (kinds[near.argsort(axis=1)[:, :5]] == kinds[:, None]).mean() > 0.9


def test_drawing_a_map_can_be_stopped() -> None:
    vectors, _kinds = directions(80)

    def stop(done: int, _total: int) -> None:
        if done >= 100:
            raise Stopped("stop")

    with pytest.raises(Stopped):
        compute_layout(vectors, np.full((80, 2), UNKNOWN), threads=2, seed=0, on_round=stop)


def test_a_map_needs_no_open_tsne(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openTSNE", None)  # as where there is no wheel for a machine
    vectors, _kinds = directions(80)
    places = compute_layout(vectors, np.full((80, 2), UNKNOWN), threads=2, seed=0)
    assert ((places >= 0) & (places <= 1)).all()


def outlier_scores(vectors: np.ndarray) -> np.ndarray:
    (outlier,) = (issue for issue in IMAGE_ISSUES if issue.name == "far")
    unused = np.zeros(len(vectors))
    return outlier.scores(ImageFeatures(unused, unused, unused, vectors, np.random.default_rng(0)))


def test_an_outlier_has_the_highest_score() -> None:
    vectors, _kinds = directions(300, size=32)
    stranger = np.zeros((1, 32), np.float32)
    stranger[0] = -vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    scores = outlier_scores(np.concatenate([vectors, stranger]))
    assert scores[300] > 0.5
    assert np.count_nonzero(scores) <= 4
    assert scores[300] == scores.max()
    assert not outlier_scores(vectors[:20]).any()
