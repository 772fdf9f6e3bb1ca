"""The export formats `tflite…`: LiteRT files with metadata, as float32, float16, dynamic range and int8."""

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
from studio.backbones.conversion import convert_on_pixels, convert_to_int8
from studio.backbones.interpreter import LiteRTInterpreter, tensorflow
from studio.errors import OutputRefused
from studio.files import atomic_bytes
from studio.i18n import _
from studio.retrain.confidence import CONFIDENCE_FILE
from studio.retrain.head.head import Head
from studio.retrain.model_file import attach_head, pack_model
from studio.retrain.run_folder import (
    LABELS_FILE,
    MODEL_FILE,
    format_labels,
    read_labels,
    read_model,
    read_model_json,
    read_snapshot,
)
from studio.share.exports.documents import write_labels
from studio.share.exports.export_format import ExportContext, ExportFormat, PredictFunction
from studio.share.exports.keras_model import ModelParts, load_model_parts
from studio.share.exports.parity import calibration_examples, read_images

_METADATA_NAME, _FILE_IDENTIFIER = "TFLITE_METADATA", b"M001"
_FEATURE, _IMAGE = 1, 2
"""Values of `ContentProperties` in the metadata schema."""
_RGB, _NORMALIZATION, _AXIS_LABELS, _NO_SPECIAL_FILE = 1, 1, 2, 0
_MIN_PARSER_VERSION = "1.0.0"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member, so that the same model gives the same bytes."""


def add_metadata(model: bytes, run_dir: Path, name: str) -> bytes:
    """Return a run's LiteRT file with metadata for uint8 pixels in and a probability a label out.

    name: the model's, for people. `sureness.json` is added if the run has one.
    """
    from ai_edge_litert import schema_py_generated as schema

    labels = read_labels(run_dir, read_model_json(run_dir))
    files = {LABELS_FILE: format_labels(labels).encode()}
    if (run_dir / CONFIDENCE_FILE).is_file():
        files[CONFIDENCE_FILE] = (run_dir / CONFIDENCE_FILE).read_bytes()
    parsed = schema.ModelT.InitFromPackedBuf(model)
    data = np.frombuffer(_metadata(name, len(labels), CONFIDENCE_FILE in files), np.uint8)
    parsed.buffers.append(schema.BufferT(data=data))
    others = [each for each in parsed.metadata or [] if each.name != _METADATA_NAME.encode()]
    parsed.metadata = [*others, schema.MetadataT(name=_METADATA_NAME, buffer=len(parsed.buffers) - 1)]
    output = io.BytesIO(pack_model(parsed, len(model)))
    with zipfile.ZipFile(output, "a", zipfile.ZIP_STORED) as archive:
        for member, content in files.items():
            archive.writestr(zipfile.ZipInfo(member, _ZIP_EPOCH), content)
    return output.getvalue()


@dataclass(frozen=True)
class _Byte:
    value: int


@dataclass(frozen=True)
class _Table:
    """A flatbuffer table: values by slot. A union takes two slots, its type as a `_Byte` and its table."""

    slots: dict[int, "str | _Byte | _Table | list[float] | list[_Table]"]

    def put(self, builder: Any) -> int:
        """Write the table's values, then the table, and return its offset."""
        offsets = {slot: _put(builder, value) for slot, value in self.slots.items()}
        builder.StartObject(max(self.slots, default=-1) + 1)
        for slot, value in self.slots.items():
            if isinstance(value, _Byte):
                builder.PrependUint8Slot(slot, value.value, 0)
            else:
                builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
        return int(builder.EndObject())


def _put(builder: Any, value: object) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, _Table):
        return value.put(builder)
    if isinstance(value, list):
        of_floats = isinstance(value[0], float)
        items = value if of_floats else [each.put(builder) for each in value]
        builder.StartVector(4, len(items), 4)
        for each in reversed(items):
            (builder.PrependFloat32 if of_floats else builder.PrependUOffsetTRelative)(each)
        return int(builder.EndVector())
    return 0


