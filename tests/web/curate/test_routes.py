"""The routes of curating as a browser requests them: contents, and errors for people."""

import json
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db.engine import Database
from db.models import JobRow, LabelOperationRow
from studio.curate.analysis_results import AnalysisResult, write_analysis
from studio.settings import Settings
from studio.web.routes import routes
from tests.conftest import NOW
from tests.curate.material import small

OURS = {"X-Studio-Curate": "1"}


class Grid:
    """A browser's view of one project."""

    def __init__(self, client: TestClient, project: int, database: Database, home: Path) -> None:
        self.client, self.project, self.database, self.home = client, project, database, home

    def get(self, what: str, status: int = 200) -> Any:
        answer = self.client.get(f"/studio/projects/{self.project}/{what}")
        assert answer.status_code == status, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    def post(self, what: str, body: Any, headers: dict[str, str] = OURS) -> httpx2.Response:
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.client.post(f"/studio/projects/{self.project}/{what}", content=data, headers=headers)

    def label(self, *operations: Any, author: str = "anna") -> Any:
        answer = self.post("labels", {"author": author, "operations": list(operations)})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def act(self, act_id: str, act: str, **more: Any) -> httpx2.Response:
        return self.post("classes", {"author": "anna", "id": act_id, "act": act, **more})


@pytest.fixture
def grid(database: Database, home: Path) -> Grid:
    """Ten unlabelled images, 1 to 10, and the classes 장미 (1) and 튤립 (2)."""
    settings = Settings(home=home, database_url=database.url.render_as_string(hide_password=False))
    return Grid(TestClient(Starlette(routes=routes(settings))), small(database), database, home)


def a_set(name: str, images: str, **more: Any) -> dict[str, Any]:
    seen = {"seen": more.pop("seen")} if "seen" in more else {}
    return {"id": name, "kind": "set", "sets": [{"images": images, "state": "labelled", **more}], **seen}


def test_labels_there_and_back(grid: Grid) -> None:
    asked = [
        {
            "id": "a",
            "kind": "set",
            "seen": 1,
            "sets": [
                {"images": "1-3,5", "state": "labelled", "class": 1},
                {"images": "7", "state": "labelled", "class_name": "데이지"},
                {"images": "8", "state": "rejected"},
            ],
        },
        {"id": "b", "kind": "undo"},
        {"id": "c", "kind": "redo"},
    ]
    content = grid.label(*asked)
    changes = [[n, "labelled", 1] for n in (1, 2, 3, 5)] + [[7, "labelled", 3], [8, "rejected", None]]
    assert content == {
        "number": 4,
        "results": [
            {"id": "a", "number": 2, "changes": changes, "clashes": [], "error": None, "about": None},
            {"id": "b", "number": 3, "changes": changes, "clashes": [], "error": None, "about": "a"},
            {"id": "c", "number": 4, "changes": changes, "clashes": [], "error": None, "about": "a"},
        ],
    }
    assert grid.label(*asked) == content
    followed = grid.get("changes?after=3")
    assert followed["changes"] == changes
    assert [(each["name"], each["count"]) for each in followed["classes"]] == [
        ("장미", 4), ("튤립", 0), ("데이지", 1)
    ]  # fmt: skip
    assert grid.get("changes?after=4") == {"number": 4, "changes": []}


def test_a_clash(grid: Grid) -> None:
    grid.label(a_set("b", "1-2", **{"class": 2}, seen=1), author="boris")
    (result,) = grid.label(a_set("a", "2-3", **{"class": 1}, seen=1))["results"]
    assert (result["changes"], result["clashes"]) == ([[3, "labelled", 1]], [[2, "labelled", 2]])
    assert grid.get("classes")["clashes"] == 1
    assert grid.get("walk?clash=1") == {"ids": [2], "next": None}
    assert grid.get("items?ids=2")["items"][0]["clash"] == ["labelled", 1]


