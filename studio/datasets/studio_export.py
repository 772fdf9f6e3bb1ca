"""Importing the studio's own exports: their table and manifest bring back all that was exported.

Exports of every format have these; `studio.datasets.export_table` writes them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import duplicate_groups, models
from studio.csv_cells import text_of_csv_cell
from studio.datasets.class_folders import CLASSES_FOLDER, REJECTED_FOLDER, UNLABELLED_FOLDER
from studio.datasets.class_styles import ClassStyle
from studio.datasets.csv_table import is_table_name, table_columns
from studio.datasets.dataset_format import DatasetFiles, DatasetFormat, base_name, folder_of
from studio.datasets.export_context import ATTRIBUTION_TABLE, ATTRIBUTION_TEXT
from studio.datasets.export_table import MANIFEST, TABLE, Manifest, is_export_table, read_manifest
from studio.datasets.layout import (
    ImageMetadata,
    Layout,
    MissingImage,
    RecordFile,
    merge_layouts,
    parse_sha256,
    parse_split,
    parse_state,
)
from studio.datasets.names import clean_class_name
from studio.datasets.sidecar_tables import SidecarReader, entry_name, file_path, leaves_folder
from studio.datasets.tables import cell_text, row_provenance
from studio.i18n import _

_SIDECARS = frozenset(
    (
        *(MANIFEST, TABLE, ATTRIBUTION_TABLE, ATTRIBUTION_TEXT),
        *("coco.json", "labels.txt", "metadata.csv", "metadata.jsonl"),
    )
)
"""The files that exports have beside images."""


def is_file_column(name: str) -> bool:
    """Return whether a column of an export's table names files, by its `column_name`."""
    return name == "file_name"


def may_be_sidecar(name: str) -> bool:
    """Return whether a file may be the table or the manifest of an export, by its path."""
    return base_name(name) == MANIFEST or is_table_name(name)


def is_sidecar(name: str, data: bytes) -> bool:
    """Return whether a file is the table or the manifest of an export."""
    return base_name(name) == MANIFEST or _is_own_table(name, data)


def _is_own_table(name: str, data: bytes) -> bool:
    return is_table_name(name) and is_export_table(table_columns(data))


def read_exports(files: DatasetFiles) -> Layout | None:
    """Return the layout of the exports among files, which may be several in several folders; None for none.

    It covers the files in the folders of exports. A table without a manifest covers only what it names.
    """
    own_tables = {name for name, data in files.sidecars.items() if _is_own_table(name, data)}
    manifests: dict[str, Manifest | None] = {folder_of(name): None for name in sorted(own_tables)}
    for name, data in files.sidecars.items():
        if base_name(name) == MANIFEST and (manifest := read_manifest(data, name)) is not None:
            manifests[folder_of(name)] = manifest
    layouts = []
    rest = files
    for folder in sorted(manifests, key=len, reverse=True):  # what lies in two belongs to the inner one
        manifest = manifests[folder]
        table = folder + TABLE
        # People remove columns that they do not need: beside a manifest any table of that name is its own.
        names = {*own_tables, *([table] if manifest and table in files.sidecars else [])}
        tables = {name: files.sidecars[name] for name in names if folder_of(name) == folder}
        layout = _read_export(folder, rest, manifest.classes if manifest else None, tables)
        layouts.append(layout)
        rest = rest.without(layout.images)
    return merge_layouts(layouts) if layouts else None


