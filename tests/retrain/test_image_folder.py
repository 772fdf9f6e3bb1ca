import unicodedata
from pathlib import Path

import pytest

from studio.errors import SourceMissing
from studio.progress import Silent
from studio.retrain.image_folder import read_image_folder
from tests.retrain.material import draw


def test_classes_are_sorted_composed_folder_names(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "튤립")
    draw(tmp_path, (decomposed, "daisy"), count=2)
    folder = read_image_folder(tmp_path, Silent())
    assert [image.label for image in folder.images] == ["daisy", "daisy", "튤립", "튤립"]
    assert all(image.path.is_file() for image in folder.images)


def test_a_duplicate_is_skipped_and_names_the_first(tmp_path: Path) -> None:
    draw(tmp_path, ("a", "b"), count=2)
    copy = tmp_path / "b" / "copy.png"
    copy.write_bytes((tmp_path / "a" / "그림 000.png").read_bytes())
    folder = read_image_folder(tmp_path, Silent())
    assert len(folder.images) == 4
    assert [(file.path, file.reason) for file in folder.skipped] == [
        (copy, "copy.png is a duplicate of a/그림 000.png.")
    ]


def test_system_files_are_ignored(tmp_path: Path) -> None:
    draw(tmp_path, ("a",), count=1)
    (tmp_path / ".git").mkdir()
    (tmp_path / "README").write_text("x", encoding="utf-8")
    for name in (".DS_Store", "Thumbs.db"):
        (tmp_path / "a" / name).write_bytes(b"x")
    folder = read_image_folder(tmp_path, Silent())
    assert len(folder.images) == 1
    assert folder.skipped == ()


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="nowhere"):
        read_image_folder(tmp_path / "nowhere", Silent())
