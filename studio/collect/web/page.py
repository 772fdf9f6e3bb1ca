"""What is taken from one page."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from studio.images.provenance import Papers


@dataclass(frozen=True)
class FoundPicture:
    """A picture that a page names; the size is as the page states it."""

    address: str
    papers: Papers
    width_px: int | None = None
    height_px: int | None = None


@dataclass(frozen=True)
class Reading:
    """All that is taken from one page; addresses are in their normal form."""

    pictures: tuple[FoundPicture, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    """Addresses of icons, sprites and trackers, each with its reason."""
    links: tuple[str, ...] = ()
    next_links: tuple[str, ...] = ()
    """Those of `links` that go on with the same series of pages."""
    robots: tuple[tuple[str, str], ...] = ()
    """Name, in lower case, and content of metas for robots."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Reading":
        """Return what `to_json` wrote."""
        pictures = tuple(
            FoundPicture(p["address"], Papers(**p["papers"]), p["width_px"], p["height_px"])
            for p in data["pictures"]
        )
        return cls(
            pictures,
            tuple((address, reason) for address, reason in data["dropped"]),
            tuple(data["links"]),
            tuple(data["next_links"]),
            tuple((name, content) for name, content in data["robots"]),
        )
