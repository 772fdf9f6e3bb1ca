"""What is taken from one page."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from studio.images.provenance import Provenance


@dataclass(frozen=True)
class FoundImage:
    """An image that a page names; the size is as the page states it."""

    address: str
    provenance: Provenance
    width_px: int | None = None
    height_px: int | None = None


@dataclass(frozen=True)
class Reading:
    """All that is taken from one page; addresses are in their normal form."""

    images: tuple[FoundImage, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    """Addresses of icons, sprites and trackers, each with its reason."""
    links: tuple[str, ...] = ()
    next_links: tuple[str, ...] = ()
    """Those of `links` that go on with the same series of pages."""
    robots: tuple[tuple[str, str], ...] = ()
    """Name, in lower case, and content of metas for robots."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, for `from_json`."""
        values = asdict(self)
        # Under the names that databases of earlier versions hold.
        images = [{"papers": image.pop("provenance"), **image} for image in values.pop("images")]
        return {"pictures": images, **values}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Reading":
        """Return what `to_json` wrote."""
        images = tuple(
            FoundImage(p["address"], Provenance(**p["papers"]), p["width_px"], p["height_px"])
            for p in data["pictures"]
        )
        return cls(
            images,
            tuple((address, reason) for address, reason in data["dropped"]),
            tuple(data["links"]),
            tuple(data["next_links"]),
            tuple((name, content) for name, content in data["robots"]),
        )
