"""Hugging Face imagefolders: what their metadata give to images, and what hostile ones do not."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.collect.archives import sources_in_archive
from studio.collect.importers import ingest_path, ingest_uploads, sources_at_path
from studio.datasets.sources import ImportSources, Source
from studio.errors import ImageRefused, StudioError
from studio.images.provenance import Provenance
from studio.progress import Silent
from tests.collect.material import Bench, files, image_bytes, write_files
from tests.collect.test_archives import tarred, zipped

Packed = Callable[[Path, dict[str, bytes]], ImportSources]


def as_folder(home: Path, content: dict[str, bytes]) -> ImportSources:
    return sources_at_path(write_files(home / "받은 폴더", content), None, progress=Silent())


def as_zip(home: Path, content: dict[str, bytes]) -> ImportSources:
    return sources_in_archive(zipped(home / "받은 것.zip", content))


def as_tgz(home: Path, content: dict[str, bytes]) -> ImportSources:
    return sources_in_archive(tarred(home / "받은 것.tgz", content))


folders_and_archives = pytest.mark.parametrize("packed", [as_folder, as_zip, as_tgz])


def reason(source: Source) -> str:
    try:
        source.read()
    except ImageRefused as refusal:
        return str(refusal)
    return ""


def read_all(sources: ImportSources) -> tuple[dict[str, Source], dict[str, str]]:
    """Return the images by name, and the skipped files with their reasons."""
    images, refused = {}, {}
    count = 0
    for source in sources.sources:
        count += 1
        if text := reason(source):
            refused[source.name] = text
        else:
            images[source.name] = source
    assert count == sources.total == len(images) + len(refused)
    return images, refused


def classes(sources: ImportSources) -> dict[str, str | None]:
    return {name: source.class_name for name, source in read_all(sources)[0].items()}


def jsonl(*rows: object) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


@folders_and_archives
def test_a_csv_gives_classes_and_provenance(home: Path, packed: Packed) -> None:
    table = (
        "file_name,label,title,author,license,license_url,source\n"
        "사진 1.jpg,해바라기 꽃,여름,김 Jane,CC BY 2.0,https://creativecommons.org/licenses/by/2.0/,https://a.example/1\n"
        'deep/b.jpg,roses,"Red, ""wild""",,,no address,flickr\n'
    )
    sources = packed(
        home, {**files("사진 1.jpg", "deep/b.jpg", "deep/none.jpg"), "metadata.csv": table.encode()}
    )
    found, refused = read_all(sources)
    assert refused == {}
    assert {name: source.class_name for name, source in found.items()} == {
        "사진 1.jpg": "해바라기 꽃",
        "deep/b.jpg": "roses",
        "deep/none.jpg": "deep",
    }
    assert found["사진 1.jpg"].provenance == Provenance(
        "https://a.example/1",
        "여름",
        "김 Jane",
        "CC BY 2.0",
        "https://creativecommons.org/licenses/by/2.0/",
    )
    assert found["deep/b.jpg"].provenance == Provenance(title='Red, "wild"')
    assert found["deep/none.jpg"].provenance == Provenance()


@folders_and_archives
def test_json_lines_in_split_folders(home: Path, packed: Packed) -> None:
    sources = packed(
        home,
        {
            **files("꽃/train/a.jpg", "꽃/train/b.jpg", "꽃/test/a.jpg", "꽃/validation/images/c.jpg"),
            "꽃/train/metadata.jsonl": jsonl(
                {"file_name": "a.jpg", "label": 3, "text": "a caption", "creator": "Kim"},
                {"file_name": "./b.jpg", "label": 4.0, "box": [1, 2], "title": None},
            ),
            "꽃/test/metadata.jsonl": jsonl({"file_name": "a.jpg", "label": True}),
            "꽃/validation/metadata.csv": b"file_name,label\nimages\\c.jpg,0\n",
        },
    )
    found, refused = read_all(sources)
    assert refused == {}
    assert {name: source.class_name for name, source in found.items()} == {
        "꽃/train/a.jpg": "3",
        "꽃/train/b.jpg": "4",
        "꽃/test/a.jpg": None,
        "꽃/validation/images/c.jpg": "0",
    }
    assert found["꽃/train/a.jpg"].provenance == Provenance(title="a caption", creator="Kim")


