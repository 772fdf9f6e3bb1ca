"""TFRecord files: records one after the other, each with its length, and both guarded by a CRC-32C.

The format: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import re
import struct
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from studio.collect.crc32c import masked
from studio.collect.decode import MAX_FILE_BYTES
from studio.errors import PictureRefused
from studio.language import _

MAX_RECORDS = 500_000
LONGEST_RECORD_BYTES = MAX_FILE_BYTES + 1_000_000
"""A picture's file and what is said of it."""
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEAD_BYTES = _LENGTH.size + _CRC.size
_CHUNK_BYTES = 1 << 20
_NAME = re.compile(r".*(\.tfrecords?(-\d+-of-\d+)?|-\d{5}-of-\d{5})", re.IGNORECASE)


def write_record(file: BinaryIO, data: bytes) -> None:
    """Append one record to a file."""
    length = _LENGTH.pack(len(data))
    file.write(length + _CRC.pack(masked(length)))
    file.write(data)
    file.write(_CRC.pack(masked(data)))


def is_named_so(name: str) -> bool:
    """Whether a file's name is one that TFRecord files have: `train.tfrecord`, `x-00000-of-00002`, …"""
    return bool(_NAME.fullmatch(PurePosixPath(name).name))


def are_records(file: BinaryIO) -> bool:
    """Whether a file begins as TFRecord files do; it is set back to its start."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    return len(head) == _HEAD_BYTES and _guarded(head)


def records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the records of a file.

    Raises PictureRefused, with a reason that begins in lower case, where it is damaged: what comes after
    cannot be found.
    """
    while head := file.read(_HEAD_BYTES):
        data = _read(file, _length(head))
        crc = file.read(_CRC.size)
        if len(crc) < _CRC.size:
            raise _ends()
        if masked(data) != _CRC.unpack(crc)[0]:
            raise PictureRefused(_("its checksum does not match"))
        yield data


def count_records(file: BinaryIO) -> int:
    """Return how many records a file has before it ends or is damaged; only their lengths are read."""
    count = 0
    while count <= MAX_RECORDS and (head := file.read(_HEAD_BYTES)):
        try:
            length = _length(head) + _CRC.size
        except PictureRefused:
            break
        at = file.tell()
        if file.seek(0, 2) - at < length:
            break
        file.seek(at + length)
        count += 1
    return count


def _length(head: bytes) -> int:
    if len(head) < _HEAD_BYTES:
        raise _ends()
    if not _guarded(head):
        raise PictureRefused(_("the length of its record does not match its checksum"))
    length: int = _LENGTH.unpack_from(head)[0]
    if length > LONGEST_RECORD_BYTES:
        raise PictureRefused(
            _("its record is larger than {limit} MB").format(limit=LONGEST_RECORD_BYTES // 1_000_000)
        )
    return length


def _guarded(head: bytes) -> bool:
    crc: int = _CRC.unpack_from(head, _LENGTH.size)[0]
    return masked(head[: _LENGTH.size]) == crc


def _read(file: BinaryIO, length: int) -> bytes:
    parts, left = [], length
    while left and (part := file.read(min(left, _CHUNK_BYTES))):  # what a length says is not set aside ahead
        parts.append(part)
        left -= len(part)
    if left:
        raise _ends()
    return b"".join(parts)


def _ends() -> PictureRefused:
    return PictureRefused(_("it ends in the middle"))
