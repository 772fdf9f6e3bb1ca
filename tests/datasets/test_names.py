"""Names of files and classes, as other systems wrote them."""

import unicodedata
from pathlib import PurePosixPath

import pytest

from studio.datasets.names import ClassFolders, clean_class_name, decode_file_name
from studio.images.file_names import is_system_file


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"roses/a.jpg", "roses/a.jpg"),
        ("장미/사진.jpg".encode(), "장미/사진.jpg"),
        ("장미/사진 1.jpg".encode("cp949"), "장미/사진 1.jpg"),
        ("뷁/똠방각하.jpg".encode("cp949"), "뷁/똠방각하.jpg"),
        ("Münster/é.jpg".encode("cp437"), "Münster/é.jpg"),
        (unicodedata.normalize("NFD", "장미").encode(), "장미"),
        (b"a\nb\x1b[31m.jpg", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[31m.jpg"),
    ],
)
def test_a_name_is_readable_whatever_wrote_it(raw: bytes, name: str) -> None:
    assert decode_file_name(raw) == name


def test_a_folder_names_a_class() -> None:
    assert clean_class_name("  red   roses ") == "red roses"
    assert clean_class_name(unicodedata.normalize("NFD", "튤립")) == "튤립"
    assert clean_class_name(" \t") is None
    assert len(clean_class_name("long " * 50) or "") <= 80


def test_what_systems_leave_behind_is_recognised() -> None:
    litter = (
        "__MACOSX/a/._b.jpg",
        ".DS_Store",
        "roses/Thumbs.db",
        "roses/.hidden.jpg",
        "a/desktop.ini",
        ".git/x.jpg",
    )
    assert all(is_system_file(PurePosixPath(name)) for name in litter)
    assert not any(is_system_file(PurePosixPath(name)) for name in ("roses/a.jpg", "LICENSE.txt", "../a.jpg"))


@pytest.mark.parametrize(
    ("paths", "classes"),
    [
        (["roses/a.jpg", "tulips/b.jpg"], ["roses", "tulips"]),
        (["fp/roses/a.jpg", "fp/tulips/b.jpg", "fp/LICENSE.txt"], ["roses", "tulips", None]),
        (["x/y/roses/a.jpg", "x/y/tulips/b.jpg"], ["roses", "tulips"]),
        (["roses/a.jpg", "roses/more/b.jpg"], ["roses", "roses"]),
        (["photos/roses/a.jpg"], ["roses"]),
        (["a.jpg", "roses/b.jpg"], [None, "roses"]),
        (["a.jpg"], [None]),
        (["roses/more/a.jpg", "tulips/b.jpg", "readme.txt"], ["roses", "tulips", None]),
        (["notes.txt"], [None]),
        ([], []),
    ],
)  # fmt: skip
def test_the_first_folder_under_the_root_is_the_class(paths: list[str], classes: list[str | None]) -> None:
    pure = [PurePosixPath(path) for path in paths]
    folders = ClassFolders(pure)
    assert [folders.class_of(path) for path in pure] == classes
