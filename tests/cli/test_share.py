"""`python -m studio export`, as a person types it."""

import json
import shutil
from pathlib import Path

import pytest

from studio.cli import run
from studio.share.exports.parity import Parity
from tests.retrain.material import data_folder, drawings_run


def typed(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        run(list(arguments))
    return int(left.value.code or 0)


def test_a_run_goes_out_and_its_parity_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "나간 것.zip"
    # A copy: an export also measures how sure a model may be, and keeps that in the run's folder.
    run_dir = str(shutil.copytree(drawings_run().run_dir, tmp_path / "그림 run"))
    with data_folder(tmp_path / "home"):
        code = typed("export", "--run", run_dir, "--format", "tflite", "--output", str(output), "--json")
        values = json.loads(capsys.readouterr().out)
        assert code == 0 and output.is_file()
        assert values["format"] == "tflite" and values["loses_much"] is False
        assert Parity.from_json(values).agreement == 1
        folder = tmp_path / "a folder"
        assert typed("export", "--run", run_dir, "--format", "tflite", "--output", str(folder)) == 0
        message = capsys.readouterr().out
        assert "Agrees on 100.0% of" in message and str(folder) in message
        assert (folder / "README.md").is_file() and (folder / "sureness.json").is_file()


def test_invalid_requests_are_reported_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    run_dir = str(drawings_run().run_dir)
    with data_folder(tmp_path / "home"):
        for named, output, message in (
            (run_dir, "full", "empty or new"),
            ("no such run", "out", "there is no no such run"),
            ("7", "out", "there is no 7"),
        ):
            code = typed("export", "--run", named, "--format", "tflite", "--output", str(tmp_path / output))
            assert code == 1 and message in capsys.readouterr().err
        assert typed("export", "--run", run_dir, "--format", "pdf", "--output", "x") == 2
    assert not (tmp_path / "out").exists()