def _read_export(
    folder: str, files: DatasetFiles, classes: tuple[ClassStyle, ...] | None, tables: Mapping[str, bytes]
) -> Layout:
    """Return the layout of one export.

    folder: where it is, with a slash behind; empty at the top. classes: those of its manifest; None for a
    table without a manifest. tables: the content of its `labels.csv` by the path. The table describes the
    images in a file of records as if that file were a folder.
    """
    names = [name for name in files.names if name.startswith(folder)]
    counts = {name: count for name, count in files.record_counts.items() if name.startswith(folder)}
    reader = _TableReader(folder, names, frozenset(counts), classes or ())
    for name, data in sorted(tables.items()):
        reader.read(name, data)
    described = reader.sidecars.images
    sidecars = {*tables, *(name for name in names if base_name(name) in _SIDECARS and name not in described)}
    if classes is None:  # the other files are not of this export
        names = [name for name in names if name in sidecars or name in described]
    unlisted = {name for name in names if name not in described and name not in sidecars}
    in_record_file: dict[str, dict[str, ImageMetadata]] = {name: {} for name in counts}
    for path, metadata in described.items():
        parent = path.rpartition("/")[0]
        if parent in in_record_file:
            in_record_file[parent][path] = metadata
    return Layout(
        images={name: described.get(name) or reader.metadata_of_place(name) for name in names},
        sidecars=frozenset(sidecars),
        skipped=tuple(reader.sidecars.skipped.values()),
        missing=tuple(reader.missing.values()),
        unlisted=frozenset(unlisted),
        record_files={
            name: RecordFile(count, [style.name for style in classes or ()], in_record_file[name])
            for name, count in counts.items()
        },
        classes=classes or (),
        duplicate_groups={first: tuple(members) for first, members in reader.duplicate_groups.items()},
    )


class _TableReader:
    """Reads the table of an export."""

    def __init__(
        self, folder: str, names: Sequence[str], record_files: frozenset[str], classes: tuple[ClassStyle, ...]
    ) -> None:
        self._folder = PurePosixPath(folder)
        self._names, self._record_files = frozenset(names), record_files
        self._exact_class_names = {clean_class_name(style.name): style.name for style in classes}
        self.sidecars = SidecarReader(self._find)
        self.missing: dict[str, MissingImage] = {}
        """By SHA-256."""
        self.duplicate_groups: defaultdict[str, list[str]] = defaultdict(list)
        self._file_of_sha256: dict[str, str] = {}
        self._class_of_folder: dict[str, str | None] = {}

    def _find(self, folder: PurePosixPath, file: str) -> str | None:
        path = folder / file
        name = path.as_posix()
        return name if name in self._names or path.parent.as_posix() in self._record_files else None

    def read(self, table: str, data: bytes) -> None:
        """Read a table. table: its path."""
        for location, row in self.sidecars.rows(table, data, is_file_column):
            metadata = self._metadata(row.cells, location)
            file = file_path(text_of_csv_cell(row.cells.get("file_name", "")))
            if metadata.sha256 and self._file_of_sha256.get(metadata.sha256) == file:
                self._add_provenance(table, file, metadata)
                continue
            self._add(table, location, file, metadata)
            if metadata.sha256:
                self._file_of_sha256.setdefault(metadata.sha256, file)
                if group := parse_sha256(row.cells.get("copy_group", "")):
                    self.duplicate_groups[group].append(metadata.sha256)

    def _metadata(self, row: Mapping[str, str], location: str) -> ImageMetadata:
        records = row.get("places", "")
        cells = {name: text_of_csv_cell(cell) for name, cell in row.items() if name != "places"}
        label = clean_class_name(cell_text(cells.get("label")))
        class_name = self._exact_class_names.get(label, label)
        state_text = cell_text(cells.get("state")).casefold()
        state = parse_state(state_text, class_name)
        if state_text and not state:
            reason = _("{location}: expected a state of unlabelled, labelled or rejected; got {state}.")
            self.sidecars.skip(location, reason.format(location=location, state=state_text[:80]))
        return ImageMetadata(
            class_name,
            row_provenance(cells),
            state=state or ("labelled" if class_name else "unlabelled"),
            split=parse_split(cell_text(cells.get("split_given"))),
            sha256=parse_sha256(cells.get("sha256", "")),
            provenance_json=(records,) if records else (),
            location=location,
        )

    def _add(self, table: str, location: str, file: str, metadata: ImageMetadata) -> None:
        folder = PurePosixPath(table).parent
        if leaves_folder(file) or (file and self._find(folder, file)) or not metadata.sha256:
            if not file:
                reason = _("{location} names no file and has no SHA-256.")
                self.sidecars.skip(location, reason.format(location=location))
            elif self.sidecars.add(table, location, file, metadata):
                class_folder = self._class_folder((folder / file).as_posix())
                if class_folder is not None:
                    self._class_of_folder.setdefault(class_folder, metadata.class_name)
            return
        if file:
            entry = entry_name(location, file)
            reason = _("{entry} is not there, and the studio has no image of its SHA-256.")
        else:
            entry = location
            reason = _(
                "{entry}: its file was lost before it was exported, and the studio has no image of its "
                "SHA-256."
            )
        self.missing.setdefault(metadata.sha256, MissingImage(entry, metadata, reason.format(entry=entry)))

    def _add_provenance(self, table: str, file: str, metadata: ImageMetadata) -> None:
        """Add the provenance in a further line of an image."""
        name = (PurePosixPath(table).parent / file).as_posix() if file else ""
        described, missing = self.sidecars.images.get(name), self.missing.get(metadata.sha256)
        if described is not None:
            self.sidecars.images[name] = _joined(described, metadata)
        elif missing is not None:
            joined = _joined(missing.metadata, metadata)
            self.missing[metadata.sha256] = replace(missing, metadata=joined)

    def _class_folder(self, name: str) -> str | None:
        """Return the class folder of a file of an export into class folders."""
        parts = self._parts_below(name)
        return parts[1] if len(parts) > 2 and parts[0] == CLASSES_FOLDER else None  # noqa: PLR2004

    def _parts_below(self, name: str) -> tuple[str, ...]:
        return PurePosixPath(name).parts[len(self._folder.parts) :]

    def metadata_of_place(self, name: str) -> ImageMetadata:
        """Return what the folder of a file gives it, for one that no row names."""
        folder = self._class_folder(name)
        if folder is not None:
            class_name = self._class_of_folder.get(folder) or clean_class_name(folder)
            return ImageMetadata(class_name, state="labelled" if class_name else "unlabelled")
        parts = self._parts_below(name)
        has_state = len(parts) > 1 and parts[0] in (UNLABELLED_FOLDER, REJECTED_FOLDER)
        return ImageMetadata(state=parts[0]) if has_state else ImageMetadata()


