"""Routes of runs: table, curves, results, comparison, actions, refused requests."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from sqlalchemy import select, update
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db.engine import Database
from db.models import JobRow, LabelRow
from studio.images.store import ImageStore
from studio.retrain.curve import CurvePoint
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.retrain.run_folder import MODEL_FILE
from studio.retrain.runs import run_records, snapshot_records
from studio.retrain.snapshot import Snapshot
from studio.settings import Settings
from studio.web.routes import routes
from tests.conftest import NOW
from tests.curate.material import CLASSES, small

OWN_PAGE = {"X-Studio-Retrain": "1"}
ROSE, TULIP = CLASSES[:2]
IMAGES = 60
USUAL = RunOptions()


class Runs:
    """A browser's view of a project of sixty images, every other one a rose, whose runs end at once."""

    def __init__(self, client: TestClient, project: int, database: Database, home: Path) -> None:
        self.client, self.project, self.database, self.home = client, project, database, home
        self.label(range(1, IMAGES + 1, 2), 1)
        self.label(range(2, IMAGES + 1, 2), 2)

    def label(self, images: Sequence[int], class_id: int) -> None:
        with self.database.write() as session:
            session.execute(
                update(LabelRow)
                .where(LabelRow.image_id.in_(images))
                .values(state="labelled", class_id=class_id)
            )

    def get(self, what: str, status: int = 200) -> Any:
        answer = self.client.get(f"/studio/projects/{self.project}/{what}")
        assert answer.status_code == status, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    def act(
        self, act: str, *runs: int, text: str = "", headers: dict[str, str] = OWN_PAGE
    ) -> httpx2.Response:
        body = {"act": act, "runs": list(runs), "text": text}
        return self.client.post(f"/studio/projects/{self.project}/runs", json=body, headers=headers)

    def ended(self, options: RunOptions = USUAL, *, wrong: int = 0) -> tuple[int, Snapshot]:
        """Make a run that ended with the first `wrong` test images wrong, the surest first."""
        store = ImageStore(self.home / "images")
        with self.database.write() as session:
            snapshot = snapshot_records.current_snapshot(session, self.project, options, store)
            snapshot_id = snapshot_records.freeze_snapshot(session, self.project, snapshot, NOW)
            run_id = run_records.create_run(session, self.project, snapshot_id, options, NOW)
            tested = snapshot.of_split("testing")
            answers = np.zeros((len(tested), 2), np.float32)
            for at, example in enumerate(tested):
                sure = 0.9 - 0.01 * at
                right = snapshot.classes.index(example.label)
                answers[at, 1 - right if at < wrong else right] = sure
                answers[at, right if at < wrong else 1 - right] = 1 - sure
            evaluation = Evaluation.of(tested, answers, snapshot.classes, leaked=frozenset())
            folder = self.home / "runs" / run_records.get_run(session, run_id).folder
            folder.mkdir(parents=True)
            (folder / MODEL_FILE).write_bytes(b"a model")
            facts = {"seconds": {"all": 12.5}, "steps": 20}
            result = RunResult(folder, snapshot, options, evaluation, 20, None, "0" * 64, (), (), facts)
            run_records.finish(session, run_id, result, NOW)
            points = [
                CurvePoint(step, split, step / 40, 1 / step, step / 10)
                for step in range(1, 21)
                for split in (("training", "validation") if step % 10 == 0 else ("training",))
            ]
            run_records.add_points(session, run_id, points)
        return run_id, snapshot


@pytest.fixture
def runs(database: Database, home: Path) -> Runs:
    settings = Settings(home=home, database_url=database.url.render_as_string(hide_password=False))
    project = small(database, IMAGES)
    return Runs(TestClient(Starlette(routes=routes(settings))), project, database, home)


def ids_of(runs: Runs, digests: Sequence[str]) -> list[int]:
    with runs.database.read() as session:
        known = run_records.image_ids_by_sha256(session, digests)
    return [known[digest] for digest in digests]


