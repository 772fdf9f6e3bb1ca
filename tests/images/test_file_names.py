"""Names that every system takes."""

import unicodedata
from pathlib import PurePosixPath

import pytest

from studio.images.file_names import UniqueNames, image_name, is_system_file, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("장미 꽃", "장미 꽃"),
        ("해바라기", "해바라기"),
        (unicodedata.normalize("NFD", "장미"), "장미"),
        ("a/b\\c", "a_b_c"),
        ('<>:"|?*', "_______"),
        ("CON", "CON_"),
        ("con.tar.gz", "con_.tar.gz"),
        ("LPT¹", "LPT¹_"),
        ("Com7", "Com7_"),
        ("CONIN$", "CONIN$_"),
        ("console", "console"),
        ("trailing. .", "trailing"),
        ("  many   spaces ", "many spaces"),
        ("...", "else"),
        ("", "else"),
        (" ", "else"),
        (".hidden", "_.hidden"),
        ("..", "else"),
        ("../../etc", "_.._.._etc"),
        ("-rf", "_-rf"),
        ("=1+1", "_=1+1"),
        ("+82", "_+82"),
        ("@a", "_@a"),
        ("~root", "_~root"),
        ("thumbs.db", "_thumbs.db"),
        ("__MACOSX", "___MACOSX"),
        ("a\0b\n\x7f\u202ec", "a_b___c"),
        ("\ud800", "_"),
        ("\N{ROSE}", "\N{ROSE}"),
    ],
)
def test_a_name_is_made_safe_and_stays_readable(name: str, safe: str) -> None:
    assert safe_name(name, "else") == safe


@pytest.mark.parametrize(
    "name", ["x" * 500, "꽃" * 300, "\N{ROSE}" * 200, "a " * 300, "CON" + "." * 300 + "x"]
)
def test_a_long_name_is_cut_between_letters(name: str) -> None:
    safe = safe_name(name)
    assert 100 < len(safe.encode()) <= 182 or name.startswith("CON")
    assert safe.isprintable()
    assert not safe.endswith((".", " "))
    assert safe_name(safe) == safe
    assert not is_system_file(PurePosixPath(safe))


@pytest.mark.parametrize(
    ("name", "format_name", "expected"),
    [
        ("a.jpg", "JPEG", "a.jpg"),
        ("a.JPEG", "JPEG", "a.JPEG"),
        ("a.jfif", "JPEG", "a.jfif"),
        ("a.png", "JPEG", "a.png.jpg"),
        ("a", "WEBP", "a.webp"),
        ("", "PNG", "else.png"),
        (".jpg", "JPEG", "_.jpg.jpg"),
        ("con.jpg", "JPEG", "con_.jpg"),
        ("x.heif", "HEIF", "x.heif"),
        ("photo.jpg?w=640", "JPEG", "photo.jpg_w=640.jpg"),
        ("y.tiff", "TIFF", "y.tiff"),
        ("../.jpg", "JPEG", "_.._.jpg"),
    ],
)
def test_an_images_name_has_the_extension_of_its_format(name: str, format_name: str, expected: str) -> None:
    assert image_name(name, format_name, "else") == expected


def test_no_two_names_of_a_folder_are_the_same_on_any_system() -> None:
    names = UniqueNames(("labels.csv",))
    given = [
        "a.jpg",
        "A.JPG",
        "a.jpg",
        "a (2).jpg",
        "\N{FULLWIDTH LATIN SMALL LETTER A}.jpg",
        "straße",
        "STRASSE",
        "labels.csv",
        ".x",
        ".x",
    ]
    assert [names.take(name) for name in given] == [
        "a.jpg",
        "A (2).JPG",
        "a (3).jpg",
        "a (2) (2).jpg",
        "\N{FULLWIDTH LATIN SMALL LETTER A} (4).jpg",
        "straße",
        "STRASSE (2)",
        "labels (2).csv",
        ".x",
        ".x (2)",
    ]


def test_ten_thousand_of_one_name_take_no_time() -> None:
    names = UniqueNames()
    assert len({names.take("사진.jpg") for _number in range(10_000)}) == 10_000
