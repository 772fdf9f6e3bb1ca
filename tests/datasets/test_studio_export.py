"""The studio's own exports as people hand them back: edited, moved about, incomplete, or made to do harm."""

import csv
import io
import json
import random
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db import models
from studio.collect.archives import sources_in_archive
from studio.collect.importers import ingest_path, ingest_uploads, sources_at_path
from studio.collect.ingest import IngestReport
from studio.csv_cells import csv_cell, text_of_csv_cell
from studio.datasets.export_table import COLUMNS, parse_provenance_json, provenance_json
from studio.datasets.sources import ImportSources, Source
from studio.errors import ArchiveRefused, ImageRefused, StudioError
from studio.images.provenance import ProvenanceRecord
from studio.progress import Silent
from tests.collect.material import Bench, files, image_bytes, write_files
from tests.collect.test_archives import zipped

PLACE = '[{"address": "a.jpg", "found_at": "2026-01-02T03:04:05+00:00", "kind": "folder"}]'


def manifest(*classes: object, **more: object) -> bytes:
    content = {"format": "retrain-studio", "version": 1, "kind": "folders", "classes": list(classes), **more}
    return json.dumps(content, ensure_ascii=False).encode()


def table(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def row(file_name: str, data: bytes = b"", **more: str) -> dict[str, str]:
    digest = sha256(data).hexdigest() if data else ""
    return {"file_name": file_name, "sha256": digest, "places": PLACE, **more}


def sources_of(home: Path, content: dict[str, bytes], name: str = "in") -> ImportSources:
    return sources_at_path(write_files(home / name, content), None, progress=Silent())


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
    return images, refused


def labels(bench: Bench) -> dict[str, tuple[str, str | None, str | None]]:
    """The state, the class and the split of each image, by its SHA-256."""
    label, image, kind = models.LabelRow, models.ImageRow, models.ImageClassRow
    with bench.database.read() as session:
        rows = session.execute(
            select(image.sha256, label.state, kind.name, label.split)
            .join(image, image.id == label.image_id)
            .outerjoin(kind, kind.id == label.class_id)
            .where(label.project_id == bench.project_id)
        )
        return {digest: tuple(rest) for digest, *rest in rows}  # type: ignore[misc]


def import_path(bench: Bench, path: Path, class_name: str | None = None) -> IngestReport:
    return ingest_path(bench.context(), path, class_name)


A, B, C = image_bytes(1), image_bytes(2), image_bytes(3)


def test_a_label_that_somebody_changed_in_the_table_counts(home: Path) -> None:
    content = {
        "classes/roses/a.jpg": A,
        "unlabelled/b.jpg": B,
        "classes/roses/c.jpg": C,
        "retrain-studio.json": manifest({"name": "roses"}, {"name": "장미"}),
        "labels.csv": table(
            row("classes/roses/a.jpg", A, label="장미", state="labelled"),
            row("unlabelled/b.jpg", B, label="roses", state="unlabelled"),
            row("classes/roses/c.jpg", C, label="roses", state="rejected", split_given="testing"),
        ),
    }
    found, refused = read_all(sources_of(home, content))
    assert refused == {}
    assert [(s.class_name, s.state, s.split) for _name, s in sorted(found.items())] == [
        ("장미", "labelled", ""),
        ("roses", "rejected", "testing"),
        ("roses", "labelled", ""),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_as_spreadsheets_save_it(home: Path, encoding: str, delimiter: str) -> None:
    data = table(row("classes/_/a.jpg", A, label="'=1+장미", state="labelled", split_given="validation"))
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(csv.reader(io.StringIO(data.decode())))
    content = {
        "classes/_/a.jpg": A,
        "labels.csv": text.getvalue().encode(encoding),
        "retrain-studio.json": manifest({"name": "=1+장미"}),
    }
    found, refused = read_all(sources_of(home, content))
    assert refused == {}
    source = found["classes/_/a.jpg"]
    assert (source.class_name, source.split) == ("=1+장미", "validation")
    assert [place.address for place in source.places] == ["a.jpg"]


def test_columns_may_be_gone(home: Path) -> None:
    columns = ("file_name", "label", "licence", "creator")
    content = {
        "pictures/a.jpg": A,
        "retrain-studio.json": manifest({"name": "장미"}),
        "labels.csv": table(
            {"file_name": "pictures/a.jpg", "label": "장미", "licence": "CC0", "creator": "'-Kim"},
            columns=columns,
        ),
    }
    found, refused = read_all(sources_of(home, content))
    assert refused == {}
    source = found["pictures/a.jpg"]
    assert (source.class_name, source.provenance.licence, source.provenance.creator) == (
        "장미",
        "CC0",
        "-Kim",
    )


def test_images_that_were_moved_keep_their_provenance_and_get_their_new_folders_class(home: Path) -> None:
    content = {
        "classes/CON_/here.jpg": image_bytes(9),
        "classes/CON_/moved.jpg": A,
        "classes/새 반/b.jpg": B,
        "rejected/c.jpg": C,
        "classes/장미/new.jpg": image_bytes(4),
        "retrain-studio.json": manifest({"name": "CON"}, {"name": "장미"}),
        "labels.csv": table(
            row("classes/CON_/here.jpg", image_bytes(9), label="CON", state="labelled"),
            row("classes/장미/a.jpg", A, label="장미", state="labelled", split_given="testing"),
            row("unlabelled/b.jpg", B, state="unlabelled"),
            row("classes/장미/c.jpg", C, label="장미", state="labelled"),
        ),
    }
    found, refused = read_all(sources_of(home, content))
    assert refused == {}
    assert {name: (s.class_name, s.state, s.split, len(s.places)) for name, s in found.items()} == {
        "classes/CON_/here.jpg": ("CON", "labelled", "", 1),
        "classes/CON_/moved.jpg": ("CON", "labelled", "testing", 1),
        "classes/새 반/b.jpg": ("새 반", "labelled", "", 1),
        "rejected/c.jpg": (None, "rejected", "", 1),
        "classes/장미/new.jpg": ("장미", "labelled", "", 0),
    }


def test_another_file_of_that_name_gets_the_label_and_is_reported(bench: Bench, home: Path) -> None:
    content = {
        "pictures/a.jpg": B,
        "retrain-studio.json": manifest(),
        "labels.csv": table(row("pictures/a.jpg", A, label="장미", state="labelled")),
    }
    report = import_path(bench, write_files(home / "in", content))
    assert report.added == 1
    assert [skipped.name for skipped in report.skipped] == ["labels.csv, line 2: SHA-256"]
    assert "is another file than the one described here" in report.skipped[0].message
    assert labels(bench) == {sha256(B).hexdigest(): ("labelled", "장미", None)}


def test_rows_that_lead_out_or_to_nothing_have_their_lines(bench: Bench, home: Path) -> None:
    write_files(home, {"secret.jpg": image_bytes(5)})
    rows = [
        row("../secret.jpg", image_bytes(5), label="x", state="labelled"),
        row("/etc/passwd", b"x", label="x", state="labelled"),
        row("C:\\a.jpg", b"y", label="x", state="labelled"),
        row("없는 것.jpg", b"z", label="x", state="labelled"),
        row("", b"lost", label="x", state="labelled"),
        row("", label="x", state="labelled"),
        row("gone.jpg", label="x", state="labelled"),
        row("a.jpg", A, label="장미", state="loved", places="[{]"),
        row("a.jpg", B, label="튤립", state="labelled"),
    ]
    content = {"a.jpg": A, "retrain-studio.json": manifest(), "labels.csv": table(*rows)}
    report = import_path(bench, write_files(home / "in", content))
    reasons = {skipped.name: skipped.message for skipped in report.skipped}
    assert report.added == 1
    assert labels(bench) == {sha256(A).hexdigest(): ("labelled", "장미", None)}
    assert "leads out of the folder" in reasons["labels.csv, line 2: ../secret.jpg"]
    assert "leads out of the folder" in reasons["labels.csv, line 3: /etc/passwd"]
    assert "leads out of the folder" in reasons["labels.csv, line 4: C:/a.jpg"]
    assert "has no image of its SHA-256" in reasons["labels.csv, line 5: 없는 것.jpg"]
    assert "was lost before it was exported" in reasons["labels.csv, line 6"]
    assert "names no file and has no SHA-256" in reasons["labels.csv, line 7"]
    assert "is not there" in reasons["labels.csv, line 8: gone.jpg"]
    assert "expected a state of unlabelled, labelled or rejected; got loved" in reasons["labels.csv, line 9"]
    assert "not all provenance of a.jpg can be read" in reasons["labels.csv, line 9: places"]
    assert "was described before" in reasons["labels.csv, line 10: a.jpg"]
    assert len(reasons) == 10


def test_an_image_of_the_project_keeps_its_label(bench: Bench, home: Path) -> None:
    write_files(home / "before", {"tulips/a.jpg": A, "b.jpg": B, "c.jpg": C})
    import_path(bench, home / "before")
    content = {
        "pictures/a.jpg": A,
        "pictures/b.jpg": B,
        "pictures/c.jpg": C,
        "retrain-studio.json": manifest(),
        "labels.csv": table(
            row("pictures/a.jpg", A, label="roses", state="labelled", split_given="testing"),
            row("pictures/b.jpg", B, state="rejected"),
            row("pictures/c.jpg", C, label="roses", state="labelled"),
        ),
    }
    write_files(home / "in", content)
    assert import_path(bench, home / "in").duplicates == 3
    wanted = [("labelled", "tulips", "testing"), ("rejected", None, None), ("labelled", "roses", None)]
    assert labels(bench) == {
        sha256(data).hexdigest(): each for data, each in zip((A, B, C), wanted, strict=True)
    }
    assert bench.outcomes()["pictures/b.jpg"][1].endswith("now rejected")
    again = table(row("pictures/a.jpg", A, state="rejected", split_given="training"))
    write_files(home / "in", {"labels.csv": again})
    import_path(bench, home / "in")
    assert labels(bench)[sha256(A).hexdigest()] == ("labelled", "tulips", "testing")


def test_the_class_of_an_import_is_for_the_unlabelled_alone(home: Path) -> None:
    content = {
        "a.jpg": A,
        "b.jpg": B,
        "retrain-studio.json": manifest(),
        "labels.csv": table(row("a.jpg", A, state="unlabelled"), row("b.jpg", B, state="rejected")),
    }
    sources = sources_at_path(write_files(home / "in", content), "장미", progress=Silent())
    assert [(s.class_name, s.state) for s in read_all(sources)[0].values()] == [
        ("장미", ""),
        (None, "rejected"),
    ]


def test_uploads_bring_several_exports_and_other_things_at_once(bench: Bench, home: Path) -> None:
    def export(data: bytes, colour: str) -> dict[str, bytes]:
        return {
            "pictures/a.jpg": data,
            "ATTRIBUTION.csv": b"sha256\n",
            "retrain-studio.json": manifest({"name": "장미", "colour": colour}, {"name": "빈 반"}),
            "labels.csv": table(row("pictures/a.jpg", data, label="장미", state="labelled")),
        }

    folder = home / "uploads"
    write_files(folder / "하나", export(A, "#111111"))
    write_files(folder / "둘", export(B, "#222222"))
    zipped(folder / "셋.zip", {f"셋/{name}": data for name, data in export(C, "#333333").items()})
    write_files(folder, {"tulips/d.jpg": image_bytes(4)})
    report = ingest_uploads(bench.context(), folder, None)
    assert (report.added, report.skipped) == (4, ())
    assert sorted(str(name) for _state, name, _split in labels(bench).values()) == [
        "tulips",
        *["장미"] * 3,
    ]
    with bench.database.read() as session:
        kind = models.ImageClassRow
        rows = session.execute(select(kind.name, kind.colour).order_by(kind.position)).all()
    assert [tuple(each) for each in rows] == [("장미", "#111111"), ("빈 반", ""), ("tulips", "")]


def test_a_table_alone_among_uploads_is_for_what_the_studio_has(bench: Bench, home: Path) -> None:
    import_path(bench, write_files(home / "before", {"a.jpg": A}))
    content = {
        "labels.csv": table(
            row("pictures/a.jpg", A, label="장미", state="labelled"),
            row("pictures/b.jpg", B, label="장미", state="labelled"),
        ),
        "tulips/d.jpg": C,
    }
    folder = write_files(home / "up", content)
    report = ingest_uploads(bench.context(), folder, None)
    assert (report.added, report.duplicates) == (1, 1)
    assert [skipped.name for skipped in report.skipped] == ["labels.csv, line 3: pictures/b.jpg"]
    assert labels(bench) == {
        sha256(A).hexdigest(): ("labelled", "장미", None),
        sha256(C).hexdigest(): ("labelled", "tulips", None),
    }


def test_a_table_on_this_machine_takes_the_files_that_it_names_and_no_others(
    bench: Bench, home: Path
) -> None:
    content = {
        "pictures/a.jpg": A,
        "pictures/other.jpg": B,
        "diary.txt": b"mine",
        "labels.csv": table(row("pictures/a.jpg", A, label="장미", state="labelled")),
    }
    report = import_path(bench, write_files(home / "나의 폴더", content) / "labels.csv")
    assert (report.added, report.skipped) == (1, ())


@pytest.mark.skipif(not hasattr(Path, "symlink_to"), reason="no links here")
def test_a_table_does_not_follow_links_that_lead_out(bench: Bench, home: Path) -> None:
    write_files(home / "elsewhere", {"a.jpg": A})
    folder = write_files(
        home / "in", {"labels.csv": table(row("pictures/a.jpg", A, label="x", state="labelled"))}
    )
    try:
        (folder / "pictures").symlink_to(home / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    report = import_path(bench, folder / "labels.csv")
    assert report.added == 0
    assert "leads out of what was given" in report.skipped[0].message


def test_a_newer_program_is_named(home: Path) -> None:
    for version in (2, "2", None):
        content = {"a.jpg": A, "retrain-studio.json": manifest(version=version)}
        with pytest.raises(ArchiveRefused, match="newer version of Retrain Studio"):
            sources_of(home, content)
        with pytest.raises(ArchiveRefused, match="newer version of Retrain Studio"):
            sources_in_archive(zipped(home / "in.zip", content))
        shutil.rmtree(home / "in")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"format": "another"}',
        b'{"format": ["retrain-studio"]}',
        b'{"format": "retrain-studio", "version": 1, "classes": {"name": 1}}',
        b'{"format": "retrain-studio", "version": 1, "classes": [1, {"name": []}, {"colour": "red"}]}',
    ],
)
def test_a_description_that_is_none_costs_nothing(home: Path, content: bytes) -> None:
    found, _refused = read_all(sources_of(home, {"roses/a.jpg": A, "retrain-studio.json": content}))
    assert "roses/a.jpg" in found