def _joined(first: ImageMetadata, further: ImageMetadata) -> ImageMetadata:
    return replace(first, provenance_json=first.provenance_json + further.provenance_json)


_CHUNK = 500


def restore_duplicate_groups(session: Session, project_id: int, groups: Mapping[str, Sequence[str]]) -> None:
    """Put images of a project into groups of near-duplicates, as far as they are in it.

    groups: the members of each group by the first of them, all by their SHA-256. The hash of the first one
    decides the split of all. It is first here as well, unless images are in the group that did not come with
    it: those were here before, and their first one stays. Repeating it changes nothing.
    """
    ids = _image_ids(
        session, project_id, sorted({sha for first, members in groups.items() for sha in (first, *members)})
    )
    imported = {
        first: {ids[sha256] for sha256 in (first, *members) if sha256 in ids}
        for first, members in groups.items()
    }
    pairs = []
    for first, members in imported.items():
        first_id = ids.get(first, min(members, default=0))
        pairs += [(first_id, other) for other in sorted(members) if other != first_id]
    duplicate_groups.merge_pairs(session, project_id, pairs)
    members_of_group: defaultdict[int, set[int]] = defaultdict(set)
    group_of_image: dict[int, int] = {}
    for image_id, membership in duplicate_groups.memberships(session, project_id).items():
        members_of_group[membership.group_id].add(image_id)
        group_of_image[image_id] = membership.group_id
    row = models.DuplicateGroupRow
    for first, members in imported.items():
        first_id = ids.get(first, 0)
        group_id = group_of_image.get(first_id, first_id)
        if group_id != first_id and members_of_group[group_id] <= members:
            session.execute(
                update(row)
                .where(row.project_id == project_id, row.group_id == group_id)
                .values(group_id=first_id)
            )


def _image_ids(session: Session, project_id: int, hashes: Sequence[str]) -> dict[str, int]:
    """Return the ids of the project's images of these SHA-256."""
    image, label = models.ImageRow, models.LabelRow
    ids: dict[str, int] = {}
    for start in range(0, len(hashes), _CHUNK):
        rows = session.execute(
            select(image.sha256, image.id)
            .join(label, label.image_id == image.id)
            .where(label.project_id == project_id, image.sha256.in_(hashes[start : start + _CHUNK]))
        )
        ids |= dict(rows.all())
    return ids


FORMAT = DatasetFormat(
    name="studio",
    title=_("Export of Retrain Studio"),
    description=_("Any export of the studio: its table brings back labels, splits and provenance."),
    may_be_sidecar=may_be_sidecar,
    is_sidecar=is_sidecar,
    read=read_exports,
)
