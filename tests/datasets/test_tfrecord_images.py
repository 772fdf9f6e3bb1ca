"""Images in TFRecord files of others, written by TensorFlow itself: they come, and faults are said."""

import os
import tracemalloc
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from studio.collect.importers import ingest_path, ingest_uploads, input_kind, sources_at_path
from studio.datasets.sources import ImportSources, Source
from studio.datasets.tf_example import Feature, encode_example
from studio.datasets.tfrecord import read_labels, write_record
from studio.errors import ImageRefused
from studio.progress import Silent
from tests.collect.material import Bench, files, image_bytes, write_files
from tests.collect.test_archives import zipped


@pytest.fixture(scope="module")
def tf() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("tensorflow")


def records(*examples: dict[str, Feature]) -> bytes:
    file = BytesIO()
    for features in examples:
        write_record(file, encode_example(features))
    return file.getvalue()


def read_all(sources: ImportSources) -> tuple[dict[str, Source], dict[str, str]]:
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


def written(tf: Any, path: Path, examples: Iterable[dict[str, Any]]) -> None:
    def feature(value: Any) -> Any:
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for features in examples:
            message = tf.train.Features(feature={name: feature(value) for name, value in features.items()})
            writer.write(tf.train.Example(features=message).SerializeToString())


def test_files_that_tensorflow_wrote(tf: Any, bench: Bench, home: Path) -> None:
    def example(number: int, **more: Any) -> dict[str, Any]:
        return {
            "image/encoded": image_bytes(number),
            "image/format": b"jpeg",
            "image/filename": f"roses/{number % 3}.jpg".encode(),
            "image/height": 32,
            "score": 0.5,
            **more,
        }

    texts = ("장미".encode(), b"tulips")
    written(
        tf,
        home / "set" / "flowers_train.tfrecord-00000-of-00002",
        (example(n, **{"image/class/text": texts[n % 2], "image/class/label": n % 2}) for n in range(5)),
    )
    written(
        tf,
        home / "set" / "flowers_train.tfrecord-00001-of-00002",
        (example(n, **{"image/class/label": n % 4}) for n in range(5, 9)),
    )
    write_files(home / "set", {"labels.txt": "장미\ntulips\n해바라기\n".encode()})
    report = ingest_path(bench.context(), home / "set")
    assert (report.added, report.skipped) == (9, ())
    # Numbers 1, 2, 3 and 0: the last one but one has no name.
    assert sorted(map(str, bench.labels().values())) == sorted(
        ["장미"] * 3 + ["tulips"] * 2 + ["tulips", "해바라기", "3", "장미"]
    )
    assert "flowers_train.tfrecord-00000-of-00002/0.jpg" in bench.outcomes()
    assert "flowers_train.tfrecord-00000-of-00002/4/0.jpg" in bench.outcomes()


@pytest.mark.parametrize("source_kind", ["folder", "zip", "path", "uploads"])
def test_record_files_from_every_source(bench: Bench, home: Path, source_kind: str) -> None:
    examples: list[dict[str, Feature]] = [{"image": [image_bytes(n)], "label": [n % 2]} for n in range(4)]
    data = records(*examples)
    content = {"자료/train-00000-of-00001.tfrecord": data}
    folder = write_files(home / "in", content)
    if source_kind == "uploads":
        report = ingest_uploads(bench.context(), folder, None)
    else:
        paths = {"folder": folder, "path": folder / next(iter(content))}
        path = paths.get(source_kind) or zipped(home / "in.zip", content)
        assert input_kind(path) == {"folder": "folder", "zip": "archive", "path": "records"}[source_kind]
        report = ingest_path(bench.context(), path)
    assert (report.added, report.skipped) == (4, ())
    assert sorted(map(str, bench.labels().values())) == ["0", "0", "1", "1"]
    assert max(total or 0 for _phase, _done, total in bench.progress.reports) == 4


