"""Skip reasons: why a URL or a file gave no image, in categories that can be counted."""

from enum import StrEnum

from studio.i18n import _


class SkipReason(StrEnum):
    """Categories of skipped URLs and files. The values are stored in the database."""

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


def skip_reason_title(skip_reason: str) -> str:
    """Return a skip reason in a few words for people."""
    return _titles().get(skip_reason, _("for another reason"))


def _titles() -> dict[str, str]:
    return {
        SkipReason.ROBOTS: _("robots.txt forbids it"),
        SkipReason.NOAI: _("the site wants no use by AI, or no indexing"),
        SkipReason.ADDRESS: _("an address that is not allowed"),
        SkipReason.MISSING: _("not there (404)"),
        SkipReason.FORBIDDEN: _("the site refused"),
        SkipReason.BUSY: _("the site is too busy"),
        SkipReason.UNREACHABLE: _("no connection, or a broken one"),
        SkipReason.SLOW: _("too slow"),
        SkipReason.REDIRECTS: _("too many redirects"),
        SkipReason.TOO_LARGE: _("too large"),
        SkipReason.TOO_SMALL: _("too small"),
        SkipReason.ORNAMENT: _("an icon, a sprite or a tracker"),
        SkipReason.NOT_AN_IMAGE: _("not an image"),
        SkipReason.DAMAGED: _("damaged"),
        SkipReason.LIMIT: _("over the limit"),
        SkipReason.COPY: _("in the project already"),
    }
