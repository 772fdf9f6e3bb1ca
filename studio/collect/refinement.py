"""Looking again at which pictures are nearly the same, once their bottlenecks are known.

Hashes find copies that were made smaller, brighter, compressed or mirrored; bottlenecks also cropped ones,
and deny what only looks alike at a glance. Thresholds were measured: docs/decisions/0034-near-copies.md.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db import models
from db.copy_groups import Membership, memberships, replace
from db.engine import Database
from studio.arrays import Float32Array, IndexArray
from studio.collect.likeness import DENIED, NEAR_BITS, THE_SAME, UNSEEN_BITS, Hashes, bits_apart
from studio.language import _
from studio.progress import Progress

_ROWS, _COLUMNS = 512, 8192
"""Pictures compared at once: 120 MB, or 260 MB where all are alike, whatever their number."""


def refine(
    database: Database,
    project_id: int,
    image_ids: Sequence[int],
    vectors: Float32Array,
    *,
    new: Collection[int] | None = None,
    progress: Progress,
) -> None:
    """Group a project's pictures anew by what their bottlenecks say.

    vectors: float32, (len(image_ids), features), or a memory map of it: read in blocks. new: the image ids to
    compare with all of `image_ids`; None compares all with all. Groups made by hashes that the bottlenecks
    deny are dissolved; a grouped picture without a vector stays with those that its hash resembles. Done
    twice, it changes nothing. The database is locked only while the result is written. Raises Stopped.
    """
    with database.read() as session:
        hashes = _hashes(session, select(models.Label.image_id).filter_by(project_id=project_id))
    chosen = set(image_ids if new is None else new)
    rows = [row for row, image_id in enumerate(image_ids) if image_id in hashes]
    rows.sort(key=lambda row: image_ids[row] not in chosen)  # then no pair is looked at twice
    pictures = _Pictures([image_ids[row] for row in rows], hashes, vectors, np.array(rows, np.intp))
    compared = sum(image_id in chosen for image_id in pictures.ids)
    everyone = np.arange(len(rows))
    phase = _("Looking for near copies")
    for start in range(0, compared, _ROWS):
        progress.report(phase, start, compared)
        pictures.link(everyone[start : min(start + _ROWS, compared)], everyone[start:], UNSEEN_BITS)
    progress.report(phase, compared, compared)
    with database.write() as session:
        # The lock that ingest takes too: no group changes between being read and being written.
        if session.scalar(select(models.Project.id).filter_by(id=project_id).with_for_update()) is not None:
            replace(session, project_id, _groups(session, project_id, pictures))


def pictures_of_run(session: Session, run_id: int) -> tuple[dict[str, int], set[int]]:
    """Return the image ids, by SHA-256, of what a run trains on, and which of them are new.

    New are those on which no finished run of the project trained: to be compared before this run is finished.
    """
    this = session.get_one(models.Run, run_id)
    taken = select(models.SnapshotImage.image_id).where(models.SnapshotImage.snapshot_id == this.snapshot_id)
    rows = session.execute(select(models.Image.sha256, models.Image.id).where(models.Image.id.in_(taken)))
    ids = dict(rows.all())
    finished = select(models.Run.snapshot_id).where(
        models.Run.project_id == this.project_id, models.Run.ended_at.is_not(None)
    )
    known = session.scalars(
        select(models.SnapshotImage.image_id).where(models.SnapshotImage.snapshot_id.in_(finished))
    )
    return ids, set(ids.values()) - set(known)


def _hashes(session: Session, image_ids: Select[Any]) -> dict[int, int]:
    rows = session.execute(
        select(models.Image.id, models.Image.perceptual_hash).where(models.Image.id.in_(image_ids))
    )
    return {image_id: int(digits, 16) for image_id, digits in rows}


class _Pictures:
    """Pictures by their places here, and which part, linked pair by pair, each of them belongs to."""

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
        """Add a picture that has no vector."""
        self.parts = np.append(self.parts, len(self.ids))
        self.hashes = np.append(self.hashes, np.uint64(perceptual_hash))
        self.ids.append(image_id)

    def link(self, some: IndexArray, others: IndexArray, most_bits: int) -> None:
        """Unite those of `some` and `others` that are near copies by their bottlenecks and hashes."""
        for block in _blocks(others, _COLUMNS):
            cosines = self._directions(some) @ self._directions(block).T
            first, second = np.nonzero(cosines >= DENIED)
            one, other = some[first], block[second]
            near = bits_apart(self.hashes[one], self.hashes[other]) <= most_bits
            near |= cosines[first, second] >= THE_SAME
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


def _groups(session: Session, project_id: int, pictures: _Pictures) -> dict[int, Membership]:
    """Return the groups that follow from `pictures` and from what is left of the former groups."""
    former = memberships(session, project_id)
    embedded = len(pictures.ids)
    places = {image_id: place for place, image_id in enumerate(pictures.ids)}
    hashes = _hashes(session, select(models.CopyGroup.image_id).filter_by(project_id=project_id))
    by_group: dict[int, list[int]] = defaultdict(list)
    for image_id, membership in former.items():
        if image_id not in places:
            places[image_id] = len(pictures.ids)
            pictures.add(image_id, hashes[image_id])
        by_group[membership.group_id].append(places[image_id])
    for members in by_group.values():
        group = np.array(members, np.intp)
        known = group[group < embedded]
        for block in _blocks(known, _ROWS):
            pictures.link(block, known, NEAR_BITS)
        for place in group[group >= embedded]:
            near = bits_apart(pictures.hashes[group], pictures.hashes[place]) <= NEAR_BITS
            # What a bottleneck found, which is not at hand any more, its hash need not show.
            near[0] |= former[pictures.ids[place]].found_by == "bottleneck"
            pictures.unite(np.full(int(near.sum()), place), group[near])
    parts: dict[int, list[int]] = defaultdict(list)
    for image_id, part in zip(pictures.ids, pictures.parts.tolist(), strict=True):
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
