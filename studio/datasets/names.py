"""Names that come with files: made readable whatever wrote them, and checked before they become ours."""

import unicodedata
from pathlib import PurePosixPath

MAX_CHARACTERS = 80
_IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
    ".heic", ".heif", ".avif",
)  # fmt: skip


def readable(raw: bytes) -> str:
    """Return a file's name from its bytes: UTF-8, or the Korean code page of Windows, or that of DOS.

    Old archives do not say which. Letters made of several parts are put together (NFC), as macOS does not;
    what cannot be printed becomes a replacement character.
    """
    name = _decoded(raw)
    return unicodedata.normalize(
        "NFC", "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    )


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        name = raw.decode("cp949")
        # Most pairs of bytes are some rare syllable; a Korean name has at least one that is in common use.
        if any(_is_common_korean(character) for character in name if not character.isascii()):
            return name
    except UnicodeDecodeError:
        pass
    return raw.decode("cp437")


def _is_common_korean(character: str) -> bool:
    try:
        return bool(character.encode("euc_kr"))
    except UnicodeEncodeError:
        return False


def class_name_of(folder: str) -> str | None:
    """Return a folder's name as the name of a class: NFC, trimmed, at most 80 characters; None if empty."""
    name = unicodedata.normalize("NFC", "".join(c if c.isprintable() else " " for c in folder))
    return " ".join(name.split())[:MAX_CHARACTERS].strip() or None


class ClassFolders:
    """Which folder of a path is its class: the first under the root of the class folders.

    The root is the top, or, where the top holds one folder and nothing else (as `flower_photos` does), that
    folder, and so on downwards; a folder that holds images itself is a class, never the root.
    """

    def __init__(self, paths: list[PurePosixPath]) -> None:
        self._root: tuple[str, ...] = ()
        holders = {path.parent.parts for path in paths if path.suffix.lower() in _IMAGE_ENDINGS}
        while self._root not in holders:
            depth = len(self._root)
            inner = {holder[: depth + 1] for holder in holders}
            if len(inner) != 1 or inner <= holders:
                break
            self._root = inner.pop()

    def class_of(self, path: PurePosixPath) -> str | None:
        """Return the class that a file's place gives it, or None for one outside every class folder."""
        folders, depth = path.parent.parts, len(self._root)
        if len(folders) <= depth or folders[:depth] != self._root:
            return None
        return class_name_of(folders[depth])