def test_colours_and_hotkeys_of_classes_are_checked(home: Path) -> None:
    classes: list[Any] = [
        {"name": "a", "colour": "#ABCDEF", "hotkey": "Q"},
        {"name": "b", "colour": "red", "hotkey": "qq"},
        {"name": "c", "colour": "url(x)", "hotkey": " "},
        {"name": " ", "colour": "#000000"},
        {"name": "a", "colour": "#000000"},
        {"name": "장미", "colour": 7, "hotkey": "ㅈ"},
    ]
    sources = sources_of(home, {"a.jpg": A, "retrain-studio.json": manifest(*classes)})
    assert [(style.name, style.colour, style.hotkey) for style in sources.classes] == [
        ("a", "#abcdef", "q"),
        ("b", "", ""),
        ("c", "", ""),
        ("장미", "", "ㅈ"),
    ]


def test_classes_that_are_there_keep_their_colours_and_no_key_is_given_twice(
    bench: Bench, home: Path
) -> None:
    for name, colour, hotkey in (("하나", "#111111", "a"), ("둘", "#222222", "b")):
        styles = manifest(
            {"name": "장미", "colour": colour, "hotkey": hotkey},
            {"name": name, "hotkey": "a"},
        )
        import_path(
            bench,
            write_files(
                home / name, {"retrain-studio.json": styles, f"classes/x/{name}.jpg": image_bytes(7)}
            ),
        )
    with bench.database.read() as session:
        kind = models.ImageClassRow
        rows = session.execute(select(kind.name, kind.colour, kind.hotkey).order_by(kind.position)).all()
    assert [tuple(each) for each in rows] == [
        ("장미", "#111111", "a"),
        ("하나", "", ""),
        ("x", "", ""),
        ("둘", "", ""),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=1+1",
        "'=1",
        "''=1",
        "'",
        "''",
        "'tis",
        "-",
        "+82 10",
        "@a",
        "\tx",
        "a=1",
        "'a",
        "'''+",
        "장미",
        "-'",
        "'-'",
    ],
)
def test_a_text_made_safe_for_a_spreadsheet_comes_back(text: str) -> None:
    safe = csv_cell(text)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert text_of_csv_cell(safe) == text


