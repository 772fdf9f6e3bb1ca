"""The one place through which every text a person reads goes, so that it can be translated.

Texts are marked with `_("...")` where they stand; `pybabel extract` collects them. A translation is a
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
        # Texts are read while modules are imported; whoever starts the program hears of the fault itself.
        return gettext.NullTranslations()
    return gettext.translation("studio", _LOCALE_DIR, languages=[language], fallback=True)


def _(text: str) -> str:
    """Return `text` in the person's language."""
    return _catalogue().gettext(text)


def counted(one: str, many: str, count: int) -> str:
    """Return `one` or `many`, as `count` asks, with `{count}` filled in: `counted("{count} image", …)`."""
    return _catalogue().ngettext(one, many, count).format(count=f"{count:,}")
