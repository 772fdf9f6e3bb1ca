"""The routes that read images: pages of ids, tiles, changes, classes, history, map, and details of an image.

    GET  /studio/projects/{id}/walk?…&order=…&after=…  → {"ids", "next"}: a page of a filter, in a sort order;
                                                         with run=…, the images of a run's results
    GET  /studio/projects/{id}/items?ids=1,2,3          → {"items", "number"}: contents of tiles
    GET  /studio/projects/{id}/changes?after=N          → {"number", "changes", "classes"}
    GET  /studio/projects/{id}/classes                  → classes with counts, and facets of the filters
    GET  /studio/projects/{id}/history?before=N         → {"operations"}
    GET  /studio/projects/{id}/map                      → bytes, see `studio.curate.embedding_map`

Routes that change something are in `studio.web.curate.label_routes`. Errors are {"error": message}. For the
reasons see docs/decisions/0042-label-operations.md.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from db.labelling import latest_operation_number
from studio.collect.web import search
from studio.curate import history
from studio.curate.classes import project_counts
from studio.curate.embedding_map import encode_map
from studio.curate.filters import FacetCache, FilterFacets, invalid_choice, parse_filter
from studio.curate.items import MAX_ITEMS, GridItem, ProjectImage, grid_items, project_image
from studio.curate.paging import MAX_CANDIDATES, SORT_ORDERS, SimilarTo, SortOrder, filter_images, next_page
from studio.curate.params import LARGEST_ID, InvalidRequest, parse_int
from studio.i18n import _
from studio.images import provenance
from studio.images.provenance import OWN_WORK_KINDS, Provenance, ProvenanceRecord
from studio.settings import Settings
from studio.web.curate.label_routes import label_routes
from studio.web.http import NO_STORE, error_response, json_response, project_get
from studio.web.retrain.routes import image_ids_of_run
from studio.web.text import format_datetime, format_size, provenance_title


def curate_address(project_id: int | str, what: str) -> str:
    """Return the path of a resource of a project's grid."""
    return f"/studio/projects/{project_id}/{what}"


def curate_routes(settings: Settings, database: Database) -> list[BaseRoute]:
    """Return the routes over one data folder."""
    facets = FacetCache()

    def describe_classes(session: Session, project_id: int) -> dict[str, Any]:
        return _describe_classes(session, project_id, facets.get(session, project_id))

    def image_page(session: Session, project_id: int, request: Request) -> Response:
        filter_ = parse_filter(_filter_params(request))
        if request.query_params.get("run"):
            images = image_ids_of_run(session, project_id, request)
            return json_response({"ids": filter_images(session, project_id, images, filter_), "next": None})
        order, image_id = _sort_order(request)
        page = next_page(
            session,
            project_id,
            order,
            filter_,
            after=request.query_params.get("after") or None,
            limit=_limit(request),
            similar_to=None if image_id is None else SimilarTo(analysis_dir(project_id), image_id),
        )
        return json_response({"ids": page.ids, "next": page.next_cursor})

    def classes(session: Session, project_id: int, _request: Request) -> Response:
        return json_response(describe_classes(session, project_id))

    def map_points(session: Session, project_id: int, _request: Request) -> Response:
        content = encode_map(session, project_id, analysis_dir(project_id))
        if content is None:
            return error_response(_("There is no map of these images yet."), 404)
        return Response(content, media_type="application/octet-stream", headers=NO_STORE)

    def analysis_dir(project_id: int) -> Path:
        return settings.analyses_dir / str(project_id)

    def route(what: str, handler: Callable[[Session, int, Request], Response]) -> Route:
        return project_get(curate_address("{project:int}", what), database, handler)

    return [
        *label_routes(database, describe_classes),
        route("walk", image_page),
        route("items", _items),
        route("changes", _changes),
        route("classes", classes),
        route("history", _history),
        route("map", map_points),
    ]


def _items(session: Session, project_id: int, request: Request) -> Response:
    ids = [part for part in request.query_params.get("ids", "").split(",") if part]
    if len(ids) > MAX_ITEMS:
        raise InvalidRequest(
            _("expected at most {limit} images at once; got {count}.").format(limit=MAX_ITEMS, count=len(ids))
        )
    number = latest_operation_number(session, project_id)
    items = grid_items(session, project_id, [parse_int(part, "ids") for part in ids])
    return json_response({"items": [_item(item) for item in items], "number": number})


def _changes(session: Session, project_id: int, request: Request) -> Response:
    after = parse_int(request.query_params.get("after", ""), "after")
    changes = history.changes_since(session, project_id, after)
    content: dict[str, Any] = {"number": changes.number, "changes": changes.images}
    if changes.number > after:
        content["classes"] = [asdict(each) for each in project_counts(session, project_id).classes]
    return json_response(content)


