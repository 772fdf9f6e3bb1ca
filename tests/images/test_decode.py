"""The decoder on every admitted format and mode, and on what it must refuse."""

import contextlib
import io
import json
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.errors import ImageRefused
from studio.images.decode import decode, decode_with_format

RED, BLUE = (220, 30, 30), (30, 30, 220)


def two_halves(width_px: int = 64, height_px: int = 40) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", (width_px, height_px), RED)
    image.paste(BLUE, (width_px // 2, 0, width_px, height_px))
    return image


def saved(image: Image.Image, format_name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def near(pixel: object, expected: tuple[int, int, int], tolerance: int = 30) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= tolerance for a, b in zip(pixel, expected, strict=True))


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_every_admitted_format_comes_out_as_rgb(format_name: str) -> None:
    found = decode_with_format(saved(two_halves(), format_name), "an image")
    assert (found.format, found.width_px, found.height_px) == (format_name, 64, 40)
    assert (found.image.mode, found.image.size) == ("RGB", (64, 40))
    assert near(found.image.getpixel((5, 20)), RED)
    assert near(found.image.getpixel((60, 20)), BLUE)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_upright(format_name: str, orientation: int) -> None:
    """The file holds what a camera held askew would write: turned, it must look as it did."""
    upright = Image.new("RGB", (64, 40), "white")
    upright.paste(RED, (0, 0, 16, 10))  # one corner tells all eight apart, for 64 is not 40
    upright.paste(BLUE, (48, 0, 64, 10))
    askew = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if askew is None else upright.transpose(askew)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode_with_format(saved(stored, format_name, exif=exif.tobytes()), "a photograph")
    assert (found.width_px, found.height_px) == (64, 40) == found.image.size
    assert near(found.image.getpixel((4, 4)), RED, 60)
    assert near(found.image.getpixel((60, 4)), BLUE, 60)
    assert near(found.image.getpixel((32, 36)), (255, 255, 255), 60)


def test_garbled_metadata_costs_no_image() -> None:
    data = saved(two_halves(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\x12\x01garbage")
    assert decode(data, "a photograph").size == (64, 40)


def grey_ramp(top: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.tile(np.linspace(0, top, 64).round().astype(np.int64), (40, 1))


@pytest.mark.parametrize(
    ("image", "format_name"),
    [
        (Image.fromarray(grey_ramp(65535).astype(np.uint16)), "PNG"),
        (Image.fromarray(grey_ramp(65535).astype(np.uint16)), "TIFF"),
        (Image.fromarray(grey_ramp(65535).astype(np.int32)), "TIFF"),
        (Image.fromarray((grey_ramp(1000) / 1000).astype(np.float32)), "TIFF"),
        (Image.fromarray((grey_ramp(400) / 1000 - 0.2).astype(np.float32)), "TIFF"),
        (Image.fromarray(grey_ramp(255).astype(np.uint8)), "PNG"),
    ],
    ids=["16-bit PNG", "16-bit TIFF", "32-bit TIFF", "float 0-1", "float below 0", "8-bit"],
)
def test_grey_of_any_depth_is_scaled_not_clipped(image: Image.Image, format_name: str) -> None:
    pixels = np.asarray(decode(saved(image, format_name), "a scan"))
    assert pixels.shape == (40, 64, 3)
    ramp = np.linspace(0, 255, 64)
    assert np.abs(pixels[0, :, 0] - ramp).max() <= 2
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_16_bit_colour_is_scaled() -> None:
    row = b"\0" + struct.pack(">6H", 65535, 0, 32768, 0, 65535, 257)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )
    image = decode(data, "an image")
    assert near(image.getpixel((0, 0)), (255, 0, 128), 1)
    assert near(image.getpixel((1, 0)), (0, 255, 1), 1)


@pytest.mark.parametrize("format_name", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours(format_name: str) -> None:
    image = decode(saved(two_halves().convert("CMYK"), format_name), "a print")
    assert near(image.getpixel((5, 20)), RED)
    assert near(image.getpixel((60, 20)), BLUE)


def test_lab_keeps_its_colours() -> None:
    from PIL import ImageCms

    lab = ImageCms.profileToProfile(
        two_halves(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    assert near(decode(saved(lab, "TIFF"), "a scan").getpixel((5, 20)), RED)


def see_through(mode: str) -> Image.Image:
    """Red on the left; on the right black that is wholly transparent."""
    image = Image.new("RGBA", (64, 40), (*RED, 255))
    image.paste((0, 0, 0, 0), (32, 0, 64, 40))
    return image.convert(mode)


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF", "HEIF", "AVIF", "GIF"])
def test_transparency_is_laid_on_white(format_name: str) -> None:
    image = decode(saved(see_through("RGBA"), format_name), "a logo")
    assert near(image.getpixel((5, 20)), RED)
    assert near(image.getpixel((60, 20)), (255, 255, 255))


def test_transparency_of_palettes_and_greys_is_laid_on_white() -> None:
    palette = Image.new("P", (64, 40), 0)
    palette.putpalette([*RED, 0, 0, 0])
    palette.paste(1, (32, 0, 64, 40))
    image = decode(saved(palette, "PNG", transparency=1), "a logo")
    assert near(image.getpixel((5, 20)), RED, 0)
    assert near(image.getpixel((60, 20)), (255, 255, 255), 0)
    image = decode(saved(see_through("LA"), "PNG"), "a logo")
    assert near(image.getpixel((60, 20)), (255, 255, 255), 0)
    grey = Image.new("L", (64, 40), 7)
    assert near(decode(saved(grey, "PNG", transparency=7), "a logo").getpixel((5, 5)), (255, 255, 255), 0)


def test_black_and_white_comes_out_as_rgb() -> None:
    image = decode(saved(Image.new("1", (64, 40), 1), "TIFF"), "a fax")
    assert image.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_frame_counts(format_name: str) -> None:
    frames = [Image.new("RGB", (64, 40), RED), Image.new("RGB", (64, 40), BLUE)]
    data = saved(frames[0], format_name, save_all=True, append_images=frames[1:])
    assert near(decode(data, "a film").getpixel((5, 5)), RED)


def test_a_jpeg_may_come_smaller_but_never_too_small() -> None:
    data = saved(two_halves(3000, 2000), "JPEG")
    found = decode_with_format(data, "a photograph", at_least_px=224)
    assert (found.width_px, found.height_px) == (3000, 2000)
    assert found.image.size == (375, 250)
    assert decode(data, "a photograph").size == (3000, 2000)
    assert decode(data, "a photograph", at_least_px=5000).size == (3000, 2000)
    assert decode(data, "a photograph", fitting_px=750).size == (750, 500)
    assert decode(data, "a photograph", fitting_px=751).size == (1500, 1000)


def test_two_images_in_one_jpeg_are_the_first() -> None:
    data = saved(two_halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 40))])
    found = decode_with_format(data, "a 3D photograph")
    assert found.format == "JPEG"
    assert near(found.image.getpixel((5, 20)), RED)


def test_a_file_is_read_by_its_path_whatever_its_ending(tmp_path: Path) -> None:
    path = tmp_path / "해바라기 사진.txt"
    path.write_bytes(saved(two_halves(), "PNG"))
    assert decode(path, path.name).size == (64, 40)


# --- What is refused ------------------------------------------------------------------------------------


def reason(data: bytes | Path, name: str = "cat.jpg") -> str:
    with pytest.raises(ImageRefused) as refused:
        decode(data, name)
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)
    return str(refused.value)


def test_an_svg_is_named_with_what_to_do() -> None:
    assert reason(b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "cat.svg") == (
        "expected a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file; cat.svg is SVG. Convert it first."
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7 ...", "PDF"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"PK\x03\x04....", "ZIP"),
        (b"\0\0\0\x20ftypisom....", "MP4 or QuickTime video"),
        (b"\0\0\0\x18ftypcrx ....", "camera RAW"),
        (b"8BPS\0\1....", "PSD"),
        (json.dumps({"a": ["cat"]}).encode(), "JSON"),
        ("고양이는 그림이 아니다".encode(), "text"),
        (b"RIFF\x10\0\0\0AVI LIST", "AVI video"),
    ],
)
def test_the_actual_format_is_named(data: bytes, kind: str) -> None:
    assert f"is {kind}" in reason(data)


def test_a_raw_photograph_is_no_tiff() -> None:
    preview = two_halves()
    assert "camera RAW" in reason(saved(preview, "TIFF", tiffinfo={50706: b"\1\4\0\0"}), "a.dng")


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_half_a_file_is_truncated(format_name: str, kept: float) -> None:
    rng = np.random.default_rng(0)
    data = saved(Image.fromarray(rng.integers(0, 256, (99, 99, 3), np.uint8)), format_name)
    assert "truncated" in reason(data[: int(len(data) * kept)])


def test_a_damaged_file_is_distinguished_from_a_truncated_one() -> None:
    data = bytearray(saved(two_halves(), "PNG"))
    data[60] ^= 0xFF
    assert reason(bytes(data)) == "cat.jpg is a damaged PNG file. Fetch it again."


def test_other_refusals(tmp_path: Path) -> None:
    assert reason(b"") == "cat.jpg is empty: expected an image."
    assert "none of them" in reason(bytes(range(256)) * 4)
    assert "is a folder" in reason(tmp_path)
    assert "cannot be read: No such file" in reason(tmp_path / "missing.jpg")


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    for side_px in (10_001, 20_000, 60_000):  # below and above Pillow's own limits
        header = struct.pack(
            "<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, side_px, side_px, 1, 24, 0, 0, 0, 0, 0, 0
        )
        assert "more than 100 megapixels" in reason(header)


def test_an_image_without_any_pixels_is_refused() -> None:
    header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 0, 9, 1, 24, 0, 0, 0, 0, 0, 0)
    reason(header)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_no_damage_lets_another_error_out(format_name: str) -> None:
    """Bytes changed, cut out and put in at random: an image or ImageRefused, nothing else."""
    rng = np.random.default_rng(7)
    whole = saved(two_halves(), format_name)
    for _ in range(120):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 9)):
            data[at] = int(rng.integers(0, 256))
        start, length = rng.integers(0, len(data)), rng.integers(0, 40)
        if rng.random() < 0.5:
            del data[start : start + length]
        with contextlib.suppress(ImageRefused):
            assert decode(bytes(data), "an image", at_least_px=20).mode == "RGB"


def test_many_threads_decode_at_once() -> None:
    files = [
        saved(two_halves(), name) for name in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "HEIF", "AVIF")
    ] * 20
    with ThreadPoolExecutor(4) as pool:
        assert all(image.size == (64, 40) for image in pool.map(lambda data: decode(data, "a"), files))
