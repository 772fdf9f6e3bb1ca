"""Credits of the flower photographs: the photographer and page of each file, parsed from LICENSE.txt."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

# "daisy/5547758_eea9edfd54_n.jpg CC-BY by Jane Doe - https://www.flickr.com/photos/jane/5547758/"
_CREDIT = re.compile(
    r"^\s*(?P<file>\S+\.jpe?g)\s+(?:CC[- ]BY\S*\s+)?(?:by\s+)?(?P<creator>.*?)"
    r"(?:\s+-\s+|\s+)?(?P<page>https?://\S+)?\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Credit:
    """The photographer of an image and the page it is published on."""

    creator: str
    page_address: str


def parse_credits(text: str) -> dict[str, Credit]:
    """Return the credits in a LICENSE.txt by `class folder/file name`; other lines are ignored."""
    matches = (_CREDIT.match(line) for line in text.splitlines())
    return {credit_key(m["file"]): Credit(m["creator"].strip(), m["page"] or "") for m in matches if m}


def credit_key(name: str) -> str:
    """Return the key of a file in `parse_credits`, given its path in the archive."""
    return "/".join(PurePosixPath(name).parts[-2:])
