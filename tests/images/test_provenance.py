"""The provenance of images: every place where each was found, and which images have no licence."""

from hashlib import sha256

import pytest
from sqlalchemy import select

from db import models
from studio.datasets.projects import create_project
from studio.datasets.sources import Source
from studio.images import provenance
from studio.images.provenance import Provenance, file_name
from tests.collect.material import Bench, image_bytes
from tests.conftest import NOW

ROSE = Provenance(
    page_address="https://정원.example/꽃",
    title="<b>Rose</b>",
    creator="Anna & Söhne",
    licence="CC BY 2.0",
    licence_address="https://creativecommons.org/licenses/by/2.0/",
    robots="robots.txt allows",
)


def found_at(
    address: str,
    seed: int = 0,
    kind: str = "crawl",
    known: Provenance | None = None,
    class_name: str | None = None,
) -> Source:
    return Source(address, lambda: image_bytes(seed), class_name, kind, known or Provenance())


def id_of(bench: Bench, seed: int) -> int:
    with bench.database.read() as session:
        return session.scalars(
            select(models.ImageRow.id).filter_by(sha256=sha256(image_bytes(seed)).hexdigest())
        ).one()


def test_all_of_an_images_provenance_is_kept_in_the_order_in_which_it_was_found(bench: Bench) -> None:
    bench.ingest(
        [
            found_at("https://a.example/rose.jpg", known=ROSE),
            found_at("https://b.example/copy%20of%20rose.jpg"),
            found_at("사진/장미.jpg", kind="archive"),
            found_at("https://a.example/other.jpg", seed=1),
        ]
    )
    rose, other = id_of(bench, 0), id_of(bench, 1)
    with bench.database.read() as session:
        found = provenance.provenance_of(session, bench.project_id, [rose, other])
    assert [place.address for place in found[rose]] == [
        "https://a.example/rose.jpg",
        "https://b.example/copy%20of%20rose.jpg",
        "사진/장미.jpg",
    ]
    assert [place.kind for place in found[rose]] == ["crawl", "crawl", "archive"]
    assert [place.name for place in found[rose]] == ["rose.jpg", "copy of rose.jpg", "장미.jpg"]
    first = found[rose][0]
    assert Provenance(**{name: getattr(first, name) for name in vars(ROSE)}) == ROSE
    assert first.found_at == NOW
    assert [place.licence for place in found[other]] == [""]


def test_another_projects_provenance_is_its_own(bench: Bench) -> None:
    bench.ingest([found_at("https://a.example/rose.jpg", known=ROSE)])
    with bench.database.write() as session:
        other = create_project(session, "other", NOW)
    Bench(bench.database, bench.store, other.id).ingest([found_at("x.jpg", kind="folder")])
    rose = id_of(bench, 0)
    with bench.database.read() as session:
        assert [p.address for p in provenance.provenance_of(session, other.id, [rose])[rose]] == ["x.jpg"]
        assert [p.licence for p in provenance.provenance_of(session, bench.project_id, [rose])[rose]] == [
            "CC BY 2.0"
        ]


def test_more_images_than_a_database_takes_in_one_question(bench: Bench) -> None:
    bench.ingest([found_at("https://a.example/rose.jpg", known=ROSE)])
    rose = id_of(bench, 0)
    asked = range(rose, rose + 70_000)
    with bench.database.read() as session:
        found = provenance.provenance_of(session, bench.project_id, asked)
    assert len(found) == 70_000
    assert sum(map(len, found.values())) == 1


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://a.example/사진/%EC%9E%A5%EB%AF%B8.jpg?size=3#x", "장미.jpg"),
        ("https://a.example/", "a.example"),
        ("HTTP://a.example/x.JPG", "x.JPG"),
        ("https://[broken/x.jpg", "https://[broken/x.jpg"),
        ("folder/a b.jpg", "a b.jpg"),
        ("C:\\사진\\a.jpg", "a.jpg"),
        ("a.jpg", "a.jpg"),
    ],
)
def test_a_files_name_is_the_end_of_its_address(address: str, name: str) -> None:
    assert file_name(address) == name
