"""TFRecord files: records one after the other, each with its length, and both guarded by a CRC-32C.

The format: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import re
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from studio.datasets.class_folders import state_folder
from studio.datasets.imagefolder import FOLDERS
from studio.datasets.layout import STATES, Told, digest_in, places_json, split_named
from studio.datasets.names import class_name_of, readable
from studio.datasets.writing import Exporting, Listed, named, with_places
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.decode import MAX_FILE_BYTES
from studio.images.provenance import ProvenanceRecord

_POLYNOMIAL = 0x82F63B78  # reflected
_PART_BYTES = 64
_BLOCK_BYTES = 1 << 20
_SHORT_BYTES = 64
_Words = npt.NDArray[np.uint32]


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of some bytes, 0 to 2**32 - 1."""
    remainder = 0xFFFFFFFF
    for start in range(0, len(data), _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES]
        if len(block) <= _SHORT_BYTES:
            remainder = _by_byte(block, remainder)
        else:
            remainder = _moved(remainder, len(block)) ^ _of_parts(block)
    return remainder ^ 0xFFFFFFFF


def masked(data: bytes | memoryview) -> int:
    """Return the CRC as TFRecord files hold it: turned and moved, for a CRC of a CRC would be weak."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _table() -> list[int]:
    """The remainders of all single bytes."""
    values = np.arange(256, dtype=np.uint32)
    for _bit in range(8):
        values = np.where(values & 1, values >> 1 ^ np.uint32(_POLYNOMIAL), values >> 1)
    return [int(value) for value in values]


def _by_byte(block: bytes | memoryview, remainder: int) -> int:
    table = _table()
    for byte in block:
        remainder = table[(remainder ^ byte) & 0xFF] ^ remainder >> 8
    return remainder


@cache
def _move(power: int) -> _Words:
    """How a remainder changes when 2**power zero bytes follow: uint32, (2, 65536), by each of its halves."""
    single = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if power == 0:
        images = np.array([_by_byte(b"\0", int(value)) for value in single], np.uint32)
    else:
        half = _move(power - 1)
        images = _apply(half, _apply(half, single))
    table = np.zeros((2, 1 << 16), np.uint32)
    for bit, image in enumerate(images):
        half = table[bit // 16]
        at = 1 << bit % 16
        half[at : 2 * at] = half[:at] ^ image  # a value with the bit is one without it, and the bit's own
    return table


def _apply(move: _Words, values: _Words) -> _Words:
    found: _Words = move[0].take(values & 0xFFFF) ^ move[1].take(values >> 16)
    return found


def _moved(remainder: int, zero_bytes: int) -> int:
    values = np.array([remainder], np.uint32)
    for power in range(zero_bytes.bit_length()):
        if zero_bytes >> power & 1:
            values = _apply(_move(power), values)
    return int(values[0])


def _of_parts(block: bytes | memoryview) -> int:
    """Return a block's remainder when nothing stands before it. Zeros put before it do not change that."""
    parts = -(-len(block) // _PART_BYTES)
    padded = np.zeros(parts * _PART_BYTES, np.uint8)
    padded[-len(block) :] = np.frombuffer(block, np.uint8)
    words = padded.view("<u4").reshape(parts, -1).T.astype(np.uint32)  # a row is each part's next word
    word_move = _move(2)
    remainders = np.zeros(parts, np.uint32)
    for row in words:
        remainders = _apply(word_move, remainders ^ row)
    for power in count(_PART_BYTES.bit_length() - 1):  # two neighbours at a time
        if len(remainders) == 1:
            break
        if len(remainders) % 2:
            remainders = np.concatenate((np.zeros(1, np.uint32), remainders))
        remainders = _apply(_move(power), remainders[::2]) ^ remainders[1::2]
    return int(remainders[0])


MAX_RECORDS = 500_000
LONGEST_RECORD_BYTES = MAX_FILE_BYTES + 1_000_000
"""An image's file and what is said of it."""
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEAD_BYTES = _LENGTH.size + _CRC.size
_CHUNK_BYTES = 1 << 20
_FILE_NAME = re.compile(r".*(\.tfrecords?(-\d+-of-\d+)?|-\d{5}-of-\d{5})", re.IGNORECASE)


def write_record(file: BinaryIO, data: bytes) -> None:
    """Append one record to a file."""
    length = _LENGTH.pack(len(data))
    file.write(length + _CRC.pack(masked(length)))
    file.write(data)
    file.write(_CRC.pack(masked(data)))


def is_named_so(name: str) -> bool:
    """Whether a file's name is one that TFRecord files have: `train.tfrecord`, `x-00000-of-00002`, …"""
    return bool(_FILE_NAME.fullmatch(PurePosixPath(name).name))


def are_records(file: BinaryIO) -> bool:
    """Whether a file begins as TFRecord files do; it is set back to its start."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    return len(head) == _HEAD_BYTES and _guarded(head)


def records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the records of a file.

    Raises ImageRefused, with a reason that begins in lower case, where it is damaged: what comes after
    cannot be found.
    """
    while head := file.read(_HEAD_BYTES):
        data = _read(file, _length(head))
        crc = file.read(_CRC.size)
        if len(crc) < _CRC.size:
            raise _ends()
        if masked(data) != _CRC.unpack(crc)[0]:
            raise ImageRefused(_("its checksum does not match"))
        yield data


def count_records(file: BinaryIO) -> int:
    """Return how many records a file has before it ends or is damaged; only their lengths are read."""
    count = 0
    while count <= MAX_RECORDS and (head := file.read(_HEAD_BYTES)):
        try:
            length = _length(head) + _CRC.size
        except ImageRefused:
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
        raise ImageRefused(_("the length of its record does not match its checksum"))
    length: int = _LENGTH.unpack_from(head)[0]
    if length > LONGEST_RECORD_BYTES:
        raise ImageRefused(
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


def _ends() -> ImageRefused:
    return ImageRefused(_("it ends in the middle"))


Feature = list[bytes] | list[int]
_VARINT, _FIXED64, _PIECE, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT_BITS = 64
_MAX_FEATURES = 1_000
_MAX_VALUES = 20_000
_LONGEST_NAME_BYTES = 1_000
# Fields' numbers.
_FEATURES = _FEATURE = _KEY = _BYTES_LIST = _VALUE_OF_LIST = 1
_VALUE = 2
_INT64_LIST = 3


def encode(features: Mapping[str, Feature]) -> bytes:
    """Return an Example's bytes; features stand in the order of their names."""
    entries = b"".join(
        _piece(_FEATURE, _piece(_KEY, name.encode()) + _piece(_VALUE, _encoded(values)))
        for name, values in sorted(features.items())
    )
    return _piece(_FEATURES, entries)


def _encoded(values: Feature) -> bytes:
    if values and isinstance(values[0], int):
        packed = b"".join(_varint(int(value) % (1 << 64)) for value in values)
        return _piece(_INT64_LIST, _piece(_VALUE_OF_LIST, packed))
    return _piece(_BYTES_LIST, b"".join(_piece(_VALUE_OF_LIST, bytes(value)) for value in values))


def _piece(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | _PIECE) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def decode(data: bytes, names: Collection[str]) -> dict[str, Feature]:
    """Return the features of these names that an Example has, but for lists of fractions.

    Raises ImageRefused, with a reason that begins in lower case, for what is none.
    """
    wanted = {name.encode(): name for name in names}
    features: dict[str, Feature] = {}
    count = 0
    for entries in _pieces(memoryview(data), _FEATURES):
        for entry in _pieces(entries, _FEATURE):
            count += 1
            if count > _MAX_FEATURES:
                raise ImageRefused(_("it has too many features"))
            name = wanted.get(bytes(next(_pieces(entry, _KEY), b"")[:_LONGEST_NAME_BYTES]))
            if name is not None and (value := next(_pieces(entry, _VALUE), None)) is not None:
                found = _decoded(value)
                features |= {name: found} if found is not None else {}
    return features


def _decoded(feature: memoryview) -> Feature | None:
    for values in _pieces(feature, _BYTES_LIST):
        return [bytes(value) for value in _pieces(values, _VALUE_OF_LIST)]
    for values in _pieces(feature, _INT64_LIST):
        return list(_numbers(values))
    return None


def _numbers(values: memoryview) -> Iterator[int]:
    for field, value in _fields(values):
        if field != _VALUE_OF_LIST:
            continue
        if isinstance(value, int):
            yield _signed(value)
            continue
        at = count = 0
        while at < len(value):  # packed, as they usually are
            number, at = _read_varint(value, at)
            yield _signed(number)
            count += 1
            if count > _MAX_VALUES:
                raise _too_many()


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _pieces(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for field, value in _fields(message):
        if field == wanted and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield each field's number and value: a whole number, or a piece."""
    at = count = 0
    while at < len(message):
        count += 1
        if count > _MAX_VALUES:
            raise _too_many()
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _PIECE:
            length, at = _read_varint(message, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise _none()
        if length > len(message) - at:
            raise _none()
        yield tag >> 3, message[at : at + length]
        at += length


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _LONGEST_VARINT_BITS, 7):
        if at >= len(message):
            raise _none()
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last one's highest bit is not set
            return value & (1 << 64) - 1, at
    raise _none()


def _too_many() -> ImageRefused:
    return ImageRefused(_("it has too many values"))


def _none() -> ImageRefused:
    return ImageRefused(_("it is no tf.train.Example"))


ENCODED, FORMAT, NAME = "image/encoded", "image/format", "image/filename"
TEXT, NUMBER = "image/class/text", "image/class/label"
HEIGHT, WIDTH, SHA256 = "image/height", "image/width", "image/sha256"
SPLIT, SPLIT_GIVEN, STATE, PAPERS = "split", "split_given", "state", "papers"
"""The features of the studio's own records; the first two rows are also those of most others."""
_ENCODED = (ENCODED, "image")
_TEXT = (TEXT, "image/class/name")
_NUMBER = (NUMBER, "label")
_NAME = (NAME, "image/source_id", "filename")
_WANTED = (*_ENCODED, *_TEXT, *_NUMBER, *_NAME, SHA256, SPLIT_GIVEN, STATE, PAPERS)
_LONGEST_TEXT_BYTES = 2_000
_LONGEST_NAME = 200
_MOST_LABELS = 100_000
_MOST_PAPERS = 1_000
_NUMBERED = re.compile(r"(?P<number>[0-9]{1,5}):\s*(?P<name>.+)")


@dataclass(frozen=True)
class RecordImage:
    """An image in a file of records, or why a record gives none."""

    name: str
    """The file's name, and behind a slash the image's own; no two of a file are the same."""
    data: bytes = b""
    told: Told | None = None
    refusal: str = ""


def images_in(file: BinaryIO, name: str, labels: Sequence[str]) -> Iterator[RecordImage]:
    """Yield a file's images, one record in memory at a time.

    name: the file's path. labels: the names of classes by their numbers, for records that have no names.
    """
    seen: set[str] = set()
    number = 0
    try:
        for number, data in enumerate(records(file), start=1):
            if number > MAX_RECORDS:
                limit = f"{MAX_RECORDS:,}"
                raise ImageRefused(_("it has more than {limit} records").format(limit=limit))
            yield _image(data, name, number, labels, seen)
    except ImageRefused as refusal:
        place = _place(name, number + 1)
        reason = _("{place} cannot be read: {why}; nor can what comes after it.")
        yield RecordImage(place, refusal=reason.format(place=place, why=refusal))


def _place(name: str, number: int) -> str:
    return _("{name}, record {number}").format(name=name, number=number)


def _image(data: bytes, name: str, number: int, labels: Sequence[str], seen: set[str]) -> RecordImage:
    place = _place(name, number)
    try:
        features = decode(data, _WANTED)
    except ImageRefused as refusal:
        reason = _("{place} cannot be read: {why}.")
        return RecordImage(place, refusal=reason.format(place=place, why=refusal))
    encoded = next((f[0] for key in _ENCODED if (f := features.get(key)) and isinstance(f[0], bytes)), None)
    if not encoded:
        reason = _("{place} has no image: expected a feature image/encoded with an image's file.")
        return RecordImage(place, refusal=reason.format(place=place))
    own = PurePosixPath(readable(_bytes(features, _NAME)).replace("\\", "/")).name[-_LONGEST_NAME:]
    if own in ("", ".."):
        own = str(number)
    shown = f"{name}/{own}"
    if shown in seen:
        shown = f"{name}/{number}/{own}"
    seen.add(shown)
    return RecordImage(shown, encoded, _told(features, labels, place))


def _told(features: dict[str, Feature], labels: Sequence[str], place: str) -> Told:
    class_name = class_name_of(_text(features, _TEXT))
    if class_name is None:
        number = next((f[0] for key in _NUMBER if (f := features.get(key)) and isinstance(f[0], int)), -1)
        if number >= 0:
            class_name = class_name_of(labels[number]) if number < len(labels) else str(number)
    state = _text(features, (STATE,))
    if state in ("unlabelled", "rejected"):
        class_name = class_name_of(_text(features, (TEXT,)))
    provenance = features.get(PAPERS, [])[:_MOST_PAPERS]
    return Told(
        class_name,
        state=state if state in STATES else "",
        split=split_named(_text(features, (SPLIT_GIVEN,))),
        sha256=digest_in(_text(features, (SHA256,))),
        places=tuple(piece.decode(errors="replace") for piece in provenance if isinstance(piece, bytes)),
        where=place,
    )


def _text(features: dict[str, Feature], names: Sequence[str]) -> str:
    return _bytes(features, names).decode(errors="replace")


def _bytes(features: dict[str, Feature], names: Sequence[str]) -> bytes:
    found = (f[0] for name in names if (f := features.get(name)) and isinstance(f[0], bytes) and f[0])
    return next(found, b"")[:_LONGEST_TEXT_BYTES]


def read_labels(data: bytes) -> list[str]:
    """Return the classes of a `labels.txt` by their numbers: a name a line, or `number:name`."""
    lines = [line.strip() for line in data.decode(errors="replace").splitlines()[:_MOST_LABELS]]
    numbered = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    if len(numbered) < sum(1 for line in lines if line):
        return lines
    named = {int(match["number"]): match["name"] for match in numbered}
    return [named.get(number, str(number)) for number in range(max(named, default=-1) + 1)]


LABELS = "labels.txt"
SHARD_BYTES = 64_000_000
"""A file ends once it is as large: readers of archives hold one in memory."""


def write_tf_records(exporting: Exporting) -> dict[int, str]:
    """Write `train-00000-of-00003.tfrecord` and so on, and the classes by their numbers in `labels.txt`.

    Images without a label and those that were rejected are in files of their own. An image's path is the
    file's, and behind a slash the name that its record has.
    """
    shards = dict(_shards(exporting.listing.images))
    of_shard = {image.image_id: shard for shard, images in shards.items() for image in images}
    names = dict(named(exporting.listing.images, lambda image: of_shard[image.image_id]))
    numbers = {look.name: number for number, look in enumerate(exporting.listing.classes)}
    placed: dict[int, str] = {}
    for shard, images in shards.items():
        with exporting.read() as session:
            of_image = {p.image_id: places for p, places in with_places(session, exporting.listing, images)}
        found = exporting.originals.of(images)
        first = next(found, None)
        if first is None:  # all of them are lost
            continue
        with exporting.packed.open(shard) as file:
            for image, data in chain((first,), found):
                name = names[image.image_id]
                places = of_image[image.image_id]
                features = _features(image, data, name.partition("/")[2], places, numbers)
                write_record(file, encode(features))
                placed[image.image_id] = name
    labels = "".join(f"{look.name}\n" for look in exporting.listing.classes)
    exporting.packed.add(LABELS, labels.encode(), squeeze=True)
    return placed


def _shards(images: Sequence[Listed]) -> Iterator[tuple[str, list[Listed]]]:
    """Yield the files' names, each with its images; their sizes are known, and so how many there are."""
    parts: defaultdict[str, list[list[Listed]]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for image in images:
        part = FOLDERS[image.split] if image.labelled else state_folder(image)
        if not parts[part] or sizes[part] >= SHARD_BYTES:
            parts[part].append([])
            sizes[part] = 0
        parts[part][-1].append(image)
        sizes[part] += image.size_bytes
    for part in sorted(parts):
        for number, shard in enumerate(parts[part]):
            yield f"{part}-{number:05}-of-{len(parts[part]):05}.tfrecord", shard


def _features(
    image: Listed,
    data: bytes,
    name: str,
    places: tuple[ProvenanceRecord, ...],
    numbers: Mapping[str, int],
) -> dict[str, Feature]:
    class_name = image.class_name or ""
    return {
        ENCODED: [data],
        FORMAT: [image.format.lower().encode()],
        NAME: [name.encode()],
        TEXT: [class_name.encode()],
        NUMBER: [numbers.get(class_name, -1)],
        HEIGHT: [image.height_px],
        WIDTH: [image.width_px],
        SHA256: [image.sha256.encode()],
        SPLIT: [image.split.encode()],
        SPLIT_GIVEN: [image.split_given.encode()],
        STATE: [image.state.encode()],
        PAPERS: [piece.encode() for piece in places_json(places)],
    }
