"""Cells of CSV files that no spreadsheet evaluates as formulas (CSV injection)."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARK = "'"


def csv_cell(text: str) -> str:
    """Escape a text for a cell: one that a spreadsheet would take for a formula gets a leading apostrophe.

    The prefixes are those of OWASP's page on CSV injection. A text that begins with such an
    apostrophe already gets one more, so that `text_of_csv_cell` returns every text unchanged.
    """
    return f"{_MARK}{text}" if _is_formula(text) else text


def text_of_csv_cell(cell: str) -> str:
    """Return the text that `csv_cell` escaped. Only for our own tables: in others the apostrophe is text."""
    return cell[1:] if cell.startswith(_MARK) and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    return text.lstrip(_MARK).startswith(_FORMULA)
