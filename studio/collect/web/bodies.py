"""Reading what an address gives, unpacked, and not a byte more than is wanted."""

import zlib
from collections.abc import Iterator

from urllib3 import BaseHTTPResponse

from studio.collect.web.addresses import shown
from studio.collect.why import Why
from studio.errors import PictureRefused
from studio.language import _

_CHUNK_BYTES = 1 << 16
_GZIP, _ZLIB, _BARE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_GZIP_MARK = b"\x1f"
_DEFLATED, _METHOD_BITS = 8, 0x0F
PACKINGS = "gzip, deflate"
"""What can be unpacked, as an Accept-Encoding header."""


def read_body(response: BaseHTTPResponse, address: str, most_bytes: int, *, cut: bool = False) -> bytes:
    """Return an answer's body.

    cut: of a body longer than `most_bytes` the beginning is wanted; else PictureRefused is raised, as it is
    for a damaged one. What a header says of the length is believed only when that is too much.
    """
    if (response.length_remaining or 0) > most_bytes and not cut:
        raise _too_large(address, most_bytes)
    parts: list[bytes] = []
    size = 0
    for part in _unpacked(response, address, most_bytes):
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            if cut:
                break
            raise _too_large(address, most_bytes)
    return b"".join(parts)[:most_bytes]


def _unpacked(response: BaseHTTPResponse, address: str, most_bytes: int) -> Iterator[bytes]:
    """Yield a body piece by piece, none of them unpacked to more than `most_bytes` and one."""
    chunks = response.stream(_CHUNK_BYTES, decode_content=False)
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    if packing in ("", "identity"):
        yield from chunks
        return
    if packing not in ("gzip", "x-gzip", "deflate"):
        raise PictureRefused(
            _("{address} came packed as {packing}, which was not asked for.").format(
                address=address, packing=shown(packing)
            ),
            Why.DAMAGED,
        )
    unpacker = None
    came_bytes = 0
    try:
        for chunk in chunks:
            came_bytes += len(chunk)
            if came_bytes > most_bytes:  # there are packages of any size with nothing in them
                raise _too_large(address, most_bytes)
            packed = chunk
            while packed:
                if unpacker is None or (unpacker.eof and packed.startswith(_GZIP_MARK)):
                    unpacker = zlib.decompressobj(_GZIP if packing.endswith("gzip") else _deflation(packed))
                if unpacker.eof:
                    break  # what stands behind a package is ignored, as browsers do
                yield unpacker.decompress(packed, most_bytes + 1)
                packed = unpacker.unconsumed_tail or unpacker.unused_data
    except zlib.error as error:
        raise _broken_package(address) from error
    if unpacker is not None and not unpacker.eof:
        raise _broken_package(address)


def _deflation(packed: bytes) -> int:
    """Return which of the two things that are called deflate this is: with a header, or without."""
    first, second = packed[0], packed[1] if len(packed) > 1 else 0
    headed = first & _METHOD_BITS == _DEFLATED and (len(packed) == 1 or (first << 8 | second) % 31 == 0)
    return _ZLIB if headed else _BARE


def _broken_package(address: str) -> PictureRefused:
    return PictureRefused(
        _("{address} is damaged: it cannot be unpacked.").format(address=address), Why.DAMAGED
    )


def _too_large(address: str, most_bytes: int) -> PictureRefused:
    return PictureRefused(
        _("{address} is larger than {limit} MB.").format(address=address, limit=f"{most_bytes / 1e6:g}"),
        Why.TOO_LARGE,
    )
