"""Cells that a spreadsheet shows and does not run: names and titles come from strangers."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """Return `text` for a cell of a CSV file; one that would be a formula gets an apostrophe before it.

    The beginnings are those of OWASP's page on CSV injection.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
