import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from studio.retrain.curve import CurvePoint
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.head.head import Head
from studio.retrain.model_file import attach_head
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Example
from studio.retrain.tensorboard import SummaryWriter, confusion_image
from tests.retrain.material import backbone, drawings_run

RETRAIN_PY_TAGS = {
    "accuracy",
    "cross_entropy",
    *(
        f"final_training_ops/{layer}/summaries/{statistic}"
        for layer in ("weights", "biases")
        for statistic in ("mean", "stddev", "max", "min")
    ),
}
HISTOGRAMS = {f"final_training_ops/{layer}/summaries/histogram" for layer in ("weights", "biases")}


def read(folder: Path) -> Any:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_tensorboard_reads_both_curves_while_they_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "요약"
    with SummaryWriter(folder) as writer:
        writer.write([CurvePoint(1, "training", 0.5, 1.25), CurvePoint(1, "validation", 0.25, 2.0)])
        writer.write([CurvePoint(2, "training", 0.75, 0.5)])
        assert scalars(folder / "train", "accuracy") == [(1, 0.5), (2, 0.75)]
    assert scalars(folder / "train", "cross_entropy") == [(1, 1.25), (2, 0.5)]
    assert scalars(folder / "validation", "accuracy") == [(1, 0.25)]


def test_earlier_event_files_are_replaced_and_other_files_stay(tmp_path: Path) -> None:
    kept = tmp_path / "train" / "notes.txt"
    for value in (0.25, 0.75):
        with SummaryWriter(tmp_path) as writer:
            writer.write([CurvePoint(1, "training", value, value)])
        kept.write_text("mine", encoding="utf-8")
    assert scalars(tmp_path / "train", "accuracy") == [(1, 0.75)]
    assert kept.exists()


def test_the_head_is_written_under_the_tags_of_retrain_py(tmp_path: Path) -> None:
    weights = np.arange(12, dtype=np.float32).reshape(4, 3) - 3
    with SummaryWriter(tmp_path) as writer:
        writer.write_head(10, Head(weights, np.array([0.5, 0.5, 0.5], np.float32)))
        writer.write_head(20, Head(weights * 2, np.zeros(3, np.float32)))
    for folder in ("train", "validation"):
        events = read(tmp_path / folder)
        assert set(events.Tags()["histograms"]) == HISTOGRAMS
        first, second = events.Histograms("final_training_ops/weights/summaries/histogram")
        assert (first.step, second.step) == (10, 20)
        value = first.histogram_value
        assert (value.min, value.max, value.num, value.sum) == (-3, 8, 12, weights.sum())
        assert value.sum_squares == (weights**2).sum()
        assert sum(value.bucket) == 12
        assert list(value.bucket_limit) == sorted(value.bucket_limit)
        for statistic, expected in (("mean", 2.5), ("stddev", weights.std()), ("max", 8), ("min", -3)):
            points = scalars(tmp_path / folder, f"final_training_ops/weights/summaries/{statistic}")
            assert points[0][0] == 10
            assert points[0][1] == pytest.approx(expected)
    # Equal values are in one bucket.
    (flat, _) = read(tmp_path / "train").Histograms("final_training_ops/biases/summaries/histogram")
    assert (flat.histogram_value.min, flat.histogram_value.max, sum(flat.histogram_value.bucket)) == (
        0.5,
        0.5,
        3,
    )


def test_a_run_writes_everything_that_tensorboard_shows() -> None:
    result = drawings_run()
    folder = result.run_dir / "summaries"
    train, validation, whole = read(folder / "train"), read(folder / "validation"), read(folder)
    for events in (train, validation):
        assert set(events.Tags()["scalars"]) == RETRAIN_PY_TAGS
        assert set(events.Tags()["histograms"]) == HISTOGRAMS
    steps = [event.step for event in train.Histograms("final_training_ops/weights/summaries/histogram")]
    assert steps == list(range(10, 61, 10))
    ((step, accuracy),) = scalars(folder, "test_accuracy")
    assert (step, accuracy) == (result.step, pytest.approx(result.evaluation.accuracy))  # type: ignore[comparison-overlap]
    (image,) = whole.Images("confusion_matrix")
    (text,) = whole.Tensors("classes")
    assert text.tensor_proto.string_val[0].decode() == "    1  square\n    2  원 circle"
    with Image.open(io.BytesIO(image.encoded_image_string)) as drawn:
        assert drawn.format == "PNG"
        assert drawn.size == (image.width, image.height)


def test_the_graph_is_that_of_the_model_file() -> None:
    graph = read(drawings_run().run_dir / "summaries" / "train").Graph()
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node)
    assert nodes["final_result"].op == "SOFTMAX"
    assert nodes["input"].op == "Placeholder"
    assert [each.size for each in nodes["input"].attr["_output_shapes"].list.shape[0].dim] == [1, 224, 224, 3]
    assert all(name in nodes for node in graph.node for name in node.input)
    # From the output back to the pixels, through the network.
    reached, waiting = set(), ["final_result"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(nodes[name].input)
    assert "input" in reached
    assert sum(nodes[name].op == "CONV_2D" for name in reached) > 20


def test_options_are_written_for_hparams(tmp_path: Path) -> None:
    options = RunOptions(learning_rate=0.05, l2=None, flip_left_right=True)
    evaluation = Evaluation.of([Example("s", tmp_path, "a", "testing")], np.ones((1, 1), np.float32), ("a",))
    model = attach_head(
        backbone().path.read_bytes(),
        Head(np.zeros((backbone().features, 1), np.float32), np.zeros(1, np.float32)),
    )
    with SummaryWriter(tmp_path) as writer:
        writer.write_options(options)
        assert metadata.SESSION_END_INFO_TAG not in read(tmp_path).PluginTagToContent("hparams")
        writer.write_results(7, evaluation, model)
    (layer,) = read(tmp_path / "train").Histograms("final_training_ops/biases/summaries/histogram")
    assert (layer.step, layer.histogram_value.num) == (7, 1)  # read from the model file
    hparams = read(tmp_path).PluginTagToContent("hparams")
    started = metadata.parse_session_start_info_plugin_data(hparams[metadata.SESSION_START_INFO_TAG])
    assert started.hparams["learning_rate"].number_value == 0.05
    assert started.hparams["flip_left_right"].bool_value is True
    assert started.hparams["backbone"].string_value == options.backbone
    assert "l2" not in started.hparams  # None
    ended = metadata.parse_session_end_info_plugin_data(hparams[metadata.SESSION_END_INFO_TAG])
    assert ended.status == 1


@pytest.mark.parametrize("count", [1, 2, 40, 300])
def test_a_confusion_matrix_of_any_size_is_drawn(count: int) -> None:
    classes = tuple(f"반 number {at} with a long name" for at in range(count))
    examples = [Example(f"{at}", Path("x"), label, "testing") for at, label in enumerate(classes)]
    drawn = confusion_image(Evaluation.of(examples, np.eye(count, dtype=np.float32), classes))
    with Image.open(io.BytesIO(drawn.png)) as image:
        pixels = np.asarray(image.convert("RGB"))
        assert image.size == (drawn.width_px, drawn.height_px)
    assert max(drawn.width_px, drawn.height_px) <= 1200
    # All are right: in the last row only the last cell is dark.
    dark = pixels[-3].astype(int).sum(axis=1) < 300
    assert dark[-3]
    assert dark.sum() <= drawn.height_px // count
