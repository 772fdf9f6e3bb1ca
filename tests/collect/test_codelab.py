"""The codelab's photographs: downloaded, taken in with their provenance, and fetched anew where broken."""

from pathlib import Path

import pytest
from sqlalchemy import select

from db import models
from studio.collect.importers import ingest_codelab
from studio.collect.sample_data import Credit, parse_credits, provenance_of
from studio.errors import ArchiveRefused
from tests.collect.material import Bench, image_bytes
from tests.collect.one_file_site import OneFileSite
from tests.collect.test_archives import tarred
from tests.images.test_download import site  # noqa: F401 - a fixture

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
    provenance = provenance_of("flower_photos/tulips/99_x.jpg", {})
    assert (provenance.page_address, provenance.creator) == ("https://www.flickr.com/photo.gne?id=99", "")
    assert provenance.licence == "CC BY 2.0"
    assert provenance_of("flower_photos/tulips/x.jpg", {}).page_address == ""


def test_they_are_fetched_and_taken_in_with_their_provenance(
    bench: Bench, home: Path, site: OneFileSite
) -> None:  # noqa: F811
    content = {
        "flower_photos/daisy/1001_a.jpg": image_bytes(1),
        "flower_photos/roses/1002_b.jpg": image_bytes(2),
    }
    archive = tarred(home / "in.tgz", {"flower_photos/LICENSE.txt": LICENCE.encode(), **content})
    site.content, site.breaks_after = archive.read_bytes(), [500]
    report = ingest_codelab(
        bench.database, bench.store, bench.project_id, home / "downloads", site.address, **bench.ingesting()
    )
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


def test_a_broken_download_is_fetched_anew(bench: Bench, home: Path, site: OneFileSite) -> None:  # noqa: F811
    site.content = b"not an archive at all"

    def run() -> int:
        return ingest_codelab(
            bench.database,
            bench.store,
            bench.project_id,
            home / "downloads",
            site.address,
            **bench.ingesting(),
        ).added

    with pytest.raises(ArchiveRefused):
        run()
    site.content = tarred(home / "in.tgz", {"flower_photos/daisy/1_a.jpg": image_bytes()}).read_bytes()
    assert run() == 1
