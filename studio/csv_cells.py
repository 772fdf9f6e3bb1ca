"""Text as cells of CSV files that no spreadsheet runs as a formula."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARK = "'"


def csv_cell(text: str) -> str:
    """Return `text` for a cell of a CSV file; one that would be a formula gets an apostrophe before it.

    The beginnings are those of OWASP's page on CSV injection. A text that has such apostrophes already gets
    one more, so that `text_of_cell` gives every text back.
    """
    return f"{_MARK}{text}" if _is_formula(text) else text


def text_of_csv_cell(cell: str) -> str:
    """Return the text that `cell` made safe. For our own tables: in others an apostrophe is meant."""
    return cell[1:] if cell.startswith(_MARK) and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    return text.lstrip(_MARK).startswith(_FORMULA)
