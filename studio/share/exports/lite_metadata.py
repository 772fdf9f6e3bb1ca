"""Metadata inside a LiteRT file, by which a client knows what goes in and what comes out, with the labels.

A buffer `TFLITE_METADATA` with a flatbuffer of its own, and the files that it names as uncompressed members
of a zip behind the model. The format:
https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from studio import __version__
from studio.language import _
from studio.predict.sureness import SURENESS
from studio.retrain.model_file import packed
from studio.retrain.run_folder import LABELS, labels_text, read_card, read_labels

_NAME, _IDENTIFIER = "TFLITE_METADATA", b"M001"
_FEATURE, _IMAGE = 1, 2
"""ContentProperties."""
_RGB, _NORMALIZATION, _AXIS_LABELS, _NO_SPECIAL_FILE = 1, 1, 2, 0
_MIN_PARSER_VERSION = "1.0.0"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of the members, so that one model always gives the same bytes."""


def with_metadata(model: bytes, run_dir: Path, name: str) -> bytes:
    """Return a run's LiteRT file with metadata: uint8 pixels in as they are, a probability a label out.

    name: what the model is called. `sureness.json` goes in as well where the run has one.
    """
    from ai_edge_litert import schema_py_generated as schema

    labels = read_labels(run_dir, read_card(run_dir))
    files = {LABELS: labels_text(labels).encode()}
    if (run_dir / SURENESS).is_file():
        files[SURENESS] = (run_dir / SURENESS).read_bytes()
    read = schema.ModelT.InitFromPackedBuf(model)
    data = np.frombuffer(_metadata(name, len(labels), SURENESS in files), np.uint8)
    read.buffers.append(schema.BufferT(data=data))
    others = [each for each in read.metadata or [] if each.name != _NAME.encode()]
    read.metadata = [*others, schema.MetadataT(name=_NAME, buffer=len(read.buffers) - 1)]
    whole = io.BytesIO(packed(read, len(model)))
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for member, content in files.items():
            archive.writestr(zipfile.ZipInfo(member, _LONG_AGO), content)
    return whole.getvalue()


@dataclass(frozen=True)
class _Byte:
    value: int


@dataclass(frozen=True)
class _Table:
    """A table of a flatbuffer: what stands in which slot. A union is a `_Byte`, and a table in the next."""

    slots: dict[int, "str | _Byte | _Table | list[float] | list[_Table]"]

    def put(self, builder: Any) -> int:
        """Write it, what it holds first, and return its offset."""
        put = {slot: _put(builder, value) for slot, value in self.slots.items()}
        builder.StartObject(max(self.slots, default=-1) + 1)
        for slot, value in self.slots.items():
            if isinstance(value, _Byte):
                builder.PrependUint8Slot(slot, value.value, 0)
            else:
                builder.PrependUOffsetTRelativeSlot(slot, put[slot], 0)
        return int(builder.EndObject())


def _put(builder: Any, value: object) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, _Table):
        return value.put(builder)
    if isinstance(value, list):
        of_floats = isinstance(value[0], float)
        put = value if of_floats else [each.put(builder) for each in value]
        builder.StartVector(4, len(put), 4)
        for each in reversed(put):
            (builder.PrependFloat32 if of_floats else builder.PrependUOffsetTRelative)(each)
        return int(builder.EndVector())
    return 0


def _metadata(name: str, classes: int, has_sureness: bool) -> bytes:
    builder = flatbuffers.Builder(1024)
    entry = _Table(
        {
            0: "input",
            1: _("A picture: red, green and blue, 0 to 255, as they are."),
            3: _Table({0: _Byte(_IMAGE), 1: _Table({0: _Byte(_RGB)})}),
            4: [_Table({0: _Byte(_NORMALIZATION), 1: _Table({0: [0.0], 1: [1.0]})})],
            5: _Table({0: [255.0], 1: [0.0]}),
        }
    )
    answer = _Table(
        {
            0: "final_result",
            1: _("How probable each of {count} classes is.").format(count=classes),
            3: _Table({0: _Byte(_FEATURE), 1: _Table({})}),
            5: _Table({0: [1.0], 1: [0.0]}),
            6: [_Table({0: LABELS, 1: _("A class a line."), 2: _Byte(_AXIS_LABELS)})],
        }
    )
    model: dict[int, Any] = {
        0: name,
        1: _("Says which of {count} classes a picture shows; made with Retrain Studio {version}.").format(
            count=classes, version=__version__
        ),
        2: "1",
        3: [_Table({2: [entry], 3: [answer]})],
        7: _MIN_PARSER_VERSION,
    }
    if has_sureness:
        about = _("When to say “not sure”: the temperature of the probabilities, and thresholds.")
        model[6] = [_Table({0: SURENESS, 1: about, 2: _Byte(_NO_SPECIAL_FILE)})]
    builder.Finish(_Table(model).put(builder), _IDENTIFIER)
    return bytes(builder.Output())
