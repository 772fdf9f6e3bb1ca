"""Getting ready before there is anything to do, so that a waiting process answers at once."""

from pathlib import Path

import numpy as np

from studio.progress import Silent
from studio.retrain.backbones import DEFAULT, ready
from studio.retrain.head import gradient_descent


def warm(backbones_dir: Path) -> None:
    """Import TensorFlow and LiteRT, compile the training loop, convert the default backbone where missing.

    Takes seconds once in a process, and ten more once in a data folder. Raises BackboneError.
    """
    import ai_edge_litert.interpreter  # noqa: F401 - to have it imported

    gradient_descent()(
        np.zeros((3, 2), np.float32),
        np.zeros(2, np.float32),
        np.zeros((1, 4, 3), np.float32),
        np.zeros((1, 4), np.int32),
        0.01,
    )
    ready(DEFAULT, backbones_dir, Silent())
