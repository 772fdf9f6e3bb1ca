"""Exports: the same bytes for the same project, in files that their readers open, complete or not at all."""

import csv
import io
import json
import os
import tarfile
import tracemalloc
import zipfile
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select, update

from db import models
from db.engine import Database
from studio.collect.importers import ingest_path
from studio.collect.ingest import ImportContext
from studio.datasets import tfrecord
from studio.datasets.export import export
from studio.datasets.formats import EXPORT_FORMATS
from studio.datasets.projects import Project, create_project
from studio.errors import OutputRefused, ProjectError, Stopped
from studio.images.store import ImageStore
from studio.progress import Silent
from tests.collect.material import RecordingProgress, image_bytes, write_files
from tests.conftest import NOW
from tests.datasets.material import everything, exported, fill, imported, studio


@pytest.fixture
def filled(home: Path) -> tuple[Database, ImageStore, Project]:
    database, store = studio(home)
    return database, store, fill(database, store)


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("output", ["out.zip", "out.tar"])
@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_the_same_project_gives_the_same_bytes(
    filled: tuple[Database, ImageStore, Project], home: Path, kind: str, output: str
) -> None:
    first, second = home / "one" / output, home / "two" / output
    exported(*filled, kind, first)
    os.utime(filled[1].root, (0, 0))
    exported(*filled, kind, second)
    assert sha256(first.read_bytes()).digest() == sha256(second.read_bytes()).digest()


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_archives_and_folders_hold_the_same_files(
    filled: tuple[Database, ImageStore, Project], home: Path, kind: str
) -> None:
    done = [exported(*filled, kind, home / name) for name in ("out.zip", "out.tar", "a folder")]
    with zipfile.ZipFile(home / "out.zip") as archive:
        assert archive.testzip() is None
        zipped = {info.filename: archive.read(info) for info in archive.infolist()}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        images = [info for info in archive.infolist() if info.filename.endswith((".jpg", ".tfrecord"))]
        assert {info.compress_type for info in images} == {zipfile.ZIP_STORED}
    with tarfile.open(home / "out.tar") as archive:
        tarred = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    root = home / "a folder"
    loose = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert zipped == tarred == loose
    assert [each.images for each in done] == [20] * 3
    assert done[0].size_bytes == (home / "out.zip").stat().st_size
    assert done[2].size_bytes == sum(map(len, loose.values()))


def test_class_folders_hold_labelled_images_and_nothing_else(
    filled: tuple[Database, ImageStore, Project], home: Path
) -> None:
    exported(*filled, "folders", home / "out")
    files = [path.relative_to(home / "out") for path in (home / "out").rglob("*.*") if path.is_file()]
    assert Counter(path.parts[0] for path in files) == {
        "classes": 14,
        "unlabelled": 4,
        "rejected": 2,
        **dict.fromkeys(("labels.csv", "retrain-studio.json", "ATTRIBUTION.csv", "ATTRIBUTION.txt"), 1),
    }
    folders = Counter(path.parts[1] for path in files if path.parts[0] == "classes")
    assert folders["장미 꽃"] == folders["CON_"] == 3
    assert {"a_b", "a_b (2)", "trailing", "_.hidden", "_=1+1", "'tis"} <= set(folders)
    names = {path.name for path in files if path.parts[:2] == ("classes", "장미 꽃")}
    assert names == {"같은 이름.jpg", "같은 이름 (2).jpg", "near.jpg"}


