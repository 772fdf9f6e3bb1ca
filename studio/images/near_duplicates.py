"""Near-duplicates of a project: found at ingest by hashes, refined by embeddings, listed and rejected."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.orm import Session

from db import models
from db.duplicate_groups import Membership, memberships, replace
from db.engine import Database
from db.labelling import Target, record
from studio.arrays import Float32Array, IndexArray
from studio.errors import StudioError
from studio.i18n import _
from studio.images.similarity import (
    DIFFERENT_COSINE,
    DUPLICATE_COSINE,
    HASH_ALONE_BITS,
    NEAR_DUPLICATE_BITS,
    Hashes,
    hamming_distance,
    show_the_same,
    thumbnail_vector,
)
from studio.images.store import ImageStore
from studio.progress import Progress

_LOOKED_AT = 8
"""So many of an image's nearest by hash are looked at. Thousands of scans may share a hash."""
_REMEMBERED = 4096
"""Looks kept in memory, 3 kB each: images that resemble each other come close together."""


class NearDuplicatePair(NamedTuple):
    """Image ids of two images that are nearly the same."""

    first: int
    """The one that was in the project first."""
    second: int


class NearDuplicateIndex:
    """The perceptual hashes of one project's images in memory, 16 bytes each, and the search among them.

    Made empty; every search first reads from the database what has been added since, by anybody.
    """

    def __init__(self, store: ImageStore, project_id: int) -> None:
        self._store = store
        self._project_id = project_id
        self._ids: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._hashes: Hashes = np.empty(0, np.uint64)
        self._looks: dict[int, Float32Array | None] = {}

    def of(self, session: Session, added: Sequence[int]) -> list[NearDuplicatePair]:
        """Return the pairs of images `added` (image ids, already written) with all others, in their order.

        Of two that were added, the pair is given once, with the one named later as `second`.
        """
        self._read_on(session, added)
        proposed: dict[int, list[int]] = {}
        later = set(added)
        for image_id in added:
            later.discard(image_id)
            bits = hamming_distance(self._hashes, self._hashes[self._ids == image_id][0])
            near = np.flatnonzero(bits <= NEAR_DUPLICATE_BITS)
            nearest = self._ids[near[np.argsort(bits[near], kind="stable")]].tolist()
            others = [other for other in nearest if other != image_id and other not in later]
            proposed[image_id] = others[:_LOOKED_AT]
        compared = {i for image_id, others in proposed.items() if others for i in (image_id, *others)}
        looks = self._looks_of(session, compared) if compared else {}
        return [
            NearDuplicatePair(other, image_id)
            for image_id, others in proposed.items()
            for other in others
            if show_the_same(looks[other], looks[image_id])
        ]

    def _read_on(self, session: Session, added: Sequence[int]) -> None:
        """Read the hashes of what is in the project and not yet here."""
        known = int(self._ids.max(initial=0))
        self._read(session, models.LabelRow.image_id > known)
        # An image that another project had before has an older id.
        if older := [image_id for image_id in added if image_id <= known]:
            self._read(session, models.LabelRow.image_id.in_(older))
        count = (
            select(func.count())
            .select_from(models.LabelRow)
            .where(models.LabelRow.project_id == self._project_id)
        )
        if session.scalar(count) != len(self._ids):  # somebody else has added such an image
            self._ids, self._hashes = self._ids[:0], self._hashes[:0]
            self._read(session, true())

    def _read(self, session: Session, which: ColumnElement[bool]) -> None:
        rows = session.execute(
            select(models.LabelRow.image_id, models.ImageRow.perceptual_hash)
            .join(models.ImageRow, models.ImageRow.id == models.LabelRow.image_id)
            .where(models.LabelRow.project_id == self._project_id, which)
        ).all()
        self._ids = np.append(self._ids, np.array([image_id for image_id, _digits in rows], np.int64))
        self._hashes = np.append(self._hashes, np.array([int(digits, 16) for _id, digits in rows], np.uint64))

    def _looks_of(self, session: Session, wanted: set[int]) -> dict[int, Float32Array | None]:
        found = {image_id: self._looks[image_id] for image_id in wanted & self._looks.keys()}
        rows = session.execute(
            select(models.ImageRow.id, models.ImageRow.sha256, models.ImageRow.format).where(
                models.ImageRow.id.in_(wanted - found.keys())
            )
        )
        for image_id, sha256, format_name in rows:
            found[image_id] = self._look(sha256, format_name)
        if len(self._looks) > _REMEMBERED:
            self._looks.clear()
        self._looks.update(found)
        return found

    def _look(self, sha256: str, format_name: str) -> Float32Array | None:
        try:
            with Image.open(self._store.thumbnail(sha256, format_name), formats=["JPEG"]) as thumbnail:
                return thumbnail_vector(thumbnail)
        except (StudioError, OSError):  # its file is gone: then it is a copy of nothing
            return None


