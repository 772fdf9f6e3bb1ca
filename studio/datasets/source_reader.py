"""Turning the files of a data set into sources, the same for folders, archives and uploads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from studio.datasets.export_table import parse_provenance_json
from studio.datasets.layout import ImageMetadata, Layout
from studio.datasets.sources import Source, raise_refused, refused_source
from studio.datasets.tfrecord import read_images
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.provenance import Provenance, ProvenanceRecord
from studio.images.skip_reasons import SkipReason

Read = Callable[[], bytes]
_NO_METADATA = ImageMetadata()


class SourceReader:
    """One pass over the files of a layout, in any order, that turns each into its sources.

    kind: how they came, for their provenance. class_name: for images without a class of their own. prefix:
    put before their names.
    """

    def __init__(self, layout: Layout, *, kind: str, class_name: str | None, prefix: str = "") -> None:
        self._layout = layout
        self._kind, self._class_name, self._prefix = kind, class_name, prefix
        self._missing = {missing.metadata.sha256: missing for missing in layout.missing}
        self._skipped: deque[Source] = deque()

    def total(self, names: Iterable[str]) -> int:
        """Return how many sources there will be, as far as can be known before."""
        layout = self._layout
        files = sum(
            layout.record_files[name].count if name in layout.record_files else 1
            for name in names
            if name not in layout.sidecars
        )
        return files + len(layout.skipped) + len(layout.missing)

    def sources_of(
        self, name: str, read: Read, path: Path | None = None, provenance: Provenance | None = None
    ) -> Iterator[Source]:
        """Yield the sources in a file: itself, none where it is a sidecar, or the images in it.

        path: its place on this machine, if it has one. provenance: has precedence over that of the layout.
        Each source is to be read before the next one is asked for.
        """
        if name in self._layout.sidecars:
            return
        found = (
            self._sources_in_records(name, read, path)
            if name in self._layout.record_files
            else self._source_of_file(name, read, path, provenance)
        )
        for source in found:
            yield source
            yield from self._take_skipped()

    def remaining_sources(self) -> Iterator[Source]:
        """Yield, after all files, the images that are missing among them, and skipped entries."""
        for missing in self._missing.values():
            unread = partial(raise_refused, missing.reason, missing.skip_reason)
            source = Source(
                self._prefix + missing.name, unread, kind=self._kind, stored=missing.metadata.sha256
            )
            yield self._with_metadata(source, missing.metadata)
        for entry in self._layout.skipped:
            yield refused_source(self._prefix + entry.name, entry.reason, self._kind, entry.skip_reason)
        yield from self._take_skipped()

    def _take_skipped(self) -> Iterator[Source]:
        while self._skipped:
            yield self._skipped.popleft()

    def _refused(self, name: str, reason: str, skip_reason: str = SkipReason.OTHER) -> Source:
        return refused_source(self._prefix + name, reason, self._kind, skip_reason)

    def _source_of_file(
        self, name: str, read: Read, path: Path | None, provenance: Provenance | None
    ) -> Iterator[Source]:
        metadata = self._layout.images.get(name, _NO_METADATA)
        source = Source(
            self._prefix + name,
            read,
            metadata.class_name,
            self._kind,
            provenance or metadata.provenance,
            path,
        )
        if self._missing and name in self._layout.unlisted:
            try:
                data = read()
            except ImageRefused as refusal:
                yield self._refused(name, str(refusal), refusal.skip_reason)
                return
            metadata = self._moved(metadata, data)
            source = replace(source, read=partial(_return, data))
        yield self._with_metadata(source, metadata)

    def _moved(self, place: ImageMetadata, data: bytes) -> ImageMetadata:
        """Return the metadata of a file that no row names: it may be a missing image that was moved.

        Its class and state are then those of the folder to which somebody has moved it.
        """
        missing = self._missing.pop(sha256(data).hexdigest(), None)
        if missing is None:
            return place
        if not place.state:
            return missing.metadata
        return replace(missing.metadata, class_name=place.class_name, state=place.state)

    def _sources_in_records(self, name: str, read: Read, path: Path | None) -> Iterator[Source]:
        try:
            file: BinaryIO = path.open("rb") if path is not None else BytesIO(read())
        except ImageRefused as refusal:
            yield self._refused(name, str(refusal), refusal.skip_reason)
            return
        except OSError as error:
            reason = _("{name} cannot be read: {reason}.")
            yield self._refused(name, reason.format(name=name, reason=error.strerror or error))
            return
        record_file = self._layout.record_files[name]
        with file:
            for image in read_images(file, name, record_file.class_names):
                if image.error:
                    yield self._refused(image.name, image.error)
                    continue
                source = Source(self._prefix + image.name, partial(_return, image.data), kind=self._kind)
                metadata = record_file.metadata.get(image.name) or image.metadata or _NO_METADATA
                yield self._with_metadata(source, metadata)

    def _with_metadata(self, source: Source, metadata: ImageMetadata) -> Source:
        """Return a source with its metadata."""
        class_name, state = metadata.class_name or source.class_name, metadata.state
        if state == "unlabelled":
            class_name, state = (self._class_name, "") if self._class_name else (None, state)
        elif state != "rejected":
            class_name = class_name or self._class_name
        return replace(
            source,
            read=partial(self._read_checked, source, metadata) if metadata.sha256 else source.read,
            class_name=class_name,
            state=state,
            split=metadata.split,
            places=self._records(source, metadata),
        )

    def _read_checked(self, source: Source, metadata: ImageMetadata) -> bytes:
        """Read an image. Another one than is described is imported all the same, and noted."""
        data = source.read()
        if sha256(data).hexdigest() != metadata.sha256:
            reason = _(
                "{location}: {name} is another file than the one described here, by its SHA-256. It was "
                "imported with this description."
            ).format(location=metadata.location, name=source.name)
            self._skipped.append(self._refused(f"{metadata.location}: SHA-256", reason, SkipReason.DAMAGED))
        return data

    def _records(self, source: Source, metadata: ImageMetadata) -> tuple[ProvenanceRecord, ...]:
        records: list[ProvenanceRecord] = []
        for text in metadata.provenance_json:
            try:
                records += parse_provenance_json(text)
            except ValueError as error:
                reason = _(
                    "{location}: not all provenance of {name} can be read: {reason}. The image is imported."
                ).format(location=metadata.location, name=source.name, reason=str(error).rstrip("."))
                self._skipped.append(self._refused(f"{metadata.location}: places", reason))
        return tuple(records)


def _return(data: bytes) -> bytes:
    return data
