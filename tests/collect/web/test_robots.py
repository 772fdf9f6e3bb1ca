"""Robots rules: robots.txt, X-Robots-Tag and robots meta tags."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from studio.collect.web.fetcher import AGENT_TOKEN, Fetcher, FetchLimits, FetchResult
from studio.collect.web.robots import NO_IMAGE_DIRECTIVES, NO_LINK_DIRECTIVES, RobotsRules, robots_directives
from studio.errors import ImageRefused
from studio.images.skip_reasons import SkipReason
from tests.collect.web.loopback_server import LoopbackServer, ServerConnection, head, redirect_to, reply

AGENT = "retrain-studio/test (+test@example.org)"
LOOPBACK = frozenset({"127.0.0.1"})
SITE = "https://example.org"


def make_fetcher(**made: Any) -> Fetcher:
    return Fetcher(**{"agent": AGENT, "allowed_hosts": LOOPBACK, "delay_s": 0, **made})


def allows(robots: str, path: str) -> bool:
    rules = RobotsRules(lambda _url: robots.encode(), AGENT_TOKEN)
    try:
        rules.check(SITE + path)
    except ImageRefused as refusal:
        assert refusal.skip_reason == SkipReason.ROBOTS
        return False
    return True


@pytest.mark.parametrize(
    ("robots", "allowed", "forbidden"),
    [
        ("", ["/"], []),
        ("User-agent: *\nDisallow:", ["/"], []),
        ("User-agent: *\nDisallow: /", ["/robots.txt"], ["/", "/x"]),
        ("User-agent: *\nDisallow: /a", ["/", "/b/a"], ["/a", "/ab", "/a/b?c"]),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", ["/a/b", "/a/bc"], ["/a", "/a/c"]),
        ("User-agent: *\nAllow: /a/b\nDisallow: /a", ["/a/b"], ["/a/c"]),
        ("User-agent: *\nDisallow: /a\nAllow: /a", ["/a"], []),
        ("User-agent: *\nDisallow: /*.jpg$", ["/x.jpg?y", "/x.png"], ["/x.jpg", "/a/b.jpg"]),
        ("User-agent: *\nDisallow: /*/private/", ["/private/x"], ["/a/private/x", "/a/b/private/"]),
        ("User-agent: *\nDisallow: /a%20b\nDisallow: /꽃", ["/a"], ["/a%20b", "/%EA%BD%83.jpg"]),
        ("User-agent: other\nDisallow: /", ["/"], []),
        ("User-agent: other\nDisallow: /\nUser-agent: *\nDisallow: /a", ["/"], ["/a"]),
        ("User-agent: *\nDisallow: /\n\nUser-agent: Retrain-Studio\nDisallow: /a", ["/"], ["/a"]),
        ("User-agent: other\nUser-agent: retrain-studio\nDisallow: /a", ["/"], ["/a"]),
        ("User-agent: studio\nDisallow: /", ["/"], []),
        ("user-AGENT:*\r\ndisALLOW:/a # this\r\n", ["/"], ["/a"]),
        ("\ufeffUser-agent: *\nDisallow: /a", ["/"], ["/a"]),
        ("<html><body>Welcome</body></html>", ["/"], []),
        ("\x00\x01\x02Disallow: /", ["/"], []),
    ],
)
def test_rules(robots: str, allowed: list[str], forbidden: list[str]) -> None:
    assert [path for path in allowed if not allows(robots, path)] == []
    assert [path for path in forbidden if allows(robots, path)] == []


def test_rules_made_to_take_for_ever() -> None:
    robots = "User-agent: *\n" + f"Disallow: /{'*a' * 400}b$\n" * 200
    assert allows(robots, "/" + "a" * 1900)


def test_a_long_robots_txt_counts_up_to_its_last_whole_line() -> None:
    start = b"User-agent: *\nDisallow: /a\n"
    connection = b"Disallow: /" + b"b" * 1000 + b"\n"
    robots = start + connection * (1 + (512 * 1024 - len(start)) // len(connection))
    with (
        LoopbackServer({"/robots.txt": reply(robots), "/x": reply(b"x"), "/bbb": reply(b"b")}) as server,
        make_fetcher() as fetcher,
    ):
        assert fetcher.get(f"{server.url}/x").robots == "robots.txt allows it"
        assert fetcher.get(f"{server.url}/bbb").body == b"b"
        with pytest.raises(ImageRefused):
            fetcher.get(f"{server.url}/a")


def endless(connection: ServerConnection) -> None:
    connection.send(head() + b"User-agent: *\nDisallow: /a\n")
    while not connection.ended.is_set():
        connection.send(b"# and so on\n" * 1000)


def test_an_endless_robots_txt_is_read_to_its_limit() -> None:
    with LoopbackServer({"/robots.txt": endless, "/x": reply(b"x")}) as server, make_fetcher() as fetcher:
        assert fetcher.get(f"{server.url}/x").body == b"x"
        with pytest.raises(ImageRefused):
            fetcher.get(f"{server.url}/a")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_no_robots_txt(status: int) -> None:
    with LoopbackServer({"/robots.txt": reply(b"sorry", status), "/x": reply(b"x")}) as server:
        with make_fetcher() as fetcher:
            assert fetcher.get(f"{server.url}/x").robots == "no robots.txt"
            assert fetcher.get(f"{server.url}/x").robots == "no robots.txt"
        assert [asked.path for asked in server.log] == ["/robots.txt", "/x", "/x"]


def fetch_error(server: LoopbackServer, limits: FetchLimits | None = None) -> ImageRefused:
    with make_fetcher(limits=limits) as fetcher:
        for _time in range(2):
            with pytest.raises(ImageRefused) as refusal:
                fetcher.get(f"{server.url}/x")
    assert f"{server.url}/robots.txt" in str(refusal.value)
    assert server.paths == []
    return refusal.value


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_faulty_robots_txt_forbids_everything(status: int) -> None:
    with LoopbackServer({"/robots.txt": reply(b"sorry", status), "/x": reply(b"x")}) as server:
        refusal = fetch_error(server)
        assert refusal.skip_reason == SkipReason.ROBOTS
        assert f"cannot be read: its site answered {status}." in str(refusal)
        assert len(server.log) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _line: False, SkipReason.UNREACHABLE),
        (lambda connection: connection.wait(), SkipReason.SLOW),
        (reply(b"", 503, {"Retry-After": "100"}), SkipReason.BUSY),
        (redirect_to("/robots.txt"), SkipReason.REDIRECTS),
        (reply(b"x", headers={"Content-Encoding": "br"}), SkipReason.DAMAGED),
    ],
)
def test_a_robots_txt_that_cannot_be_had_forbids_everything(answer: Any, why: SkipReason) -> None:
    with LoopbackServer({"/robots.txt": answer, "/x": reply(b"x")}) as server:
        assert fetch_error(server, FetchLimits(first_byte_s=0.3)).skip_reason == why


def test_a_busy_robots_txt_is_fetched_again_after_the_suspension() -> None:
    seen = 0

    def answer(connection: ServerConnection) -> bool:
        nonlocal seen
        seen += 1
        connection.send(
            reply(b"", 503, {"Retry-After": "0"}) if seen == 1 else reply(b"User-agent: *\nDisallow: /a")
        )
        return True

    with (
        LoopbackServer({"/robots.txt": answer, "/x": reply(b"x")}) as server,
        make_fetcher(limits=FetchLimits(tries=1, longest_wait_s=0.3)) as fetcher,
    ):
        with pytest.raises(ImageRefused):
            fetcher.get(f"{server.url}/x")
        threading.Event().wait(0.4)
        assert fetcher.get(f"{server.url}/x").robots == "robots.txt allows it"


def test_redirects_of_robots_txt_are_followed_and_the_rules_apply_to_the_first_origin() -> None:
    with LoopbackServer({"/rules": reply(b"User-agent: *\nDisallow: /a"), "/a": reply(b"a")}) as other:
        with (
            LoopbackServer({"/robots.txt": redirect_to(f"{other.url}/rules"), "/x": reply(b"x")}) as server,
            make_fetcher() as fetcher,
        ):
            assert fetcher.get(f"{server.url}/x").body == b"x"
            with pytest.raises(ImageRefused, match="forbids it"):
                fetcher.get(f"{server.url}/a")
            assert fetcher.get(f"{other.url}/a").body == b"a", "it has no robots.txt of its own"
        assert [asked.path for asked in other.log] == ["/rules", "/robots.txt", "/a"]


def test_many_at_once_fetch_it_once() -> None:
    with LoopbackServer({"/robots.txt": reply(b"User-agent: *\nDisallow: /a"), "/x": reply(b"x")}) as server:
        with make_fetcher(connections=8) as fetcher, ThreadPoolExecutor(8) as pool:
            answers: list[FetchResult] = list(pool.map(fetcher.get, [f"{server.url}/x"] * 16))
        assert {answer.robots for answer in answers} == {"robots.txt allows it"}
        assert [asked.path for asked in server.log].count("/robots.txt") == 1
        assert server.log[0].path == "/robots.txt"


def test_a_forbidden_url_is_not_requested() -> None:
    with LoopbackServer({"/robots.txt": reply(b"User-agent: *\nDisallow: /x"), "/x": reply(b"x")}) as server:
        refusal = fetch_error(server)
        assert refusal.skip_reason == SkipReason.ROBOTS
        assert str(refusal).endswith(f"is not fetched: {server.url}/robots.txt forbids it.")


def test_the_checked_url_is_the_requested_one() -> None:
    with LoopbackServer(
        {"/robots.txt": reply(b"User-agent: *\nDisallow: /private/"), "/x": reply(b"x")}
    ) as server:
        with make_fetcher() as fetcher:
            for path in ("/a/../private/x", "/./private/x", "/a/%2E%2e/private/x", "/private/y/../x"):
                with pytest.raises(ImageRefused) as refusal:
                    fetcher.get(f"{server.url}{path}")
                assert refusal.value.skip_reason == SkipReason.ROBOTS
            assert fetcher.get(f"{server.url}/private/../x").body == b"x"
        assert server.paths == ["/x"]


def test_delays() -> None:
    def delay(robots: str) -> tuple[str, float]:
        return RobotsRules(lambda _url: robots.encode(), AGENT_TOKEN).check(f"{SITE}/x")

    assert delay("User-agent: *\nCrawl-delay: 2.5") == ("robots.txt allows it", 2.5)
    for unusual in ("nan", "inf", "-3", "soon", ""):
        assert delay(f"User-agent: *\nCrawl-delay: {unusual}") == ("robots.txt allows it", 0.0)
    message = "robots.txt allows it, every 300 s; every 60 s is kept"
    assert delay("User-agent: *\nCrawl-delay: 300") == (message, 60.0)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["noai"], {"noai"}),
        (["NoAI, noImageAI"], {"noai", "noimageai"}),
        (["noindex", "nofollow,noarchive"], {"noindex", "nofollow", "noarchive"}),
        (["otherbot: noai"], set()),
        (["otherbot: noai, noindex"], set()),
        (["retrain-studio: noai"], {"noai"}),
        (["Retrain-Studio : noai , noindex"], {"noai", "noindex"}),
        (["*: noai"], {"noai"}),
        (["otherbot: noai", "noindex"], {"noindex"}),
        (["noai, otherbot: noindex"], {"noai"}),
        (["otherbot: noindex, retrain-studio: noai, nofollow"], {"noai", "nofollow"}),
        (["otherbot: noindex, max-snippet: 5, noai"], set()),
        (["unavailable_after: Fri, 25 Jun 2010 15:00:00 PST, noai"], {"fri", "noai"}),
        (["unavailable_after: 2010-06-25T15:00:00+00:00, noai"], {"noai"}),
        (["max-image-preview: none, max-snippet:0"], set()),
        (["max-image-preview:none"], set()),
        (["noai noindex"], {"noai", "noindex"}),
        (["", " , ,", ":", "otherbot:"], set()),
    ],
)
def test_directives_of_headers(headers: list[str], expected: set[str]) -> None:
    dates = {"25", "jun", "2010", "15:00:00", "pst", "fri", ":"}
    assert robots_directives(headers, (), AGENT_TOKEN) - dates == expected - dates


@pytest.mark.parametrize(
    ("metas", "expected"),
    [
        ([("robots", "noai, noimageai")], {"noai", "noimageai"}),
        ([("ROBOTS", "NOINDEX,NOFOLLOW")], {"noindex", "nofollow"}),
        ([("Retrain-Studio", "noai")], {"noai"}),
        ([("otherbot", "noai"), ("description", "noindex")], set()),
        ([("robots", "max-image-preview: none, index")], {"index"}),
        ([("robots", "none")], {"none"}),
    ],
)
def test_directives_of_metas(metas: list[tuple[str, str]], expected: set[str]) -> None:
    assert robots_directives((), metas, AGENT_TOKEN) == expected


def test_which_directives_forbid() -> None:
    assert sorted(NO_IMAGE_DIRECTIVES) == ["noai", "noimageai", "noimageindex", "noindex", "none"]
    assert sorted(NO_LINK_DIRECTIVES) == ["nofollow", "none"]


@pytest.mark.parametrize("directive", sorted(NO_IMAGE_DIRECTIVES))
def test_a_image_that_is_not_to_be_taken(directive: str) -> None:
    def answer(connection: ServerConnection) -> None:
        connection.send(head(headers={"X-Robots-Tag": directive, "Content-Length": "1000000"}))
        connection.wait()

    with LoopbackServer({"/x": answer}) as server:
        with make_fetcher() as fetcher, pytest.raises(ImageRefused) as refusal:
            fetcher.get(f"{server.url}/x")  # of which nothing is read
        assert refusal.value.skip_reason == SkipReason.NOAI
        assert f"its X-Robots-Tag says {directive}." in str(refusal.value)


def test_several_tags_keep_whom_they_are_for() -> None:
    tags = b"X-Robots-Tag: otherbot: noindex\r\nX-Robots-Tag: nofollow\r\n"
    answers = {
        "/x": reply(b"x").replace(b"\r\n\r\n", b"\r\n" + tags + b"\r\n"),
        "/y": reply(b"y").replace(
            b"\r\n\r\n", b"\r\n" + tags + b"X-Robots-Tag: retrain-studio: noai\r\n\r\n"
        ),
    }
    with LoopbackServer(answers) as server, make_fetcher() as fetcher:
        assert fetcher.get(f"{server.url}/x").robots_tags == ("otherbot: noindex", "nofollow")
        with pytest.raises(ImageRefused, match="says noai"):
            fetcher.get(f"{server.url}/y")
        page = fetcher.get(f"{server.url}/y", kind="page")
        assert page.robots_tags == ("otherbot: noindex", "nofollow", "retrain-studio: noai")


def test_a_tag_on_an_unchanged_image_counts_too() -> None:
    with LoopbackServer({"/x": head(304, {"X-Robots-Tag": "noai"})}) as server, make_fetcher() as fetcher:
        with pytest.raises(ImageRefused) as refusal:
            fetcher.get(f"{server.url}/x", etag='"1"')
        assert refusal.value.skip_reason == SkipReason.NOAI
