"""Translation of all texts for people.

Texts are marked with `_("...")`; `pybabel extract` collects them. A translation is a
GNU gettext catalogue at `studio/locale/<language>/LC_MESSAGES/studio.mo`; without one, English stays.
"""

import gettext
from functools import cache
from pathlib import Path

from studio.errors import ServerError
from studio.settings import settings

_LOCALE_DIR = Path(__file__).parent / "locale"


@cache
def _catalogue() -> gettext.NullTranslations:
    try:
        language = settings().language
    except ServerError:
        # Texts are read while modules are imported; the error is reported at the start of the program.
        return gettext.NullTranslations()
    return gettext.translation("studio", _LOCALE_DIR, languages=[language], fallback=True)


def _(text: str) -> str:
    """Return the translation of `text`."""
    return _catalogue().gettext(text)


def counted(one: str, many: str, count: int) -> str:
    """Return the singular or plural text for a count, with `{count}` filled in."""
    return _catalogue().ngettext(one, many, count).format(count=f"{count:,}")
