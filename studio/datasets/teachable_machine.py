"""Teachable Machine's projects (`.tm`): a zip of `manifest.json` and samples named `CLASS-!-NUMBER.jpg`.

The format is not documented; docs/decisions/0035 says what is known of it, and from where.
"""

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from studio.datasets.layout import Layout, class_folders
from studio.datasets.names import class_name_of
from studio.errors import ArchiveRefused
from studio.i18n import _

ENDING = ".tm"
_MANIFEST = "manifest.json"
_LARGEST_MANIFEST_BYTES = 1_000_000
_SEPARATOR = "-!-"
_NUMBERED = re.compile(r"(?P<name>.+)-\d+\.\w+")


def is_manifest(name: str) -> bool:
    """Whether a file may be a project's manifest, by its path: at the top, or in a folder there."""
    path = PurePosixPath(name)
    return path.name == _MANIFEST and len(path.parts) <= 2  # noqa: PLR2004


def project(names: Sequence[str], manifest: tuple[str, bytes] | None, title: str) -> Layout | None:
    """Return the layout of a project, or None where the files are none.

    names: all files' paths. manifest: the path and content of the file that `is_manifest`, where there is
    one. title: what was given, whose ending `.tm` makes it a project even where its manifest says nothing.
    Raises ArchiveRefused for projects of sounds and poses.
    """
    path, data = manifest or ("", b"")
    home = path.removesuffix(_MANIFEST)
    inside = all(name.startswith(home) for name in names)
    read = _read(data) if inside else {}
    kind = read.get("type")
    sampled = any(_SEPARATOR in name for name in names)
    if not (title.casefold().endswith(ENDING) or (isinstance(kind, str) and ("appdata" in read or sampled))):
        return None
    if kind in ("audio", "pose"):
        raise ArchiveRefused(
            _(
                "{name} is a Teachable Machine project of another kind ({kind}): expected an image project. "
                "Sounds and poses cannot be taken in."
            ).format(name=title, kind=kind)
        )
    folders = class_folders(names)

    def class_of(name: str) -> str | None:
        class_name, found, _number = name.removeprefix(home).rpartition(_SEPARATOR)
        if not found and (folder := folders.class_of(name)):
            return folder
        if not found and (numbered := _NUMBERED.fullmatch(PurePosixPath(name).name)):
            class_name = numbered["name"]
        return class_name_of(class_name)

    return Layout(class_of, descriptions=frozenset((path,) if path else ()))


def _read(data: bytes) -> dict[str, Any]:
    if len(data) > _LARGEST_MANIFEST_BYTES:
        return {}
    try:
        read = json.loads(data)
    except (ValueError, RecursionError):  # bytes that are no text are a ValueError as well
        return {}
    return read if isinstance(read, dict) else {}
