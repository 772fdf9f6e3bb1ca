"""Creative Commons' licences by name, code and address."""

import pytest

from studio.images.provenance import LICENCE_CODES, licence_code, licence_code_name, licence_name

ADDRESSES = [
    ("https://creativecommons.org/licenses/by-sa/4.0/", "CC BY-SA 4.0", "by-sa"),
    ("http://creativecommons.org/licenses/by/2.0/deed.ko", "CC BY 2.0", "by"),
    ("https://www.creativecommons.org/licenses/by-nc-nd/3.0/kr/", "CC BY-NC-ND 3.0 KR", "by-nc-nd"),
    ("//creativecommons.org/licenses/by-nc-sa/4.0/legalcode", "CC BY-NC-SA 4.0", "by-nc-sa"),
    ("https://CreativeCommons.org/licenses/BY-ND/4.0", "CC BY-ND 4.0", "by-nd"),
    ("https://creativecommons.org/licenses/by/3.0/igo/", "CC BY 3.0 IGO", "by"),
    ("http://creativecommons.org/licenses/by-nd-nc/1.0/", "CC BY-NC-ND 1.0", "by-nc-nd"),
    ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0 1.0", "cc0"),
    ("https://creativecommons.org/publicdomain/mark/1.0/", "Public Domain Mark 1.0", "pdm"),
]


@pytest.mark.parametrize(("address", "name", "expected"), ADDRESSES)
def test_an_address_has_a_name_and_a_code(address: str, name: str, expected: str) -> None:
    assert licence_name(address) == name
    assert licence_code(address) == licence_code(name) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://example.org/licence",
        "https://creativecommons.org/",
        "https://creativecommons.org.example/licenses/by/4.0/",
        "https://notcreativecommons.org/licenses/by/4.0/",
        "https://example.org/?like=https://creativecommons.org/licenses/by/4.0/",
    ],
)
def test_another_address_has_neither(address: str) -> None:
    assert licence_name(address) == ""
    assert licence_code(address) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("by", "by"),
        ("cc-by-2.0", "by"),
        ("CC BY-SA 4.0", "by-sa"),
        ("CC BY-SA 3.0 de", "by-sa"),
        ("CC  BY-NC  2.0", "by-nc"),
        ("cc-by-sa-3.0,2.5,2.0,1.0", "by-sa"),
        ("CC0", "cc0"),
        ("cc-zero", "cc0"),
        ("Public domain", "pdm"),
        ("No restrictions", "pdm"),
        ("GFDL", None),
        ("bystander", None),
        ("All rights reserved", None),
        ("", None),
    ],
)
def test_names_as_services_write_them(text: str, expected: str | None) -> None:
    assert licence_code(text) == expected


@pytest.mark.parametrize("each", LICENCE_CODES)
def test_every_code_can_be_read_from_its_name(each: str) -> None:
    assert licence_code(licence_code_name(each)) == each
