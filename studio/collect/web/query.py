"""What a person searches for, and whom they ask."""

from collections.abc import Collection, Sequence

from studio.collect.licences import CODES
from studio.errors import SearchFailed
from studio.language import _

SERVICES = {"openverse": "Openverse", "commons": "Wikimedia Commons"}
"""Their names in arguments and papers, and for people."""
MOST_CHARACTERS = 200
"""Of the words: Openverse's own limit, and with what is added to them still within Commons'."""


def checked_phrases(service: str, phrases: Sequence[str], licences: Collection[str]) -> tuple[str, ...]:
    """Return the phrases that are searched for, each once.

    Raises SearchFailed when there is none, one is too long, or a service or a licence is unknown.
    """
    if service not in SERVICES:
        raise SearchFailed(
            _("expected one of {known} to be searched; got {service}.").format(
                known=", ".join(SERVICES), service=service
            )
        )
    unknown = sorted(set(licences) - set(CODES))
    if unknown:
        raise SearchFailed(
            _("expected licences among {known}; got {unknown}.").format(
                known=", ".join(CODES), unknown=", ".join(unknown)
            )
        )
    searched = tuple(dict.fromkeys(words for phrase in phrases if (words := " ".join(phrase.split()))))
    if not searched:
        raise SearchFailed(_("expected words to search for; there are none. Type what the pictures show."))
    for words in searched:
        refuse_long(words)
    return searched


def refuse_long(words: str) -> None:
    """Raise SearchFailed when the words are more than services take; they would be cut without a word."""
    if len(words) > MOST_CHARACTERS:
        raise SearchFailed(
            _("expected at most {limit} characters to search for; these are {count}: {words}…").format(
                limit=MOST_CHARACTERS, count=len(words), words=words[:40]
            )
        )
