"""The base URL of share links, and whether other machines can reach it."""

import pytest

from studio.web.share import links
from studio.web.share.links import share_base_url


@pytest.mark.parametrize(
    ("configured", "visited", "listening", "expected", "open_to_others"),
    [
        ("", "http://127.0.0.1:8501/share?project=x", "127.0.0.1", "http://127.0.0.1:8501", False),
        ("", "http://localhost:8501/share", "", "http://localhost:8501", False),
        ("", "http://[::1]:8501/", "::1", "http://[::1]:8501", False),
        ("", "http://127.0.0.1:8501/", "0.0.0.0", "http://192.168.1.7:8501", True),
        ("", "http://localhost/", "::", "http://192.168.1.7", True),
        ("", "http://studio.local:9000/share", "0.0.0.0", "http://studio.local:9000", True),
        (
            "https://studio.example.org/",
            "http://127.0.0.1:1/",
            "127.0.0.1",
            "https://studio.example.org",
            True,
        ),
        ("", "", "", "http://localhost", False),
    ],
)
def test_base_url_of_links(
    configured: str,
    visited: str,
    listening: str,
    expected: str,
    open_to_others: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "_lan_address", lambda: "192.168.1.7")
    base = share_base_url(configured, visited, listening)
    assert (base.address, base.open_to_others) == (expected, open_to_others)
    assert base.link("T") == f"{expected}/share/T"
