"""A LiteRT file that answers on one picture at a time."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.retrain.quiet import captured_output


class Engine:
    """One interpreter and its lock: safe in threads, though one per thread is what makes them fast.

    content: the file's bytes. A path would not do: LiteRT cannot open every Windows path, and would keep
    the file open.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with captured_output():  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
            self._interpreter: Any = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()[0]
        self._input = details["index"]
        self.input_scale: tuple[float, int] = details["quantization"]
        """How the network understands a byte, `(byte - second) * first`; zeros where it scales by itself."""
        self._outputs = tuple(each["index"] for each in self._interpreter.get_output_details())
        self._lock = threading.Lock()

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the answer on one picture: uint8, (h, w, 3) in; float32, (n,) out."""
        answer: npt.NDArray[np.float32] = self.outputs(pixels, 1)[0]
        return answer

    def outputs(self, pixels: npt.NDArray[np.uint8], count: int | None = None) -> list[Any]:
        """Return the first `count` outputs on one picture, all by default, each without its batch of one."""
        with self._lock:
            self._interpreter.set_tensor(self._input, pixels[np.newaxis])
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output)[0] for output in self._outputs[:count]]