def test_invalid_operations_have_errors_and_the_others_are_done(grid: Grid) -> None:
    results = grid.label(
        {"id": "kind", "kind": "paint"},
        {"id": "no sets".replace(" ", "-"), "kind": "set"},
        a_set("backwards", "5-1", **{"class": 1}),
        a_set("twice", "1,1", **{"class": 1}),
        a_set("letters", "x", **{"class": 1}),
        a_set("huge", "1-2147483647", **{"class": 1}),
        a_set("larger", "2147483648", **{"class": 1}),
        a_set("neither", "1"),
        a_set("both", "1", **{"class": 1}, class_name="x"),
        a_set("gone", "1", **{"class": 99}),
        a_set("class", "1", **{"class": "1"}),
        {"id": "state", "kind": "set", "sets": [{"images": "1", "state": "nice"}]},
        {
            "id": "same",
            "kind": "set",
            "sets": [{"images": "1-3", "state": "rejected"}, {"images": "3", "state": "unlabelled"}],
        },
        a_set("good", "1", **{"class": 1}),
    )["results"]
    assert [bool(result["error"]) for result in results] == [True] * 13 + [False]
    errors = {result["id"]: result["error"] for result in results}
    assert "at most 200,000 images" in errors["huge"]
    assert "ascending ranges" in errors["backwards"]
    assert "no such class" in errors["gone"]
    assert all(len(error) < 300 for error in errors.values() if error)
    assert grid.get("changes?after=1")["changes"] == [[1, "labelled", 1]]


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "7", '{"author": ""}', '{"author": "a"}', '{"author": "a", "operations": [3]}',
     '{"author": "a", "operations": [{"kind": "undo"}]}', '{"author": "a\\u0000", "operations": []}',
     '{"author": "' + "a" * 65 + '", "operations": []}', b"\xff\xfe", "[" * 100_000],
)  # fmt: skip
def test_invalid_bodies_are_errors(grid: Grid, body: str | bytes) -> None:
    for what in ("labels", "classes"):
        answer = grid.post(what, body)
        assert answer.status_code == 400
        assert "Reload the page" in answer.json()["error"]
    assert grid.get("changes?after=0")["number"] == 1


def test_a_body_has_an_end(grid: Grid) -> None:
    answer = grid.post("labels", b" " * (17 << 20))
    assert answer.status_code == 413
    assert "several steps" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        OURS | {"Sec-Fetch-Site": "cross-site"},
        OURS | {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
        OURS | {"Origin": "https://evil.example"},
        {"X-Studio-Upload": "1"},
    ],
)
def test_only_our_own_pages_may_label(grid: Grid, headers: dict[str, str]) -> None:
    for what in ("labels", "classes"):
        answer = grid.post(what, {"author": "a", "operations": [a_set("a", "1", **{"class": 1})]}, headers)
        assert answer.status_code == 403
        assert "own pages" in answer.json()["error"]
    own = OURS | {"Sec-Fetch-Site": "same-origin"}
    assert grid.post("labels", {"author": "a", "operations": []}, own).status_code == 200


def test_classes(grid: Grid) -> None:
    content = grid.act("1", "add", name="데이지").json()
    assert [each["name"] for each in content["classes"]] == ["장미", "튤립", "데이지"]
    assert grid.act("1", "add", name="데이지").json() == content
    grid.label(a_set("a", "1-4", **{"class": 1}))
    grid.act("2", "rename", **{"class": 1}, name="Rose")
    grid.act("3", "recolour", **{"class": 1}, colour="#112233")
    grid.act("4", "hotkey", **{"class": 1}, hotkey="r")
    grid.act("5", "reorder", order=[3, 1, 2])
    assert grid.get("classes")["classes"][1] == {
        "id": 1, "name": "Rose", "colour": "#112233", "hotkey": "r", "position": 1, "count": 4
    }  # fmt: skip
    merged = grid.act("6", "merge", **{"class": 1}, into=2).json()
    assert {each["name"]: each["count"] for each in merged["classes"]} == {"데이지": 0, "튤립": 4}
    assert grid.get("history")["operations"][0]["text"] == "class Rose merged into 튤립"
    (undone,) = grid.label({"id": "u", "kind": "undo"})["results"]
    assert undone["about"] == "6"
    removed = grid.act("7", "remove", **{"class": 1}).json()
    assert (removed["unlabelled"], removed["labelled"], removed["rejected"]) == (10, 0, 0)


