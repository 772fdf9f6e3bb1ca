"""Keeping uploaded files on disk, under safe names, until a job takes them in."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol
from uuid import uuid4

_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f]')
_LONGEST = 120


class Upload(Protocol):
    """A file as the browser sent it; `name` may hold the folders of a whole dropped folder."""

    name: str

    def getbuffer(self) -> memoryview:
        """Return the file's bytes."""


def keep(uploads: Iterable[Upload], uploads_dir: Path) -> str:
    """Write files under a new folder of `uploads_dir` and return that folder's name.

    Folders in the names are kept, since they may be classes; nothing leaves the new folder whatever the
    names say, and two files of one name are both kept.
    """
    folder = uuid4().hex
    for upload in uploads:
        path = uploads_dir.joinpath(folder, *_parts(upload.name))
        path.parent.mkdir(parents=True, exist_ok=True)
        number = 2
        while path.exists():
            path = path.with_name(f"{path.stem} ({number}){path.suffix}")
            number += 1
        path.write_bytes(upload.getbuffer())
    return folder


def _parts(name: str) -> list[str]:
    parts = [_UNSAFE.sub("_", part).rstrip(" .") for part in PurePosixPath(name.replace("\\", "/")).parts]
    kept = [part for part in parts if part.strip("._/") or part.startswith("_")] or ["_"]
    # The end of a long name is kept, for it holds the kind of the file.
    return [part[-_LONGEST:] for part in kept]
