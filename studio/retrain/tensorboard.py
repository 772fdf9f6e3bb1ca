"""TensorBoard event files, with the tags of `retrain.py` and what else TensorBoard can show of a run.

train, validation   `accuracy` and `cross_entropy`, and of the layer that is trained
                    `final_training_ops/{weights,biases}/summaries/{mean,stddev,max,min,histogram}`
train               also the graph of the model file
the folder itself   settings and results for the HParams plugin, and the confusion matrix as an image
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
from studio.retrain.model_file import head_of
from studio.retrain.options import RunOptions

_MOST_PX, _LEAST_CELL_PX, _CELL_PX = 960, 4, 64
_NUMBERED_PX = 22
"""Cells smaller than that hold no number, and rows no name."""
_NAME_PX = 150
_INK, _PAPER, _SHADE = (29, 36, 32), (255, 255, 255), (11, 138, 96)
_FONTS = ("malgun.ttf", "AppleSDGothicNeo.ttc", "NotoSansCJK-Regular.ttc", "NanumGothic.ttf")
"""Of Windows, macOS and Linux: those with letters of more than one script, where they are there."""
_HALF = 0.5


@dataclass(frozen=True)
class Drawn:
    """A PNG file's bytes, and its size."""

    png: bytes
    width_px: int
    height_px: int


