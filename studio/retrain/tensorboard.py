"""TensorBoard event files of a run, with the tags of `retrain.py` and additions.

train, validation   `accuracy` and `cross_entropy`, and for the head
                    `final_training_ops/{weights,biases}/summaries/{mean,stddev,max,min,histogram}`
train               also the graph of the model file
the folder itself   options and results for the HParams plugin, and the confusion matrix as an image
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from studio.retrain.curve import CurvePoint
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.head.head import Head
from studio.retrain.model_file import read_head
from studio.retrain.options import RunOptions

_MAX_IMAGE_PX, _MIN_CELL_PX, _CELL_PX = 960, 4, 64
_MIN_TEXT_CELL_PX = 22
"""The smallest cell with a number in it and a class name beside its row."""
_ROW_LABEL_PX = 150
_TEXT_COLOUR, _BACKGROUND, _FULL_CELL_COLOUR = (29, 36, 32), (255, 255, 255), (11, 138, 96)
_FONTS = ("malgun.ttf", "AppleSDGothicNeo.ttc", "NotoSansCJK-Regular.ttc", "NanumGothic.ttf")
"""Fonts of Windows, macOS and Linux that have Latin and Korean letters; the first installed one is used."""
_HALF = 0.5


@dataclass(frozen=True)
class PngImage:
    """The bytes of a PNG file, and its size."""

    png: bytes
    width_px: int
    height_px: int


def confusion_image(evaluation: Evaluation) -> PngImage:
    """Draw the confusion matrix: true classes as rows, predicted ones as columns, shaded by the row's share.

    Rows have a number and the class name, columns the number alone.
    """
    count = max(1, len(evaluation.classes))
    cell = max(_MIN_CELL_PX, min(_CELL_PX, _MAX_IMAGE_PX // count))
    has_text = cell >= _MIN_TEXT_CELL_PX
    left, top = (_ROW_LABEL_PX, cell) if has_text else (0, 0)
    image = Image.new("RGB", (left + cell * count, top + cell * count), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    font = _load_font(min(14, cell // 2)) if has_text else None
    for row, counts in enumerate(evaluation.confusion):
        total, y = sum(counts), top + cell * row
        if has_text:
            name = f"{row + 1}  {evaluation.classes[row]}"
            draw.text((8, y + cell // 2), _truncate(draw, name, font, left - 16), _TEXT_COLOUR, font, "lm")
            draw.text((left + cell * row + cell // 2, cell // 2), str(row + 1), _TEXT_COLOUR, font, "mm")
        for column, number in enumerate(counts):
            share, x = (number / total if total else 0.0), left + cell * column
            box = (x, y, x + cell - 2, y + cell - 2)
            draw.rectangle(
                box,
                tuple(
                    round(p + (s - p) * share) for p, s in zip(_BACKGROUND, _FULL_CELL_COLOUR, strict=True)
                ),
            )
            if has_text and number:
                colour = _BACKGROUND if share > _HALF else _TEXT_COLOUR
                draw.text((x + cell // 2 - 1, y + cell // 2 - 1), str(number), colour, font, "mm")
    file = BytesIO()
    image.save(file, "PNG")
    return PngImage(file.getvalue(), *image.size)


def _truncate(draw: ImageDraw.ImageDraw, text: str, font: "_Font | None", width_px: int) -> str:
    while draw.textlength(text, font) > width_px:
        text = text[:-2] + "…"
    return text


_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def _load_font(size_px: int) -> _Font:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size_px)
        except OSError:
            continue
    return ImageFont.load_default(size_px)


_FORBIDDEN = re.compile(r"[^\w./>-]")


def model_graph(model: bytes) -> Any:
    """Return a `GraphDef` with a node for each input, constant and operator of a LiteRT file.

    A node is named after its output tensor. Of names that the converter joined, the first is used; slashes
    make the groups that TensorBoard collapses.
    """
    from ai_edge_litert import schema_py_generated as schema
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.versions_pb2 import VersionDef

    flat_model = schema.Model.GetRootAs(model, 0)
    subgraph = flat_model.Subgraphs(0)
    graph = GraphDef(versions=VersionDef(producer=1))
    names: dict[int, str] = {}
    used_names: set[str] = set()

    def add_node(tensor: int, op: str, inputs: list[str]) -> None:
        names[tensor] = name = _unique_name(_node_name(subgraph.Tensors(tensor).Name()), used_names)
        node = graph.node.add(name=name, op=op, input=inputs)
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in subgraph.Tensors(tensor).ShapeAsNumpy().tolist():
            shape.dim.add(size=size)

    for i in range(subgraph.InputsLength()):
        add_node(subgraph.Inputs(i), "Placeholder", [])
    for number in range(subgraph.OperatorsLength()):
        operator = subgraph.Operators(number)
        code = flat_model.OperatorCodes(operator.OpcodeIndex())
        inputs = [tensor for i in range(operator.InputsLength()) if (tensor := operator.Inputs(i)) >= 0]
        for tensor in inputs:
            if tensor not in names:  # not the output of an earlier operator: a constant
                add_node(tensor, "Const", [])
        op = _operator_names().get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "CUSTOM")
        for i in range(operator.OutputsLength()):
            add_node(operator.Outputs(i), op, [names[tensor] for tensor in inputs])
    return graph


@cache
def _operator_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    codes = vars(schema.BuiltinOperator).items()
    return {code: name for name, code in codes if isinstance(code, int)}


def _node_name(tensor_name: bytes) -> str:
    first = tensor_name.decode("utf-8", "replace").partition(";")[0].partition(":")[0]
    return _FORBIDDEN.sub("_", first).strip("/") or "tensor"


def _unique_name(name: str, used_names: set[str]) -> str:
    unique = name
    for number in range(1, len(used_names) + 2):
        if unique not in used_names:
            break
        unique = f"{name}_{number}"
    used_names.add(unique)
    return unique


_FOLDERS = {"training": "train", "validation": "validation", "run": "."}
_HISTOGRAM_BUCKETS = 30
"""The number of buckets that TensorBoard draws."""
_STATUS_SUCCESS = 1
"""`STATUS_SUCCESS` of `tensorboard/plugins/hparams/api.proto`."""


class SummaryWriter:
    """Writer of a run's three event files, flushed after each call so that TensorBoard shows them live.

    Existing event files in the three folders are removed: a resumed run writes all its points again, and its
    head from the resumed step on.
    """

    def __init__(self, summaries_dir: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event = Event
        self._has_head = False
        self._writers: dict[str, Any] = {}
        for split, name in _FOLDERS.items():
            folder = summaries_dir / name
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
            file = (folder / f"events.out.tfevents.{int(time.time()):010d}.studio").open("wb")
            writer = self._writers[split] = RecordWriter(file)
            writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def write(self, points: Sequence[CurvePoint]) -> None:
        """Append points of the training curve."""
        for point in points:
            event = self._event(wall_time=time.time(), step=point.step)
            event.summary.value.add(tag="accuracy", simple_value=point.accuracy)
            event.summary.value.add(tag="cross_entropy", simple_value=point.cross_entropy)
            self._writers[point.split].write(event.SerializeToString())
        self._flush()

    def write_head(self, step: int, head: Head) -> None:
        """Append statistics and histograms of the head (for unscaled features) after `step` steps."""
        event = self._event(wall_time=time.time(), step=step)
        for name, values in (("weights", head.weights), ("biases", head.bias)):
            _add_tensor_summary(event.summary, f"final_training_ops/{name}/summaries", values)
        content = event.SerializeToString()
        for split in ("training", "validation"):
            self._writers[split].write(content)
        self._has_head = True

    def write_options(self, options: RunOptions) -> None:
        """Append the run's options for the HParams plugin."""
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        started = SessionStartInfo(start_time_secs=time.time())
        for name, value in options.to_json().items():
            if isinstance(value, bool):
                started.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                started.hparams[name].number_value = value
            elif value is not None:
                started.hparams[name].string_value = str(value)
        self._write_hparams("session_start_info", HParamsPluginData(session_start_info=started))

    def write_results(self, step: int, evaluation: Evaluation, model: bytes) -> None:
        """Append the run's results. step: of the head that was kept; model: the bytes of its LiteRT file.

        A head that was not written during training is read from the file: one of several candidates, or one
        trained together with the backbone's last blocks.
        """
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        if not self._has_head:
            self.write_head(step, read_head(model))
        graph = self._event(wall_time=time.time(), graph_def=model_graph(model).SerializeToString())
        self._writers["training"].write(graph.SerializeToString())
        event = self._event(wall_time=time.time(), step=step)
        if evaluation.accuracy is not None:
            event.summary.value.add(tag="test_accuracy", simple_value=evaluation.accuracy)
        matrix = confusion_image(evaluation)
        image = event.summary.value.add(tag="confusion_matrix").image
        image.height, image.width, image.colorspace = matrix.height_px, matrix.width_px, 3
        image.encoded_image_string = matrix.png
        _add_class_numbers(event.summary, evaluation.classes)
        self._writers["run"].write(event.SerializeToString())
        ended = SessionEndInfo(status=_STATUS_SUCCESS, end_time_secs=time.time())
        self._write_hparams("session_end_info", HParamsPluginData(session_end_info=ended))

    def _write_hparams(self, tag: str, data: Any) -> None:
        from tensorboard.plugins.hparams import metadata

        event = self._event(wall_time=time.time())
        event.summary.value.add(
            tag=f"_hparams_/{tag}",
            metadata=metadata.create_summary_metadata(data),
            tensor=metadata.NULL_TENSOR,
        )
        self._writers["run"].write(event.SerializeToString())
        self._flush()

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()

    def __enter__(self) -> "SummaryWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()


