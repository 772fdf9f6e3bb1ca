"""A folder of bad files of more than thirty kinds: each refused with its own reason, the good ones in."""

import io
import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.collect.importers import ingest_path
from tests.collect.material import Bench, image_bytes, write_files


def noise(format_name: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)).save(file, format_name)
    return file.getvalue()


def damaged_png() -> bytes:
    data = bytearray(noise("PNG"))
    data[400] ^= 0xFF
    return bytes(data)


def huge(side_px: int) -> bytes:
    return struct.pack(
        "<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, side_px, side_px, 1, 24, 0, 0, 0, 0, 0, 0
    )


def small_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", image_bytes())
    return file.getvalue()


CUT = "is truncated: the {kind} file ends too early"
BAD: dict[str, tuple[bytes, str]] = {
    "empty.jpg": (b"", "is empty"),
    "zeros.jpg": (bytes(5000), "is none of them"),
    "noise.jpg": (np.random.default_rng(1).bytes(5000), "is none of them"),
    "vector.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is SVG"),
    "paper.pdf": (b"%PDF-1.7\n%\xe2\xe3", "is PDF"),
    "page.jpg": (b"\n<!doctype html><title>404</title>", "is HTML"),
    "feed.jpg": (b'<?xml version="1.0"?><rss/>', "is XML"),
    "data.jpg": (json.dumps({"error": "not found"}).encode(), "is JSON"),
    "메모.txt": ("사진이 아니다".encode(), "is text"),
    "archive.jpg": (small_zip(), "is ZIP"),
    "packed.jpg": (b"\x1f\x8b\x08\0\0\0\0\0", "is GZIP"),
    "packed.7z": (b"7z\xbc\xaf\x27\x1c\0\x04", "is 7-Zip"),
    "packed.rar": (b"Rar!\x1a\x07\x01\0", "is RAR"),
    "film.mp4": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "is MP4 or QuickTime video"),
    "film.webm": (b"\x1a\x45\xdf\xa3\x01\0\0\0", "is WebM or Matroska video"),
    "film.avi": (b"RIFF\x10\0\0\0AVI LIST", "is AVI video"),
    "song.mp3": (b"ID3\x04\0\0\0", "is MP3 audio"),
    "layers.psd": (b"8BPS\0\1\0\0", "is PSD"),
    "raw.cr2": (b"II*\0\x10\0\0\0CR\2\0", "is camera RAW"),
    "raw.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "is camera RAW"),
    "icon.ico": (b"\0\0\1\0\1\0\x10\x10", "is ICO"),
    "new.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n", "is JPEG XL"),
    "print.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is PostScript"),
    "program.jpg": (b"MZ\x90\0\3\0\0\0", "is a Windows program"),
    "cut.jpg": (noise("JPEG")[:-2000], CUT.format(kind="JPEG")),
    "cut.png": (noise("PNG")[:-2000], CUT.format(kind="PNG")),
    "cut.webp": (noise("WEBP")[:-2000], CUT.format(kind="WebP")),
    "cut.gif": (noise("GIF")[:-2000], CUT.format(kind="GIF")),
    "cut.bmp": (noise("BMP")[:-2000], CUT.format(kind="BMP")),
    "cut.tif": (noise("TIFF")[:-2000], CUT.format(kind="TIFF")),
    "cut.heic": (noise("HEIF")[:-2000], CUT.format(kind="HEIC")),
    "cut.avif": (noise("AVIF")[:-2000], CUT.format(kind="AVIF")),
    "header only.jpg": (noise("JPEG")[:20], CUT.format(kind="JPEG")),
    "damaged.png": (damaged_png(), "is a damaged PNG file"),
    "huge.bmp": (huge(10_001), "has more than 100 megapixels (10001 x 10001 px)"),
    "enormous.bmp": (huge(60_000), "has more than 100 megapixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_has_its_own_reason(bench: Bench, home: Path, name: str) -> None:
    data, reason = BAD[name]
    folder = write_files(home / "in", {name: data})
    report = ingest_path(bench.context(), folder)
    assert report.added == 0
    [skipped] = report.skipped
    assert skipped.name == name
    assert reason in skipped.message
    assert name in skipped.message
    assert "\n" not in skipped.message


def test_a_folder_of_them_costs_the_good_ones_nothing(bench: Bench, home: Path) -> None:
    folder = write_files(
        home / "섞인 것 mixed",
        {f"daisy/{name}": data for name, (data, _) in BAD.items()}
        | {f"daisy/good {n}.jpg": image_bytes(n) for n in range(10)},
    )
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "daisy" / "pipe.jpg")
    report = ingest_path(bench.context(), folder)
    assert report.added == len(bench.labels()) == 10
    refused = {skipped.name: skipped.message for skipped in report.skipped}
    expected = {f"daisy/{name}" for name in BAD} | ({"daisy/pipe.jpg"} if hasattr(os, "mkfifo") else set())
    assert set(refused) == expected
    assert all(reason in refused[f"daisy/{name}"] for name, (_, reason) in BAD.items())
    assert {name for name, (outcome, _) in bench.outcomes().items() if outcome == "refused"} == expected
