"""What a stranger sends, read into memory within bounds: of size, of time, of all that is read at once."""

import asyncio
import re

from starlette.requests import ClientDisconnect, Request

from studio.errors import StudioError
from studio.language import _
from studio.web.limits import Room

MOST_BYTES = 16 << 20
"""As large may a picture be: more than a telephone's camera makes of one."""
_SLOWEST_S = 30
"""So long may all of it take."""
_LENGTH = re.compile(r"[0-9]{1,15}")
_READ_ON_BYTES = 48 << 20
_SILENCE_S = 10
"""So long nothing may come."""


class NotTaken(StudioError):
    """What came is refused; `status` is how HTTP says so."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Sent:
    """A body in memory, and its share of the room, which is given back when the block ends.

    Raises NotTaken, and Full where there is no room for it.
    """

    def __init__(self, request: Request, room: Room, most_bytes: int = MOST_BYTES) -> None:
        self._request, self._room, self._most_bytes = request, room, most_bytes
        self._taken = 0

    async def __aenter__(self) -> bytes:
        """Read the body."""
        try:
            return await self._read()
        except BaseException:
            self._give_back()
            raise

    async def __aexit__(self, *_error: object) -> None:
        """Give its room back."""
        self._give_back()

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(_SLOWEST_S):
                return await self._all()
        except TimeoutError as error:
            raise NotTaken(_("This took too long. Try again where the connection is better."), 408) from error
        except ClientDisconnect as error:
            raise NotTaken(_("The connection was cut."), 408) from error

    async def _all(self) -> bytes:
        announced = self._request.headers.get("content-length", "0")
        plausible = bool(_LENGTH.fullmatch(announced))
        too_large = not plausible or int(announced) > self._most_bytes
        # A browser that is cut off while it sends never hears the answer: what is too large is read on, and
        # forgotten, as far as that is bearable.
        bearable = plausible and int(announced) <= self._most_bytes + _READ_ON_BYTES
        if too_large and not bearable:
            raise _too_large(self._most_bytes)
        body = bytearray()
        count = 0
        stream = self._request.stream()
        while True:
            async with asyncio.timeout(_SILENCE_S):
                chunk = await anext(stream, None)
            if chunk is None:
                break
            count += len(chunk)
            too_large = too_large or count > self._most_bytes
            if too_large:
                self._give_back()
                body.clear()
            else:
                self._take(len(chunk))
                body += chunk
            if count > self._most_bytes + _READ_ON_BYTES:
                break
        if too_large:
            raise _too_large(self._most_bytes)
        return bytes(body)

    def _take(self, size_bytes: int) -> None:
        self._room.take(size_bytes)
        self._taken += size_bytes

    def _give_back(self) -> None:
        self._room.give_back(self._taken)
        self._taken = 0


def _too_large(most_bytes: int) -> NotTaken:
    return NotTaken(
        _("expected a picture of at most {most} MB. Make it smaller first.").format(most=most_bytes >> 20),
        413,
    )
