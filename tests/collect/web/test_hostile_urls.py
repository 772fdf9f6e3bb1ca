"""URLs that lead to private hosts: all rejected without a connection."""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from studio.collect.web import connections
from studio.collect.web.fetcher import Fetcher
from studio.errors import ImageRefused
from studio.images.skip_reasons import SkipReason
from tests.collect.web.loopback_server import LoopbackServer, redirect_to, reply

AGENT = "retrain-studio/test (+test@example.org)"

NAMES = {
    "loop.example": ["127.0.0.1"],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "any.example": ["0.0.0.0"],  # to most systems this machine
    "metadata.example": ["169.254.169.254"],
    "office.example": ["10.1.2.3"],
    "carrier.example": ["100.64.0.1"],
    "cast.example": ["224.0.0.1"],
    "both.example": ["93.184.216.34", "127.0.0.1"],
    "xn--bj0bj06e.example": ["127.0.0.1"],
    "listener.example": ["127.0.0.1"],
}


def wide(text: str) -> str:
    """Return text in fullwidth letters, as in Chinese and Japanese text."""
    return "".join(chr(ord(letter) + 0xFEE0) for letter in text)


# What is asked, and what it is. {port} is the listener's own.
HOSTILE_URLS = {
    "http://127.0.0.1:{port}/": "loopback",
    "http://127.0.0.1/": "loopback, usual port",
    "http://127.8.9.10:{port}/": "the rest of loopback",
    "http://0.0.0.0:{port}/": "any address of this machine",
    "http://2130706433:{port}/": "one decimal number",
    "http://017700000001:{port}/": "one octal number",
    "http://0x7f000001:{port}/": "one hexadecimal number",
    "http://0177.0.0.1:{port}/": "octal parts",
    "http://0177.0.0.01/": "octal parts, usual port",
    "http://0x7f.0x0.0x0.0x1:{port}/": "hexadecimal parts",
    "http://0x7f.1:{port}/": "two parts, hexadecimal",
    "http://127.1:{port}/": "two parts",
    "http://127.0.1:{port}/": "three parts",
    "http://127.0.0.1.:{port}/": "a dot behind",
    "http://0:{port}/": "zero",
    "http://256.0.0.1:{port}/": "a part too large",
    "http://[::1]:{port}/": "IPv6 loopback",
    "http://[0:0:0:0:0:0:0:1]:{port}/": "IPv6 loopback, in full",
    "http://[::]:{port}/": "IPv6, any address",
    "http://[::ffff:127.0.0.1]:{port}/": "IPv4 inside IPv6",
    "http://[::ffff:7f00:1]:{port}/": "IPv4 inside IPv6, hexadecimal",
    "http://[::127.0.0.1]:{port}/": "IPv4 inside IPv6, the old way",
    "http://[64:ff9b::7f00:1]:8080/": "IPv4 inside NAT64",
    "http://[2002:7f00:1::]:8080/": "IPv4 inside 6to4",
    "http://[2001:0:53aa:64c:0:0:80ff:fffe]:8080/": "IPv4 inside Teredo",
    "http://[fe80::1%25lo]:{port}/": "a zone",
    "http://[fd00:ec2::254]/latest/meta-data/": "a cloud's metadata, IPv6",
    "http://169.254.169.254/latest/meta-data/": "a cloud's metadata",
    "http://100.100.100.200/latest/meta-data/": "another cloud's metadata",
    "http://192.0.0.192/latest/": "a third cloud's metadata",
    "http://10.0.0.1/": "private",
    "http://192.168.0.1:8080/": "private",
    "http://172.16.0.1/": "private",
    "http://224.0.0.1/": "multicast",
    "http://255.255.255.255/": "broadcast",
    "http://good.example@127.0.0.1:{port}/": "a name as user",
    "http://good.example:80@127.0.0.1:{port}/": "a name and a port as user",
    "http://127.0.0.1:{port}@good.example/": "an address as user",
    "http://good.example%40127.0.0.1:{port}/": "an encoded @",
    "http://good.example\\@127.0.0.1:{port}/": "a backslash",
    "http:\\\\127.0.0.1:{port}\\": "backslashes for slashes",
    "http://127.0.0.1:{port}\\.good.example/": "a backslash after the port",
    "http://%31%32%37.0.0.1:{port}/": "encoded digits",
    "http://127%2e0%2e0%2e1:{port}/": "encoded dots",
    "http://127.0.0.1%00.good.example/": "a zero inside",
    "ht\ntp://127.0.0.1:{port}/": "a line end inside the scheme",
    "http://127.0.\t0.1:{port}/": "a tab inside the host",
    f"http://{wide('127')}.{wide('0.0')}.1:{{port}}/": "wide digits",
    "http://127。0。0。1:{port}/": "dots of another script",
    "http://①②⑦.⓪.⓪.①:{port}/": "digits in circles",
    "http://localhost:{port}/": "this machine's name",
    "http://LOCALHOST.:{port}/": "this machine's name, with a dot",
    f"http://{wide('localhost')}:{{port}}/": "this machine's name, wide",
    "http://loop.example:8080/": "a name for loopback",
    "http://loop.example./": "the same with a dot",
    "http://LOOP.example:8443/": "the same in capitals",
    "https://loop.example/": "the same encrypted",
    "http://한글.example/": "the same in another script",
    "http://six.example/": "a name for IPv6 loopback",
    "http://mapped.example/": "a name for loopback inside IPv6",
    "http://any.example/": "a name for any address",
    "http://metadata.example/": "a name for a cloud's metadata",
    "http://office.example/": "a name for a private address",
    "http://carrier.example/": "a name for a provider's own network",
    "http://cast.example/": "a name for multicast",
    "http://both.example/": "a name for a public and a private address",
    "http://listener.example:22/": "a port that is not the web's",
    "http://listener.example:{port}/": "any other port",
    "http://listener.example:0/": "port zero",
    "http://listener.example:65536/": "a port too high",
    "http://listener.example:8o/": "a port that is no number",
    "file:///etc/passwd": "a file",
    "ftp://127.0.0.1:{port}/": "FTP",
    "gopher://127.0.0.1:{port}/_GET%20/": "Gopher",
    "//127.0.0.1:{port}/": "no scheme",
    "127.0.0.1:{port}": "no scheme either",
    "http:///": "no host",
    "http://[127.0.0.1]:{port}/": "IPv4 in brackets",
    "http://[::1/": "half a bracket",
}


