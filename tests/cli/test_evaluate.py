"""`python -m studio evaluate`: figures of a run are its own figures, and of files of every kind the same."""

import csv
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from studio.cli.predict import evaluate, label_image
from studio.share.exports.keras_model import build_keras_model
from tests.predict.material import flowers_run
from tests.retrain.material import FLOWERS, needs_flowers

pytestmark = needs_flowers


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's test images in class folders, with a class it does not know and a file that is none."""
    folder = tmp_path_factory.mktemp("tested") / "시험 images"
    for example in flowers_run().snapshot.of_split("testing"):
        (folder / example.label).mkdir(parents=True, exist_ok=True)
        shutil.copy(example.path, folder / example.label)
    (folder / "dandelion").mkdir()
    for path in sorted((FLOWERS / "dandelion").iterdir())[:10]:
        shutil.copy(path, folder / "dandelion")
    (folder / "dandelion" / "나쁜.jpg").write_bytes(b"bad")
    return folder


def run(*words: object) -> Result:
    done = CliRunner().invoke(evaluate, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done


def test_a_run_is_as_good_as_its_own_evaluation_says(tested: Path) -> None:
    result = flowers_run()
    done = run("--model", result.run_dir, "--image-dir", tested, "--json")
    message = json.loads(done.stdout)
    assert (message["accuracy"], message["n"]) == (result.evaluation.accuracy, result.evaluation.n)
    assert message["confusion"] == [list(row) for row in result.evaluation.confusion]
    assert message["unknown"] == {"dandelion": 10}
    assert 0 <= message["unknown_unsure"] <= 10
    assert message["sure"]["n"] <= message["n"]
    assert "나쁜.jpg" in done.stderr
    text = run("--model", result.run_dir, "--image_dir", tested).stdout.splitlines()
    assert text[0].startswith(f"Accuracy = {result.evaluation.accuracy:.1%} (N={result.evaluation.n})")
    assert sum(line.startswith("꽃 roses") for line in text) == 2  # in the table and in the matrix


def test_each_image_stands_in_the_table(tested: Path) -> None:
    done = run("--model", flowers_run().run_dir, "--image_dir", tested, "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == flowers_run().evaluation.n
    right = sum(row["true"] == row["answer"] for row in rows)
    assert right / len(rows) == flowers_run().evaluation.accuracy
    assert {row["sure"] for row in rows} <= {"sure", "unlikely", "strange"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """The run's model as others save it: a Keras file, a SavedModel in a numbered folder, a LiteRT file."""
    result = flowers_run()
    room = tmp_path_factory.mktemp("files")
    model = build_keras_model(result.run_dir)
    made = (room / "케라스 model.keras", room / "served", room / "lite.tflite")
    model.save(made[0])
    model.export(made[1] / "2", verbose=False)
    shutil.copy(result.run_dir / "model.tflite", made[2])
    shutil.copy(result.run_dir / "labels.txt", room / "labels.txt")
    return made


def test_files_of_every_kind_are_as_good(tested: Path, files: Sequence[Path]) -> None:
    few = tested.with_name("few")
    for folder in tested.iterdir():
        (few / folder.name).mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.jpg"))[:3]:
            shutil.copy(path, few / folder.name)
    message = [
        json.loads(run(flag, path, "--image_dir", few, "--json").stdout)
        for path, flag in zip(
            (flowers_run().run_dir, *files), ("--model", "--model", "--model", "--graph"), strict=True
        )
    ]
    assert message[0]["n"] == 9
    for other in message[1:]:
        assert other["confusion"] == message[0]["confusion"]
        assert other["sure"]["n"] == 9  # who is no run of ours has no thresholds


def test_label_image_asks_them_with_the_same_answer(files: Sequence[Path]) -> None:
    image = flowers_run().snapshot.of_split("testing")[0].path
    message = []
    for words in (
        ["--model", flowers_run().run_dir],
        *(["--graph", file] for file in files),
        ["--model", files[1], "--labels", flowers_run().run_dir / "labels.txt"],
    ):
        done = CliRunner().invoke(label_image, [*map(str, words), "--image", str(image)])
        assert done.exit_code == 0, done.stderr
        message.append([line for line in done.stdout.splitlines() if "score=" in line])
    for other in message[1:]:
        for mine, theirs in zip(message[0], other, strict=True):
            assert mine.partition(" (")[0] == theirs.partition(" (")[0]
            one, two = (float(line.partition("score=")[2].rstrip(")")) for line in (mine, theirs))
            assert one == pytest.approx(two, abs=1e-3)


def test_what_is_missing_is_reported(tmp_path: Path, files: Sequence[Path], tested: Path) -> None:
    alone = tmp_path / "model.keras"
    shutil.copy(files[0], alone)
    image = next(tested.glob("*/*.jpg"))
    done = CliRunner().invoke(label_image, ["--graph", str(alone), "--image", str(image)])
    assert "--labels" in str(done.exception)
    (tmp_path / "labels.txt").write_text("one\ntwo\n", encoding="utf-8")
    done = CliRunner().invoke(label_image, ["--graph", str(alone), "--image", str(image)])
    assert "3 scores" in str(done.exception)
    alone.write_bytes(b"PK\x03\x04 not a model")
    done = CliRunner().invoke(label_image, ["--graph", str(alone), "--image", str(image)])
    assert "cannot be used" in str(done.exception)
    done = CliRunner().invoke(evaluate, ["--model", str(flowers_run().run_dir), "--image_dir", str(tmp_path)])
    assert "expected folders named after the model's classes" in str(done.exception)
