"""The routes of curating: what the grid shows, and what has changed since.

    GET  /studio/projects/{id}/walk?…&order=…&after=…  → {"ids", "next"}: images of a filter, in an order;
                                                         with run=…, those that are meant by a run
    GET  /studio/projects/{id}/items?ids=1,2,3          → {"items", "number"}: what tiles show
    GET  /studio/projects/{id}/changes?after=N          → {"number", "changes", "classes"}
    GET  /studio/projects/{id}/classes                  → classes with counts, and what can be filtered by
    GET  /studio/projects/{id}/history?before=N         → {"operations"}
    GET  /studio/projects/{id}/map                      → bytes, see `studio.curate.embedding_map`

Routes that change something are in `studio.web.curate.label_routes`. Errors are {"error": message}.
`docs/decisions/0042-labels-that-travel.md` says why they are shaped so.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from db.labelling import newest_number
from db.models import ProjectRow
from studio.collect.web import search
from studio.curate import filters, history
from studio.curate.classes import ClassCount, project_counts
from studio.curate.embedding_map import image_map
from studio.curate.filters import Choices, KeptChoices
from studio.curate.items import MOST_ITEMS, Item, ProjectImage, items, project_image
from studio.curate.paging import MOST_CANDIDATES, ORDERS, Order, those_that_pass, walk
from studio.curate.params import LARGEST_ID, NotUnderstood, whole
from studio.errors import ProjectError
from studio.i18n import _
from studio.images import provenance
from studio.images.provenance import OWN, Provenance, ProvenanceRecord
from studio.settings import Settings
from studio.web.curate.label_routes import labelling_routes
from studio.web.http import PRIVATE, fault
from studio.web.retrain.routes import tested_or_changed
from studio.web.text import file_size, moment, way

_Answer = Callable[[Session, int, Request], Response]


def curate_address(project_id: int | str, what: str) -> str:
    """Return where something of a project's curating is served."""
    return f"/studio/projects/{project_id}/{what}"


def curate_routes(settings: Settings, database: Database) -> list[BaseRoute]:
    """Return the routes over one data folder."""
    kept = KeptChoices()

    def classes(session: Session, project_id: int) -> dict[str, Any]:
        return _classes(session, project_id, kept.of(session, project_id))

    def walked(session: Session, project_id: int, request: Request) -> Response:
        if request.query_params.get("run"):
            named = tested_or_changed(session, project_id, request)
            passing = those_that_pass(session, project_id, named, filters.parse(_filter_of(request)))
            return _json({"ids": passing, "next": None})
        order, like = _order(request)
        step = walk(
            session,
            project_id,
            order,
            filters.parse(_filter_of(request)),
            after=request.query_params.get("after") or None,
            limit=_limit(request),
            like=None if like is None else (settings.studies_dir / str(project_id), like),
        )
        return _json({"ids": step.ids, "next": step.next})

    def mapped(session: Session, project_id: int, _request: Request) -> Response:
        found = image_map(session, project_id, settings.studies_dir / str(project_id))
        if found is None:
            return fault(_("There is no map of these images yet."), 404)
        return Response(found, media_type="application/octet-stream", headers=PRIVATE)

    def route(what: str, answer: _Answer) -> Route:
        # Not a coroutine: Starlette runs it in a thread, so that no look holds others up.
        def look(request: Request) -> Response:
            project_id = request.path_params["project"]
            try:
                with database.read() as session:
                    if project_id > LARGEST_ID or session.get(ProjectRow, project_id) is None:
                        return fault(
                            _("There is no such project. It may have been deleted; choose another."), 404
                        )
                    return answer(session, project_id, request)
            except NotUnderstood as error:
                return fault(str(error), 400)
            except ProjectError as error:
                return fault(str(error), 404)

        return Route(curate_address("{project:int}", what), look)

    return [
        *labelling_routes(database, classes),
        route("walk", walked),
        route("items", _items),
        route("changes", _changes),
        route("classes", lambda session, project_id, _request: _json(classes(session, project_id))),
        route("history", _history),
        route("map", mapped),
    ]


def _items(session: Session, project_id: int, request: Request) -> Response:
    asked = [part for part in request.query_params.get("ids", "").split(",") if part]
    if len(asked) > MOST_ITEMS:
        raise NotUnderstood(
            _("expected at most {most} images at once; {count} came.").format(
                most=MOST_ITEMS, count=len(asked)
            )
        )
    number = newest_number(session, project_id)
    found = items(session, project_id, [whole(part, "ids") for part in asked])
    return _json({"items": [_item(item) for item in found], "number": number})


