"""Uploads on their way: parts appended to files on disk, which a job gets once all of them are whole."""

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
"""As much as an archive may hold in all."""
_BLOCK_BYTES = 1 << 20
_SPARE_BYTES = 200_000_000
"""Room on the disk that uploads leave alone: the database and the thumbnails need some as well."""
_KEPT = timedelta(days=7)
_ARRIVING = "arriving"
_BATCH = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,6}")
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]')
_DEVICE = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)")
_LONGEST = 120
_LONGEST_BYTES = 240
_DEEPEST = 8
_finishing = threading.Lock()


class UploadRefused(StudioError):
    """A file cannot be received; `status` is how HTTP says so."""

    def __init__(self, message: str, status: HTTPStatus) -> None:
        super().__init__(message)
        self.status = status


class Elsewhere(Exception):
    """A part does not begin where the bundle ends; `have` is how many bytes there are."""

    def __init__(self, have: int) -> None:
        super().__init__(have)
        self.have = have


class Incomplete(Exception):
    """Not all is here yet; `numbers` are the bundles that are missing or in part."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


@dataclass(frozen=True)
class Sent:
    """A file as its sender knows it; `name` may hold the folders of a whole dropped folder."""

    bundle: int
    """The number of the bundle that it is, or in which it follows those named before it."""
    name: str
    size: int
    """Bytes."""


class Batch:
    """Files that are sent together, in bundles: each is one large file, or many small ones end to end.

    The sender chooses the batch's id and numbers its bundles. The length of a bundle on disk is the one truth
    about how much of it is here, so that whoever sends can go on after anything: a cut connection, a server
    that was restarted. Until `finish` nothing stands where a job looks.
    """

    def __init__(self, uploads_dir: Path, batch: str) -> None:
        if not _BATCH.fullmatch(batch):
            raise UploadRefused(_("There is no such upload."), HTTPStatus.NOT_FOUND)
        self.id = batch
        self._arriving = uploads_dir / _ARRIVING / batch
        self._whole = uploads_dir / batch

    def have(self, number: str) -> int:
        """Return how many bytes of a bundle are here."""
        return _size(self._bundle(number)) or 0

    def append(self, number: str, data: bytes | bytearray, at: int, size: int) -> int:
        """Write the bytes from `at` of a bundle of `size` bytes; return how many are here now.

        Raises Elsewhere where the bundle does not end at `at`, and UploadRefused where it is too large.
        """
        path = self._bundle(number)
        if not 0 <= at <= at + len(data) <= size:
            raise UploadRefused(_("More came than the file was said to hold."), HTTPStatus.BAD_REQUEST)
        if size > MAX_FILE_BYTES:
            raise UploadRefused(
                _("expected a file of at most {most} GB; this one has {size} GB. Send it in pieces.").format(
                    most=MAX_FILE_BYTES // 10**9, size=round(size / 10**9, 1)
                ),
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        self._arriving.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._arriving).free < size - at + _SPARE_BYTES:
            raise disk_full()
        path.touch()
        with path.open("r+b") as file:
            have = os.fstat(file.fileno()).st_size
            if have != at:
                raise Elsewhere(have)
            # At its place, not at the end: should the last bytes of a cut connection be written at the same
            # moment, both write the same.
            file.seek(at)
            file.write(data)
        return at + len(data)

    def finish(self, files: Sequence[Sent]) -> str:
        """Put the files under their names into one folder; return the folder's name under the uploads.

        Folders in the names are kept, since they may be classes; nothing leaves the new folder whatever the
        names say, and two files of one name are both kept. Safe to repeat. Raises Incomplete.
        """
        with _finishing:
            if not self._whole.is_dir():
                self._gather(files)
        return self.id

    def drop(self) -> None:
        """Forget what has arrived."""
        shutil.rmtree(self._arriving, ignore_errors=True)

    def _gather(self, files: Sequence[Sent]) -> None:
        tree = self._arriving / "tree"
        contents: dict[int, list[tuple[int, Path]]] = {}
        for file, place in zip(files, places([file.name for file in files]), strict=True):
            contents.setdefault(file.bundle, []).append((file.size, tree / place))
        here = []
        missing = []
        for number, inside in contents.items():
            bundle = self._bundle(str(number))
            if _size(bundle) == sum(size for size, _place in inside):
                here.append((bundle, inside))
            elif any(_size(place) != size for size, place in inside):
                missing.append(number)
            # otherwise a finish before this one, which was cut off, has put its files where they belong
        if missing:
            raise Incomplete(missing)
        for bundle, inside in here:
            _cut(bundle, inside)
        tree.replace(self._whole)
        self.drop()

    def _bundle(self, number: str) -> Path:
        if not _NUMBER.fullmatch(number):
            raise UploadRefused(_("There is no such file in this upload."), HTTPStatus.NOT_FOUND)
        return self._arriving / number


def _cut(bundle: Path, inside: Sequence[tuple[int, Path]]) -> None:
    """Make a bundle's files, each of so many bytes and at its place; only then the bundle goes."""
    for _bytes, place in inside:
        place.parent.mkdir(parents=True, exist_ok=True)
    if len(inside) == 1:
        bundle.replace(inside[0][1])
        return
    with bundle.open("rb") as whole:
        for size, place in inside:
            with place.open("wb") as file:
                for at in range(0, size, _BLOCK_BYTES):
                    file.write(whole.read(min(size - at, _BLOCK_BYTES)))
    bundle.unlink()


def disk_full() -> UploadRefused:
    """Return what is said where the disk has no room for a file."""
    return UploadRefused(
        _("The disk of the studio's data folder is full. Make room there, then go on."),
        HTTPStatus.INSUFFICIENT_STORAGE,
    )


def remove_unfinished(uploads_dir: Path, now: datetime) -> None:
    """Remove uploads that nobody has sent anything to for a week."""
    oldest = (now - _KEPT).timestamp()
    folder = uploads_dir / _ARRIVING
    for batch in list(folder.iterdir()) if folder.is_dir() else []:
        if all(path.stat().st_mtime < oldest for path in (batch, *batch.glob("*"))):
            shutil.rmtree(batch, ignore_errors=True)


def places(names: Sequence[str]) -> list[Path]:
    """Return where files of these names stand under a folder: inside it, and no two at one place.

    The same names give the same places, and places differ on systems too that do not tell A from a.
    """
    paths = [Path(*_parts(name)) for name in names]
    taken = {_folded(folder) for path in paths for folder in path.parents}
    numbers: dict[str, int] = {}
    found = []
    for path in paths:
        place, name = path, _folded(path)
        while _folded(place) in taken:
            numbers[name] = number = numbers.get(name, 1) + 1
            place = path.with_name(f"{path.stem} ({number}){path.suffix}")
        taken.add(_folded(place))
        found.append(place)
    return found


def _folded(path: Path) -> str:
    return unicodedata.normalize("NFC", path.as_posix()).casefold()


def _parts(name: str) -> list[str]:
    parts = [_UNSAFE.sub("_", part).rstrip(" .") for part in PurePosixPath(name.replace("\\", "/")).parts]
    kept = [part for part in parts if part.strip("._/") or part.startswith("_")] or ["_"]
    # The folders from the top are kept, for they hold the class.
    return [_shortened(_DEVICE.sub(r"\1_", part)) for part in [*kept[:-1][: _DEEPEST - 1], kept[-1]]]


def _shortened(part: str) -> str:
    # The end of a long name is kept, for it holds the kind of the file.
    return part[-_LONGEST:].encode()[-_LONGEST_BYTES:].decode(errors="ignore")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
