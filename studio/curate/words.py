"""Looking for words in where pictures were found and what is said of them there."""

import unicodedata
from urllib.parse import quote

from sqlalchemy import ColumnElement, exists, or_
from sqlalchemy.orm import QueryableAttribute

from db.models import Provenance

_TEXTS = (
    Provenance.address,
    Provenance.page_address,
    Provenance.title,
    Provenance.creator,
    Provenance.licence,
)


def contains(word: str, project_id: int, image: QueryableAttribute[int]) -> ColumnElement[bool]:
    """Return the condition that a word stands in one of a picture's texts, in capitals or not."""
    found = [text.ilike(f"%{_escaped(form)}%", escape="\\") for form in forms_of(word) for text in _TEXTS]
    return exists().where(Provenance.project_id == project_id, Provenance.image_id == image, or_(*found))


def forms_of(word: str) -> list[str]:
    """Return the ways in which a word may be written.

    SQLite knows capitals of the English alphabet only; macOS takes letters apart (NFD); addresses on the web
    have letters as percent signs and numbers.
    """
    if word.isascii():
        return [word]
    word = unicodedata.normalize("NFC", word)
    forms = [word, word.lower(), word.upper(), word.title(), unicodedata.normalize("NFD", word), quote(word)]
    return list(dict.fromkeys(forms))


def _escaped(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text
