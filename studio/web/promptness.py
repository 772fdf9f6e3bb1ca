"""Answers that leave at once: else the body of each waits 40 ms for the acknowledgement of its head."""

import asyncio.base_events
import socket
from contextlib import suppress


def send_at_once() -> None:
    """Make asyncio set TCP_NODELAY on every TCP connection of this process.

    It does so by itself only for sockets that were opened with the protocol named, and Streamlit's is not.
    uvicorn writes head and body one after the other, and the kernel keeps the second, small packet back until
    the other side has acknowledged the first: which it does when 40 ms have passed (Nagle's algorithm meets
    delayed acknowledgements). A grid of sixty thumbnails took half a second for it.
    """
    asyncio.base_events._set_nodelay = _set_nodelay  # type: ignore[attr-defined]


def _set_nodelay(connection: socket.socket) -> None:
    if connection.family in {socket.AF_INET, socket.AF_INET6} and connection.type == socket.SOCK_STREAM:
        with suppress(OSError):  # the other side has gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