_ROWS, _COLUMNS = 512, 8192
"""Images compared at once: 120 MB, or 260 MB where all are alike, whatever their number."""


def refine_duplicate_groups(
    database: Database,
    project_id: int,
    image_ids: Sequence[int],
    vectors: Float32Array,
    *,
    new: Collection[int] | None = None,
    progress: Progress,
) -> None:
    """Group a project's images anew by what their bottlenecks say.

    vectors: float32, (len(image_ids), features), or a memory map of it: read in blocks. new: the image ids to
    compare with all of `image_ids`; None compares all with all. Groups made by hashes that the bottlenecks
    deny are dissolved; a grouped image without a vector stays with those that its hash resembles. Done
    twice, it changes nothing. The database is locked only while the result is written. Raises Stopped.
    """
    with database.read() as session:
        hashes = _hashes(session, select(models.LabelRow.image_id).filter_by(project_id=project_id))
    chosen = set(image_ids if new is None else new)
    rows = [row for row, image_id in enumerate(image_ids) if image_id in hashes]
    rows.sort(key=lambda row: image_ids[row] not in chosen)  # then no pair is looked at twice
    images = _Images([image_ids[row] for row in rows], hashes, vectors, np.array(rows, np.intp))
    compared = sum(image_id in chosen for image_id in images.ids)
    everyone = np.arange(len(rows))
    phase = _("Looking for near copies")
    for start in range(0, compared, _ROWS):
        progress.report(phase, start, compared)
        images.link(everyone[start : min(start + _ROWS, compared)], everyone[start:], HASH_ALONE_BITS)
    progress.report(phase, compared, compared)
    with database.write() as session:
        # The lock that ingest takes too: no group changes between being read and being written.
        if (
            session.scalar(select(models.ProjectRow.id).filter_by(id=project_id).with_for_update())
            is not None
        ):
            replace(session, project_id, _groups(session, project_id, images))


def images_of_run(session: Session, run_id: int) -> tuple[dict[str, int], set[int]]:
    """Return the image ids, by SHA-256, of what a run trains on, and which of them are new.

    New are those on which no finished run of the project trained: to be compared before this run is finished.
    """
    this = session.get_one(models.RunRow, run_id)
    taken = select(models.SnapshotImageRow.image_id).where(
        models.SnapshotImageRow.snapshot_id == this.snapshot_id
    )
    rows = session.execute(
        select(models.ImageRow.sha256, models.ImageRow.id).where(models.ImageRow.id.in_(taken))
    )
    ids = dict(rows.all())
    finished = select(models.RunRow.snapshot_id).where(
        models.RunRow.project_id == this.project_id, models.RunRow.ended_at.is_not(None)
    )
    known = session.scalars(
        select(models.SnapshotImageRow.image_id).where(models.SnapshotImageRow.snapshot_id.in_(finished))
    )
    return ids, set(ids.values()) - set(known)


def _hashes(session: Session, image_ids: Select[Any]) -> dict[int, int]:
    rows = session.execute(
        select(models.ImageRow.id, models.ImageRow.perceptual_hash).where(models.ImageRow.id.in_(image_ids))
    )
    return {image_id: int(digits, 16) for image_id, digits in rows}


