"""Importers of paths and uploads; on real photographs if they are present."""

import json
import shutil
import unicodedata
from pathlib import Path

import pytest
from sqlalchemy import select

from db import models
from studio.collect.importers import ingest_path, ingest_uploads, input_kind, sources_at_path
from studio.errors import ArchiveRefused, SourceMissing
from studio.progress import Silent
from tests.collect.material import Bench, files, image_bytes, write_files
from tests.collect.test_archives import tarred, zipped
from tests.conftest import FLOWERS


@pytest.mark.skipif(
    not FLOWERS.is_dir(), reason=f"no photographs at {FLOWERS}: see the README of ../shared/data"
)
def test_six_hundred_flowers_from_a_folder_a_zip_and_a_tgz_are_the_same(bench: Bench, home: Path) -> None:
    def run(path: Path) -> tuple[int, int, int]:
        report = ingest_path(bench.context(), path)
        return report.added, report.duplicates, len(report.skipped)

    assert run(FLOWERS) == (600, 0, 0)
    labels = bench.labels()
    names = list(labels.values())
    assert {name: names.count(name) for name in names} == dict.fromkeys(
        ("daisy", "dandelion", "roses", "sunflowers", "tulips"), 120
    )
    for kind in ("zip", "gztar"):
        archive = Path(shutil.make_archive(str(home / "flower_photos"), kind, FLOWERS.parent, FLOWERS.name))
        assert run(archive) == (0, 600, 0)
    assert bench.labels() == labels


def test_one_image_by_its_path(bench: Bench, home: Path) -> None:
    path = write_files(home, files("내 사진.jpg")) / "내 사진.jpg"
    report = ingest_path(bench.context(), path, " red  roses ")
    assert report.added == 1
    assert list(bench.labels().values()) == ["red roses"]


def test_a_mistyped_path_is_an_error(bench: Bench, home: Path) -> None:
    with pytest.raises(SourceMissing, match="there is nothing at"):
        ingest_path(bench.context(), home / "nope")


def test_uploads_of_every_shape(bench: Bench, home: Path) -> None:
    folder = write_files(
        home / "uploads",
        {
            "loose.jpg": image_bytes(1),
            "tulips/a.jpg": image_bytes(2),
            "broken.zip": b"PK\x03\x04 and no more",
            "memo.txt": b"not an image",
        },
    )
    zipped(
        folder / unicodedata.normalize("NFD", "꽃.zip"),
        {"roses/a.jpg": image_bytes(3), "b.jpg": image_bytes(4)},
    )
    tarred(folder / "more.tgz", {"roses/a.jpg": image_bytes(5), "copy.jpg": image_bytes(1)})
    report = ingest_uploads(bench.context(), folder, "daisy")
    assert (report.added, report.duplicates) == (5, 1)
    assert sorted(skipped.name for skipped in report.skipped) == ["broken.zip", "memo.txt"]
    finds = bench.outcomes()
    assert set(finds) >= {
        "loose.jpg",
        "tulips/a.jpg",
        "꽃.zip/roses/a.jpg",
        "꽃.zip/b.jpg",
        "more.tgz/roses/a.jpg",
    }
    assert sorted(map(str, bench.labels().values())) == ["daisy", "daisy", "roses", "roses", "tulips"]
    assert bench.progress.reports[-1][1:] == (8, 8)


def test_uploads_without_a_class_wait_for_a_label(bench: Bench, home: Path) -> None:
    folder = write_files(home / "uploads", files("a.jpg", "b.jpg"))
    ingest_uploads(bench.context(), folder, None)
    assert list(bench.labels().values()) == [None, None]


LIST = "https://a.example/꽃 1.jpg\nhttps://a.example/b.jpg\n"


def test_what_is_at_a_path(home: Path) -> None:
    write_files(
        home / "in",
        {
            "roses/a.jpg": image_bytes(),
            "목록.txt": LIST.encode(),
            "memo.txt": b"buy milk",
            "url.csv": b"url,class\nhttps://a.example/a.jpg,roses\n",
            "metadata.csv": b"file_name,url\na.jpg,https://a.example/a.jpg\n",
        },
    )
    zipped(home / "in" / "project.tm", {"manifest.json": b"{}"})
    found = {path.name: input_kind(path) for path in (home / "in").iterdir()}
    assert found == {
        "roses": "folder",
        "목록.txt": "urls",
        "memo.txt": "image",
        "url.csv": "urls",
        "metadata.csv": "image",
        "project.tm": "archive",
    }
    with pytest.raises(SourceMissing, match="there is nothing at"):
        input_kind(home / "nope")


def test_a_list_of_urls_is_skipped_as_a_file(bench: Bench, home: Path) -> None:
    folder = write_files(home / "uploads", {"목록.txt": LIST.encode(), "a.jpg": image_bytes()})
    message = "목록.txt is a list of URLs, not an image. Add it under URLs."
    offer = sources_at_path(folder / "목록.txt", None, progress=Silent())
    assert offer.total == 1
    report = bench.ingest(offer.sources)
    assert [skipped.message for skipped in report.skipped] == [message]
    report = ingest_uploads(bench.context(), folder, None)
    assert (report.added, [skipped.message for skipped in report.skipped]) == (1, [message])


def test_uploads_say_how_they_came_and_what_is_known_of_them(bench: Bench, home: Path) -> None:
    rows = [{"file_name": "a.jpg", "label": "장미", "creator": "Kim"}]
    metadata = "\n".join(json.dumps(row) for row in rows).encode()
    folder = write_files(home / "uploads", {"a.jpg": image_bytes(1), "metadata.jsonl": metadata})
    zipped(folder / "more.zip", {"a.jpg": image_bytes(2), "metadata.jsonl": metadata})
    audio = {"manifest.json": b'{"type": "audio", "appdata": {}}'}
    zipped(folder / "sounds.tm", audio)
    report = ingest_uploads(bench.context(), folder, "rest", "camera")
    assert report.added == 2
    assert [skipped.name for skipped in report.skipped] == ["sounds.tm"]
    assert "of another kind (audio)" in report.skipped[0].message
    assert set(bench.labels().values()) == {"장미"}
    with bench.database.read() as session:
        found = models.ProvenanceRow
        rows_kept = session.execute(select(found.kind, found.address, found.creator).order_by(found.address))
        assert [tuple(row) for row in rows_kept] == [
            ("camera", "a.jpg", "Kim"),
            ("camera", "more.zip/a.jpg", "Kim"),
        ]


def test_an_audio_project_is_rejected_as_a_whole(home: Path) -> None:
    write_files(
        home / "in", {"manifest.json": b'{"type": "pose", "appdata": {}}', "Up-!-0.jpg": image_bytes()}
    )
    with pytest.raises(ArchiveRefused, match=r"of another kind \(pose\)"):
        sources_at_path(home / "in", None, progress=Silent())
