"""A sample site on loopback with the typical content and problems of the web, and the expected outcomes."""

import gzip
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from tests.collect.material import image_bytes

KOREAN = quote("/사진/장미 1.jpg")
_FAR = "http://169.254.169.254/latest/meta-data/photo.jpg"


@dataclass
class SiteRequest:
    """A request as the site received it."""

    path: str
    headers: dict[str, str]
    began_s: float
    status: int = 0


@dataclass
class SampleSite:
    """The running site. delay_s: of each image. crawl_delay_s: in its robots.txt."""

    delay_s: float = 0.0
    crawl_delay_s: float = 0.0
    url: str = ""
    log: list[SiteRequest] = field(default_factory=list)
    most_at_once: int = 0

    def paths(self) -> list[str]:
        """Requested paths without robots.txt, in order."""
        return [asked.path for asked in self.log if asked.path != "/robots.txt"]


IMAGES = {
    **{f"/photos/{number}.jpg": image_bytes(number, 240, 180) for number in range(20)},
    KOREAN: image_bytes(30, 240, 180),
    "/srcset/large.jpg": image_bytes(31, 400, 300),
    "/lazy.jpg": image_bytes(32, 240, 180),
    "/source.webp": image_bytes(33, 240, 180, "WEBP"),
    "/og.jpg": image_bytes(34, 240, 180),
    "/ld.jpg": image_bytes(35, 240, 180),
    "/background.png": image_bytes(36, 240, 180, "PNG"),
    "/linked.jpg": image_bytes(37, 240, 180),
    "/feed.jpg": image_bytes(38, 240, 180),
    "/sitemap.jpg": image_bytes(39, 240, 180),
    "/private/open.jpg": image_bytes(40, 240, 180),
    "/mislabelled": image_bytes(41, 240, 180),
    "/others-only.jpg": image_bytes(42, 240, 180),
    "/copy.jpg": image_bytes(0, 240, 180),
    "/after-wait.jpg": image_bytes(43, 240, 180),
    "/deep.jpg": image_bytes(44, 240, 180),
    "/small.jpg": image_bytes(50, 60, 60),
    "/noai.jpg": image_bytes(51, 240, 180),
    "/private/closed.jpg": image_bytes(52, 240, 180),
    "/unwanted.jpg": image_bytes(53, 240, 180),
    "/truncated.jpg": image_bytes(54, 240, 180)[:900],
    "/too-deep.jpg": image_bytes(55, 240, 180),
    "/view": image_bytes(56, 240, 180),
    "/hollow": b"",
}
_IMGS = "".join(f'<img src="/photos/{n}.jpg" alt="No. {n}">' for n in range(6))
PAGES = {
    "/": f"""<!doctype html><title>Garden</title><meta property="og:image" content="/og.jpg">
        <link rel="alternate" type="application/rss+xml" href="/feed.xml">
        <link rel="icon" href="/favicon.ico">
        <script type="application/ld+json">{{"@type": "ImageObject", "contentUrl": "/ld.jpg",
        "name": "A rose", "creator": {{"name": "Ann <b>Bee</b>"}},
        "license": "https://creativecommons.org/licenses/by/4.0/"}}</script>
        {_IMGS}<img src="data:image/gif;base64,R0lGOD" data-src="/lazy.jpg">
        <noscript><img src="/lazy.jpg"></noscript>
        <img src="/srcset/s.jpg" srcset="/srcset/small.jpg 100w, /srcset/large.jpg 400w">
        <picture><source srcset="/source-small.webp 100w, /source.webp 900w">
        <img src="/source-fallback.jpg"></picture>
        <div style="background-image: url('/background.png')"></div>
        <a href="/linked.jpg">the whole image</a>
        <img src="{KOREAN}"><img src="/copy.jpg"><img src="/small.jpg"><img src="/noai.jpg">
        <img src="/others-only.jpg"><img src="/private/closed.jpg"><img src="/private/open.jpg">
        <img src="/mislabelled"><img src="/wrong.jpg"><img src="/dead.jpg"><img src="/gone.jpg">
        <img src="/truncated.jpg"><img src="/bomb.jpg"><img src="/away.jpg"><img src="/round.jpg">
        <img src="/after-wait.jpg"><img src="{_FAR}"><img src="/pixel.gif" width="1" height="1">
        <img src="/logo.svg"><a href="/gallery?page=1">gallery</a><a href="/artists#top">artists</a>
        <a href="/calendar?day=1">days</a><a href="/private/diary">diary</a>
        <a href="/sitemap.xml">map</a><a href="http://elsewhere.example/">away</a>""",
    "/gallery?page=1": '<img src="/photos/6.jpg"><a rel="next" href="/gallery?page=2">on</a>',
    "/gallery?page=2": '<img src="/photos/7.jpg"><a rel="next" href="/gallery?page=3">on</a>',
    "/gallery?page=3": '<img src="/photos/8.jpg"><a rel="next" href="/gallery?page=1">on</a>',
    "/artists": '<meta name="robots" content="noimageai"><img src="/unwanted.jpg"><a href="/second">more</a>',
    "/second": '<img src="/deep.jpg"><a href="/third">more</a><a href="/">home</a>',
    "/only": '<a href="/view">an image</a><a href="/hollow">nothing</a><a href="/artists">artists</a>',
    "/third": '<img src="/too-deep.jpg">',
    "/troubles": """<img src="/drips.jpg"><img src="/falls-silent.jpg"><img src="/endless.jpg">
        <img src="/resets.jpg"><img src="/ends-early.jpg"><img src="/photos/0.jpg">""",
    "/feed.xml": """<?xml version="1.0"?><rss><channel><item><title>T</title><link>/photos-page</link>
        <enclosure url="/feed.jpg" type="image/jpeg"/></item></channel></rss>""",
    "/photos-page": '<img src="/photos/9.jpg">',
    "/sitemap.xml": """<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
        xmlns:i="http://www.google.com/schemas/sitemap-image/1.1"><url><loc>/second</loc>
        <i:image><i:loc>/sitemap.jpg</i:loc></i:image></url></urlset>""",
}

