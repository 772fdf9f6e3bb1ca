"""Resumable uploads on disk: parts are appended to bundles, which become a folder of files when complete."""

import os
import re
import shutil
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from studio.errors import StudioError
from studio.i18n import _

MAX_FILE_BYTES = 50_000_000_000
"""As much as an archive may hold in total."""
_BLOCK_BYTES = 1 << 20
_RESERVED_BYTES = 200_000_000
"""Free disk space that uploads do not use: the database and the thumbnails need some."""
_MAX_AGE = timedelta(days=7)
_ARRIVING = "arriving"
_BATCH_ID = re.compile(r"[0-9a-f]{32}")
_BUNDLE_NUMBER = re.compile(r"[0-9]{1,6}")
_UNSAFE_CHARACTERS = re.compile(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]')
_DEVICE_NAME = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)")
_MAX_NAME_CHARACTERS = 120
_MAX_NAME_BYTES = 240
_MAX_DEPTH = 8
_finish_lock = threading.Lock()


class UploadRefused(StudioError):
    """An upload is refused. status: of the HTTP response."""

    def __init__(self, message: str, status: HTTPStatus) -> None:
        super().__init__(message)
        self.status = status


class OffsetMismatch(Exception):
    """A part does not begin where its bundle ends. offset: the bytes received so far."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class UploadIncomplete(Exception):
    """Bundles are missing or incomplete. numbers: of these bundles."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


@dataclass(frozen=True)
class ListedFile:
    """A file of an upload, as its sender lists it. name: with the folders of a dropped folder."""

    bundle: int
    """The number of its bundle; files of one bundle follow each other in the order of the list."""
    name: str
    size: int
    """Bytes."""


class UploadBatch:
    """Files uploaded together, in bundles: each is one large file, or many small files concatenated.

    The sender chooses the batch's id and numbers its bundles. The length of a bundle on disk is its offset,
    so that the sender can resume after a lost connection or a restart of the server. Until `finish` no file
    is in a folder that a job reads.
    """

    def __init__(self, uploads_dir: Path, batch_id: str) -> None:
        if not _BATCH_ID.fullmatch(batch_id):
            raise UploadRefused(
                _("There is no such upload. Reload the page and upload the files again."),
                HTTPStatus.NOT_FOUND,
            )
        self.id = batch_id
        self._arriving = uploads_dir / _ARRIVING / batch_id
        self._complete = uploads_dir / batch_id

    def offset(self, number: str) -> int:
        """Return how many bytes of a bundle have been received."""
        return _size(self._bundle(number)) or 0

    def append(self, number: str, data: bytes | bytearray, at: int, size: int) -> int:
        """Append bytes from offset `at` to a bundle of `size` bytes; return its new offset.

        Raises OffsetMismatch where the bundle does not end at `at`, and UploadRefused where it is too large.
        """
        path = self._bundle(number)
        if not 0 <= at <= at + len(data) <= size:
            raise UploadRefused(
                _("The file is larger than its stated size. Upload it again."), HTTPStatus.BAD_REQUEST
            )
        if size > MAX_FILE_BYTES:
            raise UploadRefused(
                _("expected a file of at most {most} GB; this file has {size} GB. Split it.").format(
                    most=MAX_FILE_BYTES // 10**9, size=round(size / 10**9, 1)
                ),
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        self._arriving.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._arriving).free < size - at + _RESERVED_BYTES:
            raise disk_full()
        path.touch()
        with path.open("r+b") as file:
            offset = os.fstat(file.fileno()).st_size
            if offset != at:
                raise OffsetMismatch(offset)
            # At its offset, not at the end: the last bytes of a lost connection may be written at the same
            # time, and then both write the same bytes.
            file.seek(at)
            file.write(data)
        return at + len(data)

    def finish(self, files: Sequence[ListedFile]) -> str:
        """Move the files under their names into one folder; return its name in the uploads folder.

        Folders in the names are kept, since they may be classes. No name leads out of the new folder, and of
        two files of one name both are kept. Idempotent. Raises UploadIncomplete.
        """
        with _finish_lock:
            if not self._complete.is_dir():
                self._move_files(files)
        return self.id

    def discard(self) -> None:
        """Remove what has been received."""
        shutil.rmtree(self._arriving, ignore_errors=True)

    def _move_files(self, files: Sequence[ListedFile]) -> None:
        tree = self._arriving / "tree"
        contents: dict[int, list[tuple[int, Path]]] = {}
        for file, path in zip(files, safe_paths([file.name for file in files]), strict=True):
            contents.setdefault(file.bundle, []).append((file.size, tree / path))
        complete = []
        missing = []
        for number, inside in contents.items():
            bundle = self._bundle(str(number))
            if _size(bundle) == sum(size for size, _path in inside):
                complete.append((bundle, inside))
            elif any(_size(path) != size for size, path in inside):
                missing.append(number)
            # Otherwise an earlier, interrupted `finish` has moved this bundle's files already.
        if missing:
            raise UploadIncomplete(missing)
        for bundle, inside in complete:
            _split_bundle(bundle, inside)
        tree.replace(self._complete)
        self.discard()

    def _bundle(self, number: str) -> Path:
        if not _BUNDLE_NUMBER.fullmatch(number):
            raise UploadRefused(
                _("There is no such file in this upload. Upload the files again."), HTTPStatus.NOT_FOUND
            )
        return self._arriving / number


