"""Groups of near-duplicates from an export: their first image, and images that were in the project before."""

from hashlib import sha256

import pytest
from sqlalchemy import select

from db import duplicate_groups, models
from studio.datasets.studio_export import restore_duplicate_groups
from tests.collect.material import Bench, image_bytes, sources


@pytest.fixture
def ids(bench: Bench) -> dict[str, int]:
    """Six images of the project, by their SHA-256."""
    bench.ingest(sources({f"{number}.jpg": image_bytes(number, 480, 320) for number in range(6)}))
    with bench.database.read() as session:
        rows = session.execute(select(models.ImageRow.sha256, models.ImageRow.id))
        return {found: image_id for found, image_id in rows}  # noqa: C416 - dict(rows) does not type-check


def digest(number: int) -> str:
    return sha256(image_bytes(number, 480, 320)).hexdigest()


def groups(bench: Bench, ids: dict[str, int]) -> dict[int, int]:
    """The first image of each image's group, all by their numbers."""
    number = {ids[digest(each)]: each for each in range(6)}
    with bench.database.read() as session:
        found = duplicate_groups.memberships(session, bench.project_id)
    return {number[image_id]: number[each.group_id] for image_id, each in sorted(found.items())}


def test_the_first_leads_wherever_it_stands_here(bench: Bench, ids: dict[str, int]) -> None:
    copies = {
        digest(4): [digest(4), digest(1), digest(2)],
        "0" * 64: [digest(3), digest(5)],
        digest(0): [digest(0)],
    }
    for _time in range(2):
        with bench.database.write() as session:
            restore_duplicate_groups(session, bench.project_id, copies)
        found = groups(bench, ids)
        assert {each: found[each] for each in (1, 2, 4)} == {1: 4, 2: 4, 4: 4}
        assert found[3] == found[5] in (3, 5)  # whose first is not here
        assert 0 not in found


def test_what_was_here_before_goes_on_leading(bench: Bench, ids: dict[str, int]) -> None:
    with bench.database.write() as session:
        duplicate_groups.merge_pairs(session, bench.project_id, [(ids[digest(5)], ids[digest(1)])])
    with bench.database.write() as session:
        restore_duplicate_groups(session, bench.project_id, {digest(4): [digest(4), digest(1), digest(2)]})
    assert groups(bench, ids) == dict.fromkeys((1, 2, 4, 5), 5)


def test_nothing_is_made_of_nothing(bench: Bench, ids: dict[str, int]) -> None:
    with bench.database.write() as session:
        restore_duplicate_groups(session, bench.project_id, {"f" * 64: ["e" * 64], digest(0): []})
    assert groups(bench, ids) == {}
