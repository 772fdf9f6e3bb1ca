"""TFRecord files of `tf.train.Example` messages, each with an image.

A file is records one after the other, each with its length, and both guarded by a CRC-32C:
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import re
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from typing import BinaryIO

import google_crc32c

from studio.datasets.class_folders import state_folder
from studio.datasets.dataset_format import DatasetFiles, DatasetFormat, base_name, folder_of
from studio.datasets.export_context import ExportContext, image_paths
from studio.datasets.export_table import provenance_json
from studio.datasets.layout import STATES, ImageMetadata, Layout, RecordFile, parse_sha256, parse_split
from studio.datasets.names import clean_class_name, decode_file_name
from studio.datasets.project_contents import ProjectImage, with_provenance
from studio.datasets.splits import SPLIT_FOLDERS
from studio.datasets.tf_example import Feature, decode_example, encode_example
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.decode import MAX_FILE_BYTES
from studio.images.provenance import ProvenanceRecord

MAX_RECORDS = 500_000
MAX_RECORD_BYTES = MAX_FILE_BYTES + 1_000_000
"""An image's file, and its other features."""
SHARD_BYTES = 64_000_000
"""A file ends once it is as large: readers of archives hold one in memory."""
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEAD_BYTES = _LENGTH.size + _CRC.size
_CHUNK_BYTES = 1 << 20
_FILE_NAME = re.compile(r".*(\.tfrecords?(-\d+-of-\d+)?|-\d{5}-of-\d{5})", re.IGNORECASE)

ENCODED, FORMAT_NAME, NAME = "image/encoded", "image/format", "image/filename"
TEXT, NUMBER = "image/class/text", "image/class/label"
HEIGHT, WIDTH, SHA256 = "image/height", "image/width", "image/sha256"
SPLIT, SPLIT_GIVEN, STATE, PROVENANCE = "split", "split_given", "state", "papers"
"""The features of the studio's own records; the first two rows are also those of most others."""
_ENCODED = (ENCODED, "image")
_TEXT = (TEXT, "image/class/name")
_NUMBER = (NUMBER, "label")
_NAME = (NAME, "image/source_id", "filename")
_WANTED = (*_ENCODED, *_TEXT, *_NUMBER, *_NAME, SHA256, SPLIT_GIVEN, STATE, PROVENANCE)
_MAX_TEXT_BYTES = 2_000
_MAX_NAME_CHARACTERS = 200
_MAX_PROVENANCE_PIECES = 1_000

LABELS = "labels.txt"
_MAX_LABELS = 100_000
_NUMBERED_LABEL = re.compile(r"(?P<number>[0-9]{1,5}):\s*(?P<name>.+)")


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C of some bytes as TFRecord files hold it: rotated and offset, 0 to 2**32 - 1."""
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write_record(file: BinaryIO, data: bytes) -> None:
    """Append one record to a file."""
    length = _LENGTH.pack(len(data))
    file.write(length + _CRC.pack(masked_crc(length)))
    file.write(data)
    file.write(_CRC.pack(masked_crc(data)))


def is_tfrecord_name(name: str) -> bool:
    """Return whether a file has a usual name of TFRecord files: `train.tfrecord`, `x-00000-of-00002`, …"""
    return bool(_FILE_NAME.fullmatch(base_name(name)))


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the records of a file.

    Raises ImageRefused, with a reason that begins in lower case, where it is damaged: what comes after
    cannot be found.
    """
    while head := file.read(_HEAD_BYTES):
        data = _read(file, _record_length(head))
        crc = file.read(_CRC.size)
        if len(crc) < _CRC.size:
            raise _truncated()
        if masked_crc(data) != _CRC.unpack(crc)[0]:
            raise ImageRefused(_("its checksum does not match"))
        yield data


def count_records(file: BinaryIO) -> int | None:
    """Return how many records a file has before it ends or is damaged; None for no TFRecord file.

    Only the records' lengths are read.
    """
    head = file.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES or not _has_valid_length(head):
        return None
    file.seek(0)
    count = 0
    while count <= MAX_RECORDS and (head := file.read(_HEAD_BYTES)):
        try:
            length = _record_length(head) + _CRC.size
        except ImageRefused:
            break
        at = file.tell()
        if file.seek(0, 2) - at < length:
            break
        file.seek(at + length)
        count += 1
    return count