class _Images:
    """Images by their places here, and which part, linked pair by pair, each of them belongs to."""

    def __init__(
        self, ids: list[int], hashes: Mapping[int, int], vectors: Float32Array, rows: IndexArray
    ) -> None:
        self.ids = ids
        self.hashes: Hashes = np.array([hashes[image_id] for image_id in ids], np.uint64)
        self.parts: IndexArray = np.arange(len(ids))
        """For each place, the lowest place of its part."""
        self._vectors = vectors
        self._rows = rows

    def add(self, image_id: int, perceptual_hash: int) -> None:
        """Add an image that has no vector."""
        self.parts = np.append(self.parts, len(self.ids))
        self.hashes = np.append(self.hashes, np.uint64(perceptual_hash))
        self.ids.append(image_id)

    def link(self, some: IndexArray, others: IndexArray, most_bits: int) -> None:
        """Unite those of `some` and `others` that are near copies by their bottlenecks and hashes."""
        for block in _blocks(others, _COLUMNS):
            cosines = self._directions(some) @ self._directions(block).T
            first, second = np.nonzero(cosines >= DIFFERENT_COSINE)
            one, other = some[first], block[second]
            near = hamming_distance(self.hashes[one], self.hashes[other]) <= most_bits
            near |= cosines[first, second] >= DUPLICATE_COSINE
            self.unite(one[near], other[near])

    def unite(self, some: IndexArray, others: IndexArray) -> None:
        """Make one part of the parts that the first of `some` and the first of `others` are in, and so on."""
        while True:
            low = np.minimum(self.parts[some], self.parts[others])
            high = np.maximum(self.parts[some], self.parts[others])
            if not (low < high).any():
                return
            # Each part hangs itself below the lowest that it meets; then all go up as far as they can.
            above = np.arange(len(self.parts))
            np.minimum.at(above, high, low)
            while not np.array_equal(higher := above[above], above):
                above = higher
            self.parts = above[self.parts]

    def _directions(self, places: IndexArray) -> Float32Array:
        vectors = self._vectors[self._rows[places]]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        directions: Float32Array = vectors / np.maximum(lengths, 1e-12, dtype=np.float32)
        return directions


def _blocks(places: IndexArray, length: int) -> Iterator[IndexArray]:
    for start in range(0, len(places), length):
        yield places[start : start + length]


def _groups(session: Session, project_id: int, images: _Images) -> dict[int, Membership]:
    """Return the groups that follow from `images` and from what is left of the former groups."""
    former = memberships(session, project_id)
    embedded = len(images.ids)
    places = {image_id: place for place, image_id in enumerate(images.ids)}
    hashes = _hashes(session, select(models.DuplicateGroupRow.image_id).filter_by(project_id=project_id))
    by_group: dict[int, list[int]] = defaultdict(list)
    for image_id, membership in former.items():
        if image_id not in places:
            places[image_id] = len(images.ids)
            images.add(image_id, hashes[image_id])
        by_group[membership.group_id].append(places[image_id])
    for members in by_group.values():
        group = np.array(members, np.intp)
        known = group[group < embedded]
        for block in _blocks(known, _ROWS):
            images.link(block, known, NEAR_DUPLICATE_BITS)
        for place in group[group >= embedded]:
            near = hamming_distance(images.hashes[group], images.hashes[place]) <= NEAR_DUPLICATE_BITS
            # What a bottleneck found, which is not at hand any more, its hash need not show.
            near[0] |= former[images.ids[place]].found_by == "bottleneck"
            images.unite(np.full(int(near.sum()), place), group[near])
    parts: dict[int, list[int]] = defaultdict(list)
    for image_id, part in zip(images.ids, images.parts.tolist(), strict=True):
        parts[part].append(image_id)
    return {
        image_id: Membership(group_id, former[image_id].found_by if image_id in former else "bottleneck")
        for members in parts.values()
        if len(members) > 1
        for group_id in [_group_id(members, former)]
        for image_id in members
    }


def _group_id(members: Sequence[int], former: Mapping[int, Membership]) -> int:
    """Return the id that the members' group had, or the lowest of theirs where none of them gave one."""
    firsts = {former[image_id].group_id for image_id in members if image_id in former} & set(members)
    return min(firsts or members)


@dataclass(frozen=True)
class GroupMember:
    """An image of a group. class_id and class_name: None while it is unlabelled."""

    image_id: int
    sha256: str
    name: str
    """Where it was found first."""
    class_id: int | None
    class_name: str | None
    width_px: int
    height_px: int
    size_bytes: int