@pytest.mark.parametrize(
    ("act", "fields", "status", "message"),
    [
        ("add", {"name": ""}, 409, "1 to 80"),
        ("add", {"name": "장미"}, 409, "already"),
        ("rename", {"name": "x"}, 400, "Choose one"),
        ("rename", {"class": 99, "name": "x"}, 409, "no such class"),
        ("merge", {"class": 1}, 400, "Choose one"),
        ("merge", {"class": 1, "into": 1}, 409, "Choose another"),
        ("hotkey", {"class": 1, "hotkey": "F1"}, 409, "one digit or one letter"),
        ("recolour", {"class": 1, "colour": "red"}, 409, "#e0457b"),
        ("paint", {}, 400, "Reload the page"),
        ("add", {"name": "x" * 2000}, 400, "Reload the page"),
        ("reorder", {"order": ["1"]}, 400, "Reload the page"),
        ("remove", {"class": 2**31}, 400, "Reload the page"),
    ],
)
def test_invalid_class_changes(
    grid: Grid, act: str, fields: dict[str, Any], status: int, message: str
) -> None:
    answer = grid.act("1", act, **fields)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert grid.get("changes?after=0")["number"] == 1


def test_pages_and_tiles(grid: Grid) -> None:
    first = grid.get("walk?order=oldest&limit=4")
    assert first["ids"] == [1, 2, 3, 4]
    assert grid.get(f"walk?order=oldest&limit=400&after={first['next']}") == {
        "ids": [5, 6, 7, 8, 9, 10],
        "next": None,
    }
    assert grid.get("walk?state=labelled") == {"ids": [], "next": None}
    assert grid.get("walk?text=8.png")["ids"] == [8]
    found = grid.get("items?ids=4,99,3")
    assert found["number"] == 1
    assert [item["id"] for item in found["items"]] == [4, 3]
    assert found["items"][0] == {
        "id": 4, "sha": f"{4:064x}", "name": "4.png", "state": "unlabelled", "class": None, "w": 5, "h": 3,
        "suggestion": None, "doubt": None, "odd": [], "group": None, "keeper": False,
        "split": found["items"][0]["split"], "clash": None,
    }  # fmt: skip


def test_analysis_results(grid: Grid) -> None:
    with grid.database.write() as session:
        found: dict[str, AnalysisResult] = {
            "suggestion": AnalysisResult(np.array([3, 4]), np.array([0.75, 0.5]), np.array([2, 1])),
            "far": AnalysisResult(np.array([3]), np.array([0.9])),
        }
        write_analysis(
            session,
            grid.project,
            "review",
            found,
            operation_number=1,
            facts={"judged": 9},
            now=NOW,
        )
    assert grid.get("walk?order=suggestion&found=suggestion")["ids"] == [3, 4]
    assert grid.get("walk?suggested=1")["ids"] == [4]
    item = grid.get("items?ids=3")["items"][0]
    assert (item["suggestion"], item["odd"]) == ([2, 0.75], ["far"])
    content = grid.get("classes")
    assert content["findings"] == {"suggestion": 2, "far": 1}
    assert content["studies"]["review"]["judged"] == 9
    assert (content["sources"], content["licences"]) == (["folder"], [])


