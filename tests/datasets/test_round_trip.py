"""Export and import: everything in a project comes back, in every format."""

from pathlib import Path

import pytest

from db.engine import Database
from studio.datasets.formats import EXPORT_FORMATS
from studio.images.store import ImageStore
from tests.datasets.material import everything, exported, fill, imported, imported_into


@pytest.mark.parametrize("output", ["내 꽃.zip", "내 꽃.tar", "내 꽃 v1.0"])
@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_everything_comes_back(database: Database, home: Path, kind: str, output: str) -> None:
    store = ImageStore(home / "pictures")
    project = fill(database, store)
    before = everything(database, project.name)
    done = exported(database, store, project, kind, home / "out" / output)
    assert (done.images, done.labelled, done.unlabelled, done.rejected) == (20, 14, 4, 2)
    assert done.lost == ()
    other, report = imported(home / "다른 스튜디오", home / "out" / output)
    assert report.skipped == ()
    assert (report.added, report.duplicates) == (20, 0)
    assert everything(other, "back") == before
    other.close()
    assert everything(database, project.name) == before


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_it_comes_back_beside_itself(database: Database, home: Path, kind: str) -> None:
    store = ImageStore(home / "pictures")
    project = fill(database, store)
    exported(database, store, project, kind, home / "out.zip")
    report = imported_into(database, store, home / "out.zip")
    assert (report.added, report.duplicates, report.skipped) == (20, 0, ())
    assert everything(database, "back") == everything(database, project.name)


def test_the_table_alone_brings_back_what_the_studio_has(database: Database, home: Path) -> None:
    store = ImageStore(home / "pictures")
    project = fill(database, store)
    exported(database, store, project, "csv", home / "labels.csv")
    report = imported_into(database, store, home / "labels.csv")
    assert (report.added, report.duplicates, report.skipped) == (20, 0, ())
    before, after = everything(database, project.name), everything(database, "back")
    assert {key: after[key] for key in ("labels", "places", "groups")} == {
        key: before[key] for key in ("labels", "places", "groups")
    }
