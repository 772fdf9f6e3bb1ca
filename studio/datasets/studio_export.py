"""Reading the studio's own exports: all that `studio.datasets.layout` keeps comes back."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import duplicate_groups, models
from studio.csv_cells import text_of_csv_cell
from studio.datasets.class_styles import ClassLook
from studio.datasets.layout import (
    CLASSES_FOLDER,
    MANIFEST,
    REJECTED_FOLDER,
    TABLE,
    UNLABELLED_FOLDER,
    Absent,
    Layout,
    Told,
    digest_in,
    settled,
    split_named,
)
from studio.datasets.names import class_name_of
from studio.datasets.sidecar_tables import Descriptions, file_in, leads_out, shown_at
from studio.datasets.tables import provenance_in, text_of
from studio.i18n import _
from studio.images.provenance import Provenance

_BESIDE = frozenset(
    (
        MANIFEST,
        TABLE,
        "ATTRIBUTION.csv",
        "ATTRIBUTION.txt",
        "coco.json",
        "labels.txt",
        "metadata.csv",
        "metadata.jsonl",
    )
)
"""What exports have beside images."""


def is_file_column(name: str) -> bool:
    """Whether a column of an export's table names files."""
    return name == "file_name"


def own_export(
    root: str,
    names: Sequence[str],
    looks: tuple[ClassLook, ...] | None,
    tables: Mapping[str, bytes],
    records: Mapping[str, int],
) -> Layout:
    """Return the layout of an export.

    root: its folder with a slash behind, or nothing. names: the paths of all files in it. looks: its classes;
    None for a table that stands without its export. tables: the content of its `labels.csv` by the path.
    records: which of the files hold many images, with how many; the table tells of them as if the file were
    a folder.
    """
    reading = _Reading(root, names, frozenset(records), looks or ())
    for name, data in sorted(tables.items()):
        reading.take(name, data)
    told_of = reading.read.described.get

    def class_of(name: str) -> str | None:
        told = told_of(name) or reading.stray(name)
        return told.class_name

    def provenance_of(name: str) -> Provenance:
        told = told_of(name)
        return told.provenance if told else Provenance()

    return Layout(
        class_of,
        provenance_of,
        descriptions=frozenset((*_beside(names, told_of), *tables)),
        unusable=tuple(reading.read.unusable.values()),
        told_of=told_of,
        absent=tuple(reading.absent.values()),
        stray_of=lambda name: None if looks is None else reading.stray(name),
        records=records,
        record_labels=lambda name: [look.name for look in looks or ()],
        classes=looks or (),
        copies={first: tuple(members) for first, members in reading.groups.items()},
    )


def _beside(names: Sequence[str], told_of: Callable[[str], Told | None]) -> Iterator[str]:
    return (name for name in names if PurePosixPath(name).name in _BESIDE and told_of(name) is None)


