"""The store: whole files or none, under the names their bytes give them."""

import io
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.errors import ImageRefused, ServerError
from studio.images.store import ImageStore
from tests.collect.material import image_bytes

DATA = image_bytes(width_px=900, height_px=600)
SHA = sha256(DATA).hexdigest()


@pytest.fixture
def store(home: Path) -> ImageStore:
    return ImageStore(home / "사진 images")


def all_files(store: ImageStore) -> list[str]:
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def test_an_image_lies_under_its_hash_and_nothing_else_is_left(store: ImageStore) -> None:
    path = store.put(DATA, SHA, "JPEG")
    assert path == store.original(SHA, "JPEG") == store.root / "originals" / SHA[:2] / f"{SHA}.jpg"
    assert path.read_bytes() == DATA
    before = path.stat().st_mtime_ns
    store.put(DATA, SHA, "JPEG")
    assert path.stat().st_mtime_ns == before
    assert all_files(store) == [f"originals/{SHA[:2]}/{SHA}.jpg"]


def test_a_file_cut_short_is_mended(store: ImageStore) -> None:
    path = store.put(DATA, SHA, "JPEG")
    path.write_bytes(DATA[:100])
    store.put(DATA, SHA, "JPEG")
    assert path.read_bytes() == DATA


def test_many_writers_of_one_file_leave_one_file(store: ImageStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.put(DATA, SHA, "JPEG"), range(40)))
    assert all_files(store) == [f"originals/{SHA[:2]}/{SHA}.jpg"]


def test_a_thumbnail_is_small_and_made_again_where_it_is_missing(store: ImageStore) -> None:
    store.put(DATA, SHA, "JPEG")
    path = store.thumbnail(SHA, "JPEG")
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (256, 171))
    path.unlink()
    assert store.thumbnail(SHA, "JPEG").exists()


@pytest.mark.parametrize("kept_bytes", [0, 1, 1000])
def test_a_thumbnail_that_a_power_cut_spoilt_is_made_again(store: ImageStore, kept_bytes: int) -> None:
    store.put(DATA, SHA, "JPEG")
    path = store.thumbnail(SHA, "JPEG")
    whole = path.read_bytes()
    path.write_bytes(whole[:kept_bytes])
    assert store.thumbnail(SHA, "JPEG").read_bytes() == whole


def test_a_thumbnail_of_a_lost_image_is_refused_with_a_reason(store: ImageStore) -> None:
    with pytest.raises(ImageRefused, match="cannot be read"):
        store.thumbnail(SHA, "JPEG")


def test_a_browser_gets_what_it_can_show(store: ImageStore) -> None:
    store.put(DATA, SHA, "JPEG")
    assert store.browser_file(SHA, "JPEG") == store.original(SHA, "JPEG")
    tiff = image_bytes(format_name="TIFF", width_px=2000, height_px=1000)
    tiff_sha = sha256(tiff).hexdigest()
    store.put(tiff, tiff_sha, "TIFF")
    with Image.open(store.browser_file(tiff_sha, "TIFF")) as image:
        assert (image.format, image.size) == ("WEBP", (1600, 800))


def test_a_huge_image_is_made_smaller_for_viewing(store: ImageStore) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "BMP")
    store.put(file.getvalue(), "ab" * 32, "BMP")
    assert store.browser_file("ab" * 32, "BMP").suffix == ".webp"


def test_a_disk_that_refuses_is_named(home: Path) -> None:
    (home / "pictures").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(ServerError, match="cannot be written"):
        ImageStore(home / "pictures").put(DATA, SHA, "JPEG")