def confusion_image(evaluation: Evaluation) -> Drawn:
    """Draw rows of true classes and columns of predicted ones, shaded by the share of the row.

    Columns bear the numbers that stand before the classes' names at the rows.
    """
    count = max(1, len(evaluation.classes))
    cell = max(_LEAST_CELL_PX, min(_CELL_PX, _MOST_PX // count))
    told = cell >= _NUMBERED_PX
    left, top = (_NAME_PX, cell) if told else (0, 0)
    image = Image.new("RGB", (left + cell * count, top + cell * count), _PAPER)
    pen = ImageDraw.Draw(image)
    font = _font(min(14, cell // 2)) if told else None
    for row, counts in enumerate(evaluation.confusion):
        total, y = sum(counts), top + cell * row
        if told:
            name = f"{row + 1}  {evaluation.classes[row]}"
            pen.text((8, y + cell // 2), _cut(pen, name, font, left - 16), _INK, font, "lm")
            pen.text((left + cell * row + cell // 2, cell // 2), str(row + 1), _INK, font, "mm")
        for column, number in enumerate(counts):
            share, x = (number / total if total else 0.0), left + cell * column
            box = (x, y, x + cell - 2, y + cell - 2)
            pen.rectangle(box, tuple(round(p + (s - p) * share) for p, s in zip(_PAPER, _SHADE, strict=True)))
            if told and number:
                ink = _PAPER if share > _HALF else _INK
                pen.text((x + cell // 2 - 1, y + cell // 2 - 1), str(number), ink, font, "mm")
    file = BytesIO()
    image.save(file, "PNG")
    return Drawn(file.getvalue(), *image.size)


def _cut(pen: ImageDraw.ImageDraw, text: str, font: "_Font | None", width_px: int) -> str:
    while pen.textlength(text, font) > width_px:
        text = text[:-2] + "…"
    return text


_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def _font(size_px: int) -> _Font:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size_px)
        except OSError:
            continue
    return ImageFont.load_default(size_px)


_FORBIDDEN = re.compile(r"[^\w./>-]")


def model_graph(model: bytes) -> Any:
    """Return a `GraphDef` with a node for each input, constant and operator of a file, named by its output.

    A name that is made of several, as the converter joins them, is cut to the first; its slashes make the
    groups that TensorBoard folds.
    """
    from ai_edge_litert import schema_py_generated as schema
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.versions_pb2 import VersionDef

    read = schema.Model.GetRootAs(model, 0)
    part = read.Subgraphs(0)
    graph = GraphDef(versions=VersionDef(producer=1))
    names: dict[int, str] = {}
    taken: set[str] = set()

    def add(tensor: int, kind: str, inputs: list[str]) -> None:
        names[tensor] = name = _free(_name(part.Tensors(tensor).Name()), taken)
        node = graph.node.add(name=name, op=kind, input=inputs)
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in part.Tensors(tensor).ShapeAsNumpy().tolist():
            shape.dim.add(size=size)

    for at in range(part.InputsLength()):
        add(part.Inputs(at), "Placeholder", [])
    for at in range(part.OperatorsLength()):
        operator = part.Operators(at)
        code = read.OperatorCodes(operator.OpcodeIndex())
        inputs = [index for i in range(operator.InputsLength()) if (index := operator.Inputs(i)) >= 0]
        for index in inputs:
            if index not in names:  # what no operator before has made is a constant
                add(index, "Const", [])
        kind = _kinds().get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "CUSTOM")
        for i in range(operator.OutputsLength()):
            add(operator.Outputs(i), kind, [names[index] for index in inputs])
    return graph


@cache
def _kinds() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    codes = vars(schema.BuiltinOperator).items()
    return {code: name for name, code in codes if isinstance(code, int)}


def _name(given: bytes) -> str:
    first = given.decode("utf-8", "replace").partition(";")[0].partition(":")[0]
    return _FORBIDDEN.sub("_", first).strip("/") or "tensor"


def _free(name: str, taken: set[str]) -> str:
    free = name
    for number in range(1, len(taken) + 2):
        if free not in taken:
            break
        free = f"{name}_{number}"
    taken.add(free)
    return free


_FOLDERS = {"training": "train", "validation": "validation", "run": "."}
_BUCKETS = 30
"""As many as TensorBoard draws."""
_SUCCESS = 1
"""`STATUS_SUCCESS` of `tensorboard/plugins/hparams/api.proto`."""


class SummaryWriter:
    """Writes to three event files, flushed at each call, so that TensorBoard can look on.

    It begins anew: event files in the three folders are removed, and a resumed run tells its points again; of
    its layer it tells what comes.
    """

    def __init__(self, summaries_dir: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event = Event
        self._shown = False
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
        """Append points."""
        for point in points:
            event = self._event(wall_time=time.time(), step=point.step)
            event.summary.value.add(tag="accuracy", simple_value=point.accuracy)
            event.summary.value.add(tag="cross_entropy", simple_value=point.cross_entropy)
            self._writers[point.split].write(event.SerializeToString())
        self._flush()

    def show(self, step: int, head: Head) -> None:
        """Append what the layer looks like after `step` steps, as it answers on unscaled features."""
        event = self._event(wall_time=time.time(), step=step)
        for name, values in (("weights", head.weights), ("biases", head.bias)):
            _describe(event.summary, f"final_training_ops/{name}/summaries", values)
        content = event.SerializeToString()
        for split in ("training", "validation"):
            self._writers[split].write(content)
        self._shown = True

    def begin(self, options: RunOptions) -> None:
        """Tell the HParams plugin what the run was asked for."""
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        started = SessionStartInfo(start_time_secs=time.time())
        for name, value in options.to_json().items():
            if isinstance(value, bool):
                started.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                started.hparams[name].number_value = value
            elif value is not None:
                started.hparams[name].string_value = str(value)
        self._tell_hparams("session_start_info", HParamsPluginData(session_start_info=started))

    def end(self, step: int, evaluation: Evaluation, model: bytes) -> None:
        """Append what came of the run. step: that of the head that was kept; model: its LiteRT file.

        A layer that was not shown before is told as it is in the file: of several that were tried, and of one
        that was trained with the network's last blocks.
        """
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        if not self._shown:
            self.show(step, head_of(model))
        graph = self._event(wall_time=time.time(), graph_def=model_graph(model).SerializeToString())
        self._writers["training"].write(graph.SerializeToString())
        event = self._event(wall_time=time.time(), step=step)
        if evaluation.accuracy is not None:
            event.summary.value.add(tag="test_accuracy", simple_value=evaluation.accuracy)
        drawn = confusion_image(evaluation)
        image = event.summary.value.add(tag="confusion_matrix").image
        image.height, image.width, image.colorspace = drawn.height_px, drawn.width_px, 3
        image.encoded_image_string = drawn.png
        _number(event.summary, evaluation.classes)
        self._writers["run"].write(event.SerializeToString())
        ended = SessionEndInfo(status=_SUCCESS, end_time_secs=time.time())
        self._tell_hparams("session_end_info", HParamsPluginData(session_end_info=ended))

    def _tell_hparams(self, what: str, told: Any) -> None:
        from tensorboard.plugins.hparams import metadata

        event = self._event(wall_time=time.time())
        event.summary.value.add(
            tag=f"_hparams_/{what}",
            metadata=metadata.create_summary_metadata(told),
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


def _number(summary: Any, classes: Sequence[str]) -> None:
    """Add a text with the classes' numbers: not every machine has letters to draw all names with."""
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text import metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    # Four spaces make Markdown take names as they are.
    lines = "\n".join(f"    {number}  {label}" for number, label in enumerate(classes, 1))
    summary.value.add(
        tag="classes",
        metadata=metadata.create_summary_metadata("", ""),
        tensor=make_tensor_proto([lines.encode()], dtype=DT_STRING, shape=(1,)),
    )


def _describe(summary: Any, scope: str, values: npt.NDArray[np.float32]) -> None:
    """Add a tensor's figures under a scope, as `variable_summaries` of `retrain.py` does."""
    flat = values.astype(np.float64).ravel()
    low, high = float(flat.min()), float(flat.max())
    figures = {"mean": float(flat.mean()), "stddev": float(flat.std()), "max": high, "min": low}
    for name, figure in figures.items():
        summary.value.add(tag=f"{scope}/{name}", simple_value=figure)
    counts, edges = np.histogram(flat, _BUCKETS)
    histogram = summary.value.add(tag=f"{scope}/histogram").histo
    histogram.min, histogram.max, histogram.num = low, high, flat.size
    histogram.sum, histogram.sum_squares = float(flat.sum()), float(np.sum(flat**2))
    histogram.bucket_limit.extend(edges[1:].tolist())
    histogram.bucket.extend(counts.tolist())
