"""The page parser on pages, feeds and sitemaps, also malformed and hostile ones."""

import gzip
import random

import pytest

from studio.collect.web.page_parser import parse_page
from studio.collect.web.parsed_page import ParsedPage
from studio.errors import ImageRefused
from studio.images.skip_reasons import SkipReason
from tests.collect.material import image_bytes

PAGE = "https://example.org/garden/index.html"


def parse(html: str, content_type: str = "text/html; charset=utf-8") -> ParsedPage:
    return parse_page(html.encode(), content_type, PAGE)


def image_paths(html: str) -> list[str]:
    """Return the URLs of a page's images without their common prefix."""
    return [found.url.removeprefix("https://example.org/") for found in parse(html).images]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img src="rose.jpg">', ["garden/rose.jpg"]),
        ('<img src="/rose.jpg?w=200">', ["rose.jpg?w=200"]),
        ('<base href="/other/"><img src="rose.jpg">', ["other/rose.jpg"]),
        ('<img srcset="a.jpg 100w, b.jpg 900w, c.jpg 400w" src="d.jpg">', ["garden/b.jpg"]),
        ('<img srcset="a.jpg, b.jpg 2x" src="d.jpg">', ["garden/b.jpg"]),
        ('<img srcset="a,1.jpg 100w,b,2.jpg 200w">', ["garden/b,2.jpg"]),
        ('<img src="data:image/gif;base64,R0" data-src="late.jpg">', ["garden/late.jpg"]),
        ('<img src="x.jpg" data-original="late.jpg">', ["garden/late.jpg"]),
        ('<img class="lazy" data-srcset="s.jpg 1x, l.jpg 3x">', ["garden/l.jpg"]),
        ('<img src="data:,x" data-src="l.jpg"><noscript><img src="l2.jpg"></noscript>', ["garden/l.jpg"]),
        ('<noscript><img src="alone.jpg"></noscript>', ["garden/alone.jpg"]),
        (
            '<picture><source srcset="s.webp 100w, l.webp 900w"><img src="f.jpg"></picture>',
            ["garden/l.webp"],
        ),
        ('<a href="whole.jpg"><img src="thumb.jpg"></a>', ["garden/whole.jpg"]),
        ('<a href="whole.JPG">look</a>', ["garden/whole.JPG"]),
        ('<a href="/wiki/File:Rose.jpg">about it</a>', []),
        ('<meta property="og:image" content="/card.jpg">', ["card.jpg"]),
        ('<meta name="twitter:image" content="/card.jpg">', ["card.jpg"]),
        ('<link rel="image_src" href="/card.jpg">', ["card.jpg"]),
        ("<div style=\"background-image: url('b.png')\"></div>", ["garden/b.png"]),
        ("<style>.x { background: #fff url(b.png) no-repeat }</style>", ["garden/b.png"]),
        ('<video poster="p.jpg"></video>', ["garden/p.jpg"]),
        ('<img src="a.jpg"><img src="a.jpg"><img src="./a.jpg#top">', ["garden/a.jpg"]),
        ('<script>document.write(\'<img src="no.jpg">\')</script><!-- <img src="no.jpg"> -->', []),
        ('<img src="javascript:alert(1)"><img src="ftp://a/b.jpg"><img src="http://u@h/b.jpg"><img>', []),
        ('<img src="/%EC%9E%A5%EB%AF%B8.jpg"><img src="/장미.jpg">', ["%EC%9E%A5%EB%AF%B8.jpg"]),
    ],
)
def test_where_images_are_found(html: str, expected: list[str]) -> None:
    assert image_paths(html) == expected


@pytest.mark.parametrize(
    "html",
    [
        '<img src="i.jpg" width="16" height="16">',
        '<img src="p.jpg" width="1" height="1">',
        '<img src="logo.svg">',
        '<img src="favicon.ico">',
        '<img src="sprite-2x.png">',
        '<img src="pixel.gif">',
    ],
)
def test_icons_and_trackers_are_skipped_with_a_message(html: str) -> None:
    reading = parse(html)
    assert reading.images == ()
    ((url, reason),) = reading.skipped
    assert url in reason


def test_what_is_small_in_one_place_is_taken_where_it_is_large() -> None:
    assert image_paths('<img src="a.jpg" width="16"><img src="a.jpg" width="600">') == ["garden/a.jpg"]


