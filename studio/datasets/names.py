"""Names of files and classes as they come: decoded from any encoding, and normalised."""

import unicodedata
from pathlib import PurePosixPath

MAX_NAME_CHARACTERS = 80
_IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
    ".heic", ".heif", ".avif",
)  # fmt: skip


def decode_file_name(raw: bytes) -> str:
    """Return a file's name from its bytes: UTF-8, else cp949 (Korean Windows), else cp437 (DOS).

    Old archives do not name their encoding. The name is NFC, which names from macOS are not; characters that
    cannot be printed become replacement characters.
    """
    name = _decode(raw)
    return unicodedata.normalize(
        "NFC", "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    )


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        name = raw.decode("cp949")
        # Most pairs of bytes are a rare syllable in cp949; a Korean name has at least one in common use.
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


def clean_class_name(folder: str) -> str | None:
    """Return a name as that of a class: NFC, one line, trimmed, at most 80 characters; None if empty."""
    name = unicodedata.normalize("NFC", "".join(c if c.isprintable() else " " for c in folder))
    return " ".join(name.split())[:MAX_NAME_CHARACTERS].strip() or None


class ClassFolders:
    """Class folders among paths: the class of a file is the first folder under their root.

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
        """Return the class of a file by its folder, or None for one outside every class folder."""
        folders, depth = path.parent.parts, len(self._root)
        if len(folders) <= depth or folders[:depth] != self._root:
            return None
        return clean_class_name(folders[depth])