@folders_and_archives
def test_several_file_columns_share_a_row(home: Path, packed: Packed) -> None:
    content = {
        **files("a.jpg", "b.jpg"),
        "metadata.csv": b"left_file_name,right_file_name,label\na.jpg,b.jpg,x\n",
    }
    assert classes(packed(home, content)) == {"a.jpg": "x", "b.jpg": "x"}


@pytest.mark.parametrize(
    ("names", "metadata", "expected"),
    [
        (["train/roses/a.jpg", "test/roses/b.jpg"], "metadata.csv", ["roses", "roses"]),
        (["x/train/roses/a.jpg", "x/train/b.jpg"], "x/metadata.csv", ["roses", None]),
        (["x/train/roses/a.jpg", "x/train/b.jpg"], "x/train/metadata.csv", ["roses", None]),
        (["x/images/a.jpg", "README.md"], "x/metadata.csv", [None, None]),
        (["images/roses/a.jpg", "images/b.jpg"], "metadata.csv", ["roses", None]),
        (["roses/a.jpg", "tulips/b.jpg"], "roses/metadata.csv", ["roses", "tulips"]),
        (["roses/a.jpg", "roses/b.jpg"], "roses/metadata.csv", [None, None]),
    ],
)
def test_folders_name_classes_where_rows_do_not(
    home: Path, names: list[str], metadata: str, expected: list[str | None]
) -> None:
    sources = as_folder(home, {**files(*names), metadata: b"file_name,title\nnone.jpg,t\n"})
    found = {source.name: source.class_name for source in sources.sources}
    assert [found[name] for name in names] == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train/roses/a.jpg", "train/tulips/b.jpg", "test/roses/c.jpg"], ["roses", "tulips", "roses"]),
        (["x/train/roses/a.jpg", "x/val/roses/c.jpg", "x/README.md"], ["roses", "roses", None]),
        (["train/roses/2020/a.jpg", "Test/roses/c.jpg"], ["roses", "roses"]),
        (["train/roses/a.jpg", "train/tulips/b.jpg"], ["roses", "tulips"]),
        (["train/a.jpg", "test/b.jpg"], ["train", "test"]),
        (["train/steam/a.jpg", "test/paper/b.jpg"], ["train", "test"]),
        (["test/deep/a.jpg", "train/deep/b.jpg", "roses/c.jpg"], ["test", "train", "roses"]),
    ],
)
def test_splits_without_metadata(home: Path, names: list[str], expected: list[str | None]) -> None:
    for packed in (as_folder, as_zip):
        found = {source.name: source.class_name for source in packed(home, files(*names)).sources}
        assert [found[name] for name in names] == expected


@folders_and_archives
def test_rows_that_cannot_be_followed_have_their_line_and_the_rest_is_read(
    home: Path, packed: Packed
) -> None:
    metadata = b"\n".join(
        [
            jsonl({"file_name": "../secret.jpg", "label": "x"}),
            jsonl({"file_name": "/etc/passwd", "label": "x"}),
            jsonl({"file_name": "C:\\a.jpg", "label": "x"}),
            jsonl({"file_name": "없는 것.jpg", "label": "x"}),
            b"{broken",
            b"[1, 2]",
            b"\xff\xfe\x00",
            b"[" * 100_000,
            b'{"file_name": "a.jpg", "pad": "' + b"x" * 1_100_000 + b'"}',
            b"",
            jsonl({"label": "no file"}),
            jsonl({"file_name": 7}),
            b'{"file_name": "\\ud800\\u0000.jpg"}',
            jsonl({"file_name": "a.jpg", "label": "roses"}),
            jsonl({"file_name": "./a.jpg", "label": "tulips"}),
        ]
    )
    found, refused = read_all(packed(home, {**files("a.jpg", "b.jpg"), "metadata.jsonl": metadata}))
    assert {name: source.class_name for name, source in found.items()} == {"a.jpg": "roses", "b.jpg": None}
    lines = [int(name.split("line ")[1].split(":")[0]) for name in refused]
    assert lines == [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15]
    reasons = list(refused.values())
    assert all("leads out of the folder" in text for text in reasons[:3])
    assert reasons[3] == "metadata.jsonl, line 4: 없는 것.jpg is not there."
    assert "it is no JSON object" in reasons[4]
    assert "longer than 1,000,000 characters" in reasons[8]
    assert "names no file" in reasons[9]
    assert "was described before" in reasons[-1]
    assert all(name.isprintable() for name in refused)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_of_any_delimiter_encoding_and_line_end(
    home: Path, delimiter: str, encoding: str, end: str
) -> None:
    rows = [["File_Name", "Label"], ["꽃.jpg", "장미, 빨간"], ["b.jpg", ""]]
    text = end.join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    sources = as_folder(home, {**files("꽃.jpg", "b.jpg"), "metadata.csv": text.encode(encoding)})
    assert classes(sources) == {"꽃.jpg": "장미, 빨간", "b.jpg": None}


