"""The registry of search services, and the request that a search job carries."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from studio.collect.web.commons import COMMONS
from studio.collect.web.openverse import OPENVERSE
from studio.collect.web.search_service import SearchService, check_phrase_length
from studio.errors import SearchFailed
from studio.i18n import _

_SERVICES = (OPENVERSE, COMMONS)
SEARCH_SERVICES: dict[str, SearchService] = {service.name: service for service in _SERVICES}
"""By name, in the order of the page and the command line."""


@dataclass(frozen=True)
class SearchRequest:
    """A search of one service for several phrases."""

    service: str
    """A key of `SEARCH_SERVICES`."""
    phrases: tuple[str, ...]
    count: int
    """Images to find for all phrases together."""
    licences: tuple[str, ...] = ()
    """Licence codes that a hit may have; empty: any."""
    min_side_px: int = 0

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> "SearchRequest":
        """Return the request in a job's arguments."""
        return cls(
            arguments["service"],
            tuple(arguments["phrases"]),
            arguments["count"],
            tuple(arguments["licences"]),
            arguments["min_side_px"],
        )

    def to_arguments(self) -> dict[str, Any]:
        """Return the request as a job's arguments; `from_arguments` reads them."""
        return {**vars(self), "phrases": list(self.phrases), "licences": list(self.licences)}

    def checked(self) -> "SearchRequest":
        """Return the request with each phrase once and without extra white space.

        Raises SearchFailed when there is no phrase, one is too long, or the service or a licence is unknown.
        """
        service = SEARCH_SERVICES.get(self.service)
        if service is None:
            raise SearchFailed(
                _("expected one of {known} to be searched; got {service}.").format(
                    known=", ".join(SEARCH_SERVICES), service=self.service
                )
            )
        unknown = sorted(set(self.licences) - set(service.licences))
        if unknown:
            raise SearchFailed(
                _("expected licences among {known}; got {unknown}.").format(
                    known=", ".join(service.licences), unknown=", ".join(unknown)
                )
            )
        cleaned = (" ".join(phrase.split()) for phrase in self.phrases)
        phrases = tuple(dict.fromkeys(phrase for phrase in cleaned if phrase))
        if not phrases:
            raise SearchFailed(_("expected words to search for; there are none. Type what the images show."))
        for phrase in phrases:
            check_phrase_length(phrase)
        return replace(self, phrases=phrases)
