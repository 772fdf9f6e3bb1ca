import hashlib
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from studio.backbones import embedding
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.preprocessing import Preprocessing
from studio.errors import Stopped
from studio.images import decode
from studio.progress import Silent
from studio.retrain.distortions import Distortions, embed_views, preview_distortions, view_digest
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import LabelledImage
from tests.retrain.material import FLOWERS, RecordingProgress, backbone, draw, needs_flowers

SMALL = Preprocessing(40, 30)


def noise(width_px: int = 160, height_px: int = 120) -> Image.Image:
    """An image with no two parts alike, coarse enough that a filter's edges matter little."""
    blocks = np.random.default_rng(3).integers(0, 256, (height_px // 8, width_px // 8, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((width_px, height_px), Image.Resampling.BICUBIC)


def views(distortions: Distortions, image: Image.Image, count: int = 40) -> list[npt.NDArray[np.int16]]:
    return [
        distortions.view(image, SMALL, np.random.default_rng(seed)).astype(np.int16) for seed in range(count)
    ]


def images_in(folder: Path) -> tuple[LabelledImage, ...]:
    return read_image_folder(folder, Silent()).images


def test_options_without_a_distortion_give_none() -> None:
    assert Distortions.of(RunOptions()) is None
    assert Distortions.of(RunOptions(random_crop=5)) == Distortions(random_crop=5)
    everything = {name: 7 for name in vars(Distortions()) if name.startswith("random_")}
    asked = RunOptions(flip_left_right=True, **everything)  # type: ignore[arg-type]
    assert Distortions.of(asked) == Distortions(True, 7, 7, 7, 7, 7)


def test_every_second_view_is_mirrored() -> None:
    plain = SMALL.pixels(noise()).astype(np.int16)
    seen = views(Distortions(flip_left_right=True), noise())
    mirrored = [np.array_equal(view, plain[:, ::-1]) for view in seen]
    assert all(np.array_equal(view, plain) != mirror for view, mirror in zip(seen, mirrored, strict=True))
    assert 10 <= sum(mirrored) <= 30


@pytest.mark.parametrize("crop", [10, 50])
def test_crops_are_taken_from_all_positions_of_the_enlarged_image(crop: int) -> None:
    wide, high = int(40 * (1 + crop / 100)), int(30 * (1 + crop / 100))
    whole = np.asarray(noise().resize((wide, high), Image.Resampling.BILINEAR), np.int16)
    places = set()
    for view in views(Distortions(random_crop=crop), noise()):
        apart = {
            (top, left): np.abs(whole[top : top + 30, left : left + 40] - view).max()
            for top in range(high - 30 + 1)
            for left in range(wide - 40 + 1)
        }
        place = min(apart, key=lambda where: apart[where])
        assert apart[place] <= 1
        places.add(place)
    assert {top for top, _left in places} >= {0, high - 30}  # the edges too
    assert len({left for _top, left in places}) > 3


def test_scales_range_from_the_whole_image_to_the_largest() -> None:
    # A ramp: how far it climbs within a view says how much of the image is in it.
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 160).astype(np.uint8)[:, None], (120, 1, 3)))
    distortions = Distortions(random_scale=100)
    shares = [(view[0, -1, 0] - view[0, 0, 0]) / 250 for view in views(distortions, ramp, 200)]
    assert distortions.largest_scale == 2
    assert 0.45 < min(shares) < 0.55
    assert 0.95 < max(shares) < 1.05


def test_brightness_multiplies_and_clips_at_white() -> None:
    grey = Image.new("RGB", (50, 50), (100, 100, 100))
    seen = views(Distortions(random_brightness=30), grey, 100)
    assert all(np.ptp(view) == 0 for view in seen)
    values = [int(view[0, 0, 0]) for view in seen]
    assert 70 <= min(values) < 75
    assert 125 < max(values) <= 130
    light = views(Distortions(random_brightness=30), Image.new("RGB", (50, 50), (250, 10, 10)), 20)
    assert max(view.max() for view in light) == 255


def test_rotation_is_about_the_centre_and_fills_corners() -> None:
    white = Image.new("RGB", (90, 90), "white")
    assert all(view.min() == 255 for view in views(Distortions(random_rotation=180), white))
    square = Preprocessing(81, 81)
    dotted = np.zeros((81, 81, 3), np.uint8)
    dotted[38:43, 63:68] = 255  # 25 px to the right of the middle
    angles = []
    for seed in range(60):
        view = Distortions(random_rotation=20).view(
            Image.fromarray(dotted), square, np.random.default_rng(seed)
        )
        rows, columns = np.indices((81, 81)) - 40
        weights = view[..., 0] / view[..., 0].sum()
        down, across = (weights * rows).sum(), (weights * columns).sum()
        assert math.hypot(down, across) == pytest.approx(25, abs=0.3)
        angles.append(math.degrees(math.atan2(down, across)))
    assert -20.5 < min(angles) < -15
    assert 15 < max(angles) < 20.5


def test_colour_keeps_grey_and_brightness() -> None:
    distortions = Distortions(random_colour=50)
    for view in views(distortions, Image.new("RGB", (50, 50), (90, 90, 90)), 10):
        assert np.abs(view - 90).max() <= 1
    seen = [view[0, 0] for view in views(distortions, Image.new("RGB", (50, 50), (140, 100, 90)), 100)]
    luma = [float(np.dot(value, (0.299, 0.587, 0.114))) for value in seen]
    assert max(luma) - min(luma) < 2
    saturations = [int(np.ptp(value)) for value in seen]
    assert min(saturations) < 32
    assert max(saturations) > 65
    # The hue goes both ways: towards yellow (more green) and towards violet (less).
    assert {bool(value[1] > value[2]) for value in seen} == {True, False}


