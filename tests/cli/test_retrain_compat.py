"""`python -m studio retrain --compat retrain.py` from end to end: its files, its lines, its split."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from studio.backbones.interpreter import LiteRTInterpreter
from studio.cli.predict import label_image
from studio.cli.retrain import retrain
from studio.cli.runs import rerun
from studio.predict.model import Model
from studio.retrain.compat import path_split
from studio.retrain.run import read_run
from studio.share.exports.frozen_graph import run_frozen_graph
from tests.retrain.material import backbone, data_folder, draw

GRAPH_SCALE = np.float32(128)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with the backbone in it, and a run in it as the peer does one."""
    with data_folder(tmp_path_factory.mktemp("compat") / "studio 홈") as folder:
        yield folder


def jpegs(folder: Path) -> Path:
    """Draw three classes, two of them circles, so that some are taken for the other; and one of no JPEG."""
    kinds = {"Circle": 0, "Square": 1, "Round--Thing": 3, "filler": 4}
    drawn = draw(folder.with_name("drawn"), tuple(map(str, range(5))), count=30)
    for name, kind in kinds.items():
        (folder / name).mkdir(parents=True)
        for path in (drawn / str(kind)).iterdir():
            suffix = {"Square": ".jpeg", "filler": ".png"}.get(name, ".jpg")
            Image.open(path).save((folder / name / path.name).with_suffix(suffix))
    for path in list((folder / "Circle").iterdir())[:10]:
        path.with_stem(f"{path.stem} copy").write_bytes(path.read_bytes())
    return folder


