"""TensorBoard event files: `train` and `validation`, tags `accuracy` and `cross_entropy`, as the peer's."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from studio.retrain.curve import CurvePoint

_FOLDERS = {"training": "train", "validation": "validation"}


class SummaryWriter:
    """Writes points to two event files, flushed at each call, so that TensorBoard can look on.

    It begins anew: event files in the two folders are removed, and a resumed run tells its points again.
    """

    def __init__(self, summaries_dir: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event = Event
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
        for writer in self._writers.values():
            writer.flush()

    def __enter__(self) -> "SummaryWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
