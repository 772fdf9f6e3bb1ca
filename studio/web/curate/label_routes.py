"""The routes that change labels and classes.

    POST /studio/projects/{id}/labels   {"author", "operations": [operation]} → {"number", "results"}
    POST /studio/projects/{id}/classes  {"author", "id", "act", …}            → the answer of GET classes

An operation that is not valid has its error among the results, and the others are done: a browser keeps what
it has sent until it is answered, and drops it then. A repeated id changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from db.engine import Database
from db.labelling import LabelOperation, LabelTarget, latest_operation_number
from studio.curate import classes
from studio.curate.labels import OperationResult, apply_operations
from studio.curate.params import LARGEST_ID, InvalidRequest, parse_id_ranges, too_many_images
from studio.curate.tasks import request_label_analysis
from studio.errors import ProjectError
from studio.i18n import _
from studio.web.http import Statuses, json_response, project_id_of, project_post, validation_message
from studio.web.state import now

MAX_IMAGES = 200_000
"""The largest number of images in one operation."""
_HEADER = "x-studio-curate"
_BODY_BYTES = 16 << 20
_MAX_OPERATIONS = 1_000

_Id = Annotated[str, Field(pattern="^[!-~]{1,64}$")]
_ClassId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _LabelledImages(_Strict):
    images: str
    state: Literal["labelled"]
    class_id: _ClassId | None = Field(default=None, alias="class")
    class_name: str | None = Field(default=None, max_length=1000)

    def target(self) -> LabelTarget:
        if (self.class_id is None) == (self.class_name is None):
            raise InvalidRequest(_("expected either a class or the name of one; got both or neither."))
        return LabelTarget(self.state, self.class_id, self.class_name)


class _OtherImages(_Strict):
    images: str
    state: Literal["rejected", "unlabelled"]

    def target(self) -> LabelTarget:
        return LabelTarget(self.state)


class _SetOperation(_Strict):
    id: _Id
    kind: Literal["set"]
    seen: int | None = Field(default=None, ge=0, le=LARGEST_ID)
    sets: list[Annotated[_LabelledImages | _OtherImages, Field(discriminator="state")]] = Field(
        min_length=1, max_length=1000
    )


class _UndoOperation(_Strict):
    id: _Id
    kind: Literal["undo", "redo"]
    operation: _Id | None = None


class _Batch(_Strict):
    author: _Id
    operations: list[dict[str, Any]] = Field(max_length=_MAX_OPERATIONS)


class _ClassChange(_Strict):
    author: _Id
    id: _Id
    act: Literal["add", "rename", "recolour", "hotkey", "reorder", "merge", "remove"]
    class_id: _ClassId | None = Field(default=None, alias="class")
    into: _ClassId | None = None
    name: str = Field(default="", max_length=1000)
    colour: str = Field(default="", max_length=100)
    hotkey: str = Field(default="", max_length=100)
    order: list[_ClassId] = Field(default=[], max_length=10_000)


_OPERATION: TypeAdapter[_SetOperation | _UndoOperation] = TypeAdapter(
    Annotated[_SetOperation | _UndoOperation, Field(discriminator="kind")]
)


def label_routes(
    database: Database, describe_classes: Callable[[Session, int], dict[str, Any]]
) -> list[BaseRoute]:
    """Return the routes over one database. describe_classes: returns the answer of GET classes."""

    def change_labels(request: Request, body: bytes) -> Response:
        project_id = existing_project(request)
        batch = _Batch.model_validate_json(body)
        read = [_read_operation(each, project_id, batch.author) for each in batch.operations]
        with database.write() as session:
            operations = [each for each in read if isinstance(each, LabelOperation)]
            done = {result.id: result for result in apply_operations(session, project_id, operations)}
            number = latest_operation_number(session, project_id)
        request_label_analysis(database, project_id, now())
        results = [_result(done[each.id] if isinstance(each, LabelOperation) else each) for each in read]
        return json_response({"number": number, "results": results})

    def change_classes(request: Request, body: bytes) -> Response:
        project_id = existing_project(request)
        change = _ClassChange.model_validate_json(body)
        with database.write() as session:
            _change_class(session, project_id, change)
        with database.read() as session:
            return json_response(describe_classes(session, project_id))

    def existing_project(request: Request) -> int:
        with database.read() as session:
            return project_id_of(session, request)

    # A class that is missing or a name that is taken is a conflict with what somebody else did.
    conflict: Statuses = {ProjectError: 409}
    base = "/studio/projects/{project:int}"
    return [
        project_post(f"{base}/labels", _HEADER, _BODY_BYTES, change_labels, statuses=conflict),
        project_post(f"{base}/classes", _HEADER, _BODY_BYTES, change_classes, statuses=conflict),
    ]


def _read_operation(
    content: Mapping[str, Any], project_id: int, author: str
) -> LabelOperation | OperationResult:
    """Return an operation, or the result of one that is not valid.

    Raises InvalidRequest or ValidationError for one without an id, to which no result could belong.
    """
    try:
        read = _OPERATION.validate_python(content, strict=True)
        if isinstance(read, _UndoOperation):
            return LabelOperation(
                read.id, project_id, now(), author=author, direction=read.kind, undoes=read.operation
            )
        return LabelOperation(read.id, project_id, now(), _targets(read), author=author, seen=read.seen)
    except (ValidationError, InvalidRequest) as error:
        operation_id = content.get("id")
        if isinstance(operation_id, str) and operation_id:
            message = validation_message(error) if isinstance(error, ValidationError) else str(error)
            return OperationResult(operation_id, error=message)
        raise


def _targets(operation: _SetOperation) -> dict[int, LabelTarget]:
    targets: dict[int, LabelTarget] = {}
    left = MAX_IMAGES
    for each in operation.sets:
        ids = parse_id_ranges(each.images, MAX_IMAGES)
        left -= len(ids)
        if left < 0:
            raise too_many_images(MAX_IMAGES)
        if not targets.keys().isdisjoint(ids):
            raise InvalidRequest(_("expected each image once in a step; got one twice."))
        targets.update(dict.fromkeys(ids, each.target()))
    return targets


def _change_class(session: Session, project_id: int, change: _ClassChange) -> None:
    operation: dict[str, Any] = {"operation_id": change.id, "now": now()}
    if change.act == "add":
        classes.add_class(session, project_id, change.name, **operation)
        return
    if change.act == "reorder":
        classes.reorder_classes(session, project_id, change.order, **operation)
        return
    if change.class_id is None or (change.act == "merge" and change.into is None):
        raise InvalidRequest(_("expected a class; got none. Choose one."))
    if change.act == "rename":
        classes.rename_class(session, project_id, change.class_id, change.name, **operation)
    elif change.act == "recolour":
        classes.set_class_colour(session, project_id, change.class_id, change.colour, **operation)
    elif change.act == "hotkey":
        classes.set_class_hotkey(session, project_id, change.class_id, change.hotkey, **operation)
    elif change.act == "remove":
        classes.remove_class(session, project_id, change.class_id, author=change.author, **operation)
    elif change.into is not None:
        classes.merge_classes(
            session, project_id, change.class_id, change.into, author=change.author, **operation
        )


def _result(result: OperationResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "number": result.number,
        "changes": result.changes,
        "clashes": result.clashes,
        "error": result.error,
        "about": result.original_id,
    }