def _record_length(head: bytes) -> int:
    if len(head) < _HEAD_BYTES:
        raise _truncated()
    if not _has_valid_length(head):
        raise ImageRefused(_("the length of its record does not match its checksum"))
    length: int = _LENGTH.unpack_from(head)[0]
    if length > MAX_RECORD_BYTES:
        raise ImageRefused(
            _("its record is larger than {limit} MB").format(limit=MAX_RECORD_BYTES // 1_000_000)
        )
    return length


def _has_valid_length(head: bytes) -> bool:
    crc: int = _CRC.unpack_from(head, _LENGTH.size)[0]
    return masked_crc(head[: _LENGTH.size]) == crc


def _read(file: BinaryIO, length: int) -> bytes:
    parts, left = [], length
    while left and (part := file.read(min(left, _CHUNK_BYTES))):  # a forged length allocates nothing
        parts.append(part)
        left -= len(part)
    if left:
        raise _truncated()
    return b"".join(parts)


def _truncated() -> ImageRefused:
    return ImageRefused(_("it ends in the middle"))


@dataclass(frozen=True)
class RecordImage:
    """An image in a file of records, or the reason why a record gives none."""

    name: str
    """The file's name, and behind a slash the image's own; no two of a file are the same."""
    data: bytes = b""
    metadata: ImageMetadata | None = None
    error: str = ""


def read_images(file: BinaryIO, name: str, class_names: Sequence[str]) -> Iterator[RecordImage]:
    """Yield a file's images, one record in memory at a time.

    name: the file's path. class_names: of the classes by their numbers, for records without names.
    """
    seen: set[str] = set()
    number = 0
    try:
        for number, data in enumerate(read_records(file), start=1):
            if number > MAX_RECORDS:
                limit = f"{MAX_RECORDS:,}"
                raise ImageRefused(_("it has more than {limit} records").format(limit=limit))
            yield _read_image(data, name, number, class_names, seen)
    except ImageRefused as refusal:
        location = _location(name, number + 1)
        reason = _("{location} cannot be read: {reason}; nor can what comes after it.")
        yield RecordImage(location, error=reason.format(location=location, reason=refusal))


def _location(name: str, number: int) -> str:
    return _("{name}, record {number}").format(name=name, number=number)


def _read_image(
    data: bytes, name: str, number: int, class_names: Sequence[str], seen: set[str]
) -> RecordImage:
    location = _location(name, number)
    try:
        features = decode_example(data, _WANTED)
    except ImageRefused as refusal:
        reason = _("{location} cannot be read: {reason}.")
        return RecordImage(location, error=reason.format(location=location, reason=refusal))
    encoded = next((f[0] for key in _ENCODED if (f := features.get(key)) and isinstance(f[0], bytes)), None)
    if not encoded:
        reason = _("{location} has no image: expected a feature image/encoded with an image's file.")
        return RecordImage(location, error=reason.format(location=location))
    own_name = PurePosixPath(decode_file_name(_bytes(features, _NAME)).replace("\\", "/")).name
    own_name = own_name[-_MAX_NAME_CHARACTERS:]
    if own_name in ("", ".."):
        own_name = str(number)
    path = f"{name}/{own_name}"
    if path in seen:
        path = f"{name}/{number}/{own_name}"
    seen.add(path)
    return RecordImage(path, encoded, _metadata(features, class_names, location))


def _metadata(features: Mapping[str, Feature], class_names: Sequence[str], location: str) -> ImageMetadata:
    class_name = clean_class_name(_text(features, _TEXT))
    if class_name is None:
        number = next((f[0] for key in _NUMBER if (f := features.get(key)) and isinstance(f[0], int)), -1)
        if number >= 0:
            class_name = clean_class_name(class_names[number]) if number < len(class_names) else str(number)
    state = _text(features, (STATE,))
    if state in ("unlabelled", "rejected"):
        class_name = clean_class_name(_text(features, (TEXT,)))
    pieces = features.get(PROVENANCE, [])[:_MAX_PROVENANCE_PIECES]
    return ImageMetadata(
        class_name,
        state=state if state in STATES else "",
        split=parse_split(_text(features, (SPLIT_GIVEN,))),
        sha256=parse_sha256(_text(features, (SHA256,))),
        provenance_json=tuple(piece.decode(errors="replace") for piece in pieces if isinstance(piece, bytes)),
        location=location,
    )


def _text(features: Mapping[str, Feature], names: Sequence[str]) -> str:
    return _bytes(features, names).decode(errors="replace")


def _bytes(features: Mapping[str, Feature], names: Sequence[str]) -> bytes:
    values = (f[0] for name in names if (f := features.get(name)) and isinstance(f[0], bytes) and f[0])
    return next(values, b"")[:_MAX_TEXT_BYTES]


def read_labels(data: bytes) -> list[str]:
    """Return the classes of a `labels.txt` by their numbers: a name a line, or `number:name`."""
    lines = [line.strip() for line in data.decode(errors="replace").splitlines()[:_MAX_LABELS]]
    numbered = [match for line in lines if (match := _NUMBERED_LABEL.fullmatch(line))]
    if len(numbered) < sum(1 for line in lines if line):
        return lines
    names = {int(match["number"]): match["name"] for match in numbered}
    return [names.get(number, str(number)) for number in range(max(names, default=-1) + 1)]


def is_labels(name: str) -> bool:
    """Return whether a file may list the classes of record files, by its path."""
    return base_name(name) == LABELS


def read_record_files(files: DatasetFiles) -> Layout | None:
    """Return the layout of TFRecord files and the `labels.txt` beside them; None where there are none.

    It covers no other files: images may lie beside record files in another format.
    """
    if not files.record_counts:
        return None
    labels = {name: data for name, data in files.sidecars.items() if is_labels(name)}
    class_names: dict[str, Sequence[str]] = {
        folder_of(name): read_labels(data) for name, data in labels.items()
    }
    return Layout(
        sidecars=frozenset(labels),
        record_files={
            name: RecordFile(count, class_names.get(folder_of(name), class_names.get("", ())))
            for name, count in files.record_counts.items()
        },
    )


def write_record_files(export: ExportContext) -> dict[int, str]:
    """Write `train-00000-of-00003.tfrecord` and so on, and the classes by their numbers in `labels.txt`.

    Unlabelled and rejected images are in files of their own. An image's path is the file's, and behind a
    slash the name in its record.
    """
    contents = export.contents
    shards = dict(_shards(contents.images))
    shard_of_image = {image.image_id: shard for shard, images in shards.items() for image in images}
    paths = image_paths(contents.images, lambda image: shard_of_image[image.image_id])
    numbers = {style.name: number for number, style in enumerate(contents.classes)}
    written: dict[int, str] = {}
    for shard, images in shards.items():
        with export.read_session() as session:
            records = {
                image.image_id: its_records
                for image, its_records in with_provenance(session, contents.project_id, images)
            }
        originals = export.originals.read(images)
        first = next(originals, None)
        if first is None:  # all of them are lost
            continue
        with export.archive.open(shard) as file:
            for image, data in chain((first,), originals):
                path = paths[image.image_id]
                features = _features(image, data, path.partition("/")[2], records[image.image_id], numbers)
                write_record(file, encode_example(features))
                written[image.image_id] = path
    labels = "".join(f"{style.name}\n" for style in contents.classes)
    export.archive.add(LABELS, labels.encode(), compress=True)
    return written


def _shards(images: Sequence[ProjectImage]) -> Iterator[tuple[str, list[ProjectImage]]]:
    """Yield the names of the files, each with its images; the number of files follows from the sizes."""
    parts: defaultdict[str, list[list[ProjectImage]]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for image in images:
        part = SPLIT_FOLDERS[image.split] if image.is_labelled else state_folder(image)
        if not parts[part] or sizes[part] >= SHARD_BYTES:
            parts[part].append([])
            sizes[part] = 0
        parts[part][-1].append(image)
        sizes[part] += image.size_bytes
    for part in sorted(parts):
        for number, shard in enumerate(parts[part]):
            yield f"{part}-{number:05}-of-{len(parts[part]):05}.tfrecord", shard


def _features(
    image: ProjectImage,
    data: bytes,
    name: str,
    records: Collection[ProvenanceRecord],
    class_numbers: Mapping[str, int],
) -> dict[str, Feature]:
    class_name = image.class_name or ""
    return {
        ENCODED: [data],
        FORMAT_NAME: [image.format.lower().encode()],
        NAME: [name.encode()],
        TEXT: [class_name.encode()],
        NUMBER: [class_numbers.get(class_name, -1)],
        HEIGHT: [image.height_px],
        WIDTH: [image.width_px],
        SHA256: [image.sha256.encode()],
        SPLIT: [image.split.encode()],
        SPLIT_GIVEN: [image.split_given.encode()],
        STATE: [image.state.encode()],
        PROVENANCE: [piece.encode() for piece in provenance_json(tuple(records))],
    }


FORMAT = DatasetFormat(
    name="tfrecord",
    title="TFRecord",
    description=_("TensorFlow's records, in training, validation and test."),
    may_be_sidecar=is_labels,
    is_sidecar=lambda name, data: is_labels(name),
    is_record_file=is_tfrecord_name,
    count_records=count_records,
    read=read_record_files,
    write=write_record_files,
)
