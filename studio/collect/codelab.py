"""The flower photographs of the TensorFlow for Poets codelab: where they are and whose they are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from studio.collect.archives import Limits, members
from studio.collect.sources import Papers

ADDRESS = "http://download.tensorflow.org/example_images/flower_photos.tgz"
_LICENCE = "CC BY 2.0"
_LICENCE_ADDRESS = "https://creativecommons.org/licenses/by/2.0/"

# "daisy/5547758_eea9edfd54_n.jpg CC-BY by Jane Doe - https://www.flickr.com/photos/jane/5547758/"
_CREDIT = re.compile(
    r"^\s*(?P<file>\S+\.jpe?g)\s+(?:CC[- ]BY\S*\s+)?(?:by\s+)?(?P<creator>.*?)"
    r"(?:\s+-\s+|\s+)?(?P<page>https?://\S+)?\s*$",
    re.IGNORECASE,
)
_FLICKR_ID = re.compile(r"^(\d+)_")


@dataclass(frozen=True)
class Credit:
    """Who took a photograph, and the page it stands on."""

    creator: str
    page_address: str


def read_credits(archive: Path) -> dict[str, Credit]:
    """Return the credits in the archive's LICENSE.txt, by class and file name; none where it lacks one.

    Raises ArchiveRefused when the archive is broken.
    """
    for member in members(archive, Limits()):
        if not member.refusal and PurePosixPath(member.name).name.upper() == "LICENSE.TXT":
            return parse_credits(member.read().decode("utf-8", errors="replace"))
    return {}


def parse_credits(text: str) -> dict[str, Credit]:
    """Return the credits in a LICENSE.txt; lines that credit no file are passed over."""
    found = (_CREDIT.match(line) for line in text.splitlines())
    return {_key(m["file"]): Credit(m["creator"].strip(), m["page"] or "") for m in found if m}


def papers_of(name: str, credit_by_file: Mapping[str, Credit]) -> Papers:
    """Return the papers of a photograph by its path in the archive."""
    credit = credit_by_file.get(_key(name), Credit("", ""))
    photo = _FLICKR_ID.match(PurePosixPath(name).name)
    # A file's leading number is its number at Flickr, which leads to its page from there.
    page = credit.page_address or (f"https://www.flickr.com/photo.gne?id={photo[1]}" if photo else "")
    return Papers(page, "", credit.creator, _LICENCE, _LICENCE_ADDRESS)


def _key(name: str) -> str:
    return "/".join(PurePosixPath(name).parts[-2:])