def _add_class_numbers(summary: Any, classes: Sequence[str]) -> None:
    """Add a text with the classes' numbers and names, for machines whose fonts cannot draw all names."""
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text import metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    # Four spaces make a code block in Markdown, so that names are not interpreted.
    lines = "\n".join(f"    {number}  {label}" for number, label in enumerate(classes, 1))
    summary.value.add(
        tag="classes",
        metadata=metadata.create_summary_metadata("", ""),
        tensor=make_tensor_proto([lines.encode()], dtype=DT_STRING, shape=(1,)),
    )


def _add_tensor_summary(summary: Any, scope: str, values: npt.NDArray[np.float32]) -> None:
    """Add a tensor's statistics and histogram under a scope, as `variable_summaries` of `retrain.py` does."""
    flat = values.astype(np.float64).ravel()
    low, high = float(flat.min()), float(flat.max())
    statistics = {"mean": float(flat.mean()), "stddev": float(flat.std()), "max": high, "min": low}
    for name, value in statistics.items():
        summary.value.add(tag=f"{scope}/{name}", simple_value=value)
    counts, edges = np.histogram(flat, _HISTOGRAM_BUCKETS)
    histogram = summary.value.add(tag=f"{scope}/histogram").histo
    histogram.min, histogram.max, histogram.num = low, high, flat.size
    histogram.sum, histogram.sum_squares = float(flat.sum()), float(np.sum(flat**2))
    histogram.bucket_limit.extend(edges[1:].tolist())
    histogram.bucket.extend(counts.tolist())
