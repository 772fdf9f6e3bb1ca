"""TCP_NODELAY on connections, whether or not the server's socket was opened with the protocol named."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from studio.web.middleware import enable_tcp_nodelay


@pytest.mark.parametrize("protocol", [0, socket.IPPROTO_TCP])
def test_connections_have_tcp_nodelay(protocol: int) -> None:
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

    enable_tcp_nodelay()
    # In its own thread: Playwright may run an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, nodelay()).result(30)
