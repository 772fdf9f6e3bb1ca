"""Zip and tar archives, read as streams: one member at a time, in memory alone, and within limits.

Nothing here writes to the disk, so no member can escape a folder; names that try to are refused all the same,
for an archive that holds them was made to do harm.
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

from studio.datasets.formats import Notes
from studio.datasets.names import readable
from studio.datasets.reading import Offering
from studio.datasets.sources import Offer, Source, refused_source
from studio.datasets.teachable_machine import ENDING
from studio.errors import ArchiveRefused, ImageRefused
from studio.i18n import _
from studio.images.decode import MAX_FILE_BYTES
from studio.images.file_names import is_system_file
from studio.images.provenance import Provenance
from studio.progress import Progress, Silent

_CHUNK_BYTES = 1 << 20
_LONGEST_HEADER_BYTES = 4 << 20
_BLOCK_BYTES = 512


class TarStream(io.RawIOBase):
    """A file that is read forward only, for `tarfile`, and that tells `check` how many bytes have come.

    `tarfile` passes over a member by seeking and reads a member's long name in one piece, however long its
    header says that it is: both go through here in bounded steps.
    """

    def __init__(self, file: IO[bytes], check: Callable[[int], None]) -> None:
        self._file, self._check = file, check
        self._at = 0
        self._last = b""

    @property
    def ended_well(self) -> bool:
        """Whether what was read last is the empty block that ends an archive, or the file's own end."""
        return not self._last.strip(b"\0") and len(self._last) in (0, _BLOCK_BYTES)

    def read(self, size: int = -1, /) -> bytes:
        """Read `size` bytes. Raises ValueError for a size that only a forged header asks for."""
        if not 0 <= size <= _LONGEST_HEADER_BYTES:
            raise ValueError(f"a header of {size:,} bytes")
        self._last = self._file.read(size)
        self._at += len(self._last)
        self._check(self._at)
        return self._last

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Read on to `offset`. Raises ValueError for a step back, and EOFError behind the end."""
        if whence != io.SEEK_SET or offset < self._at:
            raise ValueError("a step back")
        while self._at < offset:
            if not self.read(min(_CHUNK_BYTES, offset - self._at)):
                raise EOFError("it ends in the middle")
        return self._at

    def tell(self) -> int:
        """Return how many bytes have come."""
        return self._at

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes, to `tarfile`, which only steps forward."""
        return True