ADDED = [
    "/photos/0.jpg", "/photos/1.jpg", "/photos/2.jpg", "/photos/3.jpg", "/photos/4.jpg", "/photos/5.jpg",
    "/photos/6.jpg", "/photos/7.jpg", "/photos/8.jpg", "/photos/9.jpg", "/og.jpg", "/ld.jpg", "/lazy.jpg",
    "/srcset/large.jpg", "/source.webp", "/background.png", "/linked.jpg", KOREAN, "/others-only.jpg",
    "/private/open.jpg", "/mislabelled", "/after-wait.jpg", "/feed.jpg", "/sitemap.jpg", "/deep.jpg",
]  # fmt: skip
SKIPPED = {
    "/small.jpg": "too_small",
    "/noai.jpg": "noai",
    "/unwanted.jpg": "noai",
    "/private/closed.jpg": "robots",
    "/private/diary": "robots",
    "/wrong.jpg": "not_a_picture",
    "/dead.jpg": "missing",
    "/gone.jpg": "missing",
    "/truncated.jpg": "damaged",
    "/bomb.jpg": "too_large",
    "/away.jpg": "address",
    "/round.jpg": "redirects",
    _FAR: "address",
    "/pixel.gif": "ornament",
    "/logo.svg": "ornament",
}
"""Everything that a crawl of depth 2 must come to, beside `ADDED`, one exact copy and the pages."""
PAGES_READ = [
    "/", "/gallery?page=1", "/gallery?page=2", "/gallery?page=3", "/artists", "/second", "/feed.xml",
    "/photos-page", "/sitemap.xml", "/calendar?day=1",
]  # fmt: skip

TROUBLES = {
    "/drips.jpg": "slow",
    "/falls-silent.jpg": "slow",
    "/endless.jpg": "too_large",
    "/resets.jpg": "unreachable",
    "/ends-early.jpg": "unreachable",
}
"""Content of `/troubles` besides one good image: slow, endless and truncated bodies."""


