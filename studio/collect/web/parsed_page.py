"""A parsed web page: its images, links and directives for robots."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from studio.images.provenance import Provenance


@dataclass(frozen=True)
class PageImage:
    """An image that a page refers to; the size is the one that the page states."""

    url: str
    provenance: Provenance
    width_px: int | None = None
    height_px: int | None = None


@dataclass(frozen=True)
class ParsedPage:
    """Images, links and robots directives of a page; URLs are normalised."""

    images: tuple[PageImage, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    """URLs of icons, sprites and trackers, each with the message why it is skipped."""
    links: tuple[str, ...] = ()
    next_links: tuple[str, ...] = ()
    """Links that continue the same paginated series."""
    robots_metas: tuple[tuple[str, str], ...] = ()
    """Name, in lower case, and content of robots meta tags."""

    def to_json(self) -> dict[str, Any]:
        """Return the page as JSON, under the keys that databases of earlier versions hold."""
        return {
            "pictures": [
                {
                    "papers": asdict(image.provenance),
                    "address": image.url,
                    "width_px": image.width_px,
                    "height_px": image.height_px,
                }
                for image in self.images
            ],
            "dropped": self.skipped,
            "links": self.links,
            "next_links": self.next_links,
            "robots": self.robots_metas,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ParsedPage":
        """Return the page that `to_json` wrote."""
        images = tuple(
            PageImage(image["address"], Provenance(**image["papers"]), image["width_px"], image["height_px"])
            for image in data["pictures"]
        )
        return cls(
            images,
            tuple((url, message) for url, message in data["dropped"]),
            tuple(data["links"]),
            tuple(data["next_links"]),
            tuple((name, content) for name, content in data["robots"]),
        )
