"""The routes that change labels and classes.

    POST /studio/projects/{id}/labels   {"author", "operations": [operation]} → {"number", "results"}
    POST /studio/projects/{id}/classes  {"author", "id", "act", …}            → what GET classes says

An operation that is not understood has its error among the results, and the others are done: a browser that
keeps what it has sent until it is answered must be able to put it aside. What is asked twice, by its id, is
done once. Only our own pages may ask.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from db.labelling import newest_number
from db.models import ProjectRow
from studio.curate import classes
from studio.curate.labels import Group, Operation, Result, SetLabels, TakeBack, apply
from studio.curate.params import LARGEST_ID, NotUnderstood, image_ids, too_many
from studio.curate.tasks import review_soon
from studio.errors import ProjectError
from studio.i18n import _
from studio.web.http import PRIVATE, body_from_own_page, fault
from studio.web.state import now

MOST_IMAGES = 200_000
"""As many go into one operation."""
_HEADER = "x-studio-curate"
_BODY_BYTES = 16 << 20
_MOST_OPERATIONS = 1_000

_Id = Annotated[str, Field(pattern="^[!-~]{1,64}$")]
_ClassId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Labelled(_Strict):
    images: str
    state: Literal["labelled"]
    class_id: _ClassId | None = Field(default=None, alias="class")
    class_name: str | None = Field(default=None, max_length=1000)


class _Other(_Strict):
    images: str
    state: Literal["rejected", "unlabelled"]


class _Set(_Strict):
    id: _Id
    kind: Literal["set"]
    seen: int | None = Field(default=None, ge=0, le=LARGEST_ID)
    sets: list[Annotated[_Labelled | _Other, Field(discriminator="state")]] = Field(
        min_length=1, max_length=1000
    )


class _TakeBack(_Strict):
    id: _Id
    kind: Literal["undo", "redo"]
    operation: _Id | None = None


class _Batch(_Strict):
    author: _Id
    operations: list[dict[str, Any]] = Field(max_length=_MOST_OPERATIONS)


class _Act(_Strict):
    author: _Id
    id: _Id
    act: Literal["add", "rename", "recolour", "hotkey", "reorder", "merge", "remove"]
    class_id: _ClassId | None = Field(default=None, alias="class")
    into: _ClassId | None = None
    name: str = Field(default="", max_length=1000)
    colour: str = Field(default="", max_length=100)
    hotkey: str = Field(default="", max_length=100)
    order: list[_ClassId] = Field(default=[], max_length=10_000)


_OPERATION: TypeAdapter[_Set | _TakeBack] = TypeAdapter(
    Annotated[_Set | _TakeBack, Field(discriminator="kind")]
)


def labelling_routes(database: Database, told: Callable[[Session, int], dict[str, Any]]) -> list[BaseRoute]:
    """Return the routes over one database. told: returns what GET classes says."""

    def label(project_id: int, body: bytes) -> Response:
        batch = _Batch.model_validate_json(body)
        read = [_operation(each) for each in batch.operations]
        with database.write() as session:
            operations = [each for each in read if not isinstance(each, Result)]
            done = {r.id: r for r in apply(session, project_id, batch.author, operations, now())}
            number = newest_number(session, project_id)
        review_soon(database, project_id, now())
        results = [_result(each if isinstance(each, Result) else done[each.id]) for each in read]
        return JSONResponse({"number": number, "results": results}, headers=PRIVATE)

    def change(project_id: int, body: bytes) -> Response:
        act = _Act.model_validate_json(body)
        with database.write() as session:
            _change(session, project_id, act)
        with database.read() as session:
            return JSONResponse(told(session, project_id), headers=PRIVATE)

    def route(what: str, answer: Callable[[int, bytes], Response]) -> Route:
        async def guarded(request: Request) -> Response:
            refusal = _("Labels are taken from the studio's own pages only.")
            body = await body_from_own_page(request, _HEADER, _BODY_BYTES, refusal=refusal)
            if isinstance(body, Response):
                return body
            return await run_in_threadpool(guard, request.path_params["project"], body)

        def guard(project_id: int, body: bytes) -> Response:
            try:
                return answer(project_id, body) if exists(project_id) else missing()
            except (ValidationError, NotUnderstood) as error:
                return fault(_why(error), 400)
            except ProjectError as error:
                return fault(str(error), 409)

        return Route(f"/studio/projects/{{project:int}}/{what}", guarded, methods=["POST"])

    def exists(project_id: int) -> bool:
        with database.read() as session:
            return project_id <= LARGEST_ID and session.get(ProjectRow, project_id) is not None

    def missing() -> Response:
        return fault(_("There is no such project. It may have been deleted; choose another."), 404)

    return [route("labels", label), route("classes", change)]


def _operation(asked: Mapping[str, Any]) -> Operation | Result:
    """Return an operation, or what came of one that is not understood.

    Raises NotUnderstood for one without an id, which could not be answered.
    """
    try:
        read = _OPERATION.validate_python(asked, strict=True)
        if isinstance(read, _TakeBack):
            return TakeBack(read.id, read.kind, read.operation)
        return SetLabels(read.id, _groups(read), read.seen)
    except (ValidationError, NotUnderstood) as error:
        name = asked.get("id")
        if isinstance(name, str) and name:
            return Result(name, error=_why(error))
        raise


def _groups(asked: _Set) -> list[Group]:
    groups: list[Group] = []
    left = MOST_IMAGES
    seen: set[int] = set()
    for each in asked.sets:
        ids = image_ids(each.images, MOST_IMAGES)
        left -= len(ids)
        if left < 0:
            raise too_many(MOST_IMAGES)
        if not seen.isdisjoint(ids):
            raise NotUnderstood(_("expected each image once in a step; one came twice."))
        seen.update(ids)
        if isinstance(each, _Other):
            groups.append(Group(ids, each.state))
        elif (each.class_id is None) == (each.class_name is None):
            raise NotUnderstood(_("expected either a class or the name of one; both or neither came."))
        else:
            groups.append(Group(ids, each.state, each.class_id, each.class_name))
    return groups


def _change(session: Session, project_id: int, asked: _Act) -> None:
    when: dict[str, Any] = {"operation_id": asked.id, "now": now()}
    if asked.act == "add":
        classes.add(session, project_id, asked.name, **when)
        return
    if asked.act == "reorder":
        classes.reorder(session, project_id, asked.order, **when)
        return
    if asked.class_id is None or (asked.act == "merge" and asked.into is None):
        raise NotUnderstood(_("expected the class that is meant; none came. Choose one."))
    if asked.act == "rename":
        classes.rename(session, project_id, asked.class_id, asked.name, **when)
    elif asked.act == "recolour":
        classes.recolour(session, project_id, asked.class_id, asked.colour, **when)
    elif asked.act == "hotkey":
        classes.set_hotkey(session, project_id, asked.class_id, asked.hotkey, **when)
    elif asked.act == "remove":
        classes.remove(session, project_id, asked.class_id, author=asked.author, **when)
    elif asked.into is not None:
        classes.merge(session, project_id, asked.class_id, asked.into, author=asked.author, **when)


def _result(result: Result) -> dict[str, Any]:
    return {
        "id": result.id,
        "number": result.number,
        "changes": result.changes,
        "clashes": result.clashes,
        "error": result.error,
        "about": result.about,
    }


def _why(error: ValidationError | NotUnderstood) -> str:
    if isinstance(error, NotUnderstood):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return _("This was not understood ({why}). Reload the page and try again.").format(
        why=f"{where}: {first['msg']}" if where else first["msg"]
    )
