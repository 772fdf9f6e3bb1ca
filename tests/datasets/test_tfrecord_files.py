"""TFRecord files and Examples: compared with TensorFlow's own in both directions; damaged and forged ones."""

import io
import os
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from studio.datasets.tf_example import Feature, decode_example, encode_example
from studio.datasets.tfrecord import (
    MAX_RECORD_BYTES,
    count_records,
    is_tfrecord_name,
    masked_crc,
    read_records,
    write_record,
)
from studio.errors import ImageRefused

FEATURES: dict[str, Feature] = {
    "image/encoded": [b"\xff\xd8" * 40_000],
    "image/class/text": ["장미 꽃".encode()],
    "image/class/label": [3],
    "numbers": [1, -5, 0, 2**62, -(2**63), 127, 128],
    "texts": [b"", b"a", "튤립".encode()],
    "none": [],
}


@pytest.fixture(scope="module")
def tf() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("tensorflow")


def test_the_checksum_is_masked_crc_32c() -> None:
    # The CRC-32C of 32 zero bytes, from RFC 3720, B.4, rotated by 15 bits and offset.
    assert masked_crc(bytes(32)) == ((0x8A9136AA >> 15 | 0x8A9136AA << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_tensorflow_reads_what_is_written(tf: Any, home: Path) -> None:
    path = home / "기록.tfrecord"
    contents = [encode_example(FEATURES), b"", b"x" * 3_000_000, encode_example({})]
    with path.open("wb") as file:
        for content in contents:
            write_record(file, content)
    read = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert read == contents
    example = tf.train.Example.FromString(read[0])
    assert example.SerializeToString(deterministic=True) == contents[0]
    features = example.features.feature
    assert list(features["numbers"].int64_list.value) == FEATURES["numbers"]
    assert list(features["texts"].bytes_list.value) == FEATURES["texts"]
    with path.open("rb") as file:
        assert count_records(file) == 4
        file.seek(0)
        assert list(read_records(file)) == contents


def test_what_tensorflow_writes_is_read(tf: Any, home: Path) -> None:
    path = home / "기록.tfrecord"
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(b"picture")
    example.features.feature["label"].int64_list.value.extend([7, -1])
    example.features.feature["box"].float_list.value.extend([0.5, 0.25])
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _each in range(3):
            writer.write(example.SerializeToString())
    with path.open("rb") as file:
        found = [
            decode_example(record, ("image/encoded", "label", "box", "other"))
            for record in read_records(file)
        ]
    assert found == [{"image/encoded": [b"picture"], "label": [7, -1]}] * 3


def test_numbers_that_are_not_packed() -> None:
    # As old writers have them: each value a field of its own.
    numbers = b"".join(b"\x08" + bytes((value,)) for value in (1, 2, 3))
    int64_list = b"\x1a" + bytes((len(numbers),)) + numbers
    entry = b"\x0a\x01n\x12" + bytes((len(int64_list),)) + int64_list
    features = b"\x0a" + bytes((len(entry),)) + entry
    assert decode_example(b"\x0a" + bytes((len(features),)) + features, ["n"]) == {"n": [1, 2, 3]}


def record_file(*contents: bytes) -> bytes:
    file = io.BytesIO()
    for content in contents:
        write_record(file, content)
    return file.getvalue()


def read_until_error(data: bytes) -> tuple[list[bytes], str]:
    """The records before the end or an error, and the error."""
    found = []
    try:
        for record in read_records(io.BytesIO(data)):
            found.append(record)  # noqa: PERF402 - one after the other, up to the error
    except ImageRefused as refusal:
        return found, str(refusal)
    return found, ""


def test_a_file_that_is_cut_short_or_altered_gives_what_comes_before() -> None:
    data = record_file(b"first", b"second")
    begin = len(record_file(b"first"))
    for end in range(begin + 1, len(data)):
        assert read_until_error(data[:end]) == ([b"first"], "it ends in the middle"), end
        assert count_records(io.BytesIO(data[:end])) == 1
    for at in range(begin, len(data)):
        altered = bytearray(data)
        altered[at] ^= 0x10
        found, error = read_until_error(bytes(altered))
        assert found == [b"first"]
        assert "checksum" in error


def test_a_length_is_not_believed() -> None:
    for length in (MAX_RECORD_BYTES + 1, 2**40, 2**64 - 1):
        head = struct.pack("<Q", length)
        data = head + struct.pack("<I", masked_crc(head)) + b"little"
        assert read_until_error(data) == ([], "its record is larger than 201 MB")
        assert count_records(io.BytesIO(data)) == 0
    head = struct.pack("<Q", MAX_RECORD_BYTES)
    assert read_until_error(head + struct.pack("<I", masked_crc(head)) + b"little") == (
        [],
        "it ends in the middle",
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train.tfrecord", True),
        ("x/Train-00000-of-00002.TFRECORD", True),
        ("flowers_train.tfrecord-00000-of-00005", True),
        ("train-00000-of-00002", True),
        ("a.tfrecords", True),
        ("tfrecord.jpg", False),
        ("train-00000-of-00002.jpg", False),
    ],
)
def test_names_of_such_files(name: str, expected: bool) -> None:
    assert is_tfrecord_name(name) is expected


def test_any_bytes_for_an_example_raise_nothing_but_a_refusal() -> None:
    rng = random.Random(5)
    begun = encode_example({name: values for name, values in FEATURES.items() if name != "image/encoded"})
    for turn in range(5_000):
        data = bytearray(rng.randbytes(rng.randrange(60)) if turn % 4 == 0 else begun)
        for _each in range(rng.randrange(6)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            found = decode_example(bytes(data), list(FEATURES))
        except ImageRefused:
            continue
        assert all(isinstance(values, list) for values in found.values())


def test_examples_with_too_many_features_or_values_are_refused() -> None:
    with pytest.raises(ImageRefused, match="too many features"):
        decode_example(encode_example({str(number): [number] for number in range(2_000)}), ["1"])
    with pytest.raises(ImageRefused, match="too many values"):
        decode_example(encode_example({"n": list(range(30_000))}), ["n"])
    assert decode_example(encode_example({"n": list(range(30_000)), "m": [1]}), ["m"]) == {"m": [1]}


def test_forged_examples_are_refused_before_they_take_memory() -> None:
    tracemalloc.start()
    try:
        for forged in (b"\x0a\x00" * 1_000_000, length_delimited(b"\x0a\x00" * 1_000_000)):
            with pytest.raises(ImageRefused, match="too many"):
                decode_example(forged, ["n"])
        numbers = length_delimited(b"\x01" * 1_000_000)
        entry = length_delimited(b"n") + length_delimited(b"\x1a" + varint(len(numbers)) + numbers, tag=0x12)
        with pytest.raises(ImageRefused, match="too many values"):
            decode_example(length_delimited(length_delimited(entry)), ["n"])
        _now, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000


def length_delimited(data: bytes, tag: int = 0x0A) -> bytes:
    return bytes((tag,)) + varint(len(data)) + data


def varint(value: int) -> bytes:
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))
