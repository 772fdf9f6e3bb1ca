"""Lists of addresses, as people save and paste them."""

import random
from pathlib import Path

import pytest

from studio.collect import address_lists
from studio.collect.address_lists import AddressList, is_address_list, parse_addresses, read_address_list
from studio.errors import SourceMissing
from studio.images.provenance import Provenance
from tests.collect.material import image_bytes

A, B, C = (f"https://example.org/{name}.jpg" for name in "abc")


def addresses(found: AddressList) -> list[str]:
    return [entry.address for entry in found.entries]


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
    found = parse_addresses(text)
    assert addresses(found) == [A, B, C]
    assert found.refused == ()


def test_commas_inside_an_address_stay() -> None:
    address = "https://example.org/Rose,_red,2.jpg"
    assert addresses(parse_addresses(f"{address},{A}")) == [address, A]
    assert addresses(parse_addresses(f"url\n{address}\n")) == [address]


def test_what_is_no_address_has_its_line_and_reason() -> None:
    found = parse_addresses(
        f"{A}\nbuy some milk\nftp://example.org/x.jpg\njavascript:alert(1) {B}\n\nwww.c.kr"
    )
    assert addresses(found) == [A, B]
    assert [(refused.text, refused.line) for refused in found.refused] == [
        ("buy some milk", 2),
        ("ftp://example.org/x.jpg", 3),
        ("javascript:alert(1)", 4),
        ("www.c.kr", 6),
    ]
    assert found.refused[0].reason == "expected an address that begins with http:// or https://"
    assert all(refused.reason for refused in found.refused)


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
    assert is_address_list(path)
    found = read_address_list(path)
    assert [(entry.address, entry.class_name) for entry in found.entries] == [(A, "해바라기 꽃"), (B, None)]
    assert found.entries[0].provenance == Provenance(
        "https://example.org/1", "장미, 빨간", "김", "CC BY", "https://cc.example/by"
    )
    assert found.entries[1].provenance == Provenance()
    assert [(refused.text, refused.line) for refused in found.refused] == [("none x", 5)]


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
def test_the_column_of_addresses_is_found(
    home: Path, text: str, expected: list[tuple[str, str | None]]
) -> None:
    path = home / "list.csv"
    path.write_text(text, encoding="utf-8")
    found = read_address_list(path)
    assert [(entry.address, entry.class_name) for entry in found.entries] == expected
    assert found.refused == ()


def test_a_table_without_addresses_says_so(home: Path) -> None:
    path = home / "list.csv"
    path.write_text("name,size\na,1\nb,2\n", encoding="utf-8")
    found = read_address_list(path)
    assert found.entries == ()
    assert [refused.reason for refused in found.refused] == [
        "no column holds addresses: expected one named url"
    ]


def test_bytes_are_read_as_files_are() -> None:
    assert addresses(parse_addresses(f"# 목록\n{A}".encode("utf-16"))) == [A]
    assert addresses(parse_addresses(f"# 목록\n{A}".encode("cp949"))) == [A]


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
    assert is_address_list(home / name) is expected


def test_what_is_not_there_is_no_list(home: Path) -> None:
    assert not is_address_list(home / "nope.txt")
    assert not is_address_list(home)
    with pytest.raises(SourceMissing, match="cannot be read"):
        read_address_list(home / "nope.txt")


def test_limits_are_kept_and_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "list.txt"
    path.write_text("\n".join(f"https://example.org/{n}.jpg" for n in range(20)), encoding="utf-8")
    monkeypatch.setattr(address_lists, "MAX_LINES", 12)
    found = read_address_list(path)
    assert len(found.entries) == 12
    assert [(refused.reason, refused.line) for refused in found.refused] == [
        ("only the first 12 lines are read", 13)
    ]
    path.write_text("url\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert len(read_address_list(path).entries) == 11
    monkeypatch.setattr(address_lists, "MAX_BYTES", 100)
    with pytest.raises(SourceMissing, match=r"of at most 0 MB; list\.txt is larger"):
        read_address_list(path)


def test_endless_lines_cost_only_themselves() -> None:
    long = "https://example.org/" + "x" * 1_200_000
    for head in ("", "url,class\n"):
        found = parse_addresses(f"{head}{A}\n{long}\n{B}\n")
        assert addresses(found) == [A, B]
        assert ["longer than" in refused.reason for refused in found.refused] == [True]
    found = parse_addresses("https://example.org/" + "y" * 5_000)
    assert (found.entries, len(found.refused)) == ((), 1)
    assert len(found.refused[0].text) <= 200


def test_any_bytes_are_a_list_or_refused(home: Path) -> None:
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
        is_address_list(path)
        for found in (read_address_list(path), parse_addresses(bytes(data))):
            assert all(entry.address.startswith(("http://", "https://")) for entry in found.entries)
            assert all(refused.text.isprintable() and refused.line > 0 for refused in found.refused)
