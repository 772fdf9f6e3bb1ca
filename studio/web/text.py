"""Text formatting that pages share: Markdown escapes, durations, percentages, sizes, counts, sources."""

import re
from datetime import datetime

from studio.collect.web.search_registry import SEARCH_SERVICES
from studio.i18n import _, counted
from studio.images.provenance import PROVENANCE_KINDS

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@])")
_MINUTE_S = 60
_MEGABYTE = 1_000_000


def escape_markdown(text: str) -> str:
    """Escape `text` for Markdown: names and labels may come from anywhere."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def format_duration(seconds: float) -> str:
    """Return a rounded duration: `8 s`, `3 min`, `2 h`."""
    if seconds < _MINUTE_S:
        return _("{count} s").format(count=max(1, round(seconds)))
    if seconds < _MINUTE_S * _MINUTE_S:
        return _("{count} min").format(count=round(seconds / _MINUTE_S))
    return _("{count} h").format(count=round(seconds / _MINUTE_S / _MINUTE_S, 1))


def format_percent(fraction: float | None) -> str:
    """Return a fraction of 0 to 1 as `91.4%`; a dash for None."""
    return "—" if fraction is None else f"{fraction * 100:.1f}%"


def format_datetime(at: datetime) -> str:
    """Return a time in this machine's time zone: `2026-01-31 18:05`."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def image_count(count: int) -> str:
    """Return `1 image`, `600 images`."""
    return counted("{count} image", "{count} images", count)


def format_size(size_bytes: int) -> str:
    """Return a size in bytes as `80.5 kB` or `3.2 MB`."""
    if size_bytes < _MEGABYTE:
        return _("{count} kB").format(count=f"{size_bytes / 1000:.1f}")
    return _("{count} MB").format(count=f"{size_bytes / _MEGABYTE:,.1f}")


def provenance_titles() -> dict[str, str]:
    """Return the titles of the kinds of provenance, search services among them, by their stored names."""
    kinds = {kind.name: kind.title for kind in PROVENANCE_KINDS.values()}
    return kinds | {service.name: service.title for service in SEARCH_SERVICES.values()}


def provenance_title(kind: str) -> str:
    """Return the title of a kind of provenance; its name if the kind is unknown."""
    return provenance_titles().get(kind, kind)
