"""Twenty web hosts on loopback addresses that serve images: a separate process for the crawl benchmark.

    python tests/benchmarks/image_hosts.py IMAGES PORT

Host N is 127.0.0.(N + 2). Its page `/N` shows its share of the first N images of all hosts.
"""

import asyncio
import io
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image

HOSTS = tuple(f"127.0.0.{number}" for number in range(2, 22))
SIDE_PX = 512


def address(number: int, port: int) -> str:
    """Return the URL of image `number`; consecutive images are on different hosts."""
    return f"http://{HOSTS[number % len(HOSTS)]}:{port}/{number}.jpg"


def image(number: int) -> bytes:
    """Return a JPEG of 512 px and about 50 kB, not a near-duplicate of any other number's."""
    rng = np.random.default_rng(number)
    large = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((SIDE_PX, SIDE_PX))
    grain = rng.normal(0, 6, (SIDE_PX, SIDE_PX, 1))
    file = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8)).save(
        file, "JPEG", quality=85
    )
    return file.getvalue()


def _page(host: str, images: int) -> bytes:
    own = range(HOSTS.index(host), images, len(HOSTS))
    shown = "".join(f'<img src="/{number}.jpg" alt="Image {number}">' for number in own)
    return f"<!doctype html><title>Images</title>{shown}".encode()


async def _serve(images: list[bytes], port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = writer.get_extra_info("sockname")[0]
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                path = line.split()[1].decode()
                status, kind, body = "200 OK", "text/html", b""
                if path.endswith(".jpg"):
                    kind, body = "image/jpeg", images[int(path[1:-4])]
                elif path[1:].isdigit():
                    body = _page(host, int(path[1:]))
                else:
                    status = "404 Not Found"
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except OSError:
            pass  # the client has closed the connection
        finally:
            writer.close()

    for host in HOSTS:
        await asyncio.start_server(answer, host, port, backlog=512)
    print("ready", sum(map(len, images)), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Generate the images and serve them until killed."""
    count, port = int(sys.argv[1]), int(sys.argv[2])
    with ProcessPoolExecutor() as pool:
        images = list(pool.map(image, range(count), chunksize=50))
    asyncio.run(_serve(images, port))


if __name__ == "__main__":
    main()