def test_the_map_and_similar_images(grid: Grid) -> None:
    assert "no map" in grid.get("map", 404)["error"]
    assert "not been compared" in grid.get("walk?order=alike&like=2", 400)["error"]
    folder = grid.home / "studies" / str(grid.project)
    folder.mkdir(parents=True)
    orders = np.linspace(0, 1, 8)
    np.save(folder / "vectors.npy", np.stack([np.cos(orders), np.sin(orders)], 1).astype(np.float32))
    np.save(folder / "ids.npy", np.arange(1, 9))
    np.save(folder / "map.npy", np.stack([orders, 1 - orders], 1).astype(np.float32))
    grid.label(a_set("a", "2", **{"class": 1}), {"id": "b", "kind": "set", "sets": [
        {"images": "3", "state": "rejected"}]})  # fmt: skip
    answer = grid.client.get(f"/studio/projects/{grid.project}/map")
    assert answer.headers["cache-control"] == "no-store"
    count = int(np.frombuffer(answer.content, "<i4", 1)[0])
    ids, classes = (np.frombuffer(answer.content, "<i4", count, 4 + 4 * count * at) for at in (0, 3))
    x, y = (np.frombuffer(answer.content, "<f4", count, 4 + 4 * count * at) for at in (1, 2))
    assert len(answer.content) == 4 + 16 * count
    assert ids.tolist() == list(range(1, 9))
    assert classes.tolist() == [0, 1, -1, 0, 0, 0, 0, 0]
    assert np.allclose(x, orders)
    assert np.allclose(y, 1 - orders)
    assert grid.get("walk?order=alike&like=2")["ids"][0] == 2
    # `to` may be the image, and be a day beside it.
    assert grid.get("walk?order=alike&to=8&limit=3")["ids"] == [8, 7, 6]
    assert grid.get("walk?order=alike&to=8&to=2020-01-01")["ids"] == []


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("walk?order=best", "expected one of newest"),
        ("walk?order=alike", "expected an image"),
        ("walk?state=x", "expected one of unlabelled"),
        ("walk?from=1.1.2026", "expected a date"),
        ("walk?limit=x", "expected a whole number"),
        ("walk?after=9:9", "Reload the page"),
        ("walk?class=2147483648", "expected a whole number"),
        ("items?ids=1,x", "expected a whole number"),
        (f"items?ids={'1,' * 501}", "at most 500"),
        ("changes", "expected a whole number"),
        ("changes?after=-1", "expected a whole number"),
        ("history?before=99999999999", "expected a whole number"),
    ],
)
def test_questions_that_make_no_sense(grid: Grid, what: str, message: str) -> None:
    assert message in grid.get(what, 400)["error"]


def test_unusual_requests_have_answers(grid: Grid) -> None:
    for what in (
        "walk?text=%00&source=%00",
        "walk?licence=%FF",
        "walk?limit=0",
        "walk?text=%25_",
        "items?ids=",
    ):
        grid.get(what)
    assert grid.get("history?before=1") == {"operations": []}


@pytest.mark.parametrize("project", [99, 2**31, 99999999999999999999999])
def test_no_such_project(grid: Grid, project: int) -> None:
    grid.project = project
    for what in ("walk", "items?ids=1", "changes?after=0", "classes", "history", "map"):
        assert "no such project" in grid.get(what, 404)["error"]
    assert grid.post("labels", {"author": "a", "operations": []}).status_code == 404
    assert grid.act("1", "add", name="x").status_code == 404


def test_a_label_analysis_is_requested_when_due(grid: Grid) -> None:
    with grid.database.write() as session:
        write_analysis(session, grid.project, "survey", {}, operation_number=1, facts={}, now=NOW)
    grid.label(a_set("a", "1-10", **{"class": 1}))
    with grid.database.read() as session:
        assert session.scalars(select(JobRow.kind)).all() == ["review"]


def test_nothing_of_a_batch_is_kept_where_it_cannot_be_written(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("studio.web.curate.label_routes.latest_operation_number", broken)
    with pytest.raises(OSError, match="full"):
        grid.label(a_set("a", "1", **{"class": 1}))
    with grid.database.read() as session:
        assert session.scalar(select(func.count()).select_from(LabelOperationRow)) == 1
