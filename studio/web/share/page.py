"""The page that a visitor of a link sees, and the files that it needs, the same behind every link."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from starlette.responses import FileResponse, HTMLResponse, Response

from studio.files import atomic_bytes
from studio.share.links import Shared
from studio.share.web_demo.runtime import VERSION, runtime_here
from studio.share.web_demo.web_demo import Demo, Places, assets, html

FILES = "/share/files"
_RUNTIME = f"litertjs-{VERSION}"
_PACKED = ".wasm"
_LONGEST_CREDITS = 50_000
_FILE_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    # The address is the key: no other site is to hear of it.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    # What it may load, the page says itself.
    "Content-Security-Policy": "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class SharedPage:
    """The page's files, and the runtime where it is here; without it the server answers."""

    def __init__(self, downloads_dir: Path) -> None:
        self._downloads_dir = downloads_dir
        content = hashlib.sha256(b"".join(path.read_bytes() for path in assets())).hexdigest()[:16]
        self._assets = {f"{content}/{path.name}": path for path in assets()}
        self._assets_address = f"{FILES}/{content}/"

    def document(
        self, shared: Shared, demo: Demo, address: str, examples: Mapping[str, tuple[str, ...]]
    ) -> Response:
        """Return the page. address: of the link. examples: addresses of images by class."""
        demo = replace(demo, name=shared.name, credits=_shortened(demo.credits, f"{address}/papers"))
        here = runtime_here(self._downloads_dir) is not None
        places = Places(
            assets=self._assets_address,
            runtime=f"{FILES}/{_RUNTIME}/",
            model=f"{address}/model.tflite" if here else None,
            server=f"{address}/answer",
            feedback=f"{address}/wrong",
            asks_for_image=shared.keeps_images,
            examples=examples,
        )
        return HTMLResponse(html(demo, places), headers=_PAGE_HEADERS)

    def file(self, name: str, *, gzipped: bool) -> Response | None:
        """Return one of the page's files; None where there is none of that name."""
        path = self._assets.get(name) or self._of_runtime(name)
        if path is None:
            return None
        kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
        if path.suffix == _PACKED:
            kind = "application/wasm"
            if gzipped:
                headers = {**_FILE_HEADERS, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
                return FileResponse(self._packed(path), headers=headers, media_type=kind)
        return FileResponse(path, headers=_FILE_HEADERS, media_type=kind)

    def _of_runtime(self, name: str) -> Path | None:
        folder = runtime_here(self._downloads_dir)
        if folder is None:
            return None
        files = {
            f"{_RUNTIME}/{path.relative_to(folder).as_posix()}": path
            for path in folder.rglob("*")
            if path.is_file()
        }
        return files.get(name)

    def _packed(self, path: Path) -> Path:
        """Return a file packed, a third of its size; made once."""
        packed = self._downloads_dir / f"{_RUNTIME}-packed" / f"{path.name}.gz"
        if not packed.is_file():
            with atomic_bytes(packed) as file:
                file.write(gzip.compress(path.read_bytes(), mtime=0))
        return packed


def _shortened(credits: str, address: str) -> str:
    if len(credits) <= _LONGEST_CREDITS:
        return credits
    return f"{credits[:_LONGEST_CREDITS].rpartition(chr(10))[0]}\n…\n{address}"