def _metadata(name: str, classes: int, has_thresholds: bool) -> bytes:
    """Build the metadata flatbuffer. has_thresholds: whether `sureness.json` is in the file."""
    builder = flatbuffers.Builder(1024)
    input_tensor = _Table(
        {
            0: "input",
            1: _("An RGB image, unscaled, 0 to 255."),
            3: _Table({0: _Byte(_IMAGE), 1: _Table({0: _Byte(_RGB)})}),
            4: [_Table({0: _Byte(_NORMALIZATION), 1: _Table({0: [0.0], 1: [1.0]})})],
            5: _Table({0: [255.0], 1: [0.0]}),
        }
    )
    output_tensor = _Table(
        {
            0: "final_result",
            1: _("The probabilities of {count} classes.").format(count=classes),
            3: _Table({0: _Byte(_FEATURE), 1: _Table({})}),
            5: _Table({0: [1.0], 1: [0.0]}),
            6: [_Table({0: LABELS_FILE, 1: _("One class a line."), 2: _Byte(_AXIS_LABELS)})],
        }
    )
    model: dict[int, Any] = {
        0: name,
        1: _("An image classifier with {count} classes, made with Retrain Studio {version}.").format(
            count=classes, version=__version__
        ),
        2: "1",
        3: [_Table({2: [input_tensor], 3: [output_tensor]})],
        7: _MIN_PARSER_VERSION,
    }
    if has_thresholds:
        about = _("The temperature of the probabilities, and the thresholds for “not sure”.")
        model[6] = [_Table({0: CONFIDENCE_FILE, 1: about, 2: _Byte(_NO_SPECIAL_FILE)})]
    builder.Finish(_Table(model).put(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())


CALIBRATION_IMAGES = 100
"""Training images for int8 calibration; 300 gave the same result."""
_BATCH_SIZE = 16


def float32_model(run_dir: Path, _context: ExportContext) -> bytes:
    """Return the run's own file."""
    return read_model(run_dir, read_model_json(run_dir))


def float16_model(run_dir: Path, _context: ExportContext) -> bytes:
    """Convert to float16 weights and float32 computation."""
    tf = tensorflow()

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return _convert(load_model_parts(run_dir), configure)


def dynamic_range_model(run_dir: Path, _context: ExportContext) -> bytes:
    """Convert to 8-bit weights, with activations quantized at run time."""
    tf = tensorflow()

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    return _convert(load_model_parts(run_dir), configure)


def int8_model(run_dir: Path, context: ExportContext) -> bytes:
    """Convert the backbone to 8-bit integers, calibrated on training images; the head stays float32.

    The head is a thousandth of the computation, and its output should be precise. Its biases correct the mean
    error of the quantized features: Nagel et al., "Data-Free Quantization Through Weight Equalization and
    Bias Correction", 2019. Raises OutputRefused if no training image can be read.
    """
    parts = load_model_parts(run_dir)
    snapshot = read_snapshot(run_dir, read_model_json(run_dir))
    preprocessing = parts.backbone.preprocessing
    examples = calibration_examples(snapshot, CALIBRATION_IMAGES)
    readable = (
        pixels
        for _example, pixels in read_images(examples, preprocessing, context.threads)
        if pixels is not None
    )
    images = list(islice(readable, CALIBRATION_IMAGES))
    if not images:
        raise OutputRefused(
            _(
                "expected the run's training images for calibration; {path} is missing. Restore them, or "
                "choose another format."
            ).format(path=examples[0].path if examples else run_dir)
        )
    phase = _("Calibrating")

    def calibration_images() -> Iterator[Uint8Array]:
        for done, pixels in enumerate(images):
            context.progress.report(phase, done, len(images))
            yield pixels

    content = convert_to_int8(parts.network, preprocessing, calibration_images)
    return attach_head(content, _bias_corrected_head(parts, content, images))


def _bias_corrected_head(parts: ModelParts, content: bytes, images: Sequence[Uint8Array]) -> Head:
    """Return the head with its biases corrected for the mean error of the quantized features on `images`."""
    scaled = parts.backbone.preprocessing.scaled(np.stack(images))
    exact = parts.network.predict(scaled, batch_size=_BATCH_SIZE, verbose=0)
    quantized = LiteRTInterpreter(content)
    mean_error = np.mean(exact - np.stack([quantized(pixels) for pixels in images]), axis=0)
    return Head(parts.head.weights, np.asarray(parts.head.bias + mean_error @ parts.head.weights, np.float32))


def _convert(parts: ModelParts, configure: Callable[[Any], None]) -> bytes:
    scaling = parts.backbone.preprocessing.scaling_layer()
    scaling.name = "scaling"
    network = convert_on_pixels(
        lambda pixels: parts.network(scaling(pixels)),
        parts.backbone.preprocessing,
        name="network",
        configure=configure,
    )
    return attach_head(network, parts.head)


def _write(
    convert: Callable[[Path, ExportContext], bytes], run_dir: Path, output_dir: Path, context: ExportContext
) -> None:
    """Write `model.tflite` with metadata, and `labels.txt`. convert: one of the functions above."""
    context.progress.report(_("Converting"), 0, None)
    content = add_metadata(convert(run_dir, context), run_dir, context.name)
    with atomic_bytes(output_dir / MODEL_FILE) as file:
        file.write(content)
    write_labels(run_dir, output_dir)


def load_predictor(output_dir: Path) -> PredictFunction:
    """Load a written file, to run on one thread."""
    return LiteRTInterpreter((output_dir / MODEL_FILE).read_bytes())


_USAGE = _(
    """\
`model.tflite` takes an unscaled RGB image of $height_px x $width_px pixels (`uint8`,
`[1, $height_px, $width_px, 3]`, 0-255) and returns $classes probabilities (`float32`). Do not scale the
pixels yourself. The labels and the description of the input are in the file as metadata.

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
TFLITE_FORMATS = (
    ExportFormat(
        "tflite",
        _("TFLite, float32"),
        _("The run's own file: exact, for phones, computers and small boards."),
        partial(_write, float32_model),
        _USAGE,
        load_predictor,
        max_difference=1e-3,
    ),
    ExportFormat(
        "tflite-f16",
        _("TFLite, float16"),
        _("Half the size, nearly the same probabilities; runs on a phone's GPU."),
        partial(_write, float16_model),
        _USAGE,
        load_predictor,
        max_difference=0.1,
    ),
    ExportFormat(
        "tflite-dynamic",
        _("TFLite, dynamic range"),
        _("The smallest file, without calibration; slower than the others on many computers."),
        partial(_write, dynamic_range_model),
        _USAGE,
        load_predictor,
    ),
    ExportFormat(
        "tflite-int8",
        _("TFLite, int8"),
        _("A quarter of the size and the fastest on a phone; calibrated on your training images."),
        partial(_write, int8_model),
        _USAGE,
        load_predictor,
    ),
)
