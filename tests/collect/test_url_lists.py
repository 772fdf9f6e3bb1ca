"""URL lists as people save and paste them."""

import random
from pathlib import Path

import pytest

from studio.collect import url_lists
from studio.collect.url_lists import UrlList, is_url_list, parse_url_list, read_url_list
from studio.errors import SourceMissing
from studio.images.provenance import Provenance
from tests.collect.material import image_bytes

A, B, C = (f"https://example.org/{name}.jpg" for name in "abc")


def urls(found: UrlList) -> list[str]:
    return [entry.url for entry in found.entries]


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n{B}\n{C}\n",
        f"{A}\r\n\r\n{B}\r{C}",
        f"  {A} {B}\t{C}",
        f"{A},{B},{C}",
        f"{A}, {B};\n<{C}>",
        f"\"{A}\", '{B}',\n# a comment with https://example.org/no.jpg\n{C},",
        f"\ufeff{A}\n{B}\n{A}\n{C}\n{B}",
        f"url\n{A}\n{B}\n{C}",
    ],
)
def test_any_mixture_of_lines_white_space_and_commas(text: str) -> None:
    found = parse_url_list(text)
    assert urls(found) == [A, B, C]
    assert found.skipped == ()


def test_commas_inside_a_url_stay() -> None:
    url = "https://example.org/Rose,_red,2.jpg"
    assert urls(parse_url_list(f"{url},{A}")) == [url, A]
    assert urls(parse_url_list(f"url\n{url}\n")) == [url]


def test_text_that_is_no_url_is_skipped_with_its_line() -> None:
    found = parse_url_list(
        f"{A}\nbuy some milk\nftp://example.org/x.jpg\njavascript:alert(1) {B}\n\nwww.c.kr"
    )
    assert urls(found) == [A, B]
    assert [(skipped.text, skipped.line) for skipped in found.skipped] == [
        ("buy some milk", 2),
        ("ftp://example.org/x.jpg", 3),
        ("javascript:alert(1)", 4),
        ("www.c.kr", 6),
    ]
    assert found.skipped[0].message == "expected a URL that begins with http:// or https://"
    assert all(skipped.message for skipped in found.skipped)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
def test_a_table_with_classes_and_provenance(home: Path, delimiter: str, encoding: str) -> None:
    table = [
        ["Title", "URL", "Class", "Creator", "Licence", "License URL", "Page"],
        [
            "장미, 빨간",
            A,
            "  해바라기   꽃 ",
            "김",
            "CC BY",
            "https://cc.example/by",
            "https://example.org/1",
        ],
        ["", B, "", "", "", "", ""],
        ["again", A, "other", "", "", "", ""],
        ["none", "", "x", "", "", "", ""],
    ]
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in table)
    path = home / "목록.csv"
    path.write_bytes(text.encode(encoding))
    assert is_url_list(path)
    found = read_url_list(path)
    assert [(entry.url, entry.class_name) for entry in found.entries] == [(A, "해바라기 꽃"), (B, None)]
    assert found.entries[0].provenance == Provenance(
        "https://example.org/1", "장미, 빨간", "김", "CC BY", "https://cc.example/by"
    )
    assert found.entries[1].provenance == Provenance()
    assert [(skipped.text, skipped.line) for skipped in found.skipped] == [("none x", 5)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"LINK,label\n{A},x\n", [(A, "x")]),
        (f"src;category\n{A};x\n", [(A, "x")]),
        (f"image,url\nrose.jpg,{A}\n", [(A, None)]),
        (f"photo,kind\n{A},x\n", [(A, None)]),
        (f"{A},x\n{B},y\n", [(A, "x"), (B, "y")]),
        (f"x\t{A}\n", [(A, "x")]),
        (f"1,{A},x\n2,{B},y\n", [(A, None), (B, None)]),
        (f"# made by hand\nurl,class\n{A},x\n# {B},x\n", [(A, "x")]),
    ],
)
def test_the_url_column_is_detected(home: Path, text: str, expected: list[tuple[str, str | None]]) -> None:
    path = home / "list.csv"
    path.write_text(text, encoding="utf-8")
    found = read_url_list(path)
    assert [(entry.url, entry.class_name) for entry in found.entries] == expected
    assert found.skipped == ()


