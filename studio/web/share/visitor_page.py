"""The page behind a share link, and its files, which are the same for every link."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from starlette.responses import FileResponse, HTMLResponse, Response

from studio.files import atomic_bytes
from studio.share.links import SharedRun
from studio.share.web_demo.demo_page import Demo, PageUrls, page_assets, page_html
from studio.share.web_demo.runtime import VERSION, installed_runtime

FILES_URL = "/share/files"
_RUNTIME = f"litertjs-{VERSION}"
_COMPRESSED_SUFFIX = ".wasm"
_MAX_ATTRIBUTION_LENGTH = 50_000
_FILE_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    # The URL contains the token: do not send it to other sites.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    # The page itself restricts what it may load.
    "Content-Security-Policy": "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class VisitorPage:
    """The page and its files. Without an installed runtime, the page sends images to the server."""

    def __init__(self, downloads_dir: Path) -> None:
        self._downloads_dir = downloads_dir
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in page_assets())).hexdigest()[:16]
        self._assets = {f"{digest}/{path.name}": path for path in page_assets()}
        self._assets_url = f"{FILES_URL}/{digest}/"

    def document(
        self, shared: SharedRun, demo: Demo, url: str, examples: Mapping[str, tuple[str, ...]]
    ) -> Response:
        """Return the page. url: of the link. examples: image URLs by class."""
        demo = replace(demo, name=shared.name, credits=_shorten(demo.credits, f"{url}/papers"))
        runs_in_browser = installed_runtime(self._downloads_dir) is not None
        urls = PageUrls(
            assets=self._assets_url,
            runtime=f"{FILES_URL}/{_RUNTIME}/",
            model=f"{url}/model.tflite" if runs_in_browser else None,
            server=f"{url}/answer",
            feedback=f"{url}/wrong",
            asks_for_image=shared.keeps_images,
            examples=examples,
        )
        return HTMLResponse(page_html(demo, urls), headers=_PAGE_HEADERS)

    def file(self, name: str, *, gzipped: bool) -> Response | None:
        """Return a file of the page or the runtime; None if there is none of that name."""
        path = self._assets.get(name) or self._runtime_file(name)
        if path is None:
            return None
        kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
        if path.suffix == _COMPRESSED_SUFFIX:
            kind = "application/wasm"
            if gzipped:
                headers = {**_FILE_HEADERS, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
                return FileResponse(self._compressed(path), headers=headers, media_type=kind)
        return FileResponse(path, headers=_FILE_HEADERS, media_type=kind)

    def _runtime_file(self, name: str) -> Path | None:
        folder = installed_runtime(self._downloads_dir)
        if folder is None:
            return None
        files = {
            f"{_RUNTIME}/{path.relative_to(folder).as_posix()}": path
            for path in folder.rglob("*")
            if path.is_file()
        }
        return files.get(name)

    def _compressed(self, path: Path) -> Path:
        """Return the gzipped file, a third of the size; written once."""
        compressed = self._downloads_dir / f"{_RUNTIME}-packed" / f"{path.name}.gz"
        if not compressed.is_file():
            with atomic_bytes(compressed) as file:
                file.write(gzip.compress(path.read_bytes(), mtime=0))
        return compressed


def _shorten(credits: str, url: str) -> str:
    if len(credits) <= _MAX_ATTRIBUTION_LENGTH:
        return credits
    return f"{credits[:_MAX_ATTRIBUTION_LENGTH].rpartition(chr(10))[0]}\n…\n{url}"
