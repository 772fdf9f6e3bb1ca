"""`python -m studio label_image`, as a process."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.retrain.material import ROOM, drawings_run

ROOT = Path(__file__).parents[2]


def label_image(*words: object, runs_in: Path = ROOM) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "studio", "label_image", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "STUDIO_HOME": str(runs_in)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def image() -> Path:
    return next(e.path for e in drawings_run().snapshot.examples if e.label == "원 circle")


def test_one_image_by_the_run_s_folder() -> None:
    done = label_image("--model", drawings_run().run_dir, "--image", image())
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"원 circle \(score=[01]\.\d{5}\)", first)
    assert re.fullmatch(r"square \(score=0\.\d{5}\)", second)


def test_several_images_by_the_run_s_name_and_a_bad_one_among_them(tmp_path: Path) -> None:
    bad = tmp_path / "나쁜.jpg"
    bad.write_bytes(b"bad")
    words = ["--model", drawings_run().run_dir.name]
    for path in (image(), bad, tmp_path / "gone.png", image()):
        words += ["--image", str(path)]
    done = label_image(*words)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0::3] == [str(image())] * 2
    assert len(done.stdout.splitlines()) == 6
    reasons = done.stderr.splitlines()
    assert len(reasons) == 2
    assert bad.name in reasons[0]
    assert "gone.png" in reasons[1]


def test_wrong_usage_is_two_and_a_missing_model_one_readable_line(tmp_path: Path) -> None:
    assert label_image("--model", "x").returncode == 2
    for model in (tmp_path, "no such run"):
        done = label_image("--model", model, "--image", image())
        assert done.returncode == 1
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert str(model) in done.stderr
        assert "Traceback" not in done.stderr


def test_never_imports_tensorflow() -> None:
    words = ["-m", "studio", "label_image", "--model", drawings_run().run_dir, "--image", image()]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *map(str, words)], cwd=ROOT, capture_output=True, check=True
    )
    imported = {line.rpartition(b"|")[2].strip().split(b".")[0] for line in done.stderr.splitlines()}
    assert b"ai_edge_litert" in imported
    assert not imported & {b"tensorflow", b"keras", b"streamlit", b"sqlalchemy"}