class FakeResolver:
    """Resolves hosts, always with the port of the server, which so notices a forbidden connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int, **how: Any) -> list[Any]:
        self.asked.append(host)
        found = []
        for ip in NAMES.get(host, [host]):
            found += socket.getaddrinfo(ip, self.port, **how)
        return found


@pytest.fixture(scope="module")
def servers() -> Iterator[list[LoopbackServer]]:
    """Servers on 127.0.0.1 and, if there is one, on ::1, at the same port."""
    with ExitStack() as stack:
        first = stack.enter_context(LoopbackServer({"/": reply(b"secret")}))
        both = [first]
        with suppress(OSError):  # no IPv6 here
            both.append(
                stack.enter_context(LoopbackServer({"/": reply(b"secret")}, host="::1", port=first.port))
            )
        yield both


@pytest.mark.parametrize("kind", ["picture", "service"])
@pytest.mark.parametrize("url", HOSTILE_URLS, ids=HOSTILE_URLS.values())
def test_hostile_urls_are_rejected_without_a_connection(
    url: str, kind: Any, servers: list[LoopbackServer]
) -> None:
    before = [server.connections for server in servers]
    port = servers[0].port
    with (
        Fetcher(agent=AGENT, delay_s=0, resolve=FakeResolver(port)) as fetcher,
        pytest.raises(ImageRefused) as refusal,
    ):
        fetcher.get(url.format(port=port), kind=kind)
    assert refusal.value.skip_reason == SkipReason.ADDRESS
    assert [server.connections for server in servers] == before


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:{port}/", "127.0.0.1"),
        ("http://listener.example:{port}/", "listener.example"),
        ("http://LISTENER.example/", "Listener.Example"),
        ("http://loop.example:9/", "loop.example"),
        ("http://[::1]:{port}/", "::1"),
        ("http://[0::1]:{port}/", "[::1]"),
    ],
)
def test_the_same_hosts_are_reached_when_they_are_allowed(
    url: str, allowed: str, servers: list[LoopbackServer]
) -> None:
    if ":" in allowed and len(servers) == 1:
        pytest.skip("no IPv6 here")
    port = servers[0].port
    hosts = frozenset({allowed})
    with Fetcher(agent=AGENT, allowed_hosts=hosts, delay_s=0, resolve=FakeResolver(port)) as fetcher:
        assert fetcher.get(url.format(port=port)).body == b"secret"


def test_allowing_one_name_allows_no_other_of_the_same_machine(servers: list[LoopbackServer]) -> None:
    port = servers[0].port
    before = servers[0].connections
    hosts = frozenset({"listener.example"})
    with (
        Fetcher(agent=AGENT, allowed_hosts=hosts, delay_s=0, resolve=FakeResolver(port)) as fetcher,
        pytest.raises(ImageRefused, match=r"127\.0\.0\.1 is not a public address.*STUDIO_ALLOW_HOSTS"),
    ):
        fetcher.get("http://loop.example/")
    assert servers[0].connections == before


REDIRECT_TARGETS = [
    "http://loop.example:8080/",
    "http://localhost:{port}/",
    "http://127.0.0.2:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "//user@loop.example:8080/",
    "\\\\loop.example:8080\\",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.example/latest/meta-data/",
    "http://both.example/",
    "https://loop.example/",
    "file:///etc/passwd",
    "data:text/html,hello",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("led_to", REDIRECT_TARGETS)
def test_redirects_to_hostile_urls_are_rejected(
    led_to: str, status: int, servers: list[LoopbackServer]
) -> None:
    victim = servers[0]
    before = [server.connections for server in servers]
    answers = {
        "/1": redirect_to("/2", status),
        "/2": redirect_to("http://listener.example/3", status),
        "/3": redirect_to(led_to.format(port=victim.port), status),
    }

    def resolve(host: str, port: int, **how: Any) -> list[Any]:
        return FakeResolver(first.port if host == "listener.example" else victim.port)(host, port, **how)

    with LoopbackServer(answers) as first:
        hosts = frozenset({"listener.example"})
        with (
            Fetcher(agent=AGENT, allowed_hosts=hosts, delay_s=0, resolve=resolve) as fetcher,
            pytest.raises(ImageRefused) as refusal,
        ):
            fetcher.get("http://listener.example:8080/1")
        assert refusal.value.skip_reason == SkipReason.ADDRESS
        assert first.paths == ["/1", "/2", "/3"]
    assert [server.connections for server in servers] == before


def test_redirects_of_robots_txt_to_hostile_urls_are_rejected(servers: list[LoopbackServer]) -> None:
    victim = servers[0]
    before = victim.connections
    with LoopbackServer(
        {"/robots.txt": redirect_to(f"http://localhost:{victim.port}/"), "/x": reply(b"x")}
    ) as first:
        with (
            Fetcher(agent=AGENT, allowed_hosts=frozenset({"127.0.0.1"}), delay_s=0) as fetcher,
            pytest.raises(ImageRefused, match=r"robots\.txt cannot be read") as refusal,
        ):
            fetcher.get(f"{first.url}/x")
        assert refusal.value.skip_reason == SkipReason.ADDRESS
        assert first.paths == []
    assert victim.connections == before


def second_loopback() -> bool:
    """Return whether this system has 127.0.0.2 without configuration; Linux and Windows do."""
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.2", 0))
        except OSError:
            return False
    return True


@pytest.mark.skipif(not second_loopback(), reason="there is only one loopback address here")
def test_a_name_whose_answer_changes_is_connected_to_what_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two addresses of this machine, of which one passes for public: the network is as it is.
    public = ipaddress.ip_address("127.0.0.2")
    monkeypatch.setattr(connections, "is_public", lambda ip: ip == public)
    resolved: list[str] = []

    with (
        LoopbackServer({"/": reply(b"public")}, host="127.0.0.2") as public_server,
        LoopbackServer({"/": reply(b"secret")}, port=public_server.port) as victim,
    ):

        def resolve(_host: str, _port: int, **how: Any) -> list[Any]:
            ip = "127.0.0.2" if len(resolved) % 2 == 0 else "127.0.0.1"
            resolved.append(ip)
            return socket.getaddrinfo(ip, victim.port, **how)

        with Fetcher(agent=AGENT, delay_s=0, resolve=resolve) as fetcher:
            assert fetcher.get("http://changing.example/", kind="service").body == b"public"
            assert fetcher.get("http://changing.example/", kind="service").body == b"public"
            assert resolved == ["127.0.0.2"], "one connection, one look-up"
            with pytest.raises(ImageRefused) as refusal:  # another pool, hence a second connection
                fetcher.get("http://changing.example:8080/", kind="service")
            assert refusal.value.skip_reason == SkipReason.ADDRESS
            assert resolved == ["127.0.0.2", "127.0.0.1"]
        assert public_server.connections == 1
        assert victim.connections == 0


def test_a_name_that_nobody_knows() -> None:
    def resolve(*_what: Any, **_how: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with (
        Fetcher(agent=AGENT, delay_s=0, resolve=resolve) as fetcher,
        pytest.raises(
            ImageRefused, match=r"nowhere\.example cannot be reached: its name is not known"
        ) as refusal,
    ):
        fetcher.get("http://nowhere.example/x.jpg")
    assert refusal.value.skip_reason == SkipReason.UNREACHABLE


@pytest.mark.parametrize("made", [list, lambda: ["/"]], ids=["nothing", "a path"])
def test_a_resolver_that_answers_nonsense_leads_nowhere(made: Callable[[], list[str]]) -> None:
    def resolve(*_what: Any, **_how: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (place, 80)) for place in made()]

    with Fetcher(agent=AGENT, delay_s=0, resolve=resolve) as fetcher, pytest.raises(ImageRefused):
        fetcher.get("http://odd.example/x.jpg")


def test_neither_proxies_nor_passwords_are_taken_from_around(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    with LoopbackServer({"/x": reply(b"x")}) as proxy, LoopbackServer({"/x": reply(b"right")}) as asked:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.upper(), proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        (tmp_path / ".netrc").write_text("default login someone password secret\n", encoding="utf-8")
        monkeypatch.setenv("NETRC", os.fspath(tmp_path / ".netrc"))
        monkeypatch.setenv("HOME", os.fspath(tmp_path))
        with Fetcher(agent=AGENT, allowed_hosts=frozenset({"127.0.0.1"}), delay_s=0) as fetcher:
            assert fetcher.get(f"{asked.url}/x").body == b"right"
        assert proxy.connections == 0
        assert all("authorization" not in request.headers for request in asked.log)
