"""Parameters of requests: parsing of whole numbers, ranges of image ids and dates, with errors for people."""

import re
from datetime import date

from studio.errors import StudioError
from studio.i18n import _

LARGEST_ID = 2**31 - 1
"""The largest id in any supported database; some raise an error for a larger one."""
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class InvalidRequest(StudioError):
    """A request with an invalid parameter; the message names what was expected."""


def parse_int(text: str, name: str, largest: int = LARGEST_ID) -> int:
    """Return a whole number from 0 to `largest`. name: the parameter's name, for the message."""
    if not _NUMBER.fullmatch(text) or int(text) > largest:
        raise InvalidRequest(
            _("expected a whole number up to {largest} as {name}; got {text!r}.").format(
                largest=largest, name=name, text=text[:40]
            )
        )
    return int(text)


def parse_date(text: str, name: str) -> date:
    """Return a date written as YYYY-MM-DD. name: the parameter's name, for the message."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # such as the 30th of February
    raise InvalidRequest(
        _("expected a date such as 2026-01-31 as {name}; got {text!r}.").format(name=name, text=text[:40])
    )


def parse_id_ranges(text: str, limit: int) -> list[int]:
    """Return image ids written as ascending ranges: `1-5,9` is 1, 2, 3, 4, 5, 9; at most `limit`."""
    ids: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = parse_int(first, "images")
        end = parse_int(last, "images") if dash else start
        if start > end or start <= (ids[-1] if ids else 0):
            raise InvalidRequest(
                _("expected ascending ranges of images such as 1-5,9; got {text!r}.").format(text=part[:40])
            )
        if len(ids) + end - start >= limit:
            raise too_many_images(limit)
        ids.extend(range(start, end + 1))
    return ids


def too_many_images(limit: int) -> InvalidRequest:
    """Return the error for more images than one operation may have."""
    return InvalidRequest(
        _("expected at most {limit} images in one step; got more. Do it in several steps.").format(
            limit=f"{limit:,}"
        )
    )
