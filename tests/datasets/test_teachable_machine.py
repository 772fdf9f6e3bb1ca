"""Teachable Machine's projects, as its own page and other programs write them."""

import json
import random
import shutil
from pathlib import Path

import pytest

from studio.collect.archives import is_archive, sources_in_archive
from studio.collect.importers import ingest_path, ingest_uploads, sources_at_path
from studio.datasets.sources import ImportSources
from studio.errors import ArchiveRefused, StudioError
from studio.progress import Silent
from tests.collect.material import Bench, files, image_bytes, write_files
from tests.collect.test_archives import tarred, zipped

MANIFEST = {
    "type": "image",
    "version": "2.4.7",
    "appdata": {"publishResults": {}, "trainEpochs": 50, "trainBatchSize": 16, "trainLearningRate": 0.001},
}
SAMPLES = files("Class 1-!-0.jpg", "Class 1-!-1.jpg", "해바라기 꽃-!-0.jpg", "a-!-b-!-12.jpg")
CLASSES = {"Class 1-!-0.jpg": "Class 1", "Class 1-!-1.jpg": "Class 1"} | {
    "해바라기 꽃-!-0.jpg": "해바라기 꽃",
    "a-!-b-!-12.jpg": "a-!-b",
}


def manifest(**changes: object) -> dict[str, bytes]:
    return {"manifest.json": json.dumps({**MANIFEST, **changes}).encode()}


def classes(sources: ImportSources) -> dict[str, str | None]:
    found = {source.name: source.class_name for source in sources.sources}
    assert sources.total == len(found)
    return found


@pytest.mark.parametrize("name", ["내 프로젝트.tm", "project.zip", "renamed", "tm.tar"])
def test_a_project_is_known_by_its_content(home: Path, name: str) -> None:
    path = (tarred if name.endswith("tar") else zipped)(home / name, {**SAMPLES, **manifest()})
    assert is_archive(path)
    assert classes(sources_in_archive(path)) == CLASSES


def test_a_project_unpacked_or_packed_anew_with_its_folder(home: Path) -> None:
    content = {f"내 프로젝트/{name}": data for name, data in {**SAMPLES, **manifest()}.items()}
    expected = {f"내 프로젝트/{name}": class_name for name, class_name in CLASSES.items()}
    write_files(home / "in", content)
    assert classes(sources_at_path(home / "in", None, progress=Silent())) == expected
    assert classes(sources_at_path(home / "in" / "내 프로젝트", None, progress=Silent())) == CLASSES
    assert classes(sources_in_archive(zipped(home / "in.zip", content))) == expected


def test_it_comes_into_a_project(bench: Bench, home: Path) -> None:
    path = zipped(home / "꽃.tm", {**SAMPLES, **manifest(), "notes.txt": b"mine"})
    report = ingest_path(bench.context(), path, "rest")
    assert (report.added, report.duplicates) == (4, 0)
    assert [skipped.name for skipped in report.skipped] == ["notes.txt"]
    assert sorted(map(str, bench.labels().values())) == sorted(CLASSES.values())
    shutil.move(path, write_files(home / "uploads", {"x.jpg": image_bytes(99)}) / "꽃.tm")
    again = ingest_uploads(bench.context(), home / "uploads", None)
    assert (again.added, again.duplicates) == (1, 4)


@pytest.mark.parametrize(
    ("kind", "sample"), [("audio", "_background_noise_-!-0.zip"), ("pose", "Up-!-0.jpg")]
)
def test_other_kinds_of_projects_are_refused_in_a_sentence(home: Path, kind: str, sample: str) -> None:
    path = zipped(home / "project.tm", {sample: b"x", **manifest(type=kind)})
    with pytest.raises(ArchiveRefused, match=rf"of another kind \({kind}\): expected an image project"):
        sources_in_archive(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (["daisy-!-0.jpg"], ["daisy"]),
        (["daisy-0.jpg", "rose-bush-12.png"], ["daisy", "rose-bush"]),
        (["daisy/0.jpg", "tulips/1.jpg"], ["daisy", "tulips"]),
        (["photo.jpg"], [None]),
    ],
)
@pytest.mark.parametrize("read", [None, b"", b"not json", b"[1]", b'"x"', b'{"type": 3}', b"[" * 99_999])
def test_a_project_whose_manifest_says_nothing(
    home: Path, content: list[str], expected: list[str | None], read: bytes | None
) -> None:
    held = files(*content) | ({} if read is None else {"manifest.json": read})
    found = classes(sources_in_archive(zipped(home / "old.tm", held)))
    assert found == dict(zip(content, expected, strict=True))


@pytest.mark.parametrize(
    "other",
    [
        {"name": "An extension", "manifest_version": 3, "version": "1.0"},
        {"type": "image"},
        {"short_name": "An app", "icons": []},
        [],
    ],
)
def test_another_programs_manifest_makes_no_project(home: Path, other: object) -> None:
    content = {**files("roses/a-1.jpg", "tulips/b-2.jpg"), "manifest.json": json.dumps(other).encode()}
    assert classes(sources_in_archive(zipped(home / "in.zip", content))) == {
        "roses/a-1.jpg": "roses",
        "tulips/b-2.jpg": "tulips",
        "manifest.json": None,
    }


def test_names_that_lead_out_are_refused_as_ever(home: Path) -> None:
    path = zipped(home / "project.tm", {"../out-!-0.jpg": b"x", **SAMPLES, **manifest()})
    report = {source.name: source.class_name for source in sources_in_archive(path).sources}
    assert report == {"../out-!-0.jpg": None, **CLASSES}


def test_any_bytes_for_a_manifest_raise_nothing_but_what_people_can_read(home: Path) -> None:
    rng = random.Random(7)
    text = json.dumps(MANIFEST).encode()
    for turn in range(150):
        data = bytearray(text if turn % 2 else rng.randbytes(rng.randrange(200)))
        for _ in range(rng.randrange(4)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        path = zipped(home / "in.tm", {**SAMPLES, "manifest.json": bytes(data)})
        try:
            assert set(classes(sources_in_archive(path))) >= set(CLASSES)
        except StudioError as error:
            assert str(error)