def test_the_table_says_everything_in_cells_that_no_spreadsheet_runs(
    filled: tuple[Database, ImageStore, Project], home: Path
) -> None:
    exported(*filled, "csv", home / "out.zip")
    with zipfile.ZipFile(home / "out.zip") as archive:
        rows = rows_of(archive.read("labels.csv"))
        images = {name: archive.read(name) for name in archive.namelist() if name.startswith("pictures/")}
        credits = rows_of(archive.read("ATTRIBUTION.csv"))
        text = archive.read("ATTRIBUTION.txt").decode()
    assert list(rows[0])[:11] == [
        *("file_name", "sha256", "name", "label", "state", "split", "split_given"),
        *("width", "height", "bytes", "format"),
    ]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert {row["file_name"]: row["sha256"] for row in rows} == {
        name: sha256(data).hexdigest() for name, data in images.items()
    }
    assert all(int(row["bytes"]) == len(images[row["file_name"]]) for row in rows)
    by_label = Counter(row["label"] for row in rows)
    assert (by_label["'=1+1"], by_label["'tis"], by_label["CON"]) == (1, 1, 3)
    assert Counter(row["state"] for row in rows) == {"labelled": 14, "unlabelled": 4, "rejected": 2}
    assert {row["split"] for row in rows} == {"training", "validation", "testing"}
    assert Counter(row["split_given"] for row in rows) == {
        "": 15,
        "testing": 2,
        "validation": 2,
        "training": 1,
    }
    known = next(row for row in rows if row["licence"])
    assert known["creator"].startswith("'-Anna")
    assert [place["kind"] for place in json.loads(known["places"])] == ["crawl", "openverse", "archive"]
    assert len(credits) == 22
    assert "CC BY-SA 4.0: 1 image" in text


def test_near_duplicates_have_the_split_that_came_with_one_of_them(
    filled: tuple[Database, ImageStore, Project], home: Path
) -> None:
    database, _store, project = filled
    exported(*filled, "csv", home / "before")
    rows = rows_of((home / "before" / "labels.csv").read_bytes())
    groups = [row for row in rows if row["copy_group"] and row["state"] == "labelled"]
    assert len(groups) > 2
    assert len({row["split"] for row in groups}) == 1
    other = next(each for each in ("testing", "validation") if each != groups[0]["split"])
    with database.write() as session:
        label, image = models.LabelRow, models.ImageRow
        wanted = select(image.id).where(image.sha256 == groups[1]["sha256"]).scalar_subquery()
        session.execute(
            update(label).where(label.project_id == project.id, label.image_id == wanted).values(split=other)
        )
    exported(*filled, "csv", home / "after")
    after = {row["sha256"]: row for row in rows_of((home / "after" / "labels.csv").read_bytes())}
    assert {after[row["sha256"]]["split"] for row in groups} == {other}
    assert [after[row["sha256"]]["split_given"] for row in groups].count(other) == 1


def test_coco_has_what_its_readers_ask_for(filled: tuple[Database, ImageStore, Project], home: Path) -> None:
    exported(*filled, "coco", home / "out")
    content = json.loads((home / "out" / "coco.json").read_text(encoding="utf-8"))
    assert set(content) == {"info", "licenses", "images", "annotations", "categories"}
    images = {image["id"]: image for image in content["images"]}
    categories = {category["id"]: category["name"] for category in content["categories"]}
    assert len(images) == len(content["annotations"]) == 14
    assert next(iter(categories.values())) == "장미 꽃"
    assert list(categories.values())[-2:] == ["아직 비어 있음", "CON"]
    for image in images.values():
        with Image.open(home / "out" / "images" / image["file_name"]) as opened:
            assert opened.size == (image["width"], image["height"])
    found = Counter(categories[note["category_id"]] for note in content["annotations"])
    assert (found["장미 꽃"], found["CON"]) == (3, 3)
    assert {note["image_id"] for note in content["annotations"]} == set(images)
    licensed = [image for image in images.values() if "license" in image]
    assert [image["coco_url"] for image in licensed] == ["https://정원.example/같은%20이름.jpg?w=640"]
    assert content["licenses"] == [
        {"id": 1, "name": "CC BY-SA 4.0", "url": "https://creativecommons.org/licenses/by-sa/4.0/"}
    ]
    assert len(list((home / "out" / "unlabelled").iterdir())) == 4


def test_hugging_face_gets_splits_with_metadata_of_one_type(home: Path) -> None:
    database, store = studio(home)
    with database.write() as session:
        project = create_project(session, "꽃", NOW)
    content = {
        f"{kind}/{n}.jpg": image_bytes(10 * n + i)
        for n in range(12)
        for i, kind in enumerate(("장미", "7월"))
    }
    ingest_path(
        ImportContext(database=database, store=store, project_id=project.id, clock=lambda: NOW),
        write_files(home / "in", content),
    )
    exported(database, store, project, "hf", home / "out")
    folders = {path.name for path in (home / "out").iterdir() if path.is_dir()}
    assert folders == {"train", "validation", "test"}
    total = 0
    for folder in folders:
        rows = rows_of((home / "out" / folder / "metadata.csv").read_bytes())
        assert list(rows[0]) == ["file_name", "label", "state", "split", "sha256", "width", "height"]
        assert all(cell for row in rows for cell in row.values())
        images = {path.name for path in (home / "out" / folder).iterdir()} - {"metadata.csv"}
        assert {row["file_name"] for row in rows} == images
        total += len(rows)
    assert total == 24


