"""Getting ready before there is anything to do, so that a waiting process answers at once."""

from pathlib import Path

import numpy as np

from studio.progress import Silent
from studio.retrain.backbones import DEFAULT, ready
from studio.retrain.head.descent import descent


def warm(backbones_dir: Path) -> None:
    """Import TensorFlow and LiteRT, compile the training loop, convert the default backbone where missing.

    Takes seconds once in a process, and ten more once in a data folder. Raises BackboneError.
    """
    import ai_edge_litert.interpreter  # noqa: F401 - to have it imported

    layer = [np.zeros(shape, np.float32) for shape in ((3, 2), (2,), (0, 3, 2), (0, 2))]
    batch = np.zeros((1, 4, 3), np.float32), np.zeros((1, 4), np.int32)
    descent("sgd")(tuple(layer), *batch, 0, 0.01, 0.0)
    ready(DEFAULT, backbones_dir, Silent())
