"""TFRecord files and Examples, held against TensorFlow's own in both directions; and what is no such file."""

import io
import os
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.datasets.tfrecord import (
    LONGEST_RECORD_BYTES,
    Feature,
    are_records,
    count_records,
    crc32c,
    decode,
    encode,
    is_named_so,
    masked,
    records,
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


def by_bit(data: bytes) -> int:
    """The definition, a bit at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_checksum_is_castagnolis() -> None:
    # From RFC 3720, B.4, and the usual check.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(b"") == 0
    rng = random.Random(3)
    for length in (1, 63, 64, 65, 127, 128, 129, 200, 1000, 4097, 9_999):
        data = rng.randbytes(length)
        assert crc32c(data) == crc32c(memoryview(data)) == by_bit(data), length


def test_the_checksum_of_much_goes_on_from_block_to_block() -> None:
    rng = np.random.default_rng(0)
    data = rng.bytes((2 << 20) + 77)
    whole = crc32c(data)
    changed = bytearray(data)
    for at in (0, 1 << 20, len(data) - 1):
        changed[at] ^= 1
        assert crc32c(bytes(changed)) != whole
        changed[at] ^= 1
    assert crc32c(bytes(changed)) == whole


def test_tensorflow_reads_what_is_written(tf: Any, home: Path) -> None:
    path = home / "기록.tfrecord"
    contents = [encode(FEATURES), b"", b"x" * 3_000_000, encode({})]
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
        assert are_records(file)
        assert count_records(file) == 4
        file.seek(0)
        assert list(records(file)) == contents


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
        found = [decode(record, ("image/encoded", "label", "box", "other")) for record in records(file)]
    assert found == [{"image/encoded": [b"picture"], "label": [7, -1]}] * 3


def test_numbers_that_are_not_packed() -> None:
    # As old writers have them: each value a field of its own.
    numbers = b"".join(b"\x08" + bytes((value,)) for value in (1, 2, 3))
    int64_list = b"\x1a" + bytes((len(numbers),)) + numbers
    entry = b"\x0a\x01n\x12" + bytes((len(int64_list),)) + int64_list
    features = b"\x0a" + bytes((len(entry),)) + entry
    assert decode(b"\x0a" + bytes((len(features),)) + features, ["n"]) == {"n": [1, 2, 3]}


def whole(*contents: bytes) -> bytes:
    file = io.BytesIO()
    for content in contents:
        write_record(file, content)
    return file.getvalue()


def read_on(data: bytes) -> tuple[list[bytes], str]:
    """What is read before the end, and why no more is."""
    found = []
    try:
        for record in records(io.BytesIO(data)):
            found.append(record)  # noqa: PERF402 - one after the other, to the fault
    except ImageRefused as refusal:
        return found, str(refusal)
    return found, ""


def test_a_file_that_is_cut_short_or_altered_gives_what_comes_before() -> None:
    data = whole(b"first", b"second")
    begin = len(whole(b"first"))
    for end in range(begin + 1, len(data)):
        assert read_on(data[:end]) == ([b"first"], "it ends in the middle"), end
        assert count_records(io.BytesIO(data[:end])) == 1
    for at in range(begin, len(data)):
        altered = bytearray(data)
        altered[at] ^= 0x10
        found, why = read_on(bytes(altered))
        assert found == [b"first"]
        assert "checksum" in why


def test_a_length_is_not_believed() -> None:
    for length in (LONGEST_RECORD_BYTES + 1, 2**40, 2**64 - 1):
        head = struct.pack("<Q", length)
        data = head + struct.pack("<I", masked(head)) + b"little"
        assert read_on(data) == ([], "its record is larger than 201 MB")
        assert count_records(io.BytesIO(data)) == 0
    head = struct.pack("<Q", LONGEST_RECORD_BYTES)
    assert read_on(head + struct.pack("<I", masked(head)) + b"little") == ([], "it ends in the middle")


@pytest.mark.parametrize(
    ("name", "so"),
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
def test_names_of_such_files(name: str, so: bool) -> None:
    assert is_named_so(name) is so


def test_any_bytes_for_an_example_raise_nothing_but_a_refusal() -> None:
    rng = random.Random(5)
    begun = encode({name: values for name, values in FEATURES.items() if name != "image/encoded"})
    for turn in range(5_000):
        data = bytearray(rng.randbytes(rng.randrange(60)) if turn % 4 == 0 else begun)
        for _each in range(rng.randrange(6)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            found = decode(bytes(data), list(FEATURES))
        except ImageRefused:
            continue
        assert all(isinstance(values, list) for values in found.values())


def test_examples_of_more_than_anyone_needs_are_refused() -> None:
    with pytest.raises(ImageRefused, match="too many features"):
        decode(encode({str(number): [number] for number in range(2_000)}), ["1"])
    with pytest.raises(ImageRefused, match="too many values"):
        decode(encode({"n": list(range(30_000))}), ["n"])
    assert decode(encode({"n": list(range(30_000)), "m": [1]}), ["m"]) == {"m": [1]}
