"""What a request may say: whole numbers, ranges of images, days; and the refusal of anything else."""

import re
from datetime import date

from studio.errors import StudioError
from studio.i18n import _

LARGEST_ID = 2**31 - 1
"""No database has a larger one, and some refuse to look for it."""
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class NotUnderstood(StudioError):
    """A request says what cannot be meant; the message names what was expected."""


def whole(text: str, name: str, most: int = LARGEST_ID) -> int:
    """Return a whole number from 0 to `most`. name: what it is called in the request."""
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise NotUnderstood(
            _("expected a whole number up to {most} as {name}; {text!r} came.").format(
                most=most, name=name, text=text[:40]
            )
        )
    return int(text)


def day(text: str, name: str) -> date:
    """Return a day written as YYYY-MM-DD."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # such as the 30th of February
    raise NotUnderstood(
        _("expected a day such as 2026-01-31 as {name}; {text!r} came.").format(name=name, text=text[:40])
    )


def image_ids(text: str, most: int) -> list[int]:
    """Return the ids of images written as ascending ranges: `1-5,9` is 1, 2, 3, 4, 5, 9; at most `most`."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = whole(first, "images")
        end = whole(last, "images") if dash else start
        if start > end or start <= (found[-1] if found else 0):
            raise NotUnderstood(
                _("expected ascending ranges of images such as 1-5,9; {text!r} came.").format(text=part[:40])
            )
        if len(found) + end - start >= most:
            raise too_many(most)
        found.extend(range(start, end + 1))
    return found


def too_many(most: int) -> NotUnderstood:
    """Return the refusal of more images than go into one step."""
    return NotUnderstood(
        _("expected at most {most} images in one step; more came. Do it in several.").format(most=f"{most:,}")
    )
