import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from studio.errors import ImageRefused, ModelUnreadable
from studio.images.decode import decode
from studio.predict.model import Model
from tests.retrain.material import drawings_run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "옮긴 run"
    shutil.copytree(drawings_run().run_dir, target)
    return target


def test_predictions_are_those_of_the_run_sorted_by_score(folder: Path) -> None:
    model, run = Model.open(folder), drawings_run()
    paths = {example.sha256: example.path for example in run.snapshot.examples}
    assert run.evaluation.predictions
    for tested in run.evaluation.predictions:
        found = model.classify_file(paths[tested.sha256], "x.png")
        assert found[0].label == tested.predicted
        assert found[0].score == pytest.approx(tested.score, abs=1e-5)
        assert found[0].score >= found[1].score
        assert sum(prediction.score for prediction in found) == pytest.approx(1, abs=1e-5)
        assert model.classify(decode(paths[tested.sha256], "x.png")) == found
        assert model.classify_file(paths[tested.sha256].read_bytes(), "x.png") == found


def test_three_files_are_enough(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in ("model.json", "labels.txt", "model.tflite"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert Model.open(folder).labels == ("square", "원 circle")


def test_a_model_is_safe_in_threads(folder: Path) -> None:
    model = Model.open(folder, threads=2)
    paths = [example.path for example in drawings_run().snapshot.examples] * 3
    expected = {path: model.classify_file(path, "x") for path in paths}
    with ThreadPoolExecutor(8) as pool:
        for path, found in zip(
            paths, pool.map(lambda path: model.classify_file(path, "x"), paths), strict=True
        ):
            assert found == expected[path]


def test_an_unreadable_image_is_an_error_and_the_model_stays_usable(folder: Path) -> None:
    model = Model.open(folder)
    with pytest.raises(ImageRefused, match=r"bad\.jpg"):
        model.classify_file(b"bad", "bad.jpg")
    assert model.classify_file(drawings_run().snapshot.examples[0].path, "x")


@pytest.mark.parametrize("name", ["model.json", "labels.txt", "model.tflite"])
def test_errors_name_the_missing_or_changed_file(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    damaged = [
        content[:-3],
        content.replace(b"square", b"squire") if name == "labels.txt" else content[:-1],
        b"",
    ]
    for damage in damaged:
        path.write_bytes(damage)
        with pytest.raises(ModelUnreadable, match=name):
            Model.open(folder)
    path.unlink()
    with pytest.raises(ModelUnreadable, match=name):
        Model.open(folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format_version": 99}, "has format 99; this studio reads format 1"),
        ({"preprocessing": {"width_px": 224}}, "missing or was changed"),
        ({"preprocessing": None}, "missing or was changed"),
        ({"classes": []}, "classes"),
    ],
)
def test_errors_name_the_problem_in_model_json(
    folder: Path, change: dict[str, object], expected: str
) -> None:
    path = folder / "model.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(values | change), encoding="utf-8")
    with pytest.raises(ModelUnreadable, match=expected):
        Model.open(folder)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(ModelUnreadable, match="format None"):
        Model.open(folder)


def test_neither_embedding_nor_predicting_imports_tensorflow(folder: Path, tmp_path: Path) -> None:
    image = drawings_run().snapshot.examples[0].path
    code = f"""
import sys
from pathlib import Path
import studio.retrain.run
from studio.predict.model import Model
from studio.progress import Silent
from studio.backbones import prepare_backbone
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import embed
from studio.retrain.image_folder import read_image_folder
assert Model.open(Path({str(folder)!r})).classify_file(Path({str(image)!r}), "x")
backbone = prepare_backbone("efficientnet_lite0", Path(sys.argv[1]), Silent())
cache = BottleneckCache.of(Path({str(tmp_path)!r}), backbone)
images = read_image_folder(Path({str(image.parents[1])!r}), Silent()).images[:3]
assert not embed(images, backbone, cache, threads=2, progress=Silent())
heavy = {{"tensorflow", "keras", "streamlit", "sqlalchemy"}} & set(sys.modules)
assert not heavy, heavy
"""
    from tests.retrain.material import BACKBONES_DIR

    done = subprocess.run(
        [sys.executable, "-c", code, str(BACKBONES_DIR)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
