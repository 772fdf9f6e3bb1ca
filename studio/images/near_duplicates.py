"""Near-duplicates of a project: found at ingest by hashes, refined by bottlenecks, listed and rejected."""

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
from db.duplicate_groups import Membership, memberships, replace_memberships
from db.engine import Database
from db.labelling import LabelOperation, LabelTarget, record_operation
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
    thumbnail_vector,
    thumbnails_match,
)
from studio.images.store import ImageStore
from studio.progress import Progress

_MAX_CANDIDATES = 8
"""So many of an image's nearest by hash are compared by thumbnail. Thousands of scans may share a hash."""
_MAX_CACHED_VECTORS = 4096
"""Thumbnail vectors kept in memory, 3 kB each: similar images often come one after the other."""


class NearDuplicatePair(NamedTuple):
    """The ids of two images that are near-duplicates."""

    first: int
    """The one that came into the project first."""
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
        self._vectors: dict[int, Float32Array | None] = {}

    def find_pairs(self, session: Session, added: Sequence[int]) -> list[NearDuplicatePair]:
        """Return the near-duplicate pairs of images `added` with all others, in their order.

        added: image ids, already in the database. A pair of two added images is returned once.
        """
        self._read_new(session, added)
        proposed: dict[int, list[int]] = {}
        later = set(added)
        for image_id in added:
            later.discard(image_id)
            bits = hamming_distance(self._hashes, self._hashes[self._ids == image_id][0])
            near = np.flatnonzero(bits <= NEAR_DUPLICATE_BITS)
            nearest = self._ids[near[np.argsort(bits[near], kind="stable")]].tolist()
            others = [other for other in nearest if other != image_id and other not in later]
            proposed[image_id] = others[:_MAX_CANDIDATES]
        compared = {i for image_id, others in proposed.items() if others for i in (image_id, *others)}
        vectors = self._cached_vectors(session, compared) if compared else {}
        return [
            NearDuplicatePair(other, image_id)
            for image_id, others in proposed.items()
            for other in others
            if thumbnails_match(vectors[other], vectors[image_id])
        ]

    def _read_new(self, session: Session, added: Sequence[int]) -> None:
        """Read the hashes of the project's images that are not in memory yet."""
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
        if session.scalar(count) != len(self._ids):  # another process has added such an image
            self._ids, self._hashes = self._ids[:0], self._hashes[:0]
            self._read(session, true())

    def _read(self, session: Session, condition: ColumnElement[bool]) -> None:
        rows = session.execute(
            select(models.LabelRow.image_id, models.ImageRow.perceptual_hash)
            .join(models.ImageRow, models.ImageRow.id == models.LabelRow.image_id)
            .where(models.LabelRow.project_id == self._project_id, condition)
        ).all()
        self._ids = np.append(self._ids, np.array([image_id for image_id, _digits in rows], np.int64))
        self._hashes = np.append(self._hashes, np.array([int(digits, 16) for _id, digits in rows], np.uint64))

    def _cached_vectors(self, session: Session, wanted: set[int]) -> dict[int, Float32Array | None]:
        found = {image_id: self._vectors[image_id] for image_id in wanted & self._vectors.keys()}
        rows = session.execute(
            select(models.ImageRow.id, models.ImageRow.sha256, models.ImageRow.format).where(
                models.ImageRow.id.in_(wanted - found.keys())
            )
        )
        for image_id, sha256, format_name in rows:
            found[image_id] = self._vector(sha256, format_name)
        if len(self._vectors) > _MAX_CACHED_VECTORS:
            self._vectors.clear()
        self._vectors.update(found)
        return found

    def _vector(self, sha256: str, format_name: str) -> Float32Array | None:
        try:
            with Image.open(self._store.thumbnail(sha256, format_name), formats=["JPEG"]) as thumbnail:
                return thumbnail_vector(thumbnail)
        except (StudioError, OSError):  # its file is missing: it matches nothing
            return None


_BLOCK_ROWS, _BLOCK_COLUMNS = 512, 8192
"""Images compared at once: 120 MB, or 260 MB where all match, whatever their number."""


