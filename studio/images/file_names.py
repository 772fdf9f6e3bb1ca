"""Names of files and folders that every system takes, and that people still read."""

import re
import unicodedata
from pathlib import PurePosixPath

from studio.images.store import ENDINGS

_LITTER = frozenset(("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin"))


def is_system_file(path: PurePosixPath) -> bool:
    """Whether a file is what systems leave behind (hidden files, thumbnails' caches), not a person's."""
    return any(part.startswith(".") or part.lower() in _LITTER for part in path.parts if part != "..")


_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)
"""What Windows takes for a device, whatever its ending."""
_UNSAFE_BEGINNINGS = (".", "-", "=", "+", "@", "~")
"""Hidden files, options of commands, formulas of spreadsheets."""
_LONGEST_BYTES = 180
"""Of 255 that most systems allow; the rest is for a number and an ending."""
_ALSO = {"JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "TIFF": (".tif", ".tiff"), "HEIF": (".heic", ".heif")}


def safe_name(text: str, otherwise: str = "_") -> str:
    """Return `text` as a file or a folder can be named on Windows, macOS and Linux.

    Letters of all languages stay, put together as Unicode's NFC says. otherwise: the name of what has none.
    """
    text = unicodedata.normalize("NFC", "".join(c if c.isprintable() else "_" for c in text))
    text = _shortened(_FORBIDDEN.sub("_", " ".join(text.split()))).rstrip(". ").lstrip()
    if not text:
        return otherwise
    if _RESERVED.fullmatch(text):
        stem, dot, rest = text.partition(".")
        text = f"{stem}_{dot}{rest}"
    if text.startswith(_UNSAFE_BEGINNINGS) or is_system_file(PurePosixPath(text)):
        text = f"_{text}"
    return text


def image_name(name: str, format_name: str, otherwise: str) -> str:
    """Return an image's name with an ending that says its format: `a.png` of a JPEG is `a.png.jpg`."""
    endings = _ALSO.get(format_name, (ENDINGS[format_name],))
    stem, dot, ending = name.rpartition(".")
    if stem and f"{dot}{ending}".casefold() in endings:
        return f"{safe_name(stem, otherwise)}.{ending}"
    return f"{safe_name(name, otherwise)}{endings[0]}"


class UniqueNames:
    """Names of one folder, no two of which any system takes for the same."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self._taken = {_key(name) for name in taken}
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return `name`, with a number before its ending where another has it: `a (2).jpg`."""
        unique = name
        if _key(name) in self._taken:
            stem, dot, ending = name.rpartition(".")
            if not stem:
                stem, dot, ending = name, "", ""
            number = self._next.get(_key(name), 2)
            while _key(unique := f"{stem} ({number}){dot}{ending}") in self._taken:
                number += 1
            self._next[_key(name)] = number + 1
        self._taken.add(_key(unique))
        return unique


def _key(name: str) -> str:
    """Return what two names share that a system may take for the same: macOS and Windows forget the case."""
    return unicodedata.normalize("NFKC", name).casefold()


def _shortened(text: str) -> str:
    return text.encode()[:_LONGEST_BYTES].decode(errors="ignore")
