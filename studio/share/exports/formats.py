"""The registry of the forms of export: the page, the command line and the job know no others."""

from studio.share.deploy.format import DEPLOY
from studio.share.exports.format import Format
from studio.share.exports.graph import GRAPH
from studio.share.exports.keras import KERAS, SAVED_MODEL
from studio.share.exports.onnx import ONNX
from studio.share.exports.teachable_machine import TEACHABLE_MACHINE
from studio.share.exports.tflite import LITE_FORMATS
from studio.share.web_demo.format import WEB

_FORMATS: tuple[Format, ...] = (
    *LITE_FORMATS,
    GRAPH,
    SAVED_MODEL,
    KERAS,
    ONNX,
    TEACHABLE_MACHINE,
    WEB,
    DEPLOY,
)

FORMATS: dict[str, Format] = {each.name: each for each in _FORMATS}
"""By the name that `--format` takes, in the order in which the page offers them."""
