"""Tables on a terminal: columns as wide as what stands in them is drawn."""

import unicodedata
from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay cells out in columns as wide as a terminal draws them; a line a row."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(text: str) -> int:
    """Return how many columns a terminal gives a text: East Asian letters have two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
