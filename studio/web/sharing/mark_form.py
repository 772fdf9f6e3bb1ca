"""The form by which a visitor says that an answer was wrong."""

import json
from math import isfinite

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from studio.language import _
from studio.share.marks import Said
from studio.web.sharing.sent import NotTaken

_LONGEST = 20_000
"""Letters of one field; the probabilities of a thousand classes take as many."""
_MOST_FIELDS = 6


async def read_mark(request: Request, body: bytes, labels: tuple[str, ...]) -> Said:
    """Return what a visitor says in a form that has come whole. labels: the model's. Raises NotTaken."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise _not_understood()
    whole = Request(request.scope, receive)
    try:
        async with whole.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=_LONGEST) as form:
            answered, meant, told = (form.get(name, "") for name in ("said", "right", "probabilities"))
            sent = form.get("picture")
            picture = None if sent is None or isinstance(sent, str) else await sent.read()
    except (HTTPException, KeyError, UnicodeDecodeError) as error:
        raise _not_understood() from error
    if not (isinstance(answered, str) and isinstance(meant, str) and isinstance(told, str)):
        raise _not_understood()
    if answered not in labels or meant not in {"", *labels}:
        raise _not_understood()
    return Said(answered, _score(told, labels, answered), meant, picture or None)


def _score(told: str, labels: tuple[str, ...], answered: str) -> float:
    try:
        given = json.loads(told)
        scores = [float(each) for each in given] if isinstance(given, list) else []
    except (ValueError, TypeError, RecursionError) as error:
        raise _not_understood() from error
    if len(scores) != len(labels) or not all(isfinite(each) and 0 <= each <= 1 for each in scores):
        raise _not_understood()
    return scores[labels.index(answered)]


def _not_understood() -> NotTaken:
    return NotTaken(_("This was not understood. Reload the page and try again."), 400)