_ENDINGS = (ENDING, ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_NESTED = (*_ENDINGS, ".7z", ".rar", ".gz", ".bz2", ".xz")
_DRIVE = re.compile(r"^[A-Za-z]:")
_ENCRYPTED = 0x1
_SYMBOLIC_LINK = 0xA  # the highest four bits of a Unix file's mode
_UNPACKERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
# What the standard library raises on bytes that are not what they should be.
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
    RuntimeError, NotImplementedError, OverflowError, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How much an archive may be. Measured as it is read: what its headers say is not believed."""

    members: int = 200_000
    total_bytes: int = 50_000_000_000
    member_bytes: int = MAX_FILE_BYTES
    ratio: int = 200
    """Times that content may be larger than it is compressed, once it is more than `ratio_from_bytes`."""
    ratio_from_bytes: int = 50_000_000


@dataclass(frozen=True)
class Member:
    """One file in an archive; its bytes can be had until the next member is asked for."""

    name: str
    read: Callable[[], bytes]
    refusal: str = ""


ProvenanceOf = Callable[[str], Provenance]


class _Reading(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_archive(path: Path) -> bool:
    """Whether a file is to be read as an archive: by its first bytes, or by its name where it is broken."""
    try:
        head = _head(path)
    except OSError:
        return False
    return head.startswith(_ZIP) or _is_tar(head) or path.name.lower().endswith(_ENDINGS)


def archive_offer(
    path: Path,
    *,
    kind: str = "archive",
    class_name: str | None = None,
    prefix: str = "",
    provenance_of: ProvenanceOf | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Offer:
    """Return the files of an archive as sources, named `prefix` + their path in it.

    The archive is gone through once here, so that a broken or dangerous one is refused before any of it is
    taken, and a second time as the sources are read. Classes and provenance are those of its format (see
    `studio.datasets.formats`); a file of no class has the class `class_name`, and `provenance_of` has precedence.
    Raises ArchiveRefused when it is broken, larger than `limits` allow, or a project of something else.
    """
    limits = limits or Limits()
    progress = progress or Silent()
    names, notes = [], Notes()
    for member in members(path, limits):
        names.append(member.name)
        if not member.refusal:
            notes.see(member.name, member.read)
        progress.report(_("Looking through the archive"), len(names))
    layout = notes.layout(names, path.name)

    def offering() -> Offering:
        return Offering(layout, kind=kind, class_name=class_name, prefix=prefix)

    def sources() -> Iterator[Source]:
        found = offering()
        for member in members(path, limits):
            if member.refusal:
                yield refused_source(prefix + member.name, member.refusal, kind)
            else:
                provenance = provenance_of(member.name) if provenance_of else None
                yield from found.of(member.name, member.read, provenance=provenance)
        yield from found.rest()

    return Offer(offering().total(names), sources(), layout.classes, layout.copies)


def members(path: Path, limits: Limits) -> Iterator[Member]:
    """Yield an archive's files, one after the other, without folders and what systems leave behind.

    Raises ArchiveRefused as `archive_offer` does.
    """
    with _readable(path):
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
    # A tar is asked first: one whose last member is a zip ends as a zip does.
    return head.startswith(_ZIP) or (not _is_tar(head) and zipfile.is_zipfile(path))


def _is_tar(head: bytes) -> bool:
    return head.startswith(tuple(_UNPACKERS)) or head[257:262] == b"ustar"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ArchiveRefused(
            _(
                "{name} is a broken archive, or none: expected a whole .zip, .tar, .tar.gz or .tm ({why})."
            ).format(name=path.name, why=error)
        ) from error


def _zip_members(path: Path, limits: Limits) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        # Reading a member never gives more than it says here, so that the sum can be believed.
        if sum(info.file_size for info in archive.infolist()) > limits.total_bytes:
            raise _too_large(path, limits)
        for info in archive.infolist():
            if info.is_dir():
                continue
            name = _zip_name(info)
            if info.flag_bits & _ENCRYPTED:
                refusal = _("{name} is encrypted. Unpack the archive with its password first.")
            elif info.external_attr >> 28 == _SYMBOLIC_LINK:
                refusal = _("{name} is a link, and links in archives are not followed.")
            else:
                refusal = _unwanted(info.orig_filename)
            yield Member(name, partial(_read_zip, archive, info, name, limits), refusal.format(name=name))


def _zip_name(info: zipfile.ZipInfo) -> str:
    utf8 = info.flag_bits & 0x800
    return readable(info.orig_filename.encode("utf-8" if utf8 else "cp437", errors="replace"))


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, limits: Limits) -> bytes:
    try:
        with archive.open(info) as file:
            return _read(file, name, limits, info.compress_size)
    except _BROKEN as error:
        raise ImageRefused(
            _("{name} is damaged inside the archive ({why}).").format(name=name, why=error)
        ) from error


def _tar_members(path: Path, limits: Limits) -> Iterator[Member]:
    head = _head(path)
    unpack = next((u for magic, u in _UNPACKERS.items() if head.startswith(magic)), None)
    packed_bytes = path.stat().st_size

    def check(unpacked_bytes: int) -> None:
        if unpacked_bytes > limits.total_bytes or _is_bomb(unpacked_bytes, packed_bytes, limits):
            raise _too_large(path, limits)

    with unpack(path) if unpack else path.open("rb") as unpacked:
        stream = TarStream(unpacked, check)
        with tarfile.TarFile(fileobj=stream, encoding="utf-8", errors="surrogateescape") as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # the library would keep them all
                if info.isdir():
                    continue
                name = readable(info.name.removeprefix("./").encode("utf-8", "surrogateescape"))
                refusal = _unwanted(info.name)
                if info.issym() or info.islnk():
                    refusal = _("{name} is a link, and links in archives are not followed.")
                elif not info.isreg() or info.issparse():
                    refusal = _("{name} is a device or another special file: expected an image.")
                elif info.size > limits.member_bytes:
                    refusal = _large_member(limits)
                yield Member(
                    name, partial(_read_tar, path, archive, info, name, limits), refusal.format(name=name)
                )
        if not stream.ended_well:
            raise tarfile.ReadError(_("it ends in the middle"))


def _read_tar(
    path: Path, archive: tarfile.TarFile, info: tarfile.TarInfo, name: str, limits: Limits
) -> bytes:
    with _readable(path):
        file = archive.extractfile(info)
        assert file is not None  # noqa: S101 - only of links and folders
        return _read(file, name, limits, None)


def _read(file: _Reading, name: str, limits: Limits, packed_bytes: int | None) -> bytes:
    parts, size = [], 0
    while part := file.read(_CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > limits.member_bytes:
            raise ImageRefused(_large_member(limits).format(name=name))
        if packed_bytes is not None and _is_bomb(size, packed_bytes, limits):
            raise ImageRefused(
                _("{name} unpacks to more than {ratio} times its size: refused as a bomb.").format(
                    name=name, ratio=limits.ratio
                )
            )
    return b"".join(parts)


def _is_bomb(unpacked_bytes: int, packed_bytes: int, limits: Limits) -> bool:
    return unpacked_bytes > limits.ratio_from_bytes and unpacked_bytes > limits.ratio * packed_bytes


def _unwanted(stored_name: str) -> str:
    """Return why a member of this name is refused whatever it holds, or nothing."""
    if "\\" in stored_name or stored_name.startswith("/") or _DRIVE.match(stored_name):
        return _("{name} has a path that leads out of the archive, or backslashes: refused.")
    if ".." in stored_name.split("/"):
        return _("{name} has a path that leads out of the archive: refused.")
    if stored_name.lower().endswith(_NESTED):
        return _("{name} is an archive inside an archive. Unpack it first.")
    return ""


def _large_member(limits: Limits) -> str:
    megabytes = limits.member_bytes // 1_000_000
    return _("{name} is larger than {limit} MB: too large for an image.").replace("{limit}", f"{megabytes:,}")


def _too_large(path: Path, limits: Limits) -> ArchiveRefused:
    return ArchiveRefused(
        _(
            "{name} unpacks to more than {limit} GB, or to more than {ratio} times its size: "
            "refused as a bomb. Unpack it yourself, if you trust it, and name the folder."
        ).format(name=path.name, limit=limits.total_bytes // 1_000_000_000, ratio=limits.ratio)
    )
