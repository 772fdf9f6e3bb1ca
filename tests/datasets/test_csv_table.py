"""Plain tables of images and their classes, and COCO's JSON, as other programs and people have them."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.collect.archives import sources_in_archive
from studio.collect.importers import ingest_path, input_kind, sources_at_path
from studio.datasets import coco
from studio.datasets.sources import ImportSources, Source
from studio.errors import ImageRefused
from studio.images.provenance import Provenance
from studio.progress import Silent
from tests.collect.material import Bench, files, write_files
from tests.collect.test_archives import zipped

Packed = Callable[[Path, dict[str, bytes]], ImportSources]


def as_folder(home: Path, content: dict[str, bytes]) -> ImportSources:
    return sources_at_path(write_files(home / "받은 폴더", content), None, progress=Silent())


def as_zip(home: Path, content: dict[str, bytes]) -> ImportSources:
    return sources_in_archive(zipped(home / "받은 것.zip", content))


folders_and_archives = pytest.mark.parametrize("packed", [as_folder, as_zip])


def read_all(sources: ImportSources) -> tuple[dict[str, Source], dict[str, str]]:
    """Return the images by name, and the skipped files with their reasons."""
    images: dict[str, Source] = {}
    refused: dict[str, str] = {}
    for source in sources.sources:
        try:
            source.read()
        except ImageRefused as refusal:
            refused[source.name] = str(refusal)
        else:
            images[source.name] = source
    assert sources.total == len(images) + len(refused)
    return images, refused


@folders_and_archives
@pytest.mark.parametrize(
    ("header", "file"),
    [
        ("file_name,label", "꽃 1.jpg"),
        ("Filename;Class", "꽃 1.jpg"),
        ("image\tcategory", "images/꽃 1.jpg"),
        ("id,image_path,class_name", "images\\꽃 1.jpg"),
        ("file,label", "./images/꽃 1.jpg"),
    ],
)
def test_a_table_names_classes_wherever_the_images_lie(
    home: Path, packed: Packed, header: str, file: str
) -> None:
    delimiter = next(each for each in ",;\t" if each in header)
    cells = [*(["7"] if header.startswith("id") else []), file, "해바라기, 큰"]
    line = delimiter.join(f'"{cell}"' for cell in cells)
    content = {
        **files("images/꽃 1.jpg", "images/other.jpg"),
        "annotations.csv": f"{header}\n{line}\n".encode(),
    }
    found, refused = read_all(packed(home, content))
    assert refused == {}
    assert {name: source.class_name for name, source in found.items()} == {
        "images/꽃 1.jpg": "해바라기, 큰",
        "images/other.jpg": None,
    }


@folders_and_archives
def test_other_columns_give_states_splits_and_provenance(home: Path, packed: Packed) -> None:
    table = (
        "file_name,label,state,split,license,author,url\n"
        "a.jpg,roses,,train,CC0,Kim,https://a.example/1\n"
        "b.jpg,roses,rejected,val,,,\n"
        "c.jpg,,unlabelled,dev,,,\n"
        "d.jpg,tulips,unlabelled,nonsense,,,\n"
        "e.jpg,'=1+1,loved,TEST,,,\n"
    )
    content = {**files(*(f"roses/{name}.jpg" for name in "abcde")), "labels.csv": table.encode()}
    found, refused = read_all(packed(home, content))
    assert refused == {}
    assert [(s.class_name, s.state, s.split) for _name, s in sorted(found.items())] == [
        ("roses", "", "training"),
        ("roses", "rejected", "validation"),
        (None, "unlabelled", "validation"),
        ("tulips", "labelled", ""),
        ("'=1+1", "", "testing"),
    ]
    assert found["roses/a.jpg"].provenance == Provenance("https://a.example/1", "", "Kim", "CC0")


@folders_and_archives
def test_rows_that_cannot_be_followed_have_their_lines(home: Path, packed: Packed) -> None:
    rows = (
        "../a.jpg,x",
        "/a.jpg,x",
        "C:\\a.jpg,x",
        "none.jpg,x",
        "twice.jpg,x",
        ",x",
        "a.jpg,roses",
        "a.jpg,y",
    )
    table = "\n".join(("file_name,label", *rows))
    content = {**files("a.jpg", "one/twice.jpg", "two/twice.jpg"), "labels.csv": table.encode()}
    found, refused = read_all(packed(home, content))
    assert {name: source.class_name for name, source in found.items()} == {
        "a.jpg": "roses",
        "one/twice.jpg": "one",
        "two/twice.jpg": "two",
    }
    assert [name.split(", ")[1].split(":")[0] for name in refused] == [
        f"line {n}" for n in (2, 3, 4, 5, 6, 7, 9)
    ]
    assert sum("leads out of the folder" in reason for reason in refused.values()) == 3
    assert sum("is not there" in reason for reason in refused.values()) == 2


@folders_and_archives
def test_tables_of_something_else_stay_what_they_were(home: Path, packed: Packed) -> None:
    content = {
        **files("roses/a.jpg"),
        "results.csv": b"step,accuracy\n1,0.5\n",
        "other.csv": b"file_name,label\nnowhere.jpg,x\n",
        "list.csv": b"file_name\na.jpg\n",
        "settings.json": b'{"images": [], "annotations": []}',
    }
    found = {source.name: source.class_name for source in packed(home, content).sources}
    assert found["roses/a.jpg"] == "roses"
    assert set(found) == set(content)  # each refused as what is no image, once it is decoded


def test_a_table_alone_on_this_machine(bench: Bench, home: Path) -> None:
    content = {
        **files("set/images/a.jpg", "set/b.jpg", "set/other.jpg"),
        "set/labels.tsv": b"filename\tlabel\nimages/a.jpg\troses\nb.jpg\ttulips\n../c.jpg\tx\nnone.jpg\tx\n",
    }
    path = write_files(home, content) / "set" / "labels.tsv"
    assert input_kind(path) == "table"
    report = ingest_path(bench.context(), path)
    assert report.added == 2
    assert sorted(map(str, bench.labels().values())) == ["roses", "tulips"]
    assert [skipped.name for skipped in report.skipped] == [
        "labels.tsv, line 4: ../c.jpg",
        "labels.tsv, line 5: none.jpg",
    ]


def coco_json(**more: Any) -> dict[str, Any]:
    return {
        "info": {},
        "licenses": [{"id": 1, "name": "CC BY 2.0", "url": "https://creativecommons.org/licenses/by/2.0/"}],
        "images": [
            {"id": 10, "file_name": "a.jpg", "license": 1, "coco_url": "https://a.example/a.jpg"},
            {"id": 11, "file_name": "deep/b.jpg", "license": 9, "flickr_url": "javascript:alert(1)"},
            {"id": "12", "file_name": "c.jpg"},
            {"id": 13, "file_name": "d.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 2},
            {"id": 2, "image_id": 10, "category_id": 2, "bbox": [1, 2, 3, 4]},
            {"id": 3, "image_id": 11, "category_id": 5},
            {"id": 4, "image_id": 12, "category_id": "5"},
            {"id": 5, "image_id": 12, "category_id": 2},
            {"id": 6, "image_id": 99, "category_id": 2},
            {"id": 7, "image_id": 13, "category_id": 77},
        ],
        "categories": [{"id": 5, "name": "튤립"}, {"id": 2, "name": "장미"}, {"id": 3, "name": "아직 없음"}],
        **more,
    }


@folders_and_archives
@pytest.mark.parametrize("place", ["annotations/instances_train.json", "coco.json"])
def test_coco(home: Path, packed: Packed, place: str) -> None:
    names = ("images/a.jpg", "images/deep/b.jpg", "images/c.jpg", "images/d.jpg", "images/none.jpg")
    sources = packed(home, {**files(*names), place: json.dumps(coco_json(), ensure_ascii=False).encode()})
    found, refused = read_all(sources)
    assert {name: source.class_name for name, source in found.items()} == {
        "images/a.jpg": "장미",
        "images/deep/b.jpg": "튤립",
        "images/c.jpg": None,
        "images/d.jpg": None,
        "images/none.jpg": None,
    }
    assert [style.name for style in sources.classes] == ["튤립", "장미", "아직 없음"]
    assert found["images/a.jpg"].provenance == Provenance(
        "https://a.example/a.jpg",
        licence="CC BY 2.0",
        licence_address="https://creativecommons.org/licenses/by/2.0/",
    )
    assert found["images/deep/b.jpg"].provenance == Provenance()
    assert list(refused.values()) == [
        f"{place}, image 3: c.jpg has annotations of 2 categories: expected one. It comes without a class."
    ]


@folders_and_archives
def test_coco_that_leads_out_or_to_nothing(home: Path, packed: Packed) -> None:
    images = [
        {"id": 1, "file_name": "../a.jpg"},
        {"id": 2, "file_name": "/a.jpg"},
        {"id": 3, "file_name": "gone.jpg"},
        {"id": 4, "file_name": ["a.jpg"]},
        {"id": 5},
        "a.jpg",
        {"id": [10], "file_name": "a.jpg"},
        {"id": 10, "file_name": "a.jpg"},
    ]
    content = coco_json(images=images, categories=[{"id": 2, "name": {"x": 1}}, {"id": 2}, 7], licenses={})
    found, refused = read_all(packed(home, {**files("a.jpg"), "x.json": json.dumps(content).encode()}))
    assert {name: source.class_name for name, source in found.items()} == {"a.jpg": None}
    reasons = list(refused.values())
    assert ["leads out" in reason for reason in reasons] == [True, True, False, False, False, False]
    assert "is not there" in reasons[2]
    assert all("names no file" in reason for reason in reasons[3:5])
    assert "was described before" in reasons[5]


def test_json_that_would_fill_the_memory_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = b'{"images": [], "annotations": [], "categories": [], "x": '
    assert coco.may_be_coco("a.json", keys + b"1}")
    assert not coco.may_be_coco("a.json", keys + b"[" + b"[]," * 3_000_000 + b"1]}")
    assert not coco.may_be_coco("a.json", keys + b'"' + b" " * coco.MAX_FILE_BYTES + b'"}')
    assert not coco.may_be_coco("a.json", b'{"images": [], "annotations": []}')
    assert not coco.may_be_coco("a.txt", keys + b"1}")


def test_any_json_raises_nothing(home: Path) -> None:
    rng = random.Random(9)
    begun = json.dumps(coco_json()).encode()
    deep = begun.replace(b'"info": {}', b'"info": ' + b"[" * 100_000)
    names = tuple(f"images/{name}" for name in ("a.jpg", "c.jpg"))
    folder = write_files(home / "in", files(*names))
    for turn in range(200):
        data = bytearray(deep if turn == 0 else begun)
        for _each in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(4)] = rng.choice(
                [b"[", b"]", b"{", b"}", b'"', b"null", b"-1e999", b",", b"\xff", b"true", rng.randbytes(2)]
            )
        (folder / "x.json").write_bytes(data)
        assert set(names) <= {
            source.name for source in sources_at_path(folder, None, progress=Silent()).sources
        }
