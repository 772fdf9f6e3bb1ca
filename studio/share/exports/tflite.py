"""LiteRT files, each with metadata: as the run left it, in half the size, in a quarter, in whole numbers."""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from studio import __version__
from studio.arrays import Uint8Array
from studio.backbones.conversion import converted_on_pixels, in_whole_numbers
from studio.backbones.interpreter import Engine, tensorflow
from studio.errors import OutputRefused
from studio.files import atomic_bytes
from studio.i18n import _
from studio.retrain.confidence import SURENESS
from studio.retrain.head.head import Head
from studio.retrain.model_file import packed, with_head
from studio.retrain.run_folder import (
    LABELS,
    MODEL,
    labels_text,
    read_labels,
    read_model,
    read_model_json,
    read_snapshot,
)
from studio.share.exports.documents import write_labels
from studio.share.exports.format import Answer, Context, Format
from studio.share.exports.keras_model import Parts, parts_of
from studio.share.exports.parity import for_calibration, read_images

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

    labels = read_labels(run_dir, read_model_json(run_dir))
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
            1: _("An image: red, green and blue, 0 to 255, as they are."),
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
        1: _("Says which of {count} classes an image shows; made with Retrain Studio {version}.").format(
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


CALIBRATED_ON = 100
"""Training images; three times as many came to the same."""
_AT_ONCE = 16


def as_it_is(run_dir: Path, _context: Context) -> bytes:
    """Return the run's own file."""
    return read_model(run_dir, read_model_json(run_dir))


def in_half_floats(run_dir: Path, _context: Context) -> bytes:
    """Return a file that keeps the network's weights as float16 and computes with float32."""
    tf = tensorflow()

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return _converted(parts_of(run_dir), configure)


def with_small_weights(run_dir: Path, _context: Context) -> bytes:
    """Return a file that keeps the network's weights in 8 bits, and measures its numbers as it computes."""
    tf = tensorflow()

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    return _converted(parts_of(run_dir), configure)


def in_integers(run_dir: Path, context: Context) -> bytes:
    """Return a file whose network computes in whole numbers of 8 bits, measured on training images.

    The head stays float32: it is a thousandth of the work, and probabilities are what is read. Its biases
    make up for what the features are off by on the average: Nagel et al., "Data-Free Quantization Through
    Weight Equalization and Bias Correction", 2019.
    Raises OutputRefused where no training image is there any more.
    """
    parts = parts_of(run_dir)
    snapshot = read_snapshot(run_dir, read_model_json(run_dir))
    preprocessing = parts.backbone.preprocessing
    wanted = for_calibration(snapshot, CALIBRATED_ON)
    found = (pixels for _example, pixels in read_images(wanted, preprocessing, context.threads))
    images = list(islice((pixels for pixels in found if pixels is not None), CALIBRATED_ON))
    if not images:
        raise OutputRefused(
            _(
                "expected the run's training images, to calibrate on; {path} is not there any more. "
                "Bring them back, or choose another format."
            ).format(path=wanted[0].path if wanted else run_dir)
        )
    phase = _("Calibrating")

    def shown() -> Iterator[Uint8Array]:
        for done, pixels in enumerate(images):
            context.progress.report(phase, done, len(images))
            yield pixels

    content = in_whole_numbers(parts.network, preprocessing, shown)
    return with_head(content, _corrected(parts, content, images))


def _corrected(parts: Parts, content: bytes, images: Sequence[Uint8Array]) -> Head:
    scaled = parts.backbone.preprocessing.scaled(np.stack(images))
    exact = parts.network.predict(scaled, batch_size=_AT_ONCE, verbose=0)
    ask = Engine(content)
    off = np.mean(exact - np.stack([ask(pixels) for pixels in images]), axis=0)
    return Head(parts.head.weights, np.asarray(parts.head.bias + off @ parts.head.weights, np.float32))


def _converted(parts: Parts, configure: Callable[[Any], None]) -> bytes:
    scaling = parts.backbone.preprocessing.scaling_layer()
    scaling.name = "scaling"
    network = converted_on_pixels(
        lambda pixels: parts.network(scaling(pixels)),
        parts.backbone.preprocessing,
        name="network",
        configure=configure,
    )
    return with_head(network, parts.head)


def write(make: Callable[[Path, Context], bytes], run_dir: Path, output_dir: Path, context: Context) -> None:
    """Write `model.tflite` with metadata, and `labels.txt`. make: one of the functions above."""
    context.progress.report(_("Converting"), 0, None)
    content = with_metadata(make(run_dir, context), run_dir, context.name)
    with atomic_bytes(output_dir / MODEL) as file:
        file.write(content)
    write_labels(run_dir, output_dir)


def opened(output_dir: Path) -> Answer:
    """Return what asks a written file, on one thread."""
    return Engine((output_dir / MODEL).read_bytes())


_USAGE = _(
    """\
`model.tflite` takes an image as it is, $height_px x $width_px pixels of red, green and blue, one byte each
(`uint8`, `[1, $height_px, $width_px, 3]`, 0-255), and gives $classes probabilities (`float32`). Nothing has
to be scaled outside. The labels, and how images are to be understood, stand inside the file as metadata.

With MediaPipe Tasks (`pip install mediapipe`; the same file works in its Android, iOS and web versions):

```python
import mediapipe as mp

classifier = mp.tasks.vision.ImageClassifier.create_from_model_path("model.tflite")
answer = classifier.classify(mp.Image.create_from_file("image.jpg"))
for category in answer.classifications[0].categories:
    print(category.category_name, category.score)
```

With LiteRT alone (`pip install ai-edge-litert pillow numpy`), as in the studio:

```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

labels = open("labels.txt", encoding="utf-8").read().splitlines()
interpreter = Interpreter("model.tflite")
interpreter.allocate_tensors()
image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")
pixels = np.asarray(image.resize(($width_px, $height_px), Image.Resampling.BILINEAR))
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[np.newaxis])
interpreter.invoke()
scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
for at in np.argsort(-scores)[:5]:
    print(labels[at], scores[at])
```
"""
)
LITE_FORMATS = (
    Format(
        "tflite",
        _("TFLite, float32"),
        _("The run's own file: exact, for phones, computers and small boards."),
        partial(write, as_it_is),
        _USAGE,
        opened,
        near=1e-3,
    ),
    Format(
        "tflite-f16",
        _("TFLite, float16"),
        _("Half the size, nearly the same numbers; runs on a phone's GPU."),
        partial(write, in_half_floats),
        _USAGE,
        opened,
        near=0.1,
    ),
    Format(
        "tflite-dynamic",
        _("TFLite, dynamic range"),
        _("The smallest file without calibration; slower than the others on many computers."),
        partial(write, with_small_weights),
        _USAGE,
        opened,
    ),
    Format(
        "tflite-int8",
        _("TFLite, int8"),
        _("A quarter of the size and the fastest on a phone; calibrated on your training images."),
        partial(write, in_integers),
        _USAGE,
        opened,
    ),
)