def _split_bundle(bundle: Path, inside: Sequence[tuple[int, Path]]) -> None:
    """Write a bundle's files, then remove the bundle. inside: size in bytes and path of each file."""
    for _bytes, path in inside:
        path.parent.mkdir(parents=True, exist_ok=True)
    if len(inside) == 1:
        bundle.replace(inside[0][1])
        return
    with bundle.open("rb") as whole:
        for size, path in inside:
            with path.open("wb") as file:
                for at in range(0, size, _BLOCK_BYTES):
                    file.write(whole.read(min(size - at, _BLOCK_BYTES)))
    bundle.unlink()


def disk_full() -> UploadRefused:
    """Return the error for a file that the disk has no space for."""
    return UploadRefused(
        _("The disk of the studio's data folder is full. Free some space, then try again."),
        HTTPStatus.INSUFFICIENT_STORAGE,
    )


def remove_unfinished(uploads_dir: Path, now: datetime) -> None:
    """Remove uploads that received nothing for a week."""
    oldest = (now - _MAX_AGE).timestamp()
    folder = uploads_dir / _ARRIVING
    for batch in list(folder.iterdir()) if folder.is_dir() else []:
        if all(path.stat().st_mtime < oldest for path in (batch, *batch.glob("*"))):
            shutil.rmtree(batch, ignore_errors=True)


def safe_paths(names: Sequence[str]) -> list[Path]:
    """Return a relative path for each file name: inside the folder, and unique even without letter case.

    The same names give the same paths.
    """
    paths = [Path(*_parts(name)) for name in names]
    taken = {_folded(folder) for path in paths for folder in path.parents}
    numbers: dict[str, int] = {}
    unique_paths = []
    for path in paths:
        unique, name = path, _folded(path)
        while _folded(unique) in taken:
            numbers[name] = number = numbers.get(name, 1) + 1
            unique = path.with_name(f"{path.stem} ({number}){path.suffix}")
        taken.add(_folded(unique))
        unique_paths.append(unique)
    return unique_paths


def _folded(path: Path) -> str:
    return unicodedata.normalize("NFC", path.as_posix()).casefold()


def _parts(name: str) -> list[str]:
    parts = [
        _UNSAFE_CHARACTERS.sub("_", part).rstrip(" .")
        for part in PurePosixPath(name.replace("\\", "/")).parts
    ]
    kept = [part for part in parts if part.strip("._/") or part.startswith("_")] or ["_"]
    # The top folders are kept: they name the class.
    return [_shortened(_DEVICE_NAME.sub(r"\1_", part)) for part in [*kept[:-1][: _MAX_DEPTH - 1], kept[-1]]]


def _shortened(part: str) -> str:
    # The end of a long name is kept: it holds the file's extension.
    return part[-_MAX_NAME_CHARACTERS:].encode()[-_MAX_NAME_BYTES:].decode(errors="ignore")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
