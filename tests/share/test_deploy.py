"""The deploy folder, run in an environment with its requirements only: the run's own predictions."""

import io
import json
import subprocess
import sys
import time
import urllib.request
import venv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.predict.model import Model
from studio.progress import Silent
from studio.retrain.confidence import STORED_REASONS
from studio.share.exports.export_format import ExportContext
from studio.share.exports.formats import EXPORT_FORMATS
from tests.conftest import free_port
from tests.retrain.material import FLOWERS, ROOM, drawings_run

HEAVY = ("tensorflow", "keras", "torch", "studio")
SCRIPT = """
import json, sys
from pathlib import Path
from demo_model import DemoModel, NotAnImage
model = DemoModel(Path("."))
def predict(path):
    try:
        prediction = model.predict(Path(path).read_bytes())
        return {"classes": prediction.classes, "abstention": prediction.abstention}
    except NotAnImage:
        return None
heavy = [name for name in sys.argv[1].split(",") if name in sys.modules]
print(json.dumps({"heavy": heavy, "predictions": [predict(path) for path in sys.argv[2:]]}))
"""


@cache
def space() -> Path:
    output = ROOM / "배포 deploy"
    output.mkdir()
    EXPORT_FORMATS["deploy"].write(
        drawings_run().run_dir, output, ExportContext("도형 demo", ROOM / "downloads", Silent())
    )
    return output / "space"


@cache
def isolated_python() -> Path:
    """Return the Python of a new environment with the folder's requirements only."""
    folder = ROOM / "새 venv"
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--prefer-binary", "-r", space() / "requirements.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"no package index answers: {installed.stderr.strip()[-200:]}")
    return python


def images(folder: Path) -> list[Path]:
    """Write images of many kinds: rotated by EXIF, large, transparent, grey; and photographs if available."""
    folder.mkdir()
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 255, (60, 80, 3), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    noise.resize((2400, 1800)).save(folder / "large turned.jpg", exif=turned)
    noise.convert("RGBA").resize((300, 200)).putalpha(90)
    transparent = noise.convert("RGBA")
    transparent.putalpha(90)
    transparent.save(folder / "비치는.png")
    noise.convert("L").save(folder / "grey.png")
    noise.save(folder / "w.webp")
    noise.save(folder / "h.heic")
    return [
        *sorted(folder.iterdir()),
        *sorted((ROOM / "drawings").rglob("*.png"))[::8],
        *sorted(FLOWERS.rglob("*.jpg"))[::60],
    ]


def test_it_predicts_as_the_run_with_litert_alone(tmp_path: Path) -> None:
    files = images(tmp_path / "사진")
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"hello")
    done = subprocess.run(
        [isolated_python(), "-c", SCRIPT, ",".join(HEAVY), *files, bad],
        cwd=space(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    output = json.loads(done.stdout.splitlines()[-1])
    assert output["heavy"] == []
    assert output["predictions"].pop() is None
    model = Model.open(drawings_run().run_dir)
    for path, prediction in zip(files, output["predictions"], strict=True):
        expected = model.predict_file(path, path.name)
        assert [label for label, _p in prediction["classes"]] == [each.label for each in expected.scores], (
            path
        )
        assert prediction["classes"][0][1] == pytest.approx(expected.scores[0].score, abs=1e-3), path
        reason = "" if expected.abstention is None else STORED_REASONS[expected.abstention]
        assert prediction["abstention"] == reason


def test_the_app_runs_in_an_isolated_environment() -> None:
    python = isolated_python()
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout.lower()
    assert not [name for name in HEAVY if f"\n{name}" in f"\n{listed}"]
    # Run the page with an upload in Streamlit's own test client.
    image = io.BytesIO()
    Image.open(ROOM / "drawings" / "square" / "그림 003.png").save(image, "PNG")
    script = """
from pathlib import Path
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=300).run()
assert not app.exception, app.exception
app.file_uploader[0].set_value(("a.png", Path(sys.argv[1]).read_bytes(), "image/png")).run()
assert not app.exception, app.exception
print([each.value for each in app.markdown])
"""
    done = subprocess.run(
        [python, "-c", script, ROOM / "drawings" / "square" / "그림 003.png"],
        cwd=space(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    expected = Model.open(drawings_run().run_dir).predict_file(
        ROOM / "drawings" / "square" / "그림 003.png", "x"
    )
    assert expected.scores[0].label in done.stdout
    port = free_port()
    server = subprocess.Popen(
        [python, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=space(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _try in range(300):
            assert server.poll() is None, "the app ended at its start"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=60) as answer:
                    assert answer.read() == b"ok"
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("the app did not start")
    finally:
        server.terminate()
        server.wait(20)


def test_the_folder_has_what_hosts_need(tmp_path: Path) -> None:
    files = {path.relative_to(space()).as_posix() for path in space().rglob("*") if path.is_file()}
    assert files == {
        ".streamlit/config.toml",
        "Dockerfile",
        "README.md",
        "app.py",
        "demo.json",
        "demo_model.py",
        "model.tflite",
        "requirements.txt",
    }
    requirements = (space() / "requirements.txt").read_text(encoding="utf-8")
    assert "tensorflow" not in requirements
    assert all("<" in line for line in requirements.splitlines())
    head = (space() / "README.md").read_text(encoding="utf-8")
    assert head.startswith('---\ntitle: "도형 demo"\n')
    assert "app_port: 8501" in head