def run(*words: object) -> Result:
    done = CliRunner().invoke(retrain, ["--compat", "retrain.py", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def done(home: Path) -> tuple[Path, Result]:
    room = home.parent / "방"
    images = jpegs(room / "그림 images")
    logs = room / "logs"
    (logs / "train").mkdir(parents=True)
    (logs / "train" / "events.out.tfevents.1.old").write_bytes(b"of an earlier run")
    words: list[Any] = ["--image_dir", images, "--architecture", "efficientnet_lite0"]
    words += ["--how_many_training_steps", 25, "--validation_percentage", 20, "--testing_percentage", 30]
    words += ["--output_graph", room / "out.pb", "--output_labels", room / "labels.txt"]
    words += ["--summaries_dir", logs, "--bottleneck_dir", room / "bottlenecks", "--run_dir", room / "run"]
    words += ["--intermediate_store_frequency", 10, "--intermediate_output_graphs_dir", room / "between"]
    words += ["--final_tensor_name", "my_result", "--print_misclassified_test_images"]
    return room, run(*words)


def test_labels_and_split_are_those_of_retrain_py(done: tuple[Path, Result]) -> None:
    room, _result = done
    assert (room / "labels.txt").read_text(encoding="utf-8") == "circle\nround thing\nsquare\n"
    snapshot = read_run(room / "run").snapshot
    counts = {"circle": 40, "round thing": 30, "square": 30}
    assert Counter(example.label for example in snapshot.examples) == counts
    for example in snapshot.examples:
        assert example.split == path_split(str(example.path), 20, 30)


def test_it_ends_with_accuracy_and_then_the_wrong_images(done: tuple[Path, Result]) -> None:
    room, result = done
    finished = read_run(room / "run")
    _where, last, *wrong = result.stdout.splitlines()
    tested = finished.snapshot.of_split("testing")
    assert last == f"Final test accuracy = {finished.evaluation.accuracy:.1%} (N={len(tested)})"
    answers = zip(tested, finished.evaluation.predictions, strict=True)
    mistaken = [(example, answer) for example, answer in answers if answer.predicted != example.label]
    assert wrong == [f"{example.path!s:>70}  {answer.predicted}" for example, answer in mistaken] != []
    assert any("filler" in line for line in result.stderr.splitlines())


def test_summaries_are_emptied_and_count_from_naught(done: tuple[Path, Result]) -> None:
    room, _result = done
    assert not (room / "logs" / "train" / "events.out.tfevents.1.old").exists()
    for split, steps in (("train", list(range(25))), ("validation", [0, 10, 20, 24])):
        events = EventAccumulator(str(room / "logs" / split), size_guidance={"histograms": 0})
        events.Reload()
        for tag in ("accuracy", "cross_entropy"):
            assert [scalar.step for scalar in events.Scalars(tag)] == steps
        for layer in ("weights", "biases"):
            scope = f"final_training_ops/{layer}/summaries"
            for figure in ("mean", "stddev", "max", "min"):
                assert [scalar.step for scalar in events.Scalars(f"{scope}/{figure}")] == [0, 10, 20, 24]
            assert [each.step for each in events.Histograms(f"{scope}/histogram")] == [0, 10, 20, 24]
        assert events.Tags()["graph"] == (split == "train")


def test_graphs_in_between_and_at_the_end_answer(done: tuple[Path, Result]) -> None:
    room, _result = done
    assert sorted(p.name for p in (room / "between").iterdir()) == [
        "intermediate_10.pb",
        "intermediate_20.pb",
    ]
    finished, model = read_run(room / "run"), Model.open(room / "run")
    pixels = np.stack([model.preprocessing.read(e.path, "x") for e in finished.snapshot.examples[:4]])
    scaled = (pixels.astype(np.float32) - GRAPH_SCALE) / GRAPH_SCALE
    expected = np.stack([model.probabilities(image) for image in pixels])
    answers = run_frozen_graph((room / "out.pb").read_bytes(), scaled, output="my_result")
    np.testing.assert_allclose(answers, expected, atol=1e-4)
    distances = []
    for step in (10, 20):
        content = (room / "between" / f"intermediate_{step}.pb").read_bytes()
        distances.append(np.abs(run_frozen_graph(content, scaled, output="my_result") - expected).max())
    assert distances[0] > distances[1] > 0  # on their way to the last


def test_bottleneck_files_hold_the_values_under_the_names_of_retrain_py(done: tuple[Path, Result]) -> None:
    room, _result = done
    files = sorted((room / "bottlenecks").rglob("*.txt"))
    assert len(files) == 100
    engine = LiteRTInterpreter(backbone().path.read_bytes())
    for example in read_run(room / "run").snapshot.examples[:3]:
        named = f"{example.path.name}_efficientnet_lite0.txt"
        text = (room / "bottlenecks" / example.path.parent.name / named).read_text(encoding="ascii")
        pixels = backbone().preprocessing.read(example.path, "x")
        assert np.array_equal(np.array(text.split(","), np.float32), engine(pixels))


def test_a_second_run_draws_its_test_and_overwrites(done: tuple[Path, Result]) -> None:
    room, _result = done
    words: list[Any] = ["--image_dir", room / "그림 images", "--architecture", "efficientnet_lite0"]
    words += ["--how_many_training_steps", 5, "--test_batch_size", 40, "--validation_batch_size", -1]
    words += ["--output_graph", room / "out.tflite", "--output_labels", room / "labels.txt"]
    words += ["--summaries_dir", room / "logs 2", "--bottleneck_dir", room / "bottlenecks"]
    words += ["--final_tensor_name", "my_result", "--random_crop", 10, "--distorted_views", 1]
    result = run(*words)
    assert re.fullmatch(r"Final test accuracy = \d+\.\d% \(N=40\)", result.stdout.splitlines()[-1])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(room / "out.tflite"))
    assert interpreter.get_output_details()[0]["name"] == "my_result"


def test_such_a_run_can_be_done_again(done: tuple[Path, Result]) -> None:
    room, _result = done
    words = [str(room / "run"), "--run_dir", str(room / "run 다시")]
    again = CliRunner().invoke(rerun, words, catch_exceptions=False)
    assert again.exit_code == 0, again.stdout
    assert (room / "run" / "model.tflite").read_bytes() == (room / "run 다시" / "model.tflite").read_bytes()


@pytest.mark.parametrize("graph", ["out.pb", "out.tflite"])
def test_the_companion_reads_both_kinds_of_graph(graph: str, done: tuple[Path, Result]) -> None:
    room, _result = done
    if not (room / graph).exists():
        pytest.skip("the test before did not write it")
    image = next((room / "그림 images" / "Circle").iterdir())
    words = ["--graph", room / graph, "--labels", room / "labels.txt", "--image", image]
    asked = CliRunner().invoke(
        label_image, [*map(str, words), "--output_layer", "my_result"], catch_exceptions=False
    )
    assert asked.exit_code == 0, asked.stderr
    first, *rest = asked.stdout.splitlines()
    assert re.fullmatch(r"Evaluation time \(1-image\): \d+\.\d{3}s", first)
    assert len(rest) == 3
    assert all(re.fullmatch(r"(circle|round thing|square) \(score=[01]\.\d{5}\)", line) for line in rest)


def test_the_companion_says_what_is_wrong_with_a_graph(done: tuple[Path, Result], tmp_path: Path) -> None:
    room, _result = done
    image = next((room / "그림 images" / "Circle").iterdir())
    two = tmp_path / "둘.txt"
    two.write_text("a\nb\n", encoding="utf-8")
    words = ["--graph", room / "out.pb", "--image", image, "--output_layer", "my_result", "--labels"]
    for more, message in (
        ([two], "3 scores"),
        ([room / "labels.txt", "--input_layer", "Mul"], "--input_layer"),
        ([room / "labels.txt", "--input_width", 100], "size of the input"),
    ):
        failed = CliRunner().invoke(label_image, [*map(str, words), *map(str, more)])
        assert message in str(failed.exception)
    assert CliRunner().invoke(label_image, ["--image", str(image)]).exit_code == 2
