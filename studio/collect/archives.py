"""Zip and tar archives as sources: read one member at a time, in memory only and within limits.

Nothing is written to the disk, so no member can escape a folder. Members whose names try to are skipped all
the same.
"""

import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from studio.datasets.formats import FormatDetector
from studio.datasets.names import decode_file_name
from studio.datasets.source_reader import SourceReader
from studio.datasets.sources import ImportSources, Source, refused_source
from studio.datasets.teachable_machine import EXTENSION
from studio.errors import ArchiveRefused, ImageRefused
from studio.i18n import _
from studio.images.decode import MAX_FILE_BYTES
from studio.images.file_names import is_system_file
from studio.images.provenance import Provenance
from studio.progress import Progress, Silent

_CHUNK_BYTES = 1 << 20
_MAX_READ_BYTES = 4 << 20
_BLOCK_BYTES = 512


class ForwardOnlyTarStream(io.RawIOBase):
    """A forward-only file for `tarfile` that calls `check` with the number of bytes read so far.

    `tarfile` seeks over members, and reads a member's long name in one piece of the size that its header
    states: here both are done in bounded steps.
    """

    def __init__(self, file: IO[bytes], check: Callable[[int], None]) -> None:
        self._file, self._check = file, check
        self._position = 0
        self._last_read = b""

    @property
    def is_complete(self) -> bool:
        """Return whether the last read was the zero block that ends an archive, or the end of the file."""
        return not self._last_read.strip(b"\0") and len(self._last_read) in (0, _BLOCK_BYTES)

    def read(self, size: int = -1, /) -> bytes:
        """Read `size` bytes. Raises ValueError for a size that only a forged header requests."""
        if not 0 <= size <= _MAX_READ_BYTES:
            raise ValueError(f"a header of {size:,} bytes")
        self._last_read = self._file.read(size)
        self._position += len(self._last_read)
        self._check(self._position)
        return self._last_read

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Read forward to `offset`. Raises ValueError for a step back, EOFError past the end."""
        if whence != io.SEEK_SET or offset < self._position:
            raise ValueError("a step back")
        while self._position < offset:
            if not self.read(min(_CHUNK_BYTES, offset - self._position)):
                raise EOFError("it ends in the middle")
        return self._position

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True, since `tarfile` only seeks forward."""
        return True


