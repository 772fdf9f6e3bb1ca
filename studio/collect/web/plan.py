"""What a crawl is to do, as a person asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studio.collect.web.addresses import normal
from studio.errors import SourceMissing
from studio.language import _

DEEPEST = 3


@dataclass(frozen=True)
class Plan:
    """What a crawl is to do."""

    addresses: tuple[str, ...]
    class_name: str | None
    depth: int = 1
    """How many links away from the addresses pages are read, 0 to 3."""
    sites: tuple[str, ...] = ()
    """Hosts whose pages are read besides those of the addresses."""
    max_pages: int = 200
    max_pictures: int = 500
    max_bytes: int = 2_000_000_000
    max_minutes: float = 60
    min_side_px: int = 100

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Plan":
        """Return the plan that a job's arguments describe."""
        lists = {name: tuple(arguments.get(name, ())) for name in ("addresses", "sites")}
        return cls(**{**arguments, **lists})

    def arguments(self) -> dict[str, Any]:
        """Return the plan as a job's arguments; `of` reads them."""
        return {**vars(self), "addresses": list(self.addresses), "sites": list(self.sites)}

    def checked(self) -> "Plan":
        """Return the plan with its addresses in their normal form.

        Raises PictureRefused for one that is not asked, SourceMissing when there is none, or the depth is
        not 0 to 3.
        """
        addresses = tuple(dict.fromkeys(normal(address) for address in self.addresses))
        if not addresses:
            raise SourceMissing(_("expected at least one address to begin with, such as https://…/gallery."))
        if not 0 <= self.depth <= DEEPEST:
            raise SourceMissing(
                _("expected a depth of 0 to {deepest}; got {depth}.").format(
                    deepest=DEEPEST, depth=self.depth
                )
            )
        sites = tuple(dict.fromkeys(listed.strip().lower() for listed in self.sites if listed.strip()))
        values = {**vars(self), "addresses": addresses, "sites": sites}
        return Plan(**values)
