"""Names of files and folders that every system accepts and people can read."""

import re
import unicodedata
from pathlib import PurePosixPath

from studio.images.store import EXTENSIONS

_SYSTEM_FILES = frozenset(("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin"))


def is_system_file(path: PurePosixPath) -> bool:
    """Return whether a file is one that systems leave behind (hidden files, caches of thumbnails)."""
    return any(part.startswith(".") or part.lower() in _SYSTEM_FILES for part in path.parts if part != "..")


_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)
"""Names of devices on Windows, with any extension."""
_UNSAFE_BEGINNINGS = (".", "-", "=", "+", "@", "~")
"""Hidden files, command options, spreadsheet formulas."""
_LONGEST_BYTES = 180
"""Of 255 that most systems allow; the rest is for a number and an ending."""
_EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "TIFF": (".tif", ".tiff"),
    "HEIF": (".heic", ".heif"),
}


def safe_name(text: str, otherwise: str = "_") -> str:
    """Return `text` as a name for a file or folder on Windows, macOS and Linux.

    Letters of all languages stay, as NFC. otherwise: the name where nothing is left.
    """
    text = unicodedata.normalize("NFC", "".join(c if c.isprintable() else "_" for c in text))
    text = _truncated(_FORBIDDEN.sub("_", " ".join(text.split()))).rstrip(". ").lstrip()
    if not text:
        return otherwise
    if _RESERVED.fullmatch(text):
        stem, dot, rest = text.partition(".")
        text = f"{stem}_{dot}{rest}"
    if text.startswith(_UNSAFE_BEGINNINGS) or is_system_file(PurePosixPath(text)):
        text = f"_{text}"
    return text


def image_name(name: str, format_name: str, otherwise: str) -> str:
    """Return an image's name with the extension of its format: `a.png` of a JPEG is `a.png.jpg`."""
    endings = _EXTENSIONS.get(format_name, (EXTENSIONS[format_name],))
    stem, dot, ending = name.rpartition(".")
    if stem and f"{dot}{ending}".casefold() in endings:
        return f"{safe_name(stem, otherwise)}.{ending}"
    return f"{safe_name(name, otherwise)}{endings[0]}"


class UniqueNames:
    """The names in one folder, no two of which are the same on any system."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self._taken = {_collision_key(name) for name in taken}
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return `name`, with a number before its extension where it is taken: `a (2).jpg`."""
        unique = name
        if _collision_key(name) in self._taken:
            stem, dot, ending = name.rpartition(".")
            if not stem:
                stem, dot, ending = name, "", ""
            number = self._next.get(_collision_key(name), 2)
            while _collision_key(unique := f"{stem} ({number}){dot}{ending}") in self._taken:
                number += 1
            self._next[_collision_key(name)] = number + 1
        self._taken.add(_collision_key(unique))
        return unique


def _collision_key(name: str) -> str:
    """Return a key that names share which are the same on some system: macOS and Windows ignore case."""
    return unicodedata.normalize("NFKC", name).casefold()


def _truncated(text: str) -> str:
    return text.encode()[:_LONGEST_BYTES].decode(errors="ignore")
