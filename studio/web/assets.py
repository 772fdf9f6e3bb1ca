"""The components' JavaScript modules: served under the hash of their content, and loaded by Streamlit.

    GET /studio/assets/{version}/{path}  → an ES module, kept by the browser for ever

`path` is the module's path below `studio/`, so that relative imports are the same for a browser, for Node
and for the type checker. `docs/decisions/0065-javascript-modules.md` says why they are served so.
"""

import hashlib
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

ASSETS = "/studio/assets"
_ROOT = Path(__file__).parents[1]
_PATTERNS = ("web/components/*.js", "web/*/frontend/*.js", "share/web_demo/page/dom.js")
_IMPORT = re.compile(r"""^(?:import|export)\b[^;'"]*?from\s+["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)
_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
}
_LOADER = """\
const base = new URL({base}, document.baseURI);
for (const path of {imported}) {{
  const link = document.createElement("link");
  document.head.append(Object.assign(link, {{ rel: "modulepreload", href: base + path }}));
}}
const {{ default: component }} = await import(base + {entry});
export default component;
"""


def asset_routes() -> list[BaseRoute]:
    """Return the route that serves the modules; other versions and other files are not found."""

    async def module(request: Request) -> Response:
        content = modules().get(request.path_params["path"])
        if content is None or request.path_params["version"] != version():
            return Response(status_code=404, headers={"Cache-Control": "no-store"})
        return Response(content, headers=_HEADERS, media_type="text/javascript")

    return [Route(f"{ASSETS}/{{version}}/{{path:path}}", module)]


def register_component(name: str, *, html: str, css: Path, entry: Path) -> Any:
    """Register a Streamlit component and return what draws it. entry: the module with its default export."""
    return st.components.v2.component(name, html=html, css=css.read_text(encoding="utf-8"), js=loader(entry))


@cache
def modules() -> dict[str, bytes]:
    """Return the content of each module by its path below `studio/`."""
    found = sorted(path for pattern in _PATTERNS for path in _ROOT.glob(pattern))
    return {path.relative_to(_ROOT).as_posix(): path.read_bytes() for path in found}


@cache
def version() -> str:
    """Return the hash of all modules."""
    whole = hashlib.sha256()
    for path, content in modules().items():
        whole.update(f"{path}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()[:16]


def loader(entry: Path) -> str:
    """Return the module that Streamlit runs: it imports the component's own and exports its default.

    Streamlit runs a component's text from a `blob:` address, from which nothing relative can be imported. All
    that the module imports is named beforehand, so that a browser fetches it at once and not level by level.
    """
    path = entry.resolve().relative_to(_ROOT).as_posix()
    return _LOADER.format(
        base=_literal(f"{ASSETS}/{version()}/"),
        imported=f"[{', '.join(map(_literal, imported_modules(path)))}]",
        entry=_literal(path),
    )


def imported_modules(path: str) -> list[str]:
    """Return the paths of all modules that one imports, directly or through others, in ascending order."""
    found, open_ = {path}, [path]
    while open_:
        importer = open_.pop()
        for specifier in _IMPORT.findall(modules()[importer].decode("utf-8")):
            imported = _joined(PurePosixPath(importer).parent, specifier)
            if imported not in found:
                found.add(imported)
                open_.append(imported)
    return sorted(found - {path})


def _joined(folder: PurePosixPath, specifier: str) -> str:
    parts = list(folder.parts)
    for part in PurePosixPath(specifier).parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _literal(text: str) -> str:
    return f'"{text}"'
