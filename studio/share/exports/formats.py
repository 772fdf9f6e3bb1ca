"""The registry of export formats, from which the Share page, the command line and the export job take them.

A new format is one new module with an `ExportFormat`, and one line here.
"""

from studio.share.deploy.format import DEPLOY
from studio.share.exports.export_format import ExportFormat
from studio.share.exports.frozen_graph import FROZEN_GRAPH
from studio.share.exports.keras import KERAS
from studio.share.exports.onnx import ONNX
from studio.share.exports.saved_model import SAVED_MODEL
from studio.share.exports.teachable_machine import TEACHABLE_MACHINE
from studio.share.exports.tflite import TFLITE_FORMATS
from studio.share.web_demo.format import WEB

_FORMATS: tuple[ExportFormat, ...] = (
    *TFLITE_FORMATS,
    FROZEN_GRAPH,
    SAVED_MODEL,
    KERAS,
    ONNX,
    TEACHABLE_MACHINE,
    WEB,
    DEPLOY,
)

EXPORT_FORMATS: dict[str, ExportFormat] = {each.name: each for each in _FORMATS}
"""By the name for `--format`, in the order of the page."""
