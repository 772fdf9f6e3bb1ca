"""The route that says all about one picture: asked for when somebody looks at it, not with every page.

    GET /studio/projects/{id}/pictures/{image_id} → {"facts": [row], "places": [[row]]}, 404

A row is {"label", "text", "address"}; an address is one of http or https, or empty. Texts come from strangers
and are text: whoever draws them must not take them for HTML.
"""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from studio.collect import papers
from studio.collect.papers import OWN, PaperRecord
from studio.collect.sources import Papers
from studio.collect.web import hits
from studio.curate.grid import Picture, picture
from studio.language import _
from studio.web.answers import PRIVATE
from studio.web.words import file_size, moment, way

_IDS = 2**31
"""No database has such an id, and some refuse to look."""


def detail_address(project_id: int | str, image_id: int | str) -> str:
    """Return where the details of a project's picture are served."""
    return f"/studio/projects/{project_id}/pictures/{image_id}"


def detail_routes(database: Database) -> list[BaseRoute]:
    """Return the route over one database."""

    async def answer(request: Request) -> Response:
        details = await run_in_threadpool(look, **request.path_params)
        if details is None:
            return Response(status_code=404)
        return JSONResponse(details, headers=PRIVATE)

    def look(project_id: int, image_id: int) -> dict[str, Any] | None:
        if max(project_id, image_id) >= _IDS:
            return None
        with database.read() as session:
            found = picture(session, project_id, image_id)
            places = papers.of(session, project_id, [image_id])[image_id]
        return None if found is None else {"facts": _facts(found), "places": [_place(p) for p in places]}

    return [Route(detail_address("{project_id:int}", "{image_id:int}"), answer)]


def hit_address(hit_id: int | str) -> str:
    """Return where the details of a search's hit are served."""
    return f"/studio/hits/{hit_id}"


def hit_routes(database: Database) -> list[BaseRoute]:
    """Return the route of what is known of a search's hit before it is kept."""

    async def answer(request: Request) -> Response:
        details = await run_in_threadpool(look, request.path_params["hit_id"])
        return Response(status_code=404) if details is None else JSONResponse(details, headers=PRIVATE)

    def look(hit_id: int) -> dict[str, Any] | None:
        if hit_id >= _IDS:
            return None
        with database.read() as session:
            hit = hits.hit(session, hit_id)
        if hit is None:
            return None
        size = _("{width} by {height} pixels").format(width=hit.width_px, height=hit.height_px)
        return {
            "facts": [_row(_("Size"), size)] if hit.width_px else [],
            "places": [[row for row in _known(hit.papers, hit.address) if row["text"]]],
        }

    return [Route(hit_address("{hit_id:int}"), answer)]


def _facts(found: Picture) -> list[dict[str, str]]:
    size = _("{width} by {height} pixels").format(width=found.width_px, height=found.height_px)
    return [
        _row(_("Name"), found.name),
        _row(_("Size"), f"{size}, {file_size(found.size_bytes)}"),
        _row(_("Format"), found.format),
    ]


def _place(place: PaperRecord) -> list[dict[str, str]]:
    own = place.kind in OWN
    rows = [
        *_known(place, place.address, unknown=_("own work") if own else _("unknown")),
        _row(_("Came"), f"{moment(place.found_at)}, {way(place.kind)}"),
        _row(_("Robots rules"), place.robots),
    ]
    return [row for row in rows if row["text"]]


def _known(known: Papers, address: str, unknown: str = "") -> list[dict[str, str]]:
    return [
        _row(_("Found at"), address, address),
        _row(_("On the page"), known.page_address, known.page_address),
        _row(_("Title"), known.title),
        _row(_("Author"), known.creator),
        _row(_("Licence"), known.licence or unknown or _("unknown"), known.licence_address),
    ]


def _row(label: str, text: str, address: str = "") -> dict[str, str]:
    return {"label": label, "text": text, "address": address if papers.on_the_web(address) else ""}