def test_adding_a_distortion_does_not_change_the_others(tmp_path: Path) -> None:
    path = tmp_path / "회색.png"
    Image.fromarray(np.asarray(noise()) // 2).save(path)
    cut, brighter = (
        preview_distortions(path, distortions, SMALL, 4, 0)
        for distortions in (Distortions(random_crop=40), Distortions(random_crop=40, random_brightness=20))
    )
    for one, other in zip(cut, brighter, strict=True):
        assert np.ptp(other[one > 60] / one[one > 60]) < 0.03
    assert len({view.tobytes() for view in brighter}) == 4


def test_the_digest_of_a_view_depends_on_all_settings() -> None:
    mild, strong = Distortions(random_crop=5), Distortions(random_crop=50)
    names = {
        view_digest(sha256, distortions, number, seed)
        for sha256 in ("0" * 64, "1" * 64)
        for distortions in (mild, strong)
        for number in (1, 2, 11)
        for seed in (0, 1)
    }
    assert len(names) == 24
    assert {len(bytes.fromhex(name)) for name in names} == {32}


def test_views_are_cached_once_and_equal_the_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = images_in(draw(tmp_path / "사진 a", count=3))
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    distortions = Distortions(True, 20, 10, 10, 10, 10)
    read: list[str] = []
    real = decode.read_image_file

    def counted(path: Path, name: str) -> bytes:
        read.append(name)
        return real(path, name)

    monkeypatch.setattr(embedding, "read_image_file", counted)

    def embed_count(count: int) -> RecordingProgress:
        watched = RecordingProgress()
        assert (
            embed_views(images, backbone(), cache, distortions, count, 7, threads=2, progress=watched) == ()
        )
        assert watched.reports[-1][1:] == (6 * count, 6 * count)
        return watched

    embed_count(2)
    assert len(read) == 6  # not twelve
    embed_count(2)
    assert len(read) == 6
    embed_count(3)
    assert len(read) == 12

    interpreter = LiteRTInterpreter(backbone().path.read_bytes())
    for image in images:
        shown = preview_distortions(image.path, distortions, backbone().preprocessing, 3, 7)
        digests = [view_digest(image.sha256, distortions, number, 7) for number in (1, 2, 3)]
        assert np.array_equal(cache.vectors(digests), [interpreter(pixels) for pixels in shown])
        assert all(not np.array_equal(one, other) for one, other in pairwise(shown))
    # The plain bottlenecks have names of their own.
    assert len(cache.missing(image.sha256 for image in images)) == 6


def test_flips_alone_give_only_two_views(tmp_path: Path) -> None:
    images = images_in(draw(tmp_path / "a", count=2))
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    flip, watched = Distortions(flip_left_right=True), RecordingProgress()
    embed_views(images, backbone(), cache, flip, 5, 3, threads=2, progress=watched)
    assert watched.reports[-1][1:] == (8, 8)
    plain = backbone().preprocessing.read(images[0].path, "x")
    for number, view in enumerate(
        preview_distortions(images[0].path, flip, backbone().preprocessing, 5, 3), 1
    ):
        assert np.array_equal(view, plain[:, ::-1] if number % 2 else plain)
    names = [view_digest(images[0].sha256, flip, number, seed) for number in (1, 2, 3) for seed in (0, 9)]
    assert len(set(names)) == 2
    assert cache.missing(names) == []


def test_an_unreadable_file_is_returned_once_for_all_views(tmp_path: Path) -> None:
    folder = draw(tmp_path / "a", count=2)
    (folder / "square" / "bad 나쁜.jpg").write_bytes(b"no image")
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    watched = RecordingProgress()
    (refusal,) = embed_views(
        images_in(folder),
        backbone(),
        cache,
        Distortions(random_crop=5),
        3,
        0,
        threads=2,
        progress=watched,
    )
    assert refusal.path.name == "bad 나쁜.jpg"
    assert refusal.sha256 == hashlib.sha256(b"no image").hexdigest()
    assert watched.reports[-1][1:] == (15, 15)


def test_stop_keeps_finished_views(tmp_path: Path) -> None:
    images = images_in(draw(tmp_path / "a", count=30))
    cache = BottleneckCache(tmp_path / "cache", backbone().features)
    distortions = Distortions(flip_left_right=True)
    with pytest.raises(Stopped):
        embed_views(
            images,
            backbone(),
            cache,
            distortions,
            2,
            0,
            threads=2,
            progress=RecordingProgress("Computing distorted views", 10),
        )
    names = [view_digest(p.sha256, distortions, number, 0) for p in images for number in (1, 2)]
    assert len(cache.missing(names)) == 110


@needs_flowers
def test_views_are_sharp_at_a_large_scale() -> None:
    path = next(iter(sorted((FLOWERS / "daisy").glob("*.jpg"))))
    size = backbone().preprocessing
    for shown in preview_distortions(path, Distortions(random_crop=50), size, 3, 0):
        assert shown.shape == (224, 224, 3)
        assert shown.dtype == np.uint8
        assert shown.std() > 10
