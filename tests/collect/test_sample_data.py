"""The sample datasets: flower photographs with their credits, and drawn shapes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from db import models
from studio.collect.flower_credits import Credit, parse_credits
from studio.collect.importers import ingest_flower_photos, ingest_sample_shapes
from studio.collect.sample_data import flower_provenance, sample_shapes
from studio.errors import ArchiveRefused
from studio.images.decode import decode_with_format
from tests.collect.material import Bench, image_bytes
from tests.collect.one_file_site import OneFileSite, one_file_site
from tests.collect.test_archives import tarred

LICENCE = """All images in this archive are licensed under the Creative Commons By-Attribution License, at:
https://creativecommons.org/licenses/by/2.0/

The photographers are listed below, thanks to all of them for making their work available.

daisy/1001_a.jpg CC-BY by Jane Doe - https://www.flickr.com/photos/jane/1001/
roses/1002_b.jpg by 김 꽃 - https://www.flickr.com/photos/kim/1002/
roses/1003_c.JPG CC BY by No-Page Person
something else altogether
"""


def test_credits_are_read_as_far_as_they_go() -> None:
    assert parse_credits(LICENCE) == {
        "daisy/1001_a.jpg": Credit("Jane Doe", "https://www.flickr.com/photos/jane/1001/"),
        "roses/1002_b.jpg": Credit("김 꽃", "https://www.flickr.com/photos/kim/1002/"),
        "roses/1003_c.JPG": Credit("No-Page Person", ""),
    }


def test_a_photograph_without_a_credit_has_its_number_at_flickr() -> None:
    provenance = flower_provenance("flower_photos/tulips/99_x.jpg", {})
    assert (provenance.page_address, provenance.creator) == ("https://www.flickr.com/photo.gne?id=99", "")
    assert provenance.licence == "CC BY 2.0"
    assert flower_provenance("flower_photos/tulips/x.jpg", {}).page_address == ""


@pytest.fixture
def site() -> Iterator[OneFileSite]:
    with one_file_site(b"", "flower_photos.tgz") as made:
        yield made


def test_they_are_fetched_and_taken_in_with_their_provenance(
    bench: Bench, home: Path, site: OneFileSite
) -> None:
    content = {
        "flower_photos/daisy/1001_a.jpg": image_bytes(1),
        "flower_photos/roses/1002_b.jpg": image_bytes(2),
    }
    archive = tarred(home / "in.tgz", {"flower_photos/LICENSE.txt": LICENCE.encode(), **content})
    site.content, site.breaks_after = archive.read_bytes(), [500]
    report = ingest_flower_photos(bench.context(), home / "downloads", site.address)
    assert report.added == 2
    assert sorted(map(str, bench.labels().values())) == ["daisy", "roses"]
    with bench.database.read() as session:
        found = session.scalars(select(models.ProvenanceRow).order_by(models.ProvenanceRow.address)).all()
    assert [(p.kind, p.address, p.creator) for p in found] == [
        ("download", "flower_photos/daisy/1001_a.jpg", "Jane Doe"),
        ("download", "flower_photos/roses/1002_b.jpg", "김 꽃"),
    ]
    assert {p.licence_address for p in found} == {"https://creativecommons.org/licenses/by/2.0/"}
    assert bench.progress.reports[0][0] == "Downloading"


def test_a_broken_download_is_fetched_anew(bench: Bench, home: Path, site: OneFileSite) -> None:
    site.content = b"not an archive at all"

    def run() -> int:
        return ingest_flower_photos(bench.context(), home / "downloads", site.address).added

    with pytest.raises(ArchiveRefused):
        run()
    site.content = tarred(home / "in.tgz", {"flower_photos/daisy/1_a.jpg": image_bytes()}).read_bytes()
    assert run() == 1


def shapes(seed: int, per_class: int) -> dict[str, bytes]:
    return {
        source.name: source.read() for source in sample_shapes(np.random.default_rng(seed), per_class).sources
    }


def test_one_seed_gives_the_same_shapes_in_any_order() -> None:
    whole = shapes(7, 3)
    assert whole == shapes(7, 3)
    assert not set(whole.values()) & set(shapes(8, 3).values())
    *_, last = sample_shapes(np.random.default_rng(7), 3).sources
    assert last.read() == whole[last.name]


def test_every_shape_is_a_different_image_of_its_class() -> None:
    content = shapes(1, 10)
    assert len(set(content.values())) == len(content) == 40
    assert {name.split("/")[0] for name in content} == {"circles", "squares", "triangles", "stars"}
    for name, data in content.items():
        found = decode_with_format(data, name)
        assert (found.format, found.width_px, found.height_px) == ("PNG", 320, 320)
        assert np.asarray(found.image).std() > 3


def test_they_go_into_a_project_once(bench: Bench) -> None:
    for expected in ((20, 0), (0, 20)):
        report = ingest_sample_shapes(bench.context(), 3, 5)
        assert (report.added, report.duplicates, report.skipped) == (*expected, ())
    assert sorted(set(map(str, bench.labels().values()))) == ["circles", "squares", "stars", "triangles"]


def test_parsing_credits_needs_no_database() -> None:
    code = "import sys, studio.collect.flower_credits; sys.exit('sqlalchemy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