def test_records_that_give_no_image_have_their_lines(home: Path) -> None:
    good: dict[str, Feature] = {"image/encoded": [image_bytes(1)], "image/class/text": [b"roses"]}
    hostile = [b"../../etc/passwd", b"..", b"", b"a\\b\\c.jpg", b"\xff\xfe\x00.jpg", b"C:\\x.jpg"]
    examples: list[dict[str, Feature]] = [
        {"image/class/text": [b"no image"]},
        {"image/encoded": [3, 4]},
        {"image/encoded": []},
        *({**good, "image/filename": [name]} for name in hostile),
        {**good, "image/class/text": [b"\0\0"], "image/class/label": [-5]},
        {**good, "image/class/text": [], "image/class/label": [2**40]},
        {
            **good,
            "state": [b"rejected"],
            "split_given": [b"nonsense"],
            "papers": [b"[{]"],
            "image/sha256": [b"x"],
        },
        {**good, "image/sha256": [b"0" * 64]},
    ]
    data = records(*examples)
    file = BytesIO()
    write_record(file, b"\xff" * 50)
    damaged = bytearray(records(good))
    damaged[-1] ^= 1
    folder = write_files(home / "in", {"a.tfrecord": data + file.getvalue() + bytes(damaged) + records(good)})
    found, refused = read_all(sources_at_path(folder, None, progress=Silent()))
    assert [name.removeprefix("a.tfrecord/") for name in found] == [
        *("passwd", "5", "6", "c.jpg"),
        *([name.removeprefix("a.tfrecord/") for name in found][4:5]),
        *("x.jpg", "10", "11", "12", "13"),
    ]
    assert all(name.isprintable() for name in found)
    assert [s.class_name for s in found.values()] == [*["roses"] * 6, None, "1099511627776", *["roses"] * 2]
    assert (found["a.tfrecord/12"].state, found["a.tfrecord/12"].split) == ("rejected", "")
    assert [
        (name.removeprefix("a.tfrecord, "), reason.split(" ", 3)[3]) for name, reason in refused.items()
    ] == [
        *(
            (f"record {n}", "has no image: expected a feature image/encoded with an image's file.")
            for n in (1, 2, 3)
        ),
        ("record 12: places", refused["a.tfrecord, record 12: places"].split(" ", 3)[3]),
        ("record 13: SHA-256", refused["a.tfrecord, record 13: SHA-256"].split(" ", 3)[3]),
        ("record 14", "cannot be read: it is no tf.train.Example."),
        ("record 15", "cannot be read: its checksum does not match; nor can what comes after it."),
    ]


def test_what_is_only_named_so_is_refused_as_no_image(bench: Bench, home: Path) -> None:
    folder = write_files(home / "in", {**files("roses/a.jpg"), "x.tfrecord": b"nothing", "y.tfrecord": b""})
    report = ingest_path(bench.context(), folder)
    assert report.added == 1
    assert [skipped.name for skipped in report.skipped] == ["x.tfrecord", "y.tfrecord"]


def test_a_large_file_is_read_a_record_at_a_time(home: Path) -> None:
    path = home / "large.tfrecord"
    filling = bytes(1_000_000)
    with path.open("wb") as file:
        for number in range(60):
            write_record(file, encode_example({"image/encoded": [image_bytes(number) + filling]}))
    tracemalloc.start()
    try:
        count = sum(
            len(source.read()) > 0 for source in sources_at_path(path, None, progress=Silent()).sources
        )
        _now, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 60
    assert peak_bytes < 15_000_000


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a\nb\n", ["a", "b"]),
        ("0:daisy\n1: 장미 꽃\n", ["daisy", "장미 꽃"]),
        ("1:a\n3:b\n", ["0", "a", "2", "b"]),
        ("1:a\nb\n", ["1:a", "b"]),
        ("", []),
        ("999999999:x\n", ["999999999:x"]),
    ],
)
def test_labels_by_their_numbers(text: str, labels: list[str]) -> None:
    assert read_labels(text.encode()) == labels
