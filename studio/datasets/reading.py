"""Making sources of files and of what is told of them, the same for folders, archives and uploads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from studio.datasets.layout import Layout, Told, places_of
from studio.datasets.sources import Source, refuse, refused_source
from studio.datasets.tfrecord import images_in
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.provenance import Provenance, ProvenanceRecord
from studio.images.reasons import SkipReason

Read = Callable[[], bytes]


class Offering:
    """One going through files, in any order, that turns each into what it offers.

    kind: how they came. class_name: for what has no class of its own. prefix: put before their names.
    """

    def __init__(self, layout: Layout, *, kind: str, class_name: str | None, prefix: str = "") -> None:
        self._layout = layout
        self._kind, self._class_name, self._prefix = kind, class_name, prefix
        self._absent = {absent.told.sha256: absent for absent in layout.absent}
        self._said: deque[Source] = deque()

    def total(self, names: Iterable[str]) -> int:
        """Return how many sources there will be, as far as can be known before."""
        layout = self._layout
        files = sum(layout.records.get(name, 1) for name in names if name not in layout.descriptions)
        return files + len(layout.unusable) + len(layout.absent)

    def of(
        self, name: str, read: Read, path: Path | None = None, provenance: Provenance | None = None
    ) -> Iterator[Source]:
        """Yield what a file offers: itself, nothing where it describes others, or the images in it.

        path: where it lies, if on this machine. provenance: what is known of it that its layout does not know.
        Each source is to be read before the next one is asked for.
        """
        if name in self._layout.descriptions:
            return
        found = (
            self._in_records(name, read, path)
            if name in self._layout.records
            else self._file(name, read, path, provenance)
        )
        for source in found:
            yield source
            yield from self._say()

    def rest(self) -> Iterator[Source]:
        """Yield, when all files have been given, images that are not among them, and what is unusable."""
        for absent in self._absent.values():
            unread = partial(refuse, absent.reason, absent.why)
            source = Source(self._prefix + absent.name, unread, kind=self._kind, stored=absent.told.sha256)
            yield self._with(source, absent.told)
        for unusable in self._layout.unusable:
            yield refused_source(self._prefix + unusable.name, unusable.reason, self._kind, unusable.why)
        yield from self._say()

    def _say(self) -> Iterator[Source]:
        while self._said:
            yield self._said.popleft()

    def _refused(self, name: str, reason: str, why: str = SkipReason.OTHER) -> Source:
        return refused_source(self._prefix + name, reason, self._kind, why)

    def _file(
        self, name: str, read: Read, path: Path | None, provenance: Provenance | None
    ) -> Iterator[Source]:
        told = self._layout.told_of(name)
        place = self._layout.stray_of(name) if told is None else None
        if place is not None:
            told = place
            if self._absent:
                try:
                    data = read()
                except ImageRefused as refusal:
                    yield self._refused(name, str(refusal), refusal.why)
                    return
                told, read = self._moved(place, data), partial(_same, data)
        yield self._with(
            Source(
                self._prefix + name,
                read,
                self._layout.class_of(name),
                self._kind,
                provenance or self._layout.provenance_of(name),
                path,
            ),
            told,
        )

    def _moved(self, place: Told, data: bytes) -> Told:
        """Return what is told of a file that no row names: it may be the image of some row, moved.

        Its class and state are then those of the place to which somebody has moved it.
        """
        absent = self._absent.pop(sha256(data).hexdigest(), None)
        if absent is None:
            return place
        if not place.state:
            return absent.told
        return replace(absent.told, class_name=place.class_name, state=place.state)

    def _in_records(self, name: str, read: Read, path: Path | None) -> Iterator[Source]:
        try:
            file: BinaryIO = path.open("rb") if path is not None else BytesIO(read())
        except ImageRefused as refusal:
            yield self._refused(name, str(refusal), refusal.why)
            return
        except OSError as error:
            reason = _("{name} cannot be read: {why}.")
            yield self._refused(name, reason.format(name=name, why=error.strerror or error))
            return
        with file:
            for image in images_in(file, name, self._layout.record_labels(name)):
                if image.refusal:
                    yield self._refused(image.name, image.refusal)
                    continue
                source = Source(self._prefix + image.name, partial(_same, image.data), kind=self._kind)
                yield self._with(source, self._layout.told_of(image.name) or image.told)

    def _with(self, source: Source, told: Told | None) -> Source:
        """Return a source with all that is told of it."""
        told = told or Told()
        class_name, state = told.class_name or source.class_name, told.state
        if state == "unlabelled":
            class_name, state = (self._class_name, "") if self._class_name else (None, state)
        elif state != "rejected":
            class_name = class_name or self._class_name
        return replace(
            source,
            read=partial(self._checked, source, told) if told.sha256 else source.read,
            class_name=class_name,
            state=state,
            split=told.split,
            places=self._places(source, told),
        )

    def _checked(self, source: Source, told: Told) -> bytes:
        """Read an image. Where it is not the one that is told of, that is said, and it is taken anyway."""
        data = source.read()
        if sha256(data).hexdigest() != told.sha256:
            reason = _(
                "{where}: {name} is another file than the one told of here, by its SHA-256. It was taken as "
                "it is, with what is told."
            ).format(where=told.where, name=source.name)
            self._said.append(self._refused(f"{told.where}: SHA-256", reason, SkipReason.DAMAGED))
        return data

    def _places(self, source: Source, told: Told) -> tuple[ProvenanceRecord, ...]:
        found: list[ProvenanceRecord] = []
        for text in told.places:
            try:
                found += places_of(text)
            except ValueError as error:
                reason = _(
                    "{where}: not all provenance of {name} can be read: {why}. The image is taken."
                ).format(where=told.where, name=source.name, why=str(error).rstrip("."))
                self._said.append(self._refused(f"{told.where}: places", reason))
        return tuple(found)


def _same(data: bytes) -> bytes:
    return data