@contextmanager
def serve(site: SampleSite) -> Iterator[SampleSite]:
    """Serve the site while the block runs."""
    lock = threading.Lock()
    under_way = 0
    waited: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # the whole answer at once, as servers do

        def do_GET(self) -> None:
            nonlocal under_way
            asked = SiteRequest(self.path, dict(self.headers), time.monotonic())
            with lock:
                site.log.append(asked)
                under_way += 1
                site.most_at_once = max(site.most_at_once, under_way)
            try:
                if self.path in TROUBLES:
                    self.trouble()
                    return
                status, headers, body = self.answer()
                asked.status = status
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
            except OSError:
                self.close_connection = True
            finally:
                with lock:
                    under_way -= 1

        def answer(self) -> tuple[int, dict[str, str], bytes]:  # noqa: PLR0911, PLR0912
            path = self.path
            if path == "/robots.txt":
                rules = "User-agent: *\nDisallow: /private/\nAllow: /private/open*.jpg$\n"
                if site.crawl_delay_s:
                    rules += f"Crawl-delay: {site.crawl_delay_s}\n"
                return 200, {"Content-Type": "text/plain"}, rules.encode()
            if path == "/after-wait.jpg" and path not in waited:
                waited.add(path)
                return 429, {"Retry-After": "1"}, b""
            if path in IMAGES:
                time.sleep(site.delay_s)
                headers = {"Content-Type": "image/jpeg", "ETag": f'"{path}"'}
                if path == "/mislabelled":
                    headers["Content-Type"] = "text/plain"
                if path == "/noai.jpg":
                    headers["X-Robots-Tag"] = "noai"
                if path == "/others-only.jpg":
                    headers["X-Robots-Tag"] = "otherbot: noai"
                if self.headers.get("If-None-Match") == headers["ETag"]:
                    return 304, headers, b""
                return 200, headers, IMAGES[path]
            if path.startswith("/calendar?day="):
                day = int(path.rpartition("=")[2])
                body = f'<title>Day {day}</title><a rel="next" href="/calendar?day={day + 1}">tomorrow</a>'
                return 200, {"Content-Type": "text/html"}, body.encode()
            if path in PAGES:
                headers = {"Content-Type": "text/html", "ETag": f'"{path}"'}
                if self.headers.get("If-None-Match") == headers["ETag"]:
                    return 304, headers, b""
                return 200, headers, PAGES[path].encode()
            match path:
                case "/wrong.jpg":
                    return 200, {"Content-Type": "image/jpeg"}, b"<!doctype html><title>Not here</title>"
                case "/bomb.jpg":
                    headers = {"Content-Type": "image/jpeg", "Content-Encoding": "gzip"}
                    return 200, headers, gzip.compress(bytes(60_000_000), 9)
                case "/away.jpg":
                    return 302, {"Location": "http://10.0.0.1/secret.jpg"}, b""
                case "/round.jpg":
                    return 302, {"Location": "/round.jpg"}, b""
                case "/gone.jpg":
                    return 410, {}, b""
            return 404, {}, b""

        def trouble(self) -> None:
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            if self.path != "/endless.jpg":
                self.send_header("Content-Length", "9000")
            self.end_headers()
            self.wfile.write(IMAGES["/photos/1.jpg"][:900])
            self.wfile.flush()
            match self.path:
                case "/drips.jpg":
                    for _ in range(8000):
                        time.sleep(0.05)
                        self.wfile.write(b"x")
                        self.wfile.flush()
                case "/falls-silent.jpg":
                    self.rfile.read(1)  # until the other side hangs up
                case "/endless.jpg":
                    while True:
                        self.wfile.write(bytes(1 << 20))
                case "/resets.jpg":
                    off_at_once = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off_at_once)
                    self.connection.close()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def server_bind(self) -> None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            super().server_bind()

    server = Server(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