_ENDINGS = (EXTENSION, ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_NESTED_ENDINGS = (*_ENDINGS, ".7z", ".rar", ".gz", ".bz2", ".xz")
_DRIVE = re.compile(r"^[A-Za-z]:")
_ENCRYPTED = 0x1
_SYMBOLIC_LINK = 0xA  # the highest four bits of a Unix file's mode
_DECOMPRESSORS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
# Exceptions of the standard library for malformed data.
_DECODING_ERRORS = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
    RuntimeError, NotImplementedError, OverflowError, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class ArchiveLimits:
    """Size limits of an archive, measured while it is read: its headers are not trusted."""

    members: int = 200_000
    total_bytes: int = 50_000_000_000
    member_bytes: int = MAX_FILE_BYTES
    ratio: int = 200
    """Maximum compression ratio of content larger than `ratio_from_bytes`."""
    ratio_from_bytes: int = 50_000_000


@dataclass(frozen=True)
class ArchiveMember:
    """A file in an archive; it can be read until the next member is requested."""

    name: str
    read: Callable[[], bytes]
    skip_message: str = ""
    """Why the member is skipped; empty if it is not."""


ProvenanceOf = Callable[[str], Provenance]


class _BinaryReader(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive, by its signature or, if that is broken, by its name."""
    try:
        head = _head(path)
    except OSError:
        return False
    return head.startswith(_ZIP_SIGNATURES) or _is_tar(head) or path.name.lower().endswith(_ENDINGS)


def sources_in_archive(
    path: Path,
    *,
    kind: str = "archive",
    class_name: str | None = None,
    prefix: str = "",
    provenance_of: ProvenanceOf | None = None,
    limits: ArchiveLimits | None = None,
    progress: Progress | None = None,
) -> ImportSources:
    """Return the files of an archive as sources, named `prefix` + their path in the archive.

    The archive is read once here, so that a broken or unsafe one is rejected before anything is imported, and
    a second time while the sources are read. Classes and provenance come from its format (see
    `studio.datasets.formats`). class_name: for files without a class. provenance_of: returns the provenance
    by path, with precedence over that of the format. Raises ArchiveRefused when the archive is broken,
    exceeds `limits`, or is a project of something other than images.
    """
    limits = limits or ArchiveLimits()
    progress = progress or Silent()
    names, detector = [], FormatDetector()
    for member in archive_members(path, limits):
        names.append(member.name)
        if not member.skip_message:
            detector.add(member.name, member.read)
        progress.report(_("Looking through the archive"), len(names))
    layout = detector.layout(names, path.name)

    def reader() -> SourceReader:
        return SourceReader(layout, kind=kind, class_name=class_name, prefix=prefix)

    def sources() -> Iterator[Source]:
        source_reader = reader()
        for member in archive_members(path, limits):
            if member.skip_message:
                yield refused_source(prefix + member.name, member.skip_message, kind)
            else:
                provenance = provenance_of(member.name) if provenance_of else None
                yield from source_reader.sources_of(member.name, member.read, provenance=provenance)
        yield from source_reader.remaining_sources()

    return ImportSources(reader().total(names), sources(), layout.classes, layout.duplicate_groups)


def archive_members(path: Path, limits: ArchiveLimits) -> Iterator[ArchiveMember]:
    """Yield the files of an archive in order, without folders and system files.

    Raises ArchiveRefused as `sources_in_archive` does.
    """
    with _archive_errors(path):
        inside = _zip_members(path, limits) if _is_zip(path) else _tar_members(path, limits)
        for count, member in enumerate(inside, start=1):
            if count > limits.members:
                raise ArchiveRefused(
                    _("{name} holds more than {limit} files. Split it first.").format(
                        name=path.name, limit=f"{limits.members:,}"
                    )
                )
            if not is_system_file(PurePosixPath(member.name)):
                yield member


def _is_zip(path: Path) -> bool:
    head = _head(path)
    # Check for tar first: a tar whose last member is a zip file ends like a zip file.
    return head.startswith(_ZIP_SIGNATURES) or (not _is_tar(head) and zipfile.is_zipfile(path))


def _is_tar(head: bytes) -> bool:
    return head.startswith(tuple(_DECOMPRESSORS)) or head[257:262] == b"ustar"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


@contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except _DECODING_ERRORS as error:
        raise ArchiveRefused(
            _(
                "{name} is a broken archive, or none: expected a whole .zip, .tar, .tar.gz or .tm ({why})."
            ).format(name=path.name, why=error)
        ) from error


def _zip_members(path: Path, limits: ArchiveLimits) -> Iterator[ArchiveMember]:
    with zipfile.ZipFile(path) as archive:
        # zipfile never reads more of a member than its header states, so the sum is reliable.
        if sum(info.file_size for info in archive.infolist()) > limits.total_bytes:
            raise _archive_too_large_error(path, limits)
        for info in archive.infolist():
            if info.is_dir():
                continue
            name = _zip_name(info)
            if info.flag_bits & _ENCRYPTED:
                skip_message = _("{name} is encrypted. Unpack the archive with its password first.")
            elif info.external_attr >> 28 == _SYMBOLIC_LINK:
                skip_message = _("{name} is a link, and links in archives are not followed.")
            else:
                skip_message = _unsafe_name_message(info.orig_filename)
            yield ArchiveMember(
                name, partial(_read_zip, archive, info, name, limits), skip_message.format(name=name)
            )


def _zip_name(info: zipfile.ZipInfo) -> str:
    utf8 = info.flag_bits & 0x800
    return decode_file_name(info.orig_filename.encode("utf-8" if utf8 else "cp437", errors="replace"))


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, limits: ArchiveLimits) -> bytes:
    try:
        with archive.open(info) as file:
            return _read(file, name, limits, info.compress_size)
    except _DECODING_ERRORS as error:
        raise ImageRefused(
            _("{name} is damaged inside the archive ({why}).").format(name=name, why=error)
        ) from error


def _tar_members(path: Path, limits: ArchiveLimits) -> Iterator[ArchiveMember]:
    head = _head(path)
    unpack = next((u for magic, u in _DECOMPRESSORS.items() if head.startswith(magic)), None)
    packed_bytes = path.stat().st_size

    def check(unpacked_bytes: int) -> None:
        if unpacked_bytes > limits.total_bytes or _is_zip_bomb(unpacked_bytes, packed_bytes, limits):
            raise _archive_too_large_error(path, limits)

    with unpack(path) if unpack else path.open("rb") as unpacked:
        stream = ForwardOnlyTarStream(unpacked, check)
        with tarfile.TarFile(fileobj=stream, encoding="utf-8", errors="surrogateescape") as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # the library keeps them all
                if info.isdir():
                    continue
                name = decode_file_name(info.name.removeprefix("./").encode("utf-8", "surrogateescape"))
                skip_message = _unsafe_name_message(info.name)
                if info.issym() or info.islnk():
                    skip_message = _("{name} is a link, and links in archives are not followed.")
                elif not info.isreg() or info.issparse():
                    skip_message = _("{name} is a device or another special file: expected an image.")
                elif info.size > limits.member_bytes:
                    skip_message = _member_too_large_message(limits)
                yield ArchiveMember(
                    name,
                    partial(_read_tar, path, archive, info, name, limits),
                    skip_message.format(name=name),
                )
        if not stream.is_complete:
            raise tarfile.ReadError(_("it ends in the middle"))


def _read_tar(
    path: Path, archive: tarfile.TarFile, info: tarfile.TarInfo, name: str, limits: ArchiveLimits
) -> bytes:
    with _archive_errors(path):
        file = archive.extractfile(info)
        assert file is not None  # noqa: S101 - only of links and folders
        return _read(file, name, limits, None)


def _read(file: _BinaryReader, name: str, limits: ArchiveLimits, packed_bytes: int | None) -> bytes:
    parts, size = [], 0
    while part := file.read(_CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > limits.member_bytes:
            raise ImageRefused(_member_too_large_message(limits).format(name=name))
        if packed_bytes is not None and _is_zip_bomb(size, packed_bytes, limits):
            raise ImageRefused(
                _("{name} unpacks to more than {ratio} times its size: refused as a bomb.").format(
                    name=name, ratio=limits.ratio
                )
            )
    return b"".join(parts)


def _is_zip_bomb(unpacked_bytes: int, packed_bytes: int, limits: ArchiveLimits) -> bool:
    return unpacked_bytes > limits.ratio_from_bytes and unpacked_bytes > limits.ratio * packed_bytes


def _unsafe_name_message(stored_name: str) -> str:
    """Return why a member is skipped because of its name, or empty."""
    if "\\" in stored_name or stored_name.startswith("/") or _DRIVE.match(stored_name):
        return _("{name} has a path that leads out of the archive, or backslashes: refused.")
    if ".." in stored_name.split("/"):
        return _("{name} has a path that leads out of the archive: refused.")
    if stored_name.lower().endswith(_NESTED_ENDINGS):
        return _("{name} is an archive inside an archive. Unpack it first.")
    return ""


def _member_too_large_message(limits: ArchiveLimits) -> str:
    megabytes = limits.member_bytes // 1_000_000
    return _("{name} is larger than {limit} MB: too large for an image.").replace("{limit}", f"{megabytes:,}")


def _archive_too_large_error(path: Path, limits: ArchiveLimits) -> ArchiveRefused:
    return ArchiveRefused(
        _(
            "{name} unpacks to more than {limit} GB, or to more than {ratio} times its size: "
            "refused as a bomb. Unpack it yourself, if you trust it, and name the folder."
        ).format(name=path.name, limit=limits.total_bytes // 1_000_000_000, ratio=limits.ratio)
    )
