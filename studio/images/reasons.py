"""Why an address or a file gave no image, as a word that can be counted."""

from enum import StrEnum

from studio.i18n import _


class Why(StrEnum):
    """The kinds of refusal. The sentence beside each says what happened to this one file."""

    ROBOTS = "robots"
    NOAI = "noai"
    ADDRESS = "address"
    MISSING = "missing"
    FORBIDDEN = "forbidden"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    SLOW = "slow"
    REDIRECTS = "redirects"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    ORNAMENT = "ornament"
    NOT_AN_IMAGE = "not_a_picture"
    DAMAGED = "damaged"
    LIMIT = "limit"
    COPY = "copy"
    OTHER = "other"


def title(why: str) -> str:
    """Return a kind of refusal in a few words for people."""
    return _titles().get(why, _("for another reason"))


def _titles() -> dict[str, str]:
    return {
        Why.ROBOTS: _("robots.txt forbids it"),
        Why.NOAI: _("the site wants no use by AI, or no indexing"),
        Why.ADDRESS: _("an address that is not asked"),
        Why.MISSING: _("not there (404)"),
        Why.FORBIDDEN: _("the site refused"),
        Why.BUSY: _("the site is too busy"),
        Why.UNREACHABLE: _("no connection, or a broken one"),
        Why.SLOW: _("too slow"),
        Why.REDIRECTS: _("too many redirects"),
        Why.TOO_LARGE: _("too large"),
        Why.TOO_SMALL: _("too small"),
        Why.ORNAMENT: _("an icon, a sprite or a tracker"),
        Why.NOT_AN_IMAGE: _("not an image"),
        Why.DAMAGED: _("damaged"),
        Why.LIMIT: _("over the limit that was set"),
        Why.COPY: _("in the project already"),
    }