def test_metadata_are_json_where_a_class_would_be_taken_for_something_else(
    filled: tuple[Database, ImageStore, Project], home: Path
) -> None:
    exported(*filled, "hf", home / "out")
    assert not list((home / "out").rglob("metadata.csv"))
    lines = (home / "out" / "train" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    labels = {json.loads(line)["label"] for line in lines}
    assert {"=1+1", "None", "장미 꽃"} <= labels


def test_tensorflow_reads_the_records(filled: tuple[Database, ImageStore, Project], home: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = pytest.importorskip("tensorflow")
    exported(*filled, "tfrecord", home / "out")
    names = (home / "out" / "labels.txt").read_text(encoding="utf-8").splitlines()
    text = tf.io.FixedLenFeature([], tf.string)
    number = tf.io.FixedLenFeature([], tf.int64)
    features = {
        **{f"image/{name}": text for name in ("encoded", "format", "filename", "class/text", "sha256")},
        **{f"image/{name}": number for name in ("class/label", "height", "width")},
        **dict.fromkeys(("split", "split_given", "state"), text),
        "papers": tf.io.VarLenFeature(tf.string),
    }
    found: Counter[str] = Counter()
    for path in sorted((home / "out").glob("*.tfrecord")):
        part = path.name.partition("-")[0]
        for record in tf.data.TFRecordDataset(str(path)):
            example = tf.io.parse_single_example(record, features)
            data = example["image/encoded"].numpy()
            assert sha256(data).hexdigest() == example["image/sha256"].numpy().decode()
            with Image.open(io.BytesIO(data)) as opened:
                assert opened.size == (int(example["image/width"]), int(example["image/height"]))
                assert opened.format == example["image/format"].numpy().decode().upper()
            label, state = int(example["image/class/label"]), example["state"].numpy().decode()
            class_name = example["image/class/text"].numpy().decode()
            assert class_name == (names[label] if label >= 0 else "")
            provenance = tf.sparse.to_dense(example["papers"]).numpy()
            assert all(json.loads(piece)[0]["found_at"] for piece in provenance)
            found[f"{part} {state}"] += 1
    assert found == {
        "train labelled": 13,
        "test labelled": 1,
        "unlabelled unlabelled": 4,
        "rejected rejected": 2,
    }


def test_records_go_into_as_many_files_as_it_takes(
    filled: tuple[Database, ImageStore, Project], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfrecord, "SHARD_BYTES", 30_000)
    before = everything(filled[0], filled[2].name)
    exported(*filled, "tfrecord", home / "out.zip")
    with zipfile.ZipFile(home / "out.zip") as archive:
        train = [name for name in archive.namelist() if name.startswith("train-")]
    assert len(train) > 2
    assert train == [f"train-{n:05}-of-{len(train):05}.tfrecord" for n in range(len(train))]
    database, report = imported(home / "다른", home / "out.zip")
    assert (report.added, report.skipped) == (20, ())
    assert everything(database, "back") == before
    database.close()


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_lost_files_are_named_and_cost_nothing_else(
    filled: tuple[Database, ImageStore, Project], home: Path, kind: str
) -> None:
    database, store, project = filled
    originals = sorted(store.root.glob("originals/*/*"))
    gone, altered = originals[0], originals[1]
    gone.unlink()
    altered.write_bytes(altered.read_bytes()[:-1] + b"x")
    done = exported(database, store, project, kind, home / "out.zip")
    assert {lost.sha256: lost.reason for lost in done.lost} == {
        gone.stem: "its file is not there",
        altered.stem: "its file is not what it was when it came",
    }
    assert all(lost.name for lost in done.lost)
    assert done.images == 20
    other, report = imported(home / "다른", home / "out.zip")
    assert report.added == 18
    assert len(report.skipped) == 2
    assert all("was lost before it was exported" in skipped.message for skipped in report.skipped)
    other.close()
    store.put(image_bytes(1), gone.stem, "JPEG")  # as a copy from elsewhere brings it back


def test_stop_leaves_nothing_behind(filled: tuple[Database, ImageStore, Project], home: Path) -> None:
    for name in ("out.zip", "out.tar", "folder"):
        for after in (0, 5, 15):
            with pytest.raises(Stopped):
                exported(*filled, "folders", home / "out" / name, RecordingProgress(stop_at=after))
            assert not (home / "out").exists() or list((home / "out").iterdir()) == []
    watched = RecordingProgress()
    exported(*filled, "folders", home / "out" / "out.zip", watched)
    assert watched.reports[-1] == ("Writing images", 20, 20)


def test_what_was_begun_before_is_cleared_away(
    filled: tuple[Database, ImageStore, Project], home: Path
) -> None:
    out = home / "out"
    write_files(out / ".export-7.part", {"half.jpg": b"x"})
    database, store, project = filled
    export(database, store, project, "csv", out / "a.zip", progress=Silent(), token="7")
    assert [path.name for path in out.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("folders", "x.tar.gz", "ends in .zip or .tar"),
        ("folders", "x.csv", "ends in .zip or .tar"),
        ("tfrecord", "x.tfrecord", "ends in .zip or .tar"),
        ("csv", "full", "holds something"),
        ("csv", "full.zip", "is a folder"),
        ("csv", "file", "is another file"),
        ("csv", "file/x.zip", "cannot be written"),
        ("csv", "file/x.csv", "cannot be written"),
    ],
)
def test_places_where_nothing_can_be_written(
    filled: tuple[Database, ImageStore, Project], home: Path, kind: str, name: str, message: str
) -> None:
    write_files(home, {"full/mine.txt": b"mine", "full.zip/mine.txt": b"mine", "file": b"mine"})
    with pytest.raises(OutputRefused, match=message):
        exported(*filled, kind, home / name)
    assert (home / "full" / "mine.txt").read_bytes() == (home / "file").read_bytes() == b"mine"


def test_an_archive_is_replaced_and_an_empty_folder_filled(
    filled: tuple[Database, ImageStore, Project], home: Path
) -> None:
    (home / "empty").mkdir()
    (home / "out.zip").write_bytes(b"old")
    exported(*filled, "csv", home / "empty")
    exported(*filled, "csv", home / "out.zip")
    assert zipfile.is_zipfile(home / "out.zip")
    assert (home / "empty" / "labels.csv").is_file()


def test_a_project_without_images_is_refused(home: Path) -> None:
    database, store = studio(home)
    with database.write() as session:
        project = create_project(session, "빈", NOW)
    with pytest.raises(ProjectError, match="빈 has none"):
        exported(database, store, project, "csv", home / "out.zip")


def test_every_format_is_explained_in_a_line() -> None:
    texts = [each.description for each in EXPORT_FORMATS.values()]
    assert all("\n" not in text and len(text) > 20 for text in texts)


@pytest.mark.parametrize("kind", ["folders", "tfrecord"])
def test_two_thousand_images_pass_through_little_memory(home: Path, kind: str) -> None:
    database, store = studio(home)
    noise = np.random.default_rng(0)
    with database.write() as session:
        project = create_project(session, "많이", NOW)
        row = models.ImageClassRow(project_id=project.id, name="장미", position=0)
        session.add(row)
        session.flush()
        for number in range(2_000):
            data = noise.bytes(50_000)
            digest = sha256(data).hexdigest()
            path = store.original(digest, "JPEG")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            values: dict[str, Any] = {
                "format": "JPEG",
                "width_px": 1,
                "height_px": 1,
                "size_bytes": len(data),
            }
            session.add(
                models.ImageRow(
                    id=number + 1, sha256=digest, perceptual_hash="0" * 16, created_at=NOW, **values
                )
            )
            session.add(
                models.LabelRow(
                    project_id=project.id,
                    image_id=number + 1,
                    class_id=row.id,
                    state="labelled",
                    updated_at=NOW,
                )
            )
    tracemalloc.start()
    try:
        done = exported(database, store, project, kind, home / "out.zip")
        _now, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (done.images, done.lost) == (2_000, ())
    assert done.size_bytes > 100_000_000
    assert peak_bytes < 20_000_000
