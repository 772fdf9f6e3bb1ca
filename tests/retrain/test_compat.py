"""`retrain.py` compatibility: split, labels and choice of files are exactly those of `retrain.py`."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from studio.errors import OutputRefused, SourceMissing, TooFewImages
from studio.progress import Silent
from studio.retrain.compat import (
    CompatFolder,
    clear_summaries,
    folder_label,
    hash_percentage,
    path_split,
    read_compat_folder,
)
from tests.retrain.material import FLOWERS, needs_flowers

DAISY = "tf_files/flower_photos/daisy/21652746_cc379e0eea_m.jpg"
OF_600 = {"training": 482, "validation": 57, "testing": 61}
OF_ALL = {"training": 2949, "validation": 359, "testing": 362}
ALL = os.environ.get("STUDIO_TEST_FLOWER_PHOTOS")
"""A folder with all 3,670 photographs of the codelab."""


def read(folder: Path | str, validation: float = 10, testing: float = 10) -> CompatFolder:
    return read_compat_folder(
        str(folder),
        validation_percentage=validation,
        testing_percentage=testing,
        seed=0,
        progress=Silent(),
    )


def fill(folder: Path, count: int, suffix: str = "jpg", first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        colour = (number % 256, number // 256, len(folder.name))
        Image.new("RGB", (8, 8), colour).save(folder / f"사진 {number}.{suffix}", "JPEG")
    return folder


def test_the_hash_of_a_path_is_that_of_retrain_py() -> None:
    assert round(hash_percentage(DAISY), 6) == 51.669209
    assert hash_percentage(DAISY.removeprefix("tf_files/")) != hash_percentage(DAISY)
    assert hash_percentage("./" + DAISY) != hash_percentage(DAISY)


def test_the_part_after_nohash_is_ignored() -> None:
    assert (
        hash_percentage("a/leaf_nohash_1.jpg")
        == hash_percentage("a/leaf_nohash_2_nohash_3.jpg")
        == hash_percentage("a/leaf")
    )
    assert hash_percentage("a/leaf_nohash1.jpg") != hash_percentage("a/leaf")


@pytest.mark.parametrize(
    ("validation", "testing", "split"),
    [
        (51.6, 10, "testing"),
        (51.7, 10, "validation"),
        (10, 41, "training"),
        (10, 42, "testing"),
        (0, 0, "training"),
    ],
)
def test_validation_comes_first_then_testing(validation: float, testing: float, split: str) -> None:
    assert path_split(DAISY, validation, testing) == split


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("Daisy", "daisy"),
        ("Rose_Bush--2", "rose bush 2"),
        ("__a__", " a "),
        ("원 circle", " circle"),
        ("Café au lait", "caf au lait"),
    ],
)
def test_labels_are_lower_case_with_single_spaces(folder: str, label: str) -> None:
    assert folder_label(folder) == label


@pytest.mark.parametrize(
    ("photographs", "counts"),
    [
        pytest.param(FLOWERS, OF_600, marks=needs_flowers, id="600"),
        pytest.param(
            Path(ALL or ""),
            OF_ALL,
            marks=pytest.mark.skipif(not ALL, reason="STUDIO_TEST_FLOWER_PHOTOS names no folder"),
            id="all",
        ),
    ],
)
def test_photographs_are_split_as_by_retrain_py(
    photographs: Path, counts: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tf_files").mkdir()
    try:
        (tmp_path / "tf_files" / "flower_photos").symlink_to(photographs, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not allow symbolic links")
    monkeypatch.chdir(tmp_path)
    for typed in ("tf_files/flower_photos", "tf_files/flower_photos/"):
        snapshot = read(typed).snapshot
        assert Counter(example.split for example in snapshot.examples) == counts
        assert snapshot.classes == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    elsewhere = read(photographs).snapshot
    assert Counter(example.split for example in elsewhere.examples) != counts


def test_only_four_suffixes_are_read_and_duplicates_stay(tmp_path: Path) -> None:
    for at, suffix in enumerate(("jpg", "jpeg", "JPG", "JPEG", "Jpg", "png")):
        fill(tmp_path / "Folder B", 25, suffix, 100 * at)
    fill(tmp_path / "a", 25)
    (tmp_path / "a" / "copy.jpg").write_bytes((tmp_path / "a" / "사진 3.jpg").read_bytes())
    folder = read(tmp_path)
    # In the folders' order, where capitals come first.
    assert folder.snapshot.classes == ("folder b", "a")
    assert Counter(example.label for example in folder.snapshot.examples) == {"folder b": 100, "a": 26}
    assert folder.snapshot.check() == ()
    assert folder.warnings == ()


def test_small_classes_and_empty_folders_give_warnings(tmp_path: Path) -> None:
    fill(tmp_path / "few", 19)
    fill(tmp_path / "enough", 20)
    (tmp_path / "empty").mkdir()
    folder = read(tmp_path, 0, 0)
    assert folder.snapshot.classes == ("enough", "few")
    few = [line for line in folder.snapshot.check() if "image" in line and "“" in line]
    assert len(few) == 1
    assert "19" in few[0]
    (line,) = folder.warnings
    assert "empty" in line


def test_of_two_folders_with_one_label_the_later_is_used(tmp_path: Path) -> None:
    fill(tmp_path / "A b", 30)
    fill(tmp_path / "a-b", 25)
    fill(tmp_path / "c", 25)
    folder = read(tmp_path)
    assert Counter(example.label for example in folder.snapshot.examples) == {"a b": 25, "c": 25}
    assert {e.path.parent.name for e in folder.snapshot.examples if e.label == "a b"} == {"a-b"}
    (line,) = folder.warnings
    assert "A b" in line
    assert "a-b" in line


def test_fewer_than_two_classes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TooFewImages, match="found none"):
        read(tmp_path)
    fill(tmp_path / "only", 30)
    with pytest.raises(TooFewImages, match="second class"):
        read(tmp_path).snapshot.check()
    with pytest.raises(SourceMissing, match="nowhere"):
        read(tmp_path / "nowhere")


def test_a_class_without_a_training_image_is_an_error(tmp_path: Path) -> None:
    fill(tmp_path / "a", 3)
    fill(tmp_path / "b", 3)
    with pytest.raises(TooFewImages, match="has no training image"):
        read(tmp_path, 50, 49.9)


def test_clear_summaries_removes_event_files_only(tmp_path: Path) -> None:
    logs = tmp_path / "로그"
    (logs / "train").mkdir(parents=True)
    (logs / "train" / "events.out.tfevents.1.host").write_bytes(b"old")
    clear_summaries(logs)
    assert not logs.exists()
    clear_summaries(logs)
    (logs / "train").mkdir(parents=True)
    (logs / "train" / "events.out.tfevents.1.host").write_bytes(b"old")
    (logs / "휴가.jpg").write_bytes(b"dear")
    with pytest.raises(OutputRefused, match="휴가"):
        clear_summaries(logs)
    assert (logs / "train" / "events.out.tfevents.1.host").exists()
