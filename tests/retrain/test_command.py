"""`python -m studio retrain`, in this process where possible and as a process where that matters."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from studio.cli.retrain import retrain
from studio.settings import settings
from tests.retrain.material import ROOM, backbone, draw

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new data folder with the backbone in it."""
    folder = tmp_path / "studio 홈"
    (folder / "backbones").mkdir(parents=True)
    (folder / "backbones" / backbone().path.name).write_bytes(backbone().path.read_bytes())
    monkeypatch.setenv("STUDIO_HOME", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def test_a_folder_is_trained_by_a_process(tmp_path: Path, home: Path) -> None:
    folder = draw(tmp_path / "그림들", count=30)
    (folder / "square" / "bad.jpg").write_bytes(b"bad")
    (folder / "square" / "한 copy.png").write_bytes((folder / "square" / "그림 001.png").read_bytes())
    words = ["-m", "studio", "retrain", "--image-dir", folder, "--how_many_training_steps", 40]
    words += ["--output_labels", tmp_path / "out" / "labels.txt"]
    done = subprocess.run(
        [sys.executable, "-X", "utf8", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "STUDIO_HOME": str(home)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, last = done.stdout.splitlines()
    assert re.fullmatch(r"Final test accuracy = \d+\.\d% \(N=\d+\)", last)
    (run_dir,) = (home / "runs").iterdir()
    assert str(run_dir) in where
    assert re.fullmatch(r"그림들-\d{8}-\d{6}", run_dir.name)
    assert (tmp_path / "out" / "labels.txt").read_text(encoding="utf-8") == "square\n원 circle\n"
    assert sum("bad.jpg" in line for line in done.stderr.splitlines()) == 1
    assert "한 copy.png is a duplicate of square/그림 001.png." in done.stderr.splitlines()
    assert "TensorFlow" not in done.stderr
    assert "Traceback" not in done.stderr


def test_all_folders_can_be_set_and_a_second_run_reads_the_cache(tmp_path: Path, home: Path) -> None:
    folder = draw(tmp_path / "a")
    shards = []
    for number in range(2):
        words = [
            "--image_dir",
            folder,
            "--run_dir",
            tmp_path / f"run-{number}",
            "--how-many-training-steps",
            20,
        ]
        words += [
            "--bottleneck_dir",
            tmp_path / "cache",
            "--summaries_dir",
            tmp_path / "logs",
            "--seed",
            number,
        ]
        words += [
            "--output_graph",
            tmp_path / "out.tflite",
            "--learning_rate",
            0.02,
            "--train-batch-size",
            10,
        ]
        done = CliRunner().invoke(retrain, list(map(str, words)), catch_exceptions=False)
        assert done.exit_code == 0
        assert done.stdout.splitlines()[-1].startswith("Final test accuracy = ")
        model = tmp_path / f"run-{number}" / "model.tflite"
        assert (tmp_path / "out.tflite").read_bytes() == model.read_bytes()
        shards.append(sorted((tmp_path / "cache").glob("*/*.npy")))
    assert shards[0] == shards[1] != []
    assert list((tmp_path / "logs" / "train").iterdir())
    assert not (home / "runs").exists()


def test_a_run_without_test_images(tmp_path: Path) -> None:
    words = ["--image_dir", draw(tmp_path / "a", count=3), "--testing_percentage", 0]
    words += ["--how_many_training_steps", 5]
    done = CliRunner().invoke(retrain, list(map(str, words)), catch_exceptions=False)
    assert done.stdout.splitlines()[-1] == "Final test accuracy = not measured (N=0)"
    assert sum("3 images" in line for line in done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "image"),
        (["--image_dir", "x", "--output_graph", "model.h5"], ".pb or .tflite"),
        (
            ["--image_dir", "x", "--testing_percentage", "60", "--validation_percentage", "40"],
            "less than 100",
        ),
        (["--image_dir", "x", "--architecture", "inception_v9"], "inception_v3"),
        (["--image_dir", "x", "--learning_rate", "0"], "0"),
    ],
)
def test_usage_errors_exit_with_two(words: list[str], message: str) -> None:
    done = CliRunner().invoke(retrain, words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_an_error_is_one_line_and_exits_with_one(tmp_path: Path) -> None:
    draw(tmp_path / "a", ("only",), count=2)
    for folder, message in ((tmp_path / "a", "Add a second class"), (tmp_path / "none", "class folders")):
        done = subprocess.run(
            [sys.executable, "-m", "studio", "retrain", "--image_dir", str(folder)],
            cwd=ROOT,
            env={**os.environ, "STUDIO_HOME": str(ROOM)},
            capture_output=True,
            check=False,
        )
        lines = done.stderr.decode().splitlines()
        assert done.returncode == 1
        assert message in lines[-1]
        assert all(line.startswith("Reading the folder") for line in lines[:-1])