class _Reading:
    """What an export's table says, as it is read."""

    def __init__(
        self, root: str, names: Sequence[str], records: frozenset[str], looks: tuple[ClassLook, ...]
    ) -> None:
        self._root = PurePosixPath(root)
        self._names, self._records = frozenset(names), records
        self._exact = {class_name_of(look.name): look.name for look in looks}
        self.read = Descriptions(self._find)
        self.absent: dict[str, Absent] = {}
        """By SHA-256."""
        self.groups: defaultdict[str, list[str]] = defaultdict(list)
        self._files: dict[str, str] = {}  # SHA-256 → file
        self._class_of_folder: dict[str, str | None] = {}

    def _find(self, folder: PurePosixPath, file: str) -> str | None:
        path = folder / file
        name = path.as_posix()
        return name if name in self._names or path.parent.as_posix() in self._records else None

    def take(self, table: str, data: bytes) -> None:
        """Read a table."""
        for place, row in self.read.rows(table, data, is_file_column):
            told = self._told(row.cells, place)
            file = file_in(text_of_csv_cell(row.cells.get("file_name", "")))
            if told.sha256 and self._files.get(told.sha256) == file:
                self._go_on(table, file, told)
                continue
            self._row(table, place, file, told)
            if told.sha256:
                self._files.setdefault(told.sha256, file)
                if group := digest_in(row.cells.get("copy_group", "")):
                    self.groups[group].append(told.sha256)

    def _told(self, row: Mapping[str, str], place: str) -> Told:
        places = row.get("places", "")
        cells = {name: text_of_csv_cell(cell) for name, cell in row.items() if name != "places"}
        label = class_name_of(text_of(cells.get("label")))
        class_name = self._exact.get(label, label)
        state = text_of(cells.get("state")).casefold()
        found = settled(state, class_name)
        if state and not found:
            reason = _("{place}: expected a state of unlabelled, labelled or rejected; got {state}.")
            self.read.refuse(place, reason.format(place=place, state=state[:80]))
        return Told(
            class_name,
            provenance_in(cells),
            state=found or ("labelled" if class_name else "unlabelled"),
            split=split_named(text_of(cells.get("split_given"))),
            sha256=digest_in(cells.get("sha256", "")),
            places=(places,) if places else (),
            where=place,
        )

    def _row(self, table: str, place: str, file: str, told: Told) -> None:
        folder = PurePosixPath(table).parent
        if leads_out(file) or (file and self._find(folder, file)) or not told.sha256:
            if not file:
                self.read.refuse(place, _("{place} names no file and has no SHA-256.").format(place=place))
            elif self.read.describe(table, place, file, told):
                class_folder = self._class_folder((folder / file).as_posix())
                if class_folder is not None:
                    self._class_of_folder.setdefault(class_folder, told.class_name)
            return
        if file:
            shown = shown_at(place, file)
            reason = _("{shown} is not there, and the studio has no image of its SHA-256.")
        else:
            shown = place
            reason = _(
                "{shown}: its file was lost before it was exported, and the studio has no image of its "
                "SHA-256."
            )
        self.absent.setdefault(told.sha256, Absent(shown, told, reason.format(shown=shown)))

    def _go_on(self, table: str, file: str, told: Told) -> None:
        """Take the places of an image's further line."""
        name = (PurePosixPath(table).parent / file).as_posix() if file else ""
        described, absent = self.read.described.get(name), self.absent.get(told.sha256)
        if described is not None:
            self.read.described[name] = replace(described, places=described.places + told.places)
        elif absent is not None:
            more = replace(absent.told, places=absent.told.places + told.places)
            self.absent[told.sha256] = replace(absent, told=more)

    def _class_folder(self, name: str) -> str | None:
        """Return the class folder in which a file of an export into class folders stands."""
        parts = self._below(name)
        return parts[1] if len(parts) > 2 and parts[0] == CLASSES_FOLDER else None  # noqa: PLR2004

    def _below(self, name: str) -> tuple[str, ...]:
        return PurePosixPath(name).parts[len(self._root.parts) :]

    def stray(self, name: str) -> Told:
        """Return what the place of a file says that no row tells of."""
        folder = self._class_folder(name)
        if folder is not None:
            class_name = self._class_of_folder.get(folder) or class_name_of(folder)
            return Told(class_name, state="labelled" if class_name else "unlabelled")
        parts = self._below(name)
        moved = len(parts) > 1 and parts[0] in (UNLABELLED_FOLDER, REJECTED_FOLDER)
        return Told(state=parts[0]) if moved else Told()


_CHUNK = 500


def regroup(session: Session, project_id: int, copies: Mapping[str, Sequence[str]]) -> None:
    """Put images of a project into groups, as far as they are in it; done twice, it changes nothing.

    copies: the images of each group by the first of them, all by their SHA-256. The first decides on which
    side of a split all of them fall. It leads the group here as well, unless images are in the group that
    did not come with it: those were here before, and what led them still does.
    """
    ids = _ids(
        session, project_id, sorted({sha for first, those in copies.items() for sha in (first, *those)})
    )
    came = {
        first: {ids[digest] for digest in (first, *members) if digest in ids}
        for first, members in copies.items()
    }
    pairs = []
    for first, here in came.items():
        leader = ids.get(first, min(here, default=0))
        pairs += [(leader, other) for other in sorted(here) if other != leader]
    duplicate_groups.join(session, project_id, pairs)
    groups: defaultdict[int, set[int]] = defaultdict(set)
    group_of: dict[int, int] = {}
    for image_id, membership in duplicate_groups.memberships(session, project_id).items():
        groups[membership.group_id].add(image_id)
        group_of[image_id] = membership.group_id
    row = models.DuplicateGroupRow
    for first, here in came.items():
        own = ids.get(first, 0)
        group_id = group_of.get(own, own)
        if group_id != own and groups[group_id] <= here:
            session.execute(
                update(row).where(row.project_id == project_id, row.group_id == group_id).values(group_id=own)
            )


def _ids(session: Session, project_id: int, digests: Sequence[str]) -> dict[str, int]:
    """Return the ids of those images that the project has, by their SHA-256."""
    image, label = models.ImageRow, models.LabelRow
    found: dict[str, int] = {}
    for start in range(0, len(digests), _CHUNK):
        rows = session.execute(
            select(image.sha256, image.id)
            .join(label, label.image_id == image.id)
            .where(label.project_id == project_id, image.sha256.in_(digests[start : start + _CHUNK]))
        )
        found |= dict(rows.all())
    return found
