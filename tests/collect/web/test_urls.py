"""URL normalisation, and public IP addresses."""

import ipaddress

import pytest

from studio.collect.web.urls import MAX_URL_CHARS, is_public, normalise_url, origin_of, printable, site_of
from studio.errors import ImageRefused
from studio.images.skip_reasons import SkipReason

WIDE_EXAMPLE = "".join(chr(ord(letter) + 0xFEE0) for letter in "example")
PAGE = "https://example.org/a/b?c=d#e"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://Example.ORG", "http://example.org/"),
        ("HTTPS://example.org:443/x", "https://example.org/x"),
        ("http://example.org:80", "http://example.org/"),
        ("http://example.org:443/", "http://example.org:443/"),
        ("http://example.org./x", "http://example.org/x"),
        ("  http://example.org/a b \n", "http://example.org/a%20b"),
        ("http://example.org/a\nb\tc", "http://example.org/abc"),
        (
            "http://example.org/꽃.jpg?이름=꽃",
            "http://example.org/%EA%BD%83.jpg?%EC%9D%B4%EB%A6%84=%EA%BD%83",
        ),
        ("http://example.org/a%20b%2Fc?d=%26", "http://example.org/a%20b%2Fc?d=%26"),
        ("http://example.org/#top", "http://example.org/"),
        ("http://한국.kr/", "http://xn--3e0b707e.kr/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://example。org/", "http://example.org/"),
        (f"http://{WIDE_EXAMPLE}.org/", "http://example.org/"),
        ("http://93.184.216.34/", "http://93.184.216.34/"),
        ("http://[2606:4700:0000::1111]/", "http://[2606:4700::1111]/"),
        ("http://example.org/a/./b/../c", "http://example.org/a/c"),
        ("http://example.org/../../a", "http://example.org/a"),
        ("http://example.org/a/..", "http://example.org/"),
        ("http://example.org/a/%2e%2E/b/%2e", "http://example.org/b/"),
        ("http://example.org/a//b", "http://example.org/a//b"),
        ("http://example.org/.hidden/..x/a.", "http://example.org/.hidden/..x/a."),
        ("http://example.org?a=@b", "http://example.org/?a=@b"),
        ("http://under_score.example.org/", "http://under_score.example.org/"),
    ],
)
def test_urls_have_one_normal_form(url: str, expected: str) -> None:
    assert normalise_url(url) == expected
    assert normalise_url(expected) == expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("x.jpg", "https://example.org/a/x.jpg"),
        ("/x.jpg", "https://example.org/x.jpg"),
        ("../../x.jpg", "https://example.org/x.jpg"),
        ("//other.example/x", "https://other.example/x"),
        ("?p=2", "https://example.org/a/b?p=2"),
        ("http://other.example", "http://other.example/"),
    ],
)
def test_a_reference_on_a_page(named: str, expected: str) -> None:
    assert normalise_url(named, PAGE) == expected


@pytest.mark.parametrize("url", ["data:image/png;base64,AA", "javascript:alert(1)", "mailto:a@b.example"])
def test_other_schemes_on_a_page_are_rejected(url: str) -> None:
    with pytest.raises(ImageRefused) as refusal:
        normalise_url(url, PAGE)
    assert refusal.value.skip_reason == SkipReason.ADDRESS


def test_the_error_says_what_was_expected_and_why() -> None:
    with pytest.raises(ImageRefused) as refusal:
        normalise_url("ftp://example.org/\x1b[2Jx")
    assert str(refusal.value) == (
        "expected a public URL such as https://example.org/; ftp://example.org/�[2Jx is not fetched: it"
        " does not begin with http:// or https://."
    )


def test_long_urls() -> None:
    start = "http://example.org/"
    assert len(normalise_url(start + "a" * (MAX_URL_CHARS - len(start)))) == MAX_URL_CHARS
    for longer in (start + "a" * (MAX_URL_CHARS - len(start) + 1), start + "꽃" * 500):
        with pytest.raises(ImageRefused, match="longer than 2,000") as refusal:
            normalise_url(longer)
        assert len(str(refusal.value)) < 400


def test_site_and_origin() -> None:
    assert site_of("http://example.org/a/b") == "example.org"
    assert site_of("https://example.org:8443/") == "example.org:8443"
    assert origin_of("https://example.org:8443/a/b") == "https://example.org:8443"


def test_shown_is_one_short_printable_line() -> None:
    assert printable("a\r\nb\x1b[31m") == "a��b�[31m"
    assert len(printable("x" * 10_000)) == 200


@pytest.mark.parametrize(
    "url",
    [
        "93.184.216.34", "1.1.1.1", "192.0.1.1", "2606:4700::1111", "2a00:1450:4001::1",
        "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
    ],
)  # fmt: skip
def test_public(url: str) -> None:
    assert is_public(ipaddress.ip_address(url))


@pytest.mark.parametrize(
    "url",
    [
        "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255",
        "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.1",
        "192.0.0.192", "168.63.129.16", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::7f00:1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254",
        "fd20:ce::254", "ff02::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1", "2001::1", "2001:10::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::",
        "2001:0:53aa:64c:0:0:80ff:fffe", "2001:2::1",
    ],
)  # fmt: skip
def test_not_public(url: str) -> None:
    assert not is_public(ipaddress.ip_address(url))
