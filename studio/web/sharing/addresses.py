"""Where others find a link: the address that is written into its QR code."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
_NOBODY = ("192.0.2.1", 9)
"""An address that is nobody's (RFC 5737): to ask the system which of ours it would use, nothing is sent."""


@dataclass(frozen=True)
class Base:
    """What links begin with. open_to_others: whether anybody but this machine can come there."""

    address: str
    open_to_others: bool

    def link(self, token: str) -> str:
        """Return a link's whole address."""
        return f"{self.address}/share/{token}"


def base_of(told: str, visited: str, listening: str) -> Base:
    """Return where others reach the studio.

    told: what the settings say, empty where they do not. visited: the address under which the owner looks at
    it. listening: what the server listens on.
    """
    if told:
        return Base(told.rstrip("/"), True)
    parts = urlsplit(visited)
    host = parts.hostname or "localhost"
    shown = f"{parts.scheme or 'http'}://{parts.netloc or host}"
    if not is_here(host):
        return Base(shown, True)
    if listening not in _EVERYWHERE:
        return Base(shown, False)
    port = f":{parts.port}" if parts.port else ""
    return Base(f"{parts.scheme}://{_own_address()}{port}", True)


def is_here(host: str) -> bool:
    """Whether a name or an address is this machine's own, for itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_address() -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_NOBODY)
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()