def _history(session: Session, project_id: int, request: Request) -> Response:
    before = request.query_params.get("before")
    entries = history.history_entries(
        session, project_id, None if before is None else parse_int(before, "before")
    )
    return json_response({"operations": [{**asdict(entry), "at": entry.at.isoformat()} for entry in entries]})


def _describe_classes(session: Session, project_id: int, facets: FilterFacets) -> dict[str, Any]:
    number = latest_operation_number(session, project_id)
    counts = project_counts(session, project_id)
    return {
        "number": number,
        "classes": [asdict(each) for each in counts.classes],
        "unlabelled": counts.unlabelled,
        "rejected": counts.rejected,
        "labelled": counts.labelled,
        "sources": facets.sources,
        "licences": facets.licences,
        "findings": facets.result_counts,
        "studies": facets.analyses,
        "clashes": facets.clashes,
    }


def _item(item: GridItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "sha": item.sha256,
        "name": item.name,
        "state": item.state,
        "class": item.class_id,
        "w": item.width_px,
        "h": item.height_px,
        "suggestion": item.suggestion,
        "doubt": item.label_issue,
        "odd": item.image_issues,
        "group": item.group,
        "keeper": item.keeper,
        "split": item.split,
        "clash": item.clash,
    }


def _sort_order(request: Request) -> tuple[SortOrder, int | None]:
    """Return the sort order and, for `alike`, the id of the image to compare with."""
    order = request.query_params.get("order", "newest")
    if order not in SORT_ORDERS:
        raise invalid_choice("order", SORT_ORDERS, order)
    if order != "alike":
        return cast(SortOrder, order), None
    like = request.query_params.get("like") or next(
        (value for value in request.query_params.getlist("to") if value.isdecimal()), None
    )
    return "alike", None if like is None else parse_int(like, "like")


def _filter_params(request: Request) -> dict[str, str]:
    """Return the parameters of the filter. `to` is a date; for `alike` a second `to` may be an image id."""
    params = dict(request.query_params)
    if request.query_params.get("order") == "alike":
        days = [value for value in request.query_params.getlist("to") if not value.isdecimal()]
        params["to"] = days[0] if days else ""
    return params


def _limit(request: Request) -> int:
    limit = request.query_params.get("limit")
    return MAX_CANDIDATES if limit is None else min(MAX_CANDIDATES, max(1, parse_int(limit, "limit")))


def detail_address(project_id: int | str, image_id: int | str) -> str:
    """Return the path of the details of a project's image."""
    return f"/studio/projects/{project_id}/pictures/{image_id}"


def detail_routes(database: Database) -> list[BaseRoute]:
    """Return the route of the details of an image, over one database."""

    async def get(request: Request) -> Response:
        details = await run_in_threadpool(details_of, **request.path_params)
        if details is None:
            return Response(status_code=404)
        return json_response(details)

    def details_of(project_id: int, image_id: int) -> dict[str, Any] | None:
        if max(project_id, image_id) > LARGEST_ID:
            return None
        with database.read() as session:
            image = project_image(session, project_id, image_id)
            places = provenance.provenance_of(session, project_id, [image_id])[image_id]
        return None if image is None else {"facts": _facts(image), "places": [_place(p) for p in places]}

    return [Route(detail_address("{project_id:int}", "{image_id:int}"), get)]


def hit_address(hit_id: int | str) -> str:
    """Return the path of the details of a search result."""
    return f"/studio/hits/{hit_id}"


def hit_routes(database: Database) -> list[BaseRoute]:
    """Return the route of the details of a search result, over one database."""

    async def get(request: Request) -> Response:
        details = await run_in_threadpool(details_of, request.path_params["hit_id"])
        return Response(status_code=404) if details is None else json_response(details)

    def details_of(hit_id: int) -> dict[str, Any] | None:
        if hit_id > LARGEST_ID:
            return None
        with database.read() as session:
            hit = search.find_hit(session, hit_id)
        if hit is None:
            return None
        size = _("{width} by {height} pixels").format(width=hit.width_px, height=hit.height_px)
        return {
            "facts": [_row(_("Size"), size)] if hit.width_px else [],
            "places": [[row for row in _known(hit.provenance, hit.url) if row["text"]]],
        }

    return [Route(hit_address("{hit_id:int}"), get)]


def _facts(image: ProjectImage) -> list[dict[str, str]]:
    size = _("{width} by {height} pixels").format(width=image.width_px, height=image.height_px)
    return [
        _row(_("Name"), image.name),
        _row(_("Size"), f"{size}, {format_size(image.size_bytes)}"),
        _row(_("Format"), image.format),
    ]


def _place(place: ProvenanceRecord) -> list[dict[str, str]]:
    own = place.kind in OWN_WORK_KINDS
    rows = [
        *_known(place, place.address, unknown=_("own work") if own else _("unknown")),
        _row(_("Added"), f"{format_datetime(place.found_at)}, {provenance_title(place.kind)}"),
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
    return {"label": label, "text": text, "address": address if provenance.is_web_url(address) else ""}
