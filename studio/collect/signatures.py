"""What a file is by its first bytes, in words a person knows: for saying what came instead of a picture."""

import codecs
import json

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
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
_RIFF = {b"AVI ": "AVI video", b"WAVE": "WAV audio"}
_TEXT_BYTES = 4096

_ADMITTED: tuple[tuple[int, bytes, str], ...] = (
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
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
}


def admitted_format(data: bytes) -> str | None:
    """Return which admitted format `data` claims to be by its signature, or None."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    return _first(data, _ADMITTED)


def foreign_format(data: bytes) -> str | None:
    """Return what `data` is when it is something known that is no admitted picture, or None."""
    if data[4:8] == b"ftyp":
        if data[8:12] in _BRANDS:
            return None
        return "camera RAW" if data[8:11] == b"crx" else "MP4 or QuickTime video"
    if data[:4] == b"RIFF" and data[8:12] in _RIFF:
        return _RIFF[data[8:12]]
    return _first(data, _MAGIC) or _text_format(data)


def _first(data: bytes, magic: tuple[tuple[int, bytes, str], ...]) -> str | None:
    return next((name for at, start, name in magic if data[at : at + len(start)] == start), None)


def _text_format(data: bytes) -> str | None:
    head = data[:_TEXT_BYTES]
    try:
        # Incremental, because a letter may be cut in two at the end of what is looked at.
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
