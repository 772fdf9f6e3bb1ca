"""Small texts that pages share: names made safe to show, durations, percentages."""

import re
from datetime import datetime

from studio.i18n import _, counted

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@])")
_MINUTE_S = 60
_MEGABYTE = 1_000_000


def plain(text: str) -> str:
    """Return `text` so that Markdown shows it letter by letter: names and labels come from strangers."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def duration(seconds: float) -> str:
    """Return a rounded time for people: `8 s`, `3 min`, `2 h`."""
    if seconds < _MINUTE_S:
        return _("{count} s").format(count=max(1, round(seconds)))
    if seconds < _MINUTE_S * _MINUTE_S:
        return _("{count} min").format(count=round(seconds / _MINUTE_S))
    return _("{count} h").format(count=round(seconds / _MINUTE_S / _MINUTE_S, 1))


def percent(share: float | None) -> str:
    """Return a share of 0 to 1 as `91.4%`, or a dash where there is none."""
    return "—" if share is None else f"{share * 100:.1f}%"


def moment(at: datetime) -> str:
    """Return a moment in this machine's own time."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def images(count: int) -> str:
    """Return `1 image`, `600 images`."""
    return counted("{count} image", "{count} images", count)


def file_size(size_bytes: int) -> str:
    """Return a size for people: `80.5 kB`, `3.2 MB`."""
    if size_bytes < _MEGABYTE:
        return _("{count} kB").format(count=f"{size_bytes / 1000:.1f}")
    return _("{count} MB").format(count=f"{size_bytes / _MEGABYTE:,.1f}")


def way(kind: str) -> str:
    """Return how images of a kind of provenance came: `found by a crawl`."""
    ways = {
        "folder": _("from a folder"),
        "archive": _("from an archive"),
        "upload": _("uploaded"),
        "camera": _("taken with the camera"),
        "drawing": _("drawn by the studio"),
        "download": _("downloaded"),
        "crawl": _("found by a crawl"),
        "list": _("from a list of addresses"),
        "openverse": "Openverse",
        "commons": "Wikimedia Commons",
        "visitor": _("marked wrong by a visitor"),
    }
    return ways.get(kind, kind)