def test_places_that_fill_a_cell_go_on_in_the_next_line() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    places = tuple(
        ProvenanceRecord(
            kind="crawl", address=f"https://정원.example/{number}", found_at=at, title="장" * 300
        )
        for number in range(300)
    )
    pieces = list(provenance_json(places))
    assert len(pieces) > 1
    assert all(len(piece) <= 30_000 for piece in pieces)
    assert tuple(place for piece in pieces for place in parse_provenance_json(piece)) == places
    assert list(provenance_json(())) == ["[]"]


def test_an_image_of_very_many_places_comes_back(bench: Bench, home: Path) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    places = tuple(
        ProvenanceRecord(kind="crawl", address=f"https://x.example/{n}", found_at=at, title="t" * 900)
        for n in range(200)
    )
    rows = [
        row("a.jpg", A, label="장미", state="labelled", places=piece) for piece in provenance_json(places)
    ]
    assert len(rows) > 5
    content = {"a.jpg": A, "retrain-studio.json": manifest(), "labels.csv": table(*rows)}
    report = import_path(bench, write_files(home / "in", content))
    assert (report.added, report.skipped) == (1, ())
    with bench.database.read() as session:
        assert len(session.scalars(select(models.ProvenanceRow.id)).all()) == 200


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "{}",
        "[1]",
        "[" * 100_000,
        "[{}]",
        '[{"kind": "folder", "address": "a"}]',
        '[{"kind": "folder", "address": "a", "found_at": "yesterday"}]',
        '[{"kind": "folder", "address": "a", "found_at": 5}]',
        '[{"kind": "a b<script>", "address": "a", "found_at": "2026-01-02"}]',
        '[{"kind": "folder", "address": ["a"], "found_at": "2026-01-02"}]',
        '[{"kind": "folder", "address": "' + "a" * 3_000 + '", "found_at": "2026-01-02"}]',
        '[{"kind": "folder", "address": "a", "found_at": "0001-01-01T00:00:00+14:00"}]',
    ],
)
def test_invalid_places_give_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_provenance_json(text)