def test_json_ld_says_who_made_a_image() -> None:
    reading = parse(
        """<script type="application/ld+json">{"@context": "https://schema.org", "@graph": [
        {"@type": "Article", "image": ["/plain.jpg"]},
        {"@type": "ImageObject", "contentUrl": "/rose.jpg", "name": "A <i>rose</i>",
         "creator": {"@type": "Person", "name": "Ann"},
         "license": "https://creativecommons.org/licenses/by-sa/4.0/"}]}</script>
        <script type="application/ld+json">{ broken</script><img src="/rose.jpg" alt="other words">"""
    )
    provenance = {found.url.rpartition("/")[2]: found.provenance for found in reading.images}
    assert set(provenance) == {"plain.jpg", "rose.jpg"}
    rose = provenance["rose.jpg"]
    assert (rose.title, rose.creator, rose.licence) == ("A rose", "Ann", "CC BY-SA 4.0")
    assert (rose.page_address, rose.licence_address) == (
        PAGE,
        "https://creativecommons.org/licenses/by-sa/4.0/",
    )


def test_what_stands_in_a_figure_holds_for_its_image_alone() -> None:
    reading = parse(
        """<title>Garden</title><figure><img src="a.jpg"><figcaption>In May</figcaption>
        <a rel="license" href="https://creativecommons.org/publicdomain/zero/1.0/">CC0</a></figure>
        <img src="b.jpg" alt="In June"><img src="c.jpg">"""
    )
    assert [(found.provenance.title, found.provenance.licence) for found in reading.images] == [
        ("In May", "CC0 1.0"),
        ("In June", ""),
        ("Garden", ""),
    ]


def test_links_pagination_feeds_and_robots_metas() -> None:
    reading = parse(
        """<meta name="robots" content="noai, nofollow"><meta name="Googlebot" content="noindex">
        <link rel="alternate" type="application/atom+xml" href="/feed"><link rel="stylesheet" href="/s.css">
        <a href="/two#part">2</a><a href="?page=2" rel="next">on</a><a rel="nofollow" href="/no">no</a>
        <a href="mailto:a@b.example">mail</a><a href="rose.jpg">an image</a><a href="#top">up</a>"""
    )
    assert reading.links == (
        "https://example.org/feed",
        "https://example.org/two",
        "https://example.org/garden/index.html?page=2",
    )
    assert reading.next_links == ("https://example.org/garden/index.html?page=2",)
    assert ("robots", "noai, nofollow") in reading.robots_metas


def test_a_reading_survives_being_kept() -> None:
    reading = parse(
        '<title>T</title><img src="a.jpg" width="300"><img src="i.svg"><a href="/b" rel="next">b</a>'
    )
    assert ParsedPage.from_json(reading.to_json()) == reading


@pytest.mark.parametrize(
    ("text", "charset", "stated"),
    [
        ("장미 정원", "cp949", "euc-kr"),
        ("장미 정원", "utf-8", "iso-8859-1"),
        ("Rosé", "latin-1", "no-such-charset"),
        ("장미 정원", "utf-16", ""),
    ],
)
def test_text_is_decoded_despite_wrong_charset_declarations(text: str, charset: str, stated: str) -> None:
    page = f'<html><img src="a.jpg" alt="{text}"></html>'.encode(charset)
    (found,) = parse_page(page, f"text/html; charset={stated}" if stated else "text/html", PAGE).images
    assert found.provenance.title == text


FEED = """<?xml version="1.0"?><rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Feed</title>
 <item><title>One &amp; two</title><link>/posts/1</link><dc:creator>Ann</dc:creator>
  <enclosure url="/e.jpg" type="image/jpeg" length="9"/><enclosure url="/e.mp3" type="audio/mpeg"/></item>
 <item><link>/posts/2</link><media:content url="/s.jpg" width="100" height="100" medium="image"/>
  <media:content url="/l.jpg" width="900" height="900" medium="image"/><media:thumbnail url="/t.jpg"/></item>
 <item><link>/posts/3</link><description>&lt;img src="/inner.jpg" alt="Inner"&gt;</description></item>
</channel></rss>"""


def test_a_feed_names_images_and_pages() -> None:
    reading = parse_page(FEED.encode(), "application/rss+xml", "https://example.org/feed")
    names = [found.url.rpartition("/")[2] for found in reading.images]
    assert names == ["e.jpg", "l.jpg", "inner.jpg"]
    first = reading.images[0].provenance
    assert (first.page_address, first.title, first.creator) == (
        "https://example.org/posts/1",
        "One & two",
        "Ann",
    )
    assert reading.links == tuple(f"https://example.org/posts/{number}" for number in (1, 2, 3))