def refine_duplicate_groups(
    database: Database,
    project_id: int,
    image_ids: Sequence[int],
    vectors: Float32Array,
    *,
    new: Collection[int] | None = None,
    progress: Progress,
) -> None:
    """Group a project's images anew by their bottlenecks and hashes.

    vectors: float32, (len(image_ids), features), or a memory map of it: read in blocks. new: the image ids to
    compare with all of `image_ids`; None compares all with all. Groups made by hashes whose bottlenecks
    differ are dissolved; a grouped image without a vector stays with those of similar hash. Repeating it
    changes nothing. The database is locked only while the result is written. Raises Stopped.
    """
    with database.read() as session:
        hashes = _perceptual_hashes(
            session, select(models.LabelRow.image_id).filter_by(project_id=project_id)
        )
    chosen = set(image_ids if new is None else new)
    rows = [row for row, image_id in enumerate(image_ids) if image_id in hashes]
    rows.sort(key=lambda row: image_ids[row] not in chosen)  # then no pair is compared twice
    images = _Components([image_ids[row] for row in rows], hashes, vectors, np.array(rows, np.intp))
    compared = sum(image_id in chosen for image_id in images.ids)
    everyone = np.arange(len(rows))
    phase = _("Looking for near-duplicates")
    for start in range(0, compared, _BLOCK_ROWS):
        progress.report(phase, start, compared)
        images.link(everyone[start : min(start + _BLOCK_ROWS, compared)], everyone[start:], HASH_ALONE_BITS)
    progress.report(phase, compared, compared)
    with database.write() as session:
        # The lock that ingest takes too: no group changes between being read and being written.
        if (
            session.scalar(select(models.ProjectRow.id).filter_by(id=project_id).with_for_update())
            is not None
        ):
            replace_memberships(session, project_id, _regroup(session, project_id, images))


def run_image_ids(session: Session, run_id: int) -> tuple[dict[str, int], set[int]]:
    """Return the image ids, by SHA-256, of a run's snapshot, and the ids of those that are new.

    New are those on which no finished run of the project trained: they are still to be compared.
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


def _perceptual_hashes(session: Session, image_ids: Select[Any]) -> dict[int, int]:
    rows = session.execute(
        select(models.ImageRow.id, models.ImageRow.perceptual_hash).where(models.ImageRow.id.in_(image_ids))
    )
    return {image_id: int(digits, 16) for image_id, digits in rows}


class _Components:
    """Images as nodes of a graph whose edges are near-duplicate pairs, and its connected components."""

    def __init__(
        self, ids: list[int], hashes: Mapping[int, int], vectors: Float32Array, rows: IndexArray
    ) -> None:
        self.ids = ids
        self.hashes: Hashes = np.array([hashes[image_id] for image_id in ids], np.uint64)
        self.roots: IndexArray = np.arange(len(ids))
        """For each index, the lowest index in its component: int64, (N,)."""
        self._vectors = vectors
        self._rows = rows

    def add(self, image_id: int, perceptual_hash: int) -> None:
        """Add an image that has no vector."""
        self.roots = np.append(self.roots, len(self.ids))
        self.hashes = np.append(self.hashes, np.uint64(perceptual_hash))
        self.ids.append(image_id)

    def link(self, some: IndexArray, others: IndexArray, most_bits: int) -> None:
        """Unite those of `some` and `others` (indices) that are near-duplicates by bottlenecks and hashes."""
        for block in _blocks(others, _BLOCK_COLUMNS):
            cosines = self._directions(some) @ self._directions(block).T
            first, second = np.nonzero(cosines >= DIFFERENT_COSINE)
            one, other = some[first], block[second]
            near = hamming_distance(self.hashes[one], self.hashes[other]) <= most_bits
            near |= cosines[first, second] >= DUPLICATE_COSINE
            self.unite(one[near], other[near])

    def unite(self, some: IndexArray, others: IndexArray) -> None:
        """Merge the components of each pair of indices (`some[i]`, `others[i]`)."""
        while True:
            low = np.minimum(self.roots[some], self.roots[others])
            high = np.maximum(self.roots[some], self.roots[others])
            if not (low < high).any():
                return
            # Each component points to the lowest that it meets; then all pointers are followed to their end.
            above = np.arange(len(self.roots))
            np.minimum.at(above, high, low)
            while not np.array_equal(higher := above[above], above):
                above = higher
            self.roots = above[self.roots]

    def _directions(self, places: IndexArray) -> Float32Array:
        vectors = self._vectors[self._rows[places]]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        directions: Float32Array = vectors / np.maximum(lengths, 1e-12, dtype=np.float32)
        return directions


def _blocks(places: IndexArray, length: int) -> Iterator[IndexArray]:
    for start in range(0, len(places), length):
        yield places[start : start + length]


def _regroup(session: Session, project_id: int, images: _Components) -> dict[int, Membership]:
    """Return the groups by the components of `images` and what remains of the former groups."""
    former = memberships(session, project_id)
    embedded = len(images.ids)
    places = {image_id: place for place, image_id in enumerate(images.ids)}
    hashes = _perceptual_hashes(
        session, select(models.DuplicateGroupRow.image_id).filter_by(project_id=project_id)
    )
    by_group: dict[int, list[int]] = defaultdict(list)
    for image_id, membership in former.items():
        if image_id not in places:
            places[image_id] = len(images.ids)
            images.add(image_id, hashes[image_id])
        by_group[membership.group_id].append(places[image_id])
    for members in by_group.values():
        group = np.array(members, np.intp)
        known = group[group < embedded]
        for block in _blocks(known, _BLOCK_ROWS):
            images.link(block, known, NEAR_DUPLICATE_BITS)
        for place in group[group >= embedded]:
            near = hamming_distance(images.hashes[group], images.hashes[place]) <= NEAR_DUPLICATE_BITS
            # A pair found by a bottleneck that is no longer at hand need not have similar hashes.
            near[0] |= former[images.ids[place]].found_by == "bottleneck"
            images.unite(np.full(int(near.sum()), place), group[near])
    parts: dict[int, list[int]] = defaultdict(list)
    for image_id, part in zip(images.ids, images.roots.tolist(), strict=True):
        parts[part].append(image_id)
    return {
        image_id: Membership(group_id, former[image_id].found_by if image_id in former else "bottleneck")
        for members in parts.values()
        if len(members) > 1
        for group_id in [_group_id(members, former)]
        for image_id in members
    }


def _group_id(members: Sequence[int], former: Mapping[int, Membership]) -> int:
    """Return the id of the members' former group, or the lowest of their ids where there was none."""
    firsts = {former[image_id].group_id for image_id in members if image_id in former} & set(members)
    return min(firsts or members)