def test_the_table_has_options_and_results(runs: Runs) -> None:
    assert runs.get("runs")["runs"] == []
    first, _snapshot = runs.ended(wrong=1)
    second, _snapshot = runs.ended(RunOptions(learning_rate=0.03, optimizer="adam", l2=None))
    content = runs.get("runs")
    assert [run["id"] for run in content["runs"]] == [second, first]
    better, worse = content["runs"]
    assert (better["title"], better["state"], better["cells"]["accuracy"]["text"]) == (
        "Run 2",
        "done",
        "100.0%",
    )
    assert better["cells"]["accuracy"]["best"] and not worse["cells"]["accuracy"]["best"]
    assert better["cells"]["learning_rate"] == {"text": "0.03", "sort": 0.03}
    assert (better["cells"]["optimizer"]["text"], better["cells"]["l2"]["text"]) == ("Adam", "automatic")
    assert better["cells"]["validation"] == {"text": "50.0%", "sort": 0.5}
    assert better["cells"]["seconds"]["sort"] == 12.5
    defaults = {column["key"]: column.get("default") for column in content["columns"]}
    assert (defaults["learning_rate"], defaults["accuracy"]) == ("0.01", None)
    assert set(better["cells"]) == set(defaults)


def test_curves_after_a_step(runs: Runs) -> None:
    one, _snapshot = runs.ended()
    other, _snapshot = runs.ended()
    curves = runs.get(f"curves?after={one}:0,{other}:18")["curves"]
    assert [point[0] for point in curves[str(one)]["training"]] == list(range(1, 21))
    assert curves[str(one)]["validation"] == [[10, 0.25, 0.1, 1.0], [20, 0.5, 0.05, 2.0]]
    assert [point[0] for point in curves[str(other)]["training"]] == [19, 20]
    assert runs.get("curves")["curves"] == {}
    assert runs.get("curves?after=999:0")["curves"] == {}
    for asked in ("x:1", "1:-1", "1:x", ",".join(f"{n}:0" for n in range(1, 102))):
        assert "error" in runs.get(f"curves?after={asked}", 400)


def test_the_results_of_a_run(runs: Runs) -> None:
    run, snapshot = runs.ended(wrong=2)
    content = runs.get(f"runs/{run}")
    tested = snapshot.of_split("testing")
    evaluation = content["evaluation"]
    assert evaluation["n"] == len(tested) and evaluation["classes"] == [ROSE, TULIP]
    assert "predictions" not in evaluation
    assert evaluation["without_copies"]["n"] == len(tested)
    assert {curve["label"] for curve in evaluation["precision_recall"]} == {ROSE, TULIP}
    assert sum(bin_["n"] for bin_ in evaluation["calibration"]["bins"]) == len(tested)
    assert content["wrong_count"] == 2
    assert [wrong["sha"] for wrong in content["wrong"]] == [example.sha256 for example in tested[:2]]
    assert [wrong["image"] for wrong in content["wrong"]] == ids_of(runs, [e.sha256 for e in tested[:2]])
    assert content["wrong"][0]["score"] == pytest.approx(0.9)
    assert [(part["name"], part["n"]) for part in content["slices"]] == [("from a folder", len(tested))]
    assert ["Steps trained", "20 of 500"] in content["facts"]


def test_the_grid_filters_by_a_run(runs: Runs) -> None:
    run, snapshot = runs.ended(wrong=2)
    tested = snapshot.of_split("testing")
    everything = ids_of(runs, [example.sha256 for example in tested])
    walked = runs.get(f"walk?run={run}")
    assert walked == {"ids": everything, "next": None}  # most confident first
    assert runs.get(f"walk?run={run}&wrong=1")["ids"] == everything[:2]
    right = [image for image, e in list(zip(everything, tested, strict=True))[2:] if e.label == ROSE]
    assert runs.get(f"walk?run={run}&true={ROSE}&predicted={ROSE}")["ids"] == right
    taken = [image for image, e in list(zip(everything, tested, strict=True))[:2] if e.label == TULIP]
    assert runs.get(f"walk?run={run}&true={TULIP}&predicted={ROSE}")["ids"] == taken
    runs.label(everything[:1], 2 if tested[0].label == ROSE else 1)
    now = 2 if tested[0].label == ROSE else 1
    assert runs.get(f"walk?run={run}&class={now}&wrong=1")["ids"][0] == everything[0]  # and filters hold
    assert "error" in runs.get("walk?run=999", 404)
    assert "error" in runs.get("walk?run=x", 400)


