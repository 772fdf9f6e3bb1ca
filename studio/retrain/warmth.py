"""Getting ready before there is anything to do, so that a waiting process answers at once."""

import numpy as np

from studio.retrain.head import gradient_descent


def warm() -> None:
    """Import TensorFlow and LiteRT and compile the training loop: seconds, once in a process."""
    import ai_edge_litert.interpreter  # noqa: F401 - to have it imported

    gradient_descent()(
        np.zeros((3, 2), np.float32),
        np.zeros(2, np.float32),
        np.zeros((1, 4, 3), np.float32),
        np.zeros((1, 4), np.int32),
        0.01,
    )