@dataclass(frozen=True)
class GroupMember:
    """An image of a group. class_id and class_name: None while it is unlabelled."""

    image_id: int
    sha256: str
    name: str
    """The address where it was found first."""
    class_id: int | None
    class_name: str | None
    width_px: int
    height_px: int
    size_bytes: int


@dataclass(frozen=True)
class DuplicateGroup:
    """Two or more near-duplicates, none of them rejected; the keeper comes first."""

    id: int
    members: tuple[GroupMember, ...]

    @property
    def keeper(self) -> GroupMember:
        """The image to keep: the largest by pixels, then by bytes, then the one that came first."""
        return self.members[0]


@dataclass(frozen=True)
class DuplicateCounts:
    """Counts of the duplicate groups, and of the images in them besides those to keep."""

    groups: int
    images_beyond_keepers: int


def duplicate_groups(session: Session, project_id: int) -> tuple[DuplicateGroup, ...]:
    """Return the project's groups of near-duplicates, by their ids.

    Rejected images are left out, and so is a group of which one image is left.
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
    """Count the groups and images that `duplicate_groups` returns."""
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

    A keeper without a class gets the class of the others where they agree on one. Returns the number of
    rejected images: 0 when the operation was done before.
    """
    if session.get(models.LabelOperationRow, operation_id) is not None:
        return 0
    targets: dict[int, LabelTarget] = {}
    rejected = 0
    for group in duplicate_groups(session, project_id):
        keeper, *others = group.members
        targets.update({member.image_id: LabelTarget("rejected") for member in others})
        rejected += len(others)
        classes = {member.class_id for member in others if member.class_id is not None}
        if keeper.class_id is None and len(classes) == 1:
            targets[keeper.image_id] = LabelTarget("labelled", classes.pop())
    if targets:
        record_operation(session, LabelOperation(operation_id, project_id, now, targets))
    return rejected