@dataclass(frozen=True)
class DuplicateGroup:
    """Two or more images that are nearly the same, none of them rejected; the keeper comes first."""

    id: int
    members: tuple[GroupMember, ...]

    @property
    def keeper(self) -> GroupMember:
        """The largest: by pixels, then by bytes, then the one that came first."""
        return self.members[0]


@dataclass(frozen=True)
class DuplicateCounts:
    """How many groups there are, and how many images in them besides their keepers."""

    groups: int
    images_beyond_keepers: int


def duplicate_groups(session: Session, project_id: int) -> tuple[DuplicateGroup, ...]:
    """Return the project's groups of near copies, by their ids.

    Rejected images have been decided about and are left out, and so is a group of which one is left.
    """
    name = (
        select(models.ProvenanceRow.address)
        .where(
            models.ProvenanceRow.project_id == project_id,
            models.ProvenanceRow.image_id == models.DuplicateGroupRow.image_id,
        )
        .order_by(models.ProvenanceRow.id)
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            models.DuplicateGroupRow.group_id,
            models.ImageRow.id,
            models.ImageRow.sha256,
            name,
            models.ImageClassRow.id,
            models.ImageClassRow.name,
            models.ImageRow.width_px,
            models.ImageRow.height_px,
            models.ImageRow.size_bytes,
        )
        .join(models.ImageRow, models.ImageRow.id == models.DuplicateGroupRow.image_id)
        .join(
            models.LabelRow,
            (models.LabelRow.project_id == models.DuplicateGroupRow.project_id)
            & (models.LabelRow.image_id == models.DuplicateGroupRow.image_id),
        )
        .join(models.ImageClassRow, models.ImageClassRow.id == models.LabelRow.class_id, isouter=True)
        .where(models.DuplicateGroupRow.project_id == project_id, models.LabelRow.state != "rejected")
        .order_by(
            models.DuplicateGroupRow.group_id,
            (models.ImageRow.width_px * models.ImageRow.height_px).desc(),
            models.ImageRow.size_bytes.desc(),
            models.ImageRow.id,
        )
    )
    members: dict[int, list[GroupMember]] = defaultdict(list)
    for group_id, image_id, sha256, address, *others in rows:
        members[group_id].append(GroupMember(image_id, sha256, address or sha256, *others))
    return tuple(DuplicateGroup(group_id, tuple(all_)) for group_id, all_ in members.items() if len(all_) > 1)


def count_duplicates(session: Session, project_id: int) -> DuplicateCounts:
    """Count what `copy_groups` returns."""
    of_group = (
        select(func.count().label("members"))
        .select_from(models.DuplicateGroupRow)
        .join(
            models.LabelRow,
            (models.LabelRow.project_id == models.DuplicateGroupRow.project_id)
            & (models.LabelRow.image_id == models.DuplicateGroupRow.image_id),
        )
        .where(models.DuplicateGroupRow.project_id == project_id, models.LabelRow.state != "rejected")
        .group_by(models.DuplicateGroupRow.group_id)
        .having(func.count() > 1)
        .subquery()
    )
    groups, members = session.execute(select(func.count(), func.sum(of_group.c.members))).one()
    return DuplicateCounts(groups, int(members or 0) - groups)


def reject_duplicates(session: Session, project_id: int, *, operation_id: str, now: datetime) -> int:
    """Reject all images of all groups but the keepers, as one operation that can be undone.

    A keeper without a class gets that of its group where the others agree on one. Returns how many images
    were rejected: none when the operation was done before.
    """
    if session.get(models.LabelOperationRow, operation_id) is not None:
        return 0
    targets: dict[int, Target] = {}
    aside = 0
    for group in duplicate_groups(session, project_id):
        keeper, *others = group.members
        targets.update({member.image_id: ("rejected", None) for member in others})
        aside += len(others)
        classes = {member.class_id for member in others if member.class_id is not None}
        if keeper.class_id is None and len(classes) == 1:
            targets[keeper.image_id] = ("labelled", classes.pop())
    if targets:
        record(session, operation_id=operation_id, project_id=project_id, at=now, targets=targets)
    return aside