def test_a_table_without_urls_is_skipped_with_a_message(home: Path) -> None:
    path = home / "list.csv"
    path.write_text("name,size\na,1\nb,2\n", encoding="utf-8")
    found = read_url_list(path)
    assert found.entries == ()
    assert [skipped.message for skipped in found.skipped] == ["no column holds URLs: expected one named url"]


def test_bytes_are_read_as_files_are() -> None:
    assert urls(parse_url_list(f"# 목록\n{A}".encode("utf-16"))) == [A]
    assert urls(parse_url_list(f"# 목록\n{A}".encode("cp949"))) == [A]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("목록.txt", f"# 장미\n\n{A}\n".encode(), True),
        ("목록.TXT", f"{A} {B}".encode("utf-16"), True),
        ("list.csv", f"url\n{A}\n".encode(), True),
        ("list.tsv", f"url\tclass\n{A}\tx\n".encode(), True),
        ("list.md", f"{A}\n".encode(), False),
        ("empty.txt", b"", False),
        ("memo.txt", b"buy milk\n", False),
        ("LICENSE.txt", f"All is free.\nSee {A}\nor ask us.\nThanks.\n".encode(), False),
        ("labels.csv", b"name,size\na,1\n", False),
        ("metadata.csv", f"file_name,url\na.jpg,{A}\n".encode(), False),
        ("a.txt", image_bytes(), False),
        ("long.txt", (f"{A}\n" * 9_000).encode(), True),
        ("긴.txt", (f"# {'꽃' * 40_000}\n").encode(), False),
    ],
)
def test_a_list_is_known_by_its_ending_and_content(
    home: Path, name: str, content: bytes, expected: bool
) -> None:
    (home / name).write_bytes(content)
    assert is_url_list(home / name) is expected


def test_what_is_not_there_is_no_list(home: Path) -> None:
    assert not is_url_list(home / "nope.txt")
    assert not is_url_list(home)
    with pytest.raises(SourceMissing, match="cannot be read"):
        read_url_list(home / "nope.txt")


def test_limits_are_kept_with_a_message(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "list.txt"
    path.write_text("\n".join(f"https://example.org/{n}.jpg" for n in range(20)), encoding="utf-8")
    monkeypatch.setattr(url_lists, "MAX_LINES", 12)
    found = read_url_list(path)
    assert len(found.entries) == 12
    assert [(skipped.message, skipped.line) for skipped in found.skipped] == [
        ("only the first 12 lines are read", 13)
    ]
    path.write_text("url\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert len(read_url_list(path).entries) == 11
    monkeypatch.setattr(url_lists, "MAX_BYTES", 100)
    with pytest.raises(SourceMissing, match=r"of at most 0 MB; list\.txt is larger"):
        read_url_list(path)


def test_endless_lines_cost_only_themselves() -> None:
    long = "https://example.org/" + "x" * 1_200_000
    for head in ("", "url,class\n"):
        found = parse_url_list(f"{head}{A}\n{long}\n{B}\n")
        assert urls(found) == [A, B]
        assert ["longer than" in skipped.message for skipped in found.skipped] == [True]
    found = parse_url_list("https://example.org/" + "y" * 5_000)
    assert (found.entries, len(found.skipped)) == ((), 1)
    assert len(found.skipped[0].text) <= 200


def test_any_bytes_are_parsed_or_skipped(home: Path) -> None:
    rng = random.Random(5)
    begun = f'url,class,title\n{A},x,"t\n"\n{B},y,\n# c\n{C}\n'.encode()
    for turn in range(400):
        data = bytearray(rng.randbytes(rng.randrange(300)) if turn % 3 == 0 else begun)
        for _ in range(rng.randrange(8)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.choice(
                [b"\0", b'"', b"\xff\xfe", b"\n", b"\r", b"#", b"http://["]
            )
        path = home / rng.choice(["x.txt", "x.csv", "x.tsv"])
        path.write_bytes(data)
        is_url_list(path)
        for found in (read_url_list(path), parse_url_list(bytes(data))):
            assert all(entry.url.startswith(("http://", "https://")) for entry in found.entries)
            assert all(skipped.text.isprintable() and skipped.line > 0 for skipped in found.skipped)