def _changes(session: Session, project_id: int, request: Request) -> Response:
    after = whole(request.query_params.get("after", ""), "after")
    found = history.changes(session, project_id, after)
    said: dict[str, Any] = {"number": found.number, "changes": found.images}
    if found.number > after:
        said["classes"] = [_class(each) for each in project_counts(session, project_id).classes]
    return _json(said)


def _history(session: Session, project_id: int, request: Request) -> Response:
    before = request.query_params.get("before")
    entries = history.entries(session, project_id, None if before is None else whole(before, "before"))
    return _json({"operations": [{**asdict(entry), "at": entry.at.isoformat()} for entry in entries]})


def _classes(session: Session, project_id: int, choices: Choices) -> dict[str, Any]:
    number = newest_number(session, project_id)
    found = project_counts(session, project_id)
    return {
        "number": number,
        "classes": [_class(each) for each in found.classes],
        "unlabelled": found.unlabelled,
        "rejected": found.rejected,
        "labelled": found.labelled,
        "sources": choices.sources,
        "licences": choices.licences,
        "findings": choices.findings,
        "studies": choices.studies,
        "clashes": choices.clashes,
    }


def _class(shelf: ClassCount) -> dict[str, Any]:
    return asdict(shelf)


def _item(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "sha": item.sha256,
        "name": item.name,
        "state": item.state,
        "class": item.class_id,
        "w": item.width_px,
        "h": item.height_px,
        "suggestion": item.suggestion,
        "doubt": item.doubt,
        "odd": item.odd,
        "group": item.group,
        "keeper": item.keeper,
        "split": item.split,
        "clash": item.clash,
    }


def _order(request: Request) -> tuple[Order, int | None]:
    """Return the order, and for `alike` the image that others should resemble."""
    order = request.query_params.get("order", "newest")
    if order not in ORDERS:
        raise NotUnderstood(
            _("expected one of {choices} as {name}; {value!r} came.").format(
                choices=", ".join(ORDERS), name="order", value=order[:40]
            )
        )
    if order != "alike":
        return cast(Order, order), None
    like = request.query_params.get("like") or next(
        (value for value in request.query_params.getlist("to") if value.isdecimal()), None
    )
    return "alike", None if like is None else whole(like, "like")


def _filter_of(request: Request) -> dict[str, str]:
    """Return the parameters of the filter. `to` is a day, and beside it, for `alike`, may be an image."""
    asked = dict(request.query_params)
    if request.query_params.get("order") == "alike":
        days = [value for value in request.query_params.getlist("to") if not value.isdecimal()]
        asked["to"] = days[0] if days else ""
    return asked


def _limit(request: Request) -> int:
    asked = request.query_params.get("limit")
    return MOST_CANDIDATES if asked is None else min(MOST_CANDIDATES, max(1, whole(asked, "limit")))


def _json(said: dict[str, Any]) -> Response:
    return JSONResponse(said, headers=PRIVATE)


_IDS = 2**31
"""No database has such an id, and some refuse to look."""


def detail_address(project_id: int | str, image_id: int | str) -> str:
    """Return where the details of a project's image are served."""
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
            found = project_image(session, project_id, image_id)
            places = provenance.provenance_of(session, project_id, [image_id])[image_id]
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
            hit = search.hit(session, hit_id)
        if hit is None:
            return None
        size = _("{width} by {height} pixels").format(width=hit.width_px, height=hit.height_px)
        return {
            "facts": [_row(_("Size"), size)] if hit.width_px else [],
            "places": [[row for row in _known(hit.provenance, hit.address) if row["text"]]],
        }

    return [Route(hit_address("{hit_id:int}"), answer)]


def _facts(found: ProjectImage) -> list[dict[str, str]]:
    size = _("{width} by {height} pixels").format(width=found.width_px, height=found.height_px)
    return [
        _row(_("Name"), found.name),
        _row(_("Size"), f"{size}, {file_size(found.size_bytes)}"),
        _row(_("Format"), found.format),
    ]


def _place(place: ProvenanceRecord) -> list[dict[str, str]]:
    own = place.kind in OWN
    rows = [
        *_known(place, place.address, unknown=_("own work") if own else _("unknown")),
        _row(_("Came"), f"{moment(place.found_at)}, {way(place.kind)}"),
        _row(_("Robots rules"), place.robots),
    ]
    return [row for row in rows if row["text"]]


def _known(known: Provenance, address: str, unknown: str = "") -> list[dict[str, str]]:
    return [
        _row(_("Found at"), address, address),
        _row(_("On the page"), known.page_address, known.page_address),
        _row(_("Title"), known.title),
        _row(_("Author"), known.creator),
        _row(_("Licence"), known.licence or unknown or _("unknown"), known.licence_address),
    ]


def _row(label: str, text: str, address: str = "") -> dict[str, str]:
    return {"label": label, "text": text, "address": address if provenance.on_the_web(address) else ""}
