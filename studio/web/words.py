"""Small texts that pages share: names made safe to show, durations, percentages."""

import re
from datetime import datetime

from studio.language import _, counted

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@])")
_MINUTE_S = 60


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


def pictures(count: int) -> str:
    """Return `1 picture`, `600 pictures`."""
    return counted("{count} picture", "{count} pictures", count)