def test_places_hold_nothing_that_a_database_refuses(bench: Bench, home: Path) -> None:
    place = (
        '[{"kind": "folder", "address": "a\\u0000b\\ud800", "title": "\\u0000", "found_at": "2026-01-02"}]'
    )
    content = {
        "a.jpg": A,
        "retrain-studio.json": manifest(),
        "labels.csv": table(row("a.jpg", A, label="x\0y", state="labelled", places=place)),
    }
    report = import_path(bench, write_files(home / "in", content))
    assert (report.added, report.skipped) == (1, ())
    with bench.database.read() as session:
        found = session.scalars(select(models.ProvenanceRow)).one()
    assert (found.address, found.found_at) == ("a�b�", datetime(2026, 1, 2, tzinfo=UTC))


def test_any_bytes_for_a_table_raise_nothing_but_what_people_can_read(home: Path) -> None:
    rng = random.Random(7)
    begun = table(
        row("a.jpg", A, label="장미", state="labelled", split_given="testing", copy_group="0" * 64),
        row("b.jpg", B, label="'=1", state="rejected"),
        row("gone.jpg", C),
    )
    folder = write_files(home / "in", {**files("a.jpg", "b.jpg"), "retrain-studio.json": manifest()})
    for _turn in range(200):
        data = bytearray(begun)
        for _each in range(rng.randrange(8)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.choice(
                [b"\0", b'"', b"\xff\xfe", b"\n", b"\r", b",", b"../", rng.randbytes(3)]
            )
        (folder / "labels.csv").write_bytes(data)
        try:
            images, _refused = read_all(sources_at_path(folder, None, progress=Silent()))
        except StudioError as error:
            pytest.fail(f"{bytes(data)!r} refused the whole folder: {error}")
        assert {"a.jpg", "b.jpg"} <= set(images)
