"""Decoding of image files to RGB pixels, or to an error that says why not: the studio's only decoder."""

import codecs
import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from pillow_heif import register_heif_opener

from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.skip_reasons import SkipReason

_OTHER_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "PSD (Photoshop)"),
    (0, b"gimp xcf", "XCF (GIMP)"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"PK\x05\x06", "ZIP"),
    (0, b"\x1f\x8b", "GZIP"),
    (0, b"BZh", "BZIP2"),
    (0, b"\xfd7zXZ\x00", "XZ"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (0, b"Rar!\x1a\x07", "RAR"),
    (257, b"ustar", "TAR"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska video"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"\x00\x00\x01\xba", "MPEG video"),
    (0, b"ID3", "MP3 audio"),
    (0, b"OggS", "Ogg audio or video"),
    (0, b"fLaC", "FLAC audio"),
    (0, b"FUJIFILMCCD-RAW", "camera RAW"),
    (0, b"IIRO", "camera RAW"),
    (0, b"IIU\x00", "camera RAW"),
    (8, b"CR\x02", "camera RAW"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"%!PS", "PostScript"),
    (0, b"DDS ", "DDS"),
    (0, b"qoif", "QOI"),
    (0, b"MZ", "a Windows program"),
    (0, b"\x7fELF", "a Linux program"),
    (0, b"SQLite format 3", "SQLite"),
    (0, b"\x89HDF", "HDF5"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_RIFF_FORMATS = {b"AVI ": "AVI video", b"WAVE": "WAV audio"}
_TEXT_BYTES = 4096
_ACCEPTED_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
)
_ISO_MEDIA_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
}


def accepted_format(data: bytes) -> str | None:
    """Return the accepted format of `data` by its signature, or None."""
    if data[4:8] == b"ftyp":
        return _ISO_MEDIA_BRANDS.get(data[8:12])
    return _match_signature(data, _ACCEPTED_SIGNATURES)


def other_format(data: bytes) -> str | None:
    """Return the format of `data` by its signature where that is no accepted image format, or None."""
    if data[4:8] == b"ftyp":
        if data[8:12] in _ISO_MEDIA_BRANDS:
            return None
        return "camera RAW" if data[8:11] == b"crx" else "MP4 or QuickTime video"
    if data[:4] == b"RIFF" and data[8:12] in _RIFF_FORMATS:
        return _RIFF_FORMATS[data[8:12]]
    return _match_signature(data, _OTHER_SIGNATURES) or _text_format(data)


def _match_signature(data: bytes, magic: tuple[tuple[int, bytes, str], ...]) -> str | None:
    return next((name for at, start, name in magic if data[at : at + len(start)] == start), None)


def _text_format(data: bytes) -> str | None:
    head = data[:_TEXT_BYTES]
    try:
        # Incremental, because a character may be cut in two at the end of the head.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=len(data) <= _TEXT_BYTES)
    except UnicodeDecodeError:
        return None
    if not all(character.isprintable() or character.isspace() for character in text):
        return None
    start = text.lstrip().lower()
    if "<svg" in start:
        return "SVG"
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "HTML"
    if start.startswith("<?xml"):
        return "XML"
    return "JSON" if start.startswith(("{", "[")) and _is_json(data) else "text"


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


MAX_PIXELS = 100_000_000
MAX_SIDE_PX = 65_535
MAX_FILE_BYTES = 200_000_000
# Pillow would import its plugins when the first file asks for them, which is too late for threads.
_PLUGINS = (
    AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin,
    WebPImagePlugin,
)  # fmt: skip
register_heif_opener(thumbnails=False)
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
# Once, for the whole process: warnings.catch_warnings is not safe in threads. What Pillow warns of
# (invalid metadata, many pixels) is checked here.
warnings.filterwarnings("ignore", module=r"PIL\.")
_TRANSPOSE_OF_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ROTATED_ORIENTATIONS = (5, 6, 7, 8)
_DNG_VERSION_TAG = 50706
_SUBFILE_TYPE_TAG = 254
_SUB_IFDS_TAG = 330
_BOX_HEADER_BYTES = 8


@dataclass(frozen=True)
class DecodedImage:
    """An image's pixels, and the format and size of its file."""

    image: Image.Image
    """RGB, upright; at a smaller scale than the file where a size was given."""
    format: str
    """Pillow's name: JPEG, PNG, WEBP, GIF, BMP, TIFF, HEIF or AVIF."""
    width_px: int
    height_px: int
    """The file's own size, upright."""


def decode(
    source: Path | bytes,
    name: str,
    *,
    at_least_px: int | None = None,
    fitting_px: int | None = None,
    most_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Return the image in `source` as RGB, turned upright, on white where it is transparent.

    name: for messages. at_least_px, fitting_px: a JPEG may be decoded at a smaller scale whose shorter or
    longer side is still at least that long, which is several times faster. Of a GIF, WebP or TIFF the first
    frame. Safe in threads. Raises ImageRefused with the reason: unreadable, empty, not an image (and its
    format), truncated, damaged, more than `most_pixels`, more than 200 MB, an impossible size.
    """
    return decode_with_format(
        source, name, at_least_px=at_least_px, fitting_px=fitting_px, most_pixels=most_pixels
    ).image


def decode_with_format(
    source: Path | bytes,
    name: str,
    *,
    at_least_px: int | None = None,
    fitting_px: int | None = None,
    most_pixels: int = MAX_PIXELS,
) -> DecodedImage:
    """Decode as `decode` does, and return the file's format and size too. Raises ImageRefused likewise."""
    data = source if isinstance(source, bytes) else read_image_file(source, name)
    if not data:
        raise ImageRefused(_("{name} is empty: expected an image.").format(name=name), SkipReason.DAMAGED)
    check_file_size(len(data), name)
    if foreign := other_format(data):
        raise _not_an_image(name, foreign)
    try:
        return _decode(data, name, at_least_px, fitting_px, most_pixels)
    except ImageRefused:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(name, most_pixels) from error
    except MemoryError as error:
        raise ImageRefused(
            _("{name} needs more memory than there is. Make it smaller first.").format(name=name)
        ) from error
    except UnidentifiedImageError as error:
        raise _unidentified(data, name) from error
    except Exception as error:  # decoders raise errors of many types on bad bytes
        raise _damaged(data, name, error) from error


def read_image_file(path: Path, name: str) -> bytes:
    """Return a file's bytes. Raises ImageRefused when it is a folder, missing, forbidden or over 200 MB."""
    try:
        if path.is_dir():
            raise ImageRefused(
                _("{name} is a folder: expected an image. Name the images in it.").format(name=name)
            )
        check_file_size(path.stat().st_size, name)
        if not path.is_file():  # a pipe or a device: reading it might never end
            raise ImageRefused(_("{name} is not a plain file: expected an image.").format(name=name))
        return path.read_bytes()
    except OSError as error:
        raise ImageRefused(
            _("{name} cannot be read: {reason}.").format(name=name, reason=error.strerror or error)
        ) from error


def check_file_size(size_bytes: int, name: str) -> None:
    """Raise ImageRefused when a file is too large to be an image."""
    if size_bytes > MAX_FILE_BYTES:
        raise ImageRefused(
            _("{name} is larger than {limit} MB: too large for an image. Make it smaller first.").format(
                name=name, limit=MAX_FILE_BYTES // 1_000_000
            ),
            SkipReason.TOO_LARGE,
        )


def _decode(
    data: bytes, name: str, at_least_px: int | None, fitting_px: int | None, most_pixels: int
) -> DecodedImage:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        width, height = opened.size
        if width * height > most_pixels:
            raise _too_many_pixels(name, most_pixels, width, height)
        if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
            raise ImageRefused(
                _("{name} is {width} x {height} px: expected 1 to {limit} px a side.").format(
                    name=name, width=width, height=height, limit=MAX_SIDE_PX
                )
            )
        if _is_camera_raw(opened):
            raise _not_an_image(name, "camera RAW")
        # Other programs treat a JPEG of two views (MPO) as a JPEG.
        format_name = "JPEG" if opened.format == "MPO" else str(opened.format)
        if isinstance(opened, JpegImagePlugin.JpegImageFile):
            if at_least_px is not None:
                opened.draft(opened.mode, (at_least_px, at_least_px))
            elif fitting_px is not None:
                longest = max(width, height)
                opened.draft(
                    opened.mode,
                    (max(1, width * fitting_px // longest), max(1, height * fitting_px // longest)),
                )
        opened.load()
        # After loading: Pillow turns a TIFF as it loads it, and drops its orientation.
        orientation = _orientation(opened)
        if orientation in _ROTATED_ORIENTATIONS:
            width, height = height, width
        transpose = _TRANSPOSE_OF_ORIENTATION.get(orientation)
        upright = opened if transpose is None else opened.transpose(transpose)
        return DecodedImage(_to_rgb(upright), format_name, width, height)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken metadata does not make an image unusable
        return 1


def _is_camera_raw(image: Image.Image) -> bool:
    # NEF, ARW and DNG are TIFF files whose first image is only a small preview.
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    tags = image.tag_v2
    return _DNG_VERSION_TAG in tags or (tags.get(_SUBFILE_TYPE_TAG) == 1 and _SUB_IFDS_TAG in tags)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_eight_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None  # noqa: S101 - only None when asked to work in place
        return converted
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image.convert("RGB")


def _to_eight_bits(values: npt.NDArray[Any], mode: str) -> npt.NDArray[np.uint8]:
    """Scale grey values of 16 or 32 bits, or floats, to 0…255.

    16 bits have a known range. The others are taken by the smallest usual range that holds them (0…1 for
    floats, 0…255, 0…65535), or else from their least to their greatest value.
    """
    grey = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(grey.min()), float(grey.max())
    usual = (
        (65535.0,) if mode.startswith("I;16") else (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    )
    top = next((top for top in usual if low >= 0 and high <= top), None)
    if top is None:
        grey, top = grey - low, (high - low) or 1.0
    eight_bits: npt.NDArray[np.uint8] = np.rint(grey * (255.0 / top)).astype(np.uint8)
    return eight_bits


def _too_many_pixels(name: str, most_pixels: int, width: int = 0, height: int = 0) -> ImageRefused:
    size = _(" ({width} x {height} px)").format(width=width, height=height) if width else ""
    return ImageRefused(
        _("{name} has more than {limit} megapixels{size}. Make it smaller first.").format(
            name=name, limit=most_pixels // 1_000_000, size=size
        ),
        SkipReason.TOO_LARGE,
    )


def _not_an_image(name: str, kind: str) -> ImageRefused:
    return ImageRefused(
        _(
            "expected a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file; {name} is {kind}. "
            "Convert it first."
        ).format(name=name, kind=kind),
        SkipReason.NOT_AN_IMAGE,
    )


def _unidentified(data: bytes, name: str) -> ImageRefused:
    if accepted_format(data):
        return _damaged(data, name, None)
    return ImageRefused(
        _(
            "expected a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file; {name} is none of them, "
            "whatever its name says."
        ).format(name=name),
        SkipReason.NOT_AN_IMAGE,
    )


def _damaged(data: bytes, name: str, error: Exception | None) -> ImageRefused:
    kind = accepted_format(data) or _("image")
    if isinstance(error, EOFError) or "truncated" in str(error).lower() or _is_truncated(data):
        return ImageRefused(
            _("{name} is truncated: the {kind} file ends too early. Fetch it again.").format(
                name=name, kind=kind
            ),
            SkipReason.DAMAGED,
        )
    return ImageRefused(
        _("{name} is a damaged {kind} file. Fetch it again.").format(name=name, kind=kind), SkipReason.DAMAGED
    )


def _is_truncated(data: bytes) -> bool:
    """Return whether a file that cannot be decoded is shorter than its header says, or lacks its end."""
    tail = data[-64:]
    match accepted_format(data):
        case "JPEG":
            is_cut = b"\xff\xd9" not in tail
        case "PNG":
            is_cut = b"IEND" not in tail
        case "GIF":
            is_cut = not tail.rstrip(b"\0").endswith(b";")
        case "WebP":
            is_cut = int.from_bytes(data[4:8], "little") + 8 > len(data)
        case "BMP":
            is_cut = int.from_bytes(data[2:6], "little") > len(data)
        case "HEIC" | "AVIF":
            is_cut = _last_box_end(data) > len(data)
        case _:
            is_cut = False
    return is_cut


def _last_box_end(data: bytes) -> int:
    """Return the end of the last box of an ISO media file by its header, in bytes from the start."""
    at = 0
    while at + _BOX_HEADER_BYTES <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < _BOX_HEADER_BYTES:  # 0 means to the end of the file; anything else is nonsense
            break
        at += size
    return at
