"""Connections send at once, whether or not their protocol was named when the server's socket was opened."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from studio.web.middleware import send_at_once


@pytest.mark.parametrize("protocol", [0, socket.IPPROTO_TCP])
def test_a_connection_waits_for_nothing_before_it_sends(protocol: int) -> None:
    async def nodelay() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        listening.bind(("127.0.0.1", 0))
        async with await asyncio.start_server(answer, sock=listening) as server:
            _reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            on = await found
            writer.close()
        return on

    send_at_once()
    # In a thread of its own: a browser that other tests drive may hold this one's loop.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, nodelay()).result(30)
