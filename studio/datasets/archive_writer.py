"""Writing an export into a .zip, a .tar or a folder, which appears whole or not at all.

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
"""The earliest time that a zip can hold."""
_FIXED_TIME_S = 315_532_800
"""The same time, in seconds since 1970."""
_REGULAR_FILE, _MODE, _UNIX = 0o100000, 0o644, 3
_IN_MEMORY_BYTES = 8 << 20
_REFUSED_EXTENSIONS = frozenset(
    (
        *(".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst", ".tm"),
        *(".csv", ".tsv", ".json", ".jsonl", ".tfrecord", ".parquet", ".txt", ".jpg", ".jpeg", ".png"),
    )
)


class ArchiveWriter(Protocol):
    """A zip, a tar or a folder that takes files one after the other. Names have slashes."""

    def add(self, name: str, data: bytes, *, compress: bool = False) -> None:
        """Write a file. compress: whether that makes it smaller; images mostly are compressed already."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file to write it in parts; one file at a time."""


@contextmanager
def open_archive(output: Path, token: str) -> Iterator[ArchiveWriter]:
    """Open `output` for writing; it appears if the block ends without an error.

    It is a zip or a tar by its ending, else a folder. An archive that is there is replaced; a folder with
    something in it is not. token: names the temporary file beside it, so that a job that is
    resumed removes what it had begun. Raises OutputRefused for other endings, and where it cannot be written.
    """
    open_writer = _writer_for(output)
    temporary = output.with_name(f".export-{token}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _clear(temporary)
        with open_writer(temporary) as writer:
            yield writer
        if output.is_dir():
            output.rmdir()  # an empty one
        temporary.replace(output)
    except OSError as error:
        raise output_refused(output, error) from error
    finally:
        with suppress(OSError):
            _clear(temporary)


def output_refused(output: Path, error: OSError) -> OutputRefused:
    """Return the error that says why an export cannot be written."""
    return OutputRefused(
        _("{path} cannot be written: {reason}. Free some disk space, or choose another place.").format(
            path=output, reason=error.strerror or error
        )
    )


def check_output(output: Path) -> None:
    """Raise OutputRefused for an output that `open_archive` would refuse, before anything is written."""
    _writer_for(output)


def _writer_for(output: Path) -> Callable[[Path], AbstractContextManager[ArchiveWriter]]:
    ending = output.suffix.lower()
    if ending in _REFUSED_EXTENSIONS:
        raise OutputRefused(
            _("expected an output that ends in .zip or .tar, or the name of a folder; got {name}.").format(
                name=output.name
            )
        )
    if ending in (".zip", ".tar"):
        if output.is_dir():
            raise OutputRefused(
                _("expected a file; {path} is a folder. Choose another name.").format(path=output)
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
            _("expected a folder that is empty or not there; {path} holds something. Choose another.").format(
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
def _zip(path: Path) -> Iterator[ArchiveWriter]:
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            yield _Zip(archive)
        file.flush()
        os.fsync(file.fileno())


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add(self, name: str, data: bytes, *, compress: bool = False) -> None:
        self._archive.writestr(_zip_info(name, compress=compress), data)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        compress = not name.endswith(".tfrecord")
        with self._archive.open(_zip_info(name, compress=compress), "w") as file:
            yield cast(BinaryIO, file)


def _zip_info(name: str, *, compress: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _FIXED_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    info.create_system = _UNIX  # on Windows too, for the same bytes
    info.external_attr = (_REGULAR_FILE | _MODE) << 16
    return info


@contextmanager
def _tar(path: Path) -> Iterator[ArchiveWriter]:
    with path.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            yield _Tar(archive)
        file.flush()
        os.fsync(file.fileno())


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, name: str, data: bytes, *, compress: bool = False) -> None:
        with self.open(name) as file:
            file.write(data)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with SpooledTemporaryFile(_IN_MEMORY_BYTES) as spooled:  # a tar has each length before the content
            yield cast(BinaryIO, spooled)
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = spooled.tell(), _FIXED_TIME_S, _MODE
            spooled.seek(0)
            self._archive.addfile(info, spooled)
            self._archive.members.clear()  # type: ignore[attr-defined]  # the library would keep them all


@contextmanager
def _folder(path: Path) -> Iterator[ArchiveWriter]:
    path.mkdir()
    yield _Folder(path)


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: set[Path] = {root}

    def add(self, name: str, data: bytes, *, compress: bool = False) -> None:
        with self.open(name) as file:
            file.write(data)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        path = self._root / name
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        with path.open("xb") as file:
            yield file
