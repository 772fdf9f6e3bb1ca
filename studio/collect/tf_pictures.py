"""The pictures in TFRecord files: the studio's own, and those of others that have the usual features."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from studio.collect.names import class_name_of, readable
from studio.collect.own_table import STATES
from studio.collect.tf_examples import Feature, decode
from studio.collect.tf_records import MAX_RECORDS, records
from studio.collect.told import Told, digest_in, split_named
from studio.errors import PictureRefused
from studio.language import _

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
class RecordPicture:
    """A picture in a file of records, or why a record gives none."""

    name: str
    """The file's name, and behind a slash the picture's own; no two of a file are the same."""
    data: bytes = b""
    told: Told | None = None
    refusal: str = ""


def pictures_in(file: BinaryIO, name: str, labels: Sequence[str]) -> Iterator[RecordPicture]:
    """Yield a file's pictures, one record in memory at a time.

    name: the file's path. labels: the names of classes by their numbers, for records that have no names.
    """
    seen: set[str] = set()
    number = 0
    try:
        for number, data in enumerate(records(file), start=1):
            if number > MAX_RECORDS:
                limit = f"{MAX_RECORDS:,}"
                raise PictureRefused(_("it has more than {limit} records").format(limit=limit))
            yield _picture(data, name, number, labels, seen)
    except PictureRefused as refusal:
        place = _place(name, number + 1)
        reason = _("{place} cannot be read: {why}; nor can what comes after it.")
        yield RecordPicture(place, refusal=reason.format(place=place, why=refusal))


def _place(name: str, number: int) -> str:
    return _("{name}, record {number}").format(name=name, number=number)


def _picture(data: bytes, name: str, number: int, labels: Sequence[str], seen: set[str]) -> RecordPicture:
    place = _place(name, number)
    try:
        features = decode(data, _WANTED)
    except PictureRefused as refusal:
        reason = _("{place} cannot be read: {why}.")
        return RecordPicture(place, refusal=reason.format(place=place, why=refusal))
    encoded = next((f[0] for key in _ENCODED if (f := features.get(key)) and isinstance(f[0], bytes)), None)
    if not encoded:
        reason = _("{place} has no picture: expected a feature image/encoded with a picture's file.")
        return RecordPicture(place, refusal=reason.format(place=place))
    own = PurePosixPath(readable(_bytes(features, _NAME)).replace("\\", "/")).name[-_LONGEST_NAME:]
    if own in ("", ".."):
        own = str(number)
    shown = f"{name}/{own}"
    if shown in seen:
        shown = f"{name}/{number}/{own}"
    seen.add(shown)
    return RecordPicture(shown, encoded, _told(features, labels, place))


def _told(features: dict[str, Feature], labels: Sequence[str], place: str) -> Told:
    class_name = class_name_of(_text(features, _TEXT))
    if class_name is None:
        number = next((f[0] for key in _NUMBER if (f := features.get(key)) and isinstance(f[0], int)), -1)
        if number >= 0:
            class_name = class_name_of(labels[number]) if number < len(labels) else str(number)
    state = _text(features, (STATE,))
    if state in ("unlabelled", "rejected"):
        class_name = class_name_of(_text(features, (TEXT,)))
    papers = features.get(PAPERS, [])[:_MOST_PAPERS]
    return Told(
        class_name,
        state=state if state in STATES else "",
        split=split_named(_text(features, (SPLIT_GIVEN,))),
        sha256=digest_in(_text(features, (SHA256,))),
        places=tuple(piece.decode(errors="replace") for piece in papers if isinstance(piece, bytes)),
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
