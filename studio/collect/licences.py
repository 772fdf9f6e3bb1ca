"""Creative Commons' licences: their names, codes and addresses."""

import re

CODES = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm")
_HOME = r"\s*(?:https?:)?(?://)?(?:www\.)?creativecommons\.org"
_LICENCE = re.compile(
    _HOME + r"/licen[cs]es/(by(?:-nd-nc|(?:-nc)?(?:-nd|-sa)?))/(\d\.\d)(?:/(igo|scotland|[a-z]{2})\b)?",
    re.IGNORECASE,
)
_PUBLIC_DOMAIN = re.compile(_HOME + r"/publicdomain/(zero|mark)/(\d\.\d)", re.IGNORECASE)
_CODE = re.compile(r"(?:cc[- ]?)?(by(?:-nc)?(?:-nd|-sa)?)(?:[- ]?\d(?:\.\d.*)?)?$", re.IGNORECASE)


def licence_name(address: str) -> str:
    """Return the short name of the licence at an address, as in `CC BY-SA 4.0`; empty for others."""
    if found := _LICENCE.match(address):
        kind = found[1].upper().replace("-ND-NC", "-NC-ND")  # as it was called at first
        return " ".join(filter(None, ("CC", kind, found[2], (found[3] or "").upper())))
    if found := _PUBLIC_DOMAIN.match(address):
        return f"CC0 {found[2]}" if found[1].lower() == "zero" else f"Public Domain Mark {found[2]}"
    return ""


def code(name_or_address: str) -> str | None:
    """Return which of `CODES` a name (`CC BY-SA 4.0`, `by-sa`, `cc-by-2.0`) or an address stands for."""
    text = " ".join(name_or_address.split())
    name = (licence_name(text) or text).lower()
    if name.startswith(("cc0", "cc-zero", "cc zero")):
        return "cc0"
    if name.startswith(("public domain", "pdm")) or name in ("pd", "no restrictions"):
        return "pdm"
    found = _CODE.match(name)
    return found[1] if found and found[1] in CODES else None


def name_of_code(code: str) -> str:
    """Return a code as people write it: `CC BY-SA`."""
    return {"cc0": "CC0", "pdm": "Public Domain Mark"}.get(code, f"CC {code.upper()}")