def test_a_table_of_one_column_and_commas_in_names(home: Path) -> None:
    sources = as_folder(home, {**files("roses/a,b.jpg"), "metadata.csv": b"file_name\nroses/a,b.jpg\n"})
    assert read_all(sources)[1] == {}


def test_fields_too_large_for_the_reader_cost_one_row(home: Path) -> None:
    table = (
        b"file_name,label\na.jpg,"
        + b"x" * 200_000
        + b"\nb.jpg,roses\n"
        + b"c" * 1_200_000
        + b"\nc.jpg,tulips\n"
    )
    found, refused = read_all(as_folder(home, {**files("a.jpg", "b.jpg", "c.jpg"), "metadata.csv": table}))
    assert [source.class_name for source in found.values()] == [None, "roses", "tulips"]
    assert list(refused) == ["metadata.csv, line 2", "metadata.csv, line 4"]


@folders_and_archives
def test_metadata_that_names_no_file_and_parquet_are_reported(home: Path, packed: Packed) -> None:
    content = {
        **files("roses/a.jpg", "tulips/b.jpg"),
        "metadata.csv": b"picture,label\na.jpg,x\n",
        "train/metadata.jsonl": b"",
        "metadata.parquet": b"PAR1",
        "LICENSE.txt": b"CC BY",
    }
    found, refused = read_all(packed(home, content))
    assert {name: source.class_name for name, source in found.items()} == {
        "roses/a.jpg": "roses",
        "tulips/b.jpg": "tulips",
        "LICENSE.txt": None,  # refused once it is decoded, as any file that is no image
    }
    assert refused["metadata.parquet"].startswith("metadata.parquet is a Parquet table, which is not read.")
    for name in ("metadata.csv", "train/metadata.jsonl"):
        assert refused[name] == f"{name} is not used: expected a column file_name with the images' paths."
    assert len(refused) == 3


def test_it_comes_into_a_project_from_a_path_and_from_uploads(bench: Bench, home: Path) -> None:
    table = "file_name,label,licence\na.jpg,장미,CC0\nb.jpg,튤립,CC0\nc.jpg,튤립,CC0\n"
    content = {
        **files("꽃 set/train/a.jpg", "꽃 set/train/b.jpg"),
        "꽃 set/train/metadata.csv": table.encode(),
    }
    folder = write_files(home / "in", content)
    write_files(folder, {"꽃 set/loose.jpg": image_bytes(50)})
    report = ingest_path(bench.context(), folder, "rest")
    assert report.added == 3
    assert [skipped.name for skipped in report.skipped] == ["꽃 set/train/metadata.csv, line 4: c.jpg"]
    assert sorted(map(str, bench.labels().values())) == ["rest", "장미", "튤립"]
    again = ingest_uploads(bench.context(), folder, None, "camera")
    assert (again.added, again.duplicates, len(again.skipped)) == (0, 3, 1)


def test_any_bytes_for_metadata_raise_nothing_but_what_people_can_read(home: Path) -> None:
    rng = random.Random(11)
    begun = {
        "metadata.csv": b'file_name,label,title\na.jpg,roses,"x\n"\nb.jpg,tulips,y\n../c.jpg,1,2\n',
        "metadata.jsonl": jsonl({"file_name": "a.jpg", "label": 1}, {"file_name": "b.jpg", "label": "x"}),
    }
    write_files(home / "in", files("a.jpg", "b.jpg"))
    for turn in range(300):
        name = rng.choice(list(begun))
        data = bytearray(rng.randbytes(rng.randrange(400)) if turn % 3 == 0 else begun[name])
        for _ in range(rng.randrange(6)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.choice(
                [b"\0", b'"', b"\xff\xfe", b"\n", b"\r", b"{", rng.randbytes(3)]
            )
        for other in begun:
            (home / "in" / other).unlink(missing_ok=True)
        (home / "in" / name).write_bytes(data)
        try:
            images, _refused = read_all(sources_at_path(home / "in", None, progress=Silent()))
        except StudioError as error:
            pytest.fail(f"{data!r} refused the whole folder: {error}")
        assert set(images) == {"a.jpg", "b.jpg"}
