"""`runs` and `rerun`, in this process: on a project of drawings, and on a run's folder."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from db import models
from db.engine import Database
from studio.cli import studio
from studio.cli.run_job import follow, run_here
from studio.data import open_database
from studio.datasets.projects import find_project
from studio.errors import StudioError
from studio.images.store import ImageStore
from studio.retrain import tasks
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records
from studio.retrain.runs.compare import RerunComparison, RunOutcome, VersionChange, rerun_options
from studio.settings import settings
from tests.conftest import NOW
from tests.retrain.material import data_folder, draw, drawings_run


def ask(*words: object) -> Result:
    return CliRunner().invoke(studio, [str(word) for word in words])


class Home:
    """A data folder with a project of drawings and two runs, the second on other labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run_here(
            "ingest_path", {"path": str(draw(folder / "그림들", count=30)), "class_name": None}, "도형 꽃"
        )
        self.database: Database = open_database(settings())
        with self.database.read() as session:
            project = find_project(session, "도형 꽃")
        assert project is not None
        self.project_id = project.id
        self.runs = [self.retrain("처음")]
        with self.database.write() as session:
            label = update(models.LabelRow).where(models.LabelRow.image_id == 3)
            session.execute(label.values(state="rejected", class_id=None))
            session.execute(update(models.LabelRow).where(models.LabelRow.image_id == 4).values(class_id=2))
        self.runs.append(self.retrain(""))

    def retrain(self, name: str) -> int:
        options, store = RunOptions(how_many_training_steps=20), ImageStore(settings().images_dir)
        run_id = tasks.enqueue_run(self.database, store, self.project_id, options, NOW, name=name)
        with self.database.read() as session:
            job_id = run_records.get_run(session, run_id).job_id
        assert job_id is not None
        follow(self.database, job_id)
        return run_id


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with data_folder(tmp_path_factory.mktemp("runs") / "studio 홈") as folder:
        made = Home(folder)
        yield made
        made.database.close()


def test_runs_are_listed_with_what_changed(home: Home) -> None:
    done = ask("runs", "--project", "도형 꽃")
    assert done.exit_code == 0, done.output
    head, *lines = done.stdout.splitlines()
    assert head.split()[:2] == ["run", "project"]
    newest = next(line for line in lines if line.startswith(f"{home.runs[1]} "))
    oldest = next(line for line in lines if line.startswith(f"{home.runs[0]} "))
    assert "1 removed, 1 relabelled" in newest
    assert "처음" in oldest
    assert "removed" not in oldest
    assert all(RunOptions().backbone in line for line in (newest, oldest))
    assert "%" in oldest
    assert lines.index(newest) < lines.index(oldest)
    assert ask("runs").stdout == done.stdout


def test_programs_get_all_of_it(home: Home) -> None:
    found = {run["run"]: run for run in json.loads(ask("runs", "--json").stdout)}
    first, second = (found[run_id] for run_id in home.runs)
    assert (first["project"], first["name"], first["state"]) == ("도형 꽃", "처음", "done")
    assert first["options"]["how_many_training_steps"] == 20
    assert first["interval"][0] <= first["accuracy"] <= first["interval"][1]
    assert (first["pictures"], second["pictures"]) == (60, 59)
    assert first["without_copies"]["n"] <= first["tested"]
    assert first["facts"]["steps"] == 20
    assert first["changes"] is None
    assert (second["changes"]["removed"], second["changes"]["relabelled"]) == (1, 1)
    assert sum(each["count"] for each in first["classes"]) == first["tested"]


def test_a_project_without_runs_and_one_that_is_not_there(home: Home) -> None:
    with home.database.write() as session:
        session.add(models.ProjectRow(name="빈 것", created_at=NOW))
    assert ask("runs", "--project", "빈 것").stdout == "No runs yet.\n"
    assert ask("runs", "--project", "빈 것", "--json").stdout == "[]\n"
    done = ask("runs", "--project", "없는 것")
    assert isinstance(done.exception, StudioError)
    assert "없는 것" in str(done.exception)


def test_a_projects_run_done_again_is_the_same(home: Home) -> None:
    done = ask("rerun", home.runs[0])
    assert done.exit_code == 0, done.output
    where, verdict = done.stdout.splitlines()
    assert verdict.startswith("The same results, and the same model byte for byte: ")
    assert (Path(where.removeprefix("The run is in ")) / "model.json").is_file()
    with home.database.read() as session:
        newest = run_records.list_runs(session, home.project_id)[0]
    assert (newest.rerun_of, newest.name, newest.job_state) == (home.runs[0], "처음", "done")


def test_a_folder_done_again_is_the_same_and_others_are_distinguished(home: Home, tmp_path: Path) -> None:
    earlier = drawings_run().run_dir
    done = ask("rerun", earlier, "--run_dir", tmp_path / "다시")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith("The same results, and the same model byte for byte")
    # As another machine's run, made with other libraries.
    other = tmp_path / "another"
    shutil.copytree(earlier, other)
    card = json.loads((other / "model.json").read_text(encoding="utf-8"))
    card["versions"]["numpy"] = "1.0"
    card["evaluation"]["accuracy"] = 0.125
    row = card["evaluation"]["predictions"][0]
    row[2] = 1 - row[2]
    (other / "model.json").write_text(json.dumps(card), encoding="utf-8")
    done = ask("rerun", "--run_dir", tmp_path / "셋째", other)
    assert done.exit_code == 1
    assert "numpy, 1.0 before, " in done.stdout
    assert "test accuracy: 12.5%" in done.stdout
    assert "1 prediction differs" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("The results differ")


def test_images_that_are_gone_are_named(home: Home, tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    shutil.copytree(drawings_run().run_dir, lost)
    table = (lost / "snapshot.csv").read_text(encoding="utf-8")
    (lost / "snapshot.csv").write_text(table.replace("/square/", "/없음/"), encoding="utf-8")
    done = ask("rerun", lost)
    assert isinstance(done.exception, StudioError)
    assert "24 of 48" in str(done.exception)


@pytest.mark.parametrize(("words", "message"), [(["9999"], "9999"), (["no/such folder"], "model.json")])
def test_a_missing_run_is_reported(home: Home, words: list[str], message: str) -> None:
    done = ask("rerun", *words)
    assert isinstance(done.exception, StudioError)
    assert message in str(done.exception)
    assert ask("rerun", "1", "--run_dir", "x").exit_code == 2


def test_versions_alone_make_no_difference() -> None:
    result = drawings_run()
    outcome = RunOutcome.of_folder(result.run_dir)
    older = RunOutcome(outcome.evaluation, "another", {**outcome.versions, "numpy": "1", "gone": "2"})
    found = RerunComparison.of(older, outcome)
    assert found.same
    assert not found.same_model_file
    assert found.version_changes == (
        VersionChange("gone", "2", ""),
        VersionChange("numpy", "1", outcome.versions["numpy"]),
    )


def test_a_run_that_chose_for_itself_is_repeated_with_what_it_chose() -> None:
    asked, chosen = RunOptions(minutes=3), RunOptions(fine_tune=True, fine_tune_epochs=5)
    assert rerun_options(asked, {"chosen": chosen.to_json()}) == chosen
    assert rerun_options(chosen, {"steps": 3}) == chosen