def test_a_feed_that_breaks_off_gives_what_came_before() -> None:
    half = FEED[: FEED.index("<item><link>/posts/3")]
    assert len(parse_page(half.encode(), "", "https://example.org/feed").images) == 2


def test_a_packed_sitemap_names_pages_and_their_images() -> None:
    sitemap = """<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
     xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"><url><loc>https://example.org/a</loc>
     <image:image><image:loc>https://example.org/a.jpg</image:loc><image:title>Rose</image:title>
     <image:license>https://creativecommons.org/licenses/by/4.0/</image:license></image:image></url></urlset>"""
    reading = parse_page(
        gzip.compress(sitemap.encode()), "application/gzip", "https://example.org/map.xml.gz"
    )
    assert reading.links == ("https://example.org/a",)
    (found,) = reading.images
    assert (found.provenance.title, found.provenance.licence) == ("Rose", "CC BY 4.0")


def test_entities_of_a_feed_are_not_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 20))
    attack = f'<!DOCTYPE rss [<!ENTITY l0 "ha">{laughs}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    feed = FEED.replace("<rss", attack + "<rss").replace("One &amp; two", "&l19;&f;")
    try:
        reading = parse_page(feed.encode(), "", "https://example.org/feed")
    except ImageRefused:
        return
    message = repr(reading)
    assert "root:" not in message
    assert "haha" not in message


@pytest.mark.parametrize(
    "body",
    [
        b"%PDF-1.7 x",
        b"MZ" + bytes(200),
        image_bytes(0),
        b"just words",
        b'{"a": 1}',
        random.Random(0).randbytes(999),
    ],
    ids=["pdf", "program", "picture", "text", "json", "noise"],
)
def test_other_formats_are_rejected_by_name(body: bytes) -> None:
    with pytest.raises(ImageRefused) as refusal:
        parse_page(body, "text/html", PAGE)
    assert refusal.value.skip_reason == SkipReason.NOT_AN_IMAGE
    assert PAGE in str(refusal.value)


def test_a_compression_bomb_is_rejected() -> None:
    with pytest.raises(ImageRefused) as refusal:
        parse_page(gzip.compress(bytes(60_000_000)), "", PAGE)
    assert refusal.value.skip_reason == SkipReason.TOO_LARGE


HOSTILE = {
    "deep": "<div>" * 100_000,
    "deep links": "<a href=x><img src=a.jpg>" * 15_000,
    "angles": "<" * 3_000_000,
    "a tag without end": '<img src="' + "a" * 3_000_000,
    "an attribute": f'<img src="a.jpg" alt="{"x" * 3_000_000}">',
    "attributes": "<img " + " ".join(f"a{n}=1" for n in range(100_000)) + ">",
    "comments": "<!--" * 500_000,
    "ends": "</p>" * 200_000,
    "scripts": "<script>" * 200_000,
    "noscripts": "<noscript><img src=a.jpg>" * 8_000,
    "figures": "<figure><img src=a.jpg><figcaption>x" * 8_000,
    "marked sections": "<![" * 500_000,
    "numbers": "&#" * 500_000 + "9" * 100_000,
    "a srcset": f'<img srcset="{"a.jpg 1w," * 300_000}">',
    "a srcset of commas": f'<img srcset="{"," * 1_000_000}">',
    "brackets of a srcset": f'<img srcset="a.jpg {"(" * 1_000_000}">',
    "backgrounds": f'<p style="{"background:url(" * 100_000}">',
    "json": f'<script type="application/ld+json">{"[" * 500_000}</script>',
    "nothing": "\0" * 100_000 + "<p>",
    "half letters": "<img alt='\ud800' src='\udfff.jpg'>".encode("utf-8", "surrogatepass").decode("latin-1"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_page_is_too_much(name: str) -> None:
    try:
        reading = parse_page(b"<!doctype html><title>x</title>" + HOSTILE[name].encode(), "text/html", PAGE)
    except ImageRefused:
        return
    assert all(found.url.startswith("http") for found in reading.images)
    assert all(len(found.provenance.title) <= 500 for found in reading.images)


def test_noise_never_raises_anything_else() -> None:
    noise = random.Random(1)
    parts = [
        "<",
        ">",
        "img",
        "src=",
        '"',
        "srcset=",
        "a.jpg",
        "</",
        "a href=",
        "<!--",
        "-->",
        "&",
        ";",
        "\0",
        "é",
        " ",
    ]
    for _turn in range(300):
        text = "<html>" + "".join(noise.choices(parts, k=200))
        try:
            parse_page(text.encode(), "", PAGE)
        except ImageRefused:
            continue
