"""Which format files are in: an export of the studio's own, what other programs write, or class folders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from itertools import chain
from pathlib import Path, PurePosixPath

from studio.datasets.class_styles import merged
from studio.datasets.coco import ENDING as JSON_ENDING
from studio.datasets.coco import coco, may_be_coco
from studio.datasets.csv_table import ENDINGS as TABLE_ENDINGS
from studio.datasets.csv_table import columns_of, image_tables
from studio.datasets.imagefolder import image_folder, is_metadata
from studio.datasets.layout import MANIFEST, TABLE, Layout, Manifest, class_folders, is_ours, read_manifest
from studio.datasets.studio_export import own_export
from studio.datasets.teachable_machine import is_manifest, project
from studio.datasets.tfrecord import are_records, count_records, is_named_so, read_labels
from studio.errors import ImageRefused

_MAX_NOTES = 1_000
_MAX_NOTES_BYTES = 200_000_000
_MAX_LOOKED_AT = 5_000
"""So many files are opened to see whether they describe others: there may be one beside each image."""
_LABELS = "labels.txt"


class Notes:
    """Files that may say what the others are: seen before any of them is taken."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}
        self._records: dict[str, int] = {}
        self._ours: set[str] = set()
        self._bytes = 0
        self._looked_at = 0

    def see(self, name: str, read: Callable[[], bytes], path: Path | None = None) -> None:
        """Keep a file's content where it describes others; count the images of one that holds many.

        path: where it lies, if on this machine. One that cannot be read, or is one too many, is no
        description: it is offered as an image is, and refused with its reason.
        """
        if is_named_so(name):
            self._count(name, read, path)
            return
        if not _may_describe(name) or len(self._data) >= _MAX_NOTES or self._looked_at >= _MAX_LOOKED_AT:
            return
        self._looked_at += 1
        try:
            data = read()
        except ImageRefused:
            return
        if self._bytes + len(data) <= _MAX_NOTES_BYTES and self._describes(name, data):
            self._data[name] = data
            self._bytes += len(data)

    def _describes(self, name: str, data: bytes) -> bool:
        if name.casefold().endswith(TABLE_ENDINGS) and not is_metadata(name):
            columns = columns_of(data)
            if is_ours(columns):
                self._ours.add(name)
            return bool(columns)
        named_so = _last(name) in (MANIFEST, _LABELS) or is_metadata(name) or is_manifest(name)
        return named_so or may_be_coco(name, data)

    def _count(self, name: str, read: Callable[[], bytes], path: Path | None) -> None:
        try:
            with path.open("rb") if path is not None else BytesIO(read()) as file:
                if are_records(file):
                    self._records[name] = count_records(file)
        except (ImageRefused, OSError):
            return

    def layout(self, names: Sequence[str], title: str) -> Layout:
        """Return what each file is. names: all files' paths; title: what was given, for messages.

        Raises ArchiveRefused for a Teachable Machine project of sounds or poses, and for an export of a newer
        program's.
        """
        exports = self._exports(names)
        owned = {name: layout for layout, its in exports for name in its}
        rest = [name for name in names if name not in owned]
        return _joined(owned, [layout for layout, _its in exports], self._others(rest, title))

    def _exports(self, names: Sequence[str]) -> list[tuple[Layout, list[str]]]:
        """Return the layouts of exports of our own, each with the files that are in it."""
        roots: dict[str, Manifest | None] = {_folder(name): None for name in sorted(self._ours)}
        for name, data in self._data.items():
            if _last(name) == MANIFEST and (manifest := read_manifest(data, name)) is not None:
                roots[_folder(name)] = manifest
        found: list[tuple[Layout, list[str]]] = []
        left = list(names)
        for root in sorted(roots, key=len, reverse=True):  # what lies in two belongs to the inner one
            inside = [name for name in left if name.startswith(root)]
            manifest = roots[root]
            # People take columns away that they do not need.
            kept = [*self._ours, *([root + TABLE] if manifest and root + TABLE in self._data else [])]
            tables = {name: self._data[name] for name in kept if _folder(name) == root}
            records = {name: self._records[name] for name in inside if name in self._records}
            layout = own_export(root, inside, manifest.classes if manifest else None, tables, records)
            if manifest is None:  # a table alone: what it does not name is somebody else's
                inside = [name for name in inside if name in layout.descriptions or layout.told_of(name)]
            taken = set(inside)
            left = [name for name in left if name not in taken]
            found.append((layout, inside))
        return found

    def _others(self, names: Sequence[str], title: str) -> Layout:
        known = set(names)
        data = {name: content for name, content in self._data.items() if name in known}
        manifest = min((item for item in data.items() if is_manifest(item[0])), default=None)
        metadata = {name: content for name, content in data.items() if is_metadata(name)}
        tables = {
            name: content
            for name, content in data.items()
            if name.casefold().endswith(TABLE_ENDINGS) and name not in metadata and name not in self._ours
        }
        images = {name: content for name, content in data.items() if may_be_coco(name, content)}
        layout = (
            project(names, manifest, title)
            or image_folder(names, metadata)
            or (coco(names, images) if images else None)
            or (image_tables(names, tables) if tables else None)
            or class_folders(names)
        )
        records = {name: count for name, count in self._records.items() if name in known}
        return _with_records(layout, records, data) if records else layout


def _may_describe(name: str) -> bool:
    return (
        _last(name) in (MANIFEST, _LABELS)
        or is_metadata(name)
        or is_manifest(name)
        or name.casefold().endswith((*TABLE_ENDINGS, JSON_ENDING))
    )


def _last(name: str) -> str:
    return PurePosixPath(name).name


def _folder(name: str) -> str:
    return name[: len(name) - len(_last(name))]


def _with_records(layout: Layout, records: Mapping[str, int], data: Mapping[str, bytes]) -> Layout:
    labels: dict[str, Sequence[str]] = {
        _folder(name): read_labels(content) for name, content in data.items() if _last(name) == _LABELS
    }
    beside = frozenset(name for name in data if _last(name) == _LABELS)
    return replace(
        layout,
        descriptions=layout.descriptions | beside,
        records=records,
        record_labels=lambda name: labels.get(_folder(name), labels.get("", ())),
    )


def _joined(owned: Mapping[str, Layout], exports: Sequence[Layout], others: Layout) -> Layout:
    """Return one layout of several, each for its own files."""
    if not exports:
        return others

    def of(name: str) -> Layout:
        # An image in a file of records is named as if the file were a folder.
        return owned.get(name) or owned.get(PurePosixPath(name).parent.as_posix()) or others

    every = (*exports, others)
    return Layout(
        class_of=lambda name: of(name).class_of(name),
        provenance_of=lambda name: of(name).provenance_of(name),
        descriptions=frozenset(chain.from_iterable(layout.descriptions for layout in every)),
        unusable=tuple(chain.from_iterable(layout.unusable for layout in every)),
        told_of=lambda name: of(name).told_of(name),
        absent=tuple(chain.from_iterable(layout.absent for layout in every)),
        stray_of=lambda name: of(name).stray_of(name),
        records={name: count for layout in every for name, count in layout.records.items()},
        record_labels=lambda name: of(name).record_labels(name),
        classes=merged(chain.from_iterable(layout.classes for layout in every)),
        copies={first: members for layout in every for first, members in layout.copies.items()},
    )