def test_the_comparison_of_two_runs(runs: Runs) -> None:
    first, snapshot = runs.ended(wrong=1)
    moved = ids_of(runs, [snapshot.of_split("testing")[0].sha256])[0]
    now = 2 if snapshot.of_split("testing")[0].label == ROSE else 1
    runs.label([moved], now)
    with runs.database.write() as session:
        session.execute(
            update(LabelRow).where(LabelRow.image_id == IMAGES).values(state="rejected", class_id=None)
        )
    second, _snapshot = runs.ended(replace(RunOptions(), learning_rate=0.1))
    content = runs.get(f"runs/{second}/differences?from={first}")
    assert [row["label"] for row in content["settings"] if row["differs"]] == ["Learning rate"]
    counts = {change["kind"]: change["count"] for change in content["images"]}
    assert (counts["relabelled"], counts["removed"], counts["added"]) == (1, 1, 0)
    relabelled = next(change for change in content["images"] if change["kind"] == "relabelled")
    names = {1: f"{TULIP} → {ROSE}", 2: f"{ROSE} → {TULIP}"}
    assert relabelled["of_class"] == [[names[now], 1]]
    asking = "&".join(f"{name}={value}" for name, value in relabelled["asking"].items())
    assert runs.get(f"walk?{asking}")["ids"] == [moved]
    accuracy = next(row for row in content["results"] if row["label"] == "Test accuracy")
    assert accuracy["better"] is True and accuracy["change"].startswith("+")
    assert {row["label"] for row in content["classes"]} == {ROSE, TULIP}
    assert "error" in runs.get(f"runs/{second}/differences?from=999", 404)
    assert "error" in runs.get(f"runs/{second}/differences", 400)


def test_rename_annotate_delete_and_restore(runs: Runs) -> None:
    run, _snapshot = runs.ended()
    (content,) = runs.act("rename", run, text=" 빠른 <b>run</b> ").json()["runs"]
    assert (content["title"], content["number"]) == ("빠른 <b>run</b>", f"Run {run}")
    (content,) = runs.act("annotate", run, text="첫 줄\nsecond").json()["runs"]
    assert content["note"] == "첫 줄\nsecond"
    gone = runs.act("delete", run).json()
    assert gone["runs"] == [] and [each["id"] for each in gone["deleted"]] == [run]
    back = runs.act("bring_back", run).json()
    assert [each["id"] for each in back["runs"]] == [run] and back["deleted"] == []


def test_a_run_is_repeated_one_at_a_time(runs: Runs) -> None:
    run, _snapshot = runs.ended(RunOptions(seed=7))
    again = runs.act("rerun", run).json()["runs"][0]
    assert again["state"] == "queued" and again["origin"] == f"Repeats Run {run}."
    assert again["cells"]["seed"]["text"] == "7"
    with runs.database.read() as session:
        assert session.scalars(select(JobRow.kind)).all() == ["retrain"]
    refused = runs.act("rerun", run)
    assert refused.status_code == 409 and "already being retrained" in refused.json()["error"]


def test_requests_from_other_sites_and_for_other_projects_are_refused(runs: Runs) -> None:
    run, _snapshot = runs.ended()
    cross_site = {"X-Studio-Retrain": "1", "Sec-Fetch-Site": "cross-site"}
    assert runs.act("delete", run, headers={}).status_code == 403
    assert runs.act("delete", run, headers=cross_site).status_code == 403
    assert runs.act("delete", 999).status_code == 404
    assert runs.act("explode", run).status_code == 400
    assert runs.act("delete").status_code == 400
    assert runs.act("rename", run, text="x" * 5_000).status_code == 400
    assert runs.act("rename", run, text="x" * 100_000).status_code == 413
    board = runs.client.post(f"/studio/projects/{runs.project}/tensorboard")
    assert board.status_code == 403
    board = runs.client.post(f"/studio/projects/{runs.project}/tensorboard", headers=OWN_PAGE)
    assert board.status_code == 409 and "nothing" in board.json()["error"].lower()
    with runs.database.write() as session:
        other = small_project(session)
    stranger = Runs.__new__(Runs)
    stranger.client, stranger.project = runs.client, other
    for what in (f"runs/{run}", f"runs/{run}/differences?from={run}", f"walk?run={run}"):
        assert "error" in stranger.get(what, 404)
    assert stranger.get(f"curves?after={run}:0")["curves"] == {}
    stranger.project = 2**40
    assert "error" in stranger.get("runs", 404)
    assert len(runs.get("runs")["runs"]) == 1


def small_project(session: Any) -> int:
    from studio.datasets.projects import create_project

    return create_project(session, "다른", NOW).id
