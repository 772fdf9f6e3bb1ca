"""Where an export is written: a .zip, a .tar or a folder, there whole or not at all.

The same content gives the same bytes: times are fixed, and files stand in the order in which they are given.
"""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Protocol, cast

from studio.errors import OutputRefused
from studio.i18n import _

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say."""
_FIXED_TIME_S = 315_532_800
"""The same moment, in seconds."""
_PLAIN_FILE, _READABLE, _UNIX = 0o100000, 0o644, 3
_IN_MEMORY_BYTES = 8 << 20
_OTHER_ENDINGS = frozenset(
    (
        *(".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst", ".tm"),
        *(".csv", ".tsv", ".json", ".jsonl", ".tfrecord", ".parquet", ".txt", ".jpg", ".jpeg", ".png"),
    )
)


class Packing(Protocol):
    """What takes an export's files, one after the other. Names have slashes."""

    def add(self, name: str, data: bytes, *, squeeze: bool = False) -> None:
        """Write a file. squeeze: whether it gets smaller by compressing, as images mostly do not."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file that is written bit by bit; the next one only when it is closed."""


@contextmanager
def packing(output: Path, token: str) -> Iterator[Packing]:
    """Give what an export is written into; `output` appears if the block ends well.

    It is a zip or a tar by its ending, else a folder. An archive that is there is replaced; a folder with
    something in it is not. token: names the temporary file beside it, so that work taken up again clears away
    what it had begun. Raises OutputRefused for other endings, and where it cannot be written.
    """
    make = _kind_of(output)
    temporary = output.with_name(f".export-{token}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _clear(temporary)
        with make(temporary) as packed:
            yield packed
        if output.is_dir():
            output.rmdir()  # an empty one
        temporary.replace(output)
    except OSError as error:
        raise refused(output, error) from error
    finally:
        with suppress(OSError):
            _clear(temporary)


def refused(output: Path, error: OSError) -> OutputRefused:
    """Return why an export cannot be written."""
    return OutputRefused(
        _("{path} cannot be written: {why}. Make room on the disk, or name another place.").format(
            path=output, why=error.strerror or error
        )
    )


def check_output(output: Path) -> None:
    """Raise OutputRefused where `packing` would, as far as can be seen before."""
    _kind_of(output)


def _kind_of(output: Path) -> Callable[[Path], AbstractContextManager[Packing]]:
    ending = output.suffix.lower()
    if ending in _OTHER_ENDINGS:
        raise OutputRefused(
            _("expected an output that ends in .zip or .tar, or the name of a folder; got {name}.").format(
                name=output.name
            )
        )
    if ending in (".zip", ".tar"):
        if output.is_dir():
            raise OutputRefused(
                _("expected a file's place; {path} is a folder. Name another.").format(path=output)
            )
        return _zip if ending == ".zip" else _tar
    if output.exists() and not output.is_dir():
        raise OutputRefused(
            _(
                "expected the name of a folder, or of a file that ends in .zip or .tar; {path} is another "
                "file."
            ).format(path=output)
        )
    if output.is_dir() and any(output.iterdir()):
        raise OutputRefused(
            _("expected a folder that is empty or not there; {path} holds something. Name another.").format(
                path=output
            )
        )
    return _folder


def _clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _zip(path: Path) -> Iterator[Packing]:
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            yield _Zip(archive)
        file.flush()
        os.fsync(file.fileno())


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add(self, name: str, data: bytes, *, squeeze: bool = False) -> None:
        self._archive.writestr(_zip_info(name, squeeze=squeeze), data)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        squeeze = not name.endswith(".tfrecord")
        with self._archive.open(_zip_info(name, squeeze=squeeze), "w") as file:
            yield cast(BinaryIO, file)


def _zip_info(name: str, *, squeeze: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _FIXED_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED if squeeze else zipfile.ZIP_STORED
    info.create_system = _UNIX  # on Windows too, for the same bytes
    info.external_attr = (_PLAIN_FILE | _READABLE) << 16
    return info


@contextmanager
def _tar(path: Path) -> Iterator[Packing]:
    with path.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            yield _Tar(archive)
        file.flush()
        os.fsync(file.fileno())


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, name: str, data: bytes, *, squeeze: bool = False) -> None:
        with self.open(name) as file:
            file.write(data)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with SpooledTemporaryFile(_IN_MEMORY_BYTES) as spooled:  # a tar says each length before the content
            yield cast(BinaryIO, spooled)
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = spooled.tell(), _FIXED_TIME_S, _READABLE
            spooled.seek(0)
            self._archive.addfile(info, spooled)
            self._archive.members.clear()  # type: ignore[attr-defined]  # the library would keep them all


@contextmanager
def _folder(path: Path) -> Iterator[Packing]:
    path.mkdir()
    yield _Folder(path)


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[Path] = {root}

    def add(self, name: str, data: bytes, *, squeeze: bool = False) -> None:
        with self.open(name) as file:
            file.write(data)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        path = self._root / name
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        with path.open("xb") as file:
            yield file
