"""TensorBoard event files, with the tags of `retrain.py` and what else TensorBoard can show of a run.

train, validation   `accuracy` and `cross_entropy`, and of the layer that is trained
                    `final_training_ops/{weights,biases}/summaries/{mean,stddev,max,min,histogram}`
train               also the graph of the model file
the folder itself   settings and results for the HParams plugin, and the confusion matrix as an image
"""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.retrain.curve import CurvePoint
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.head.head import Head
from studio.retrain.model_file import head_of
from studio.retrain.options import RunOptions
from studio.retrain.summaries.confusion_image import confusion_image
from studio.retrain.summaries.model_graph import model_graph

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
