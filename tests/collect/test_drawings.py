"""Drawings: the same from the same seed, different among themselves, and images like any others."""

import numpy as np

from studio.collect.importers import ingest_drawings
from studio.collect.sample_data import drawings_offer
from studio.images.decode import decode_whole
from tests.collect.material import Bench


def drawn(seed: int, per_class: int) -> dict[str, bytes]:
    return {
        source.name: source.read()
        for source in drawings_offer(np.random.default_rng(seed), per_class).sources
    }


def test_one_seed_gives_the_same_drawings_each_on_its_own() -> None:
    whole = drawn(7, 3)
    assert whole == drawn(7, 3)
    assert not set(whole.values()) & set(drawn(8, 3).values())
    *_, last = drawings_offer(np.random.default_rng(7), 3).sources
    assert last.read() == whole[last.name]


def test_every_drawing_is_another_image_of_its_class() -> None:
    content = drawn(1, 10)
    assert len(set(content.values())) == len(content) == 40
    assert {name.split("/")[0] for name in content} == {"circles", "squares", "triangles", "stars"}
    for name, data in content.items():
        found = decode_whole(data, name)
        assert (found.format, found.width_px, found.height_px) == ("PNG", 320, 320)
        assert np.asarray(found.image).std() > 3


def test_they_go_into_a_project_once(bench: Bench) -> None:
    for expected in ((20, 0), (0, 20)):
        report = ingest_drawings(bench.database, bench.store, bench.project_id, 3, 5, **bench.ingesting())
        assert (report.added, report.copies, report.refused) == (*expected, ())
    assert sorted(set(map(str, bench.labels().values()))) == ["circles", "squares", "stars", "triangles"]
