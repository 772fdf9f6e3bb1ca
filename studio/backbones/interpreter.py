"""The LiteRT interpreter, the import of TensorFlow, and the capture of what both print."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import numpy.typing as npt

# File descriptors belong to the process: without a lock, one thread could restore the file of another.
_lock = threading.RLock()


def tensorflow() -> Any:
    """Import and return TensorFlow without its messages."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with captured_output():
            import tensorflow
    import tensorflow

    # Its logger was created during the capture and would write to a closed file.
    logger = tensorflow.get_logger()
    logger.handlers.clear()
    logger.setLevel("ERROR")
    return tensorflow


@contextmanager
def captured_output() -> Iterator[None]:
    """Capture all output of the process, also of C++ libraries; an error gets it as a note."""
    with _lock, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        _flush_streams()
        saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        try:
            for descriptor, _copy in saved:
                os.dup2(file.fileno(), descriptor)
            # Also Python's streams, which need not write to the descriptors.
            with redirect_stdout(file), redirect_stderr(file):
                yield
        except Exception as error:
            file.seek(0)
            error.add_note(file.read()[-4000:])
            raise
        finally:
            _flush_streams()
            for descriptor, copy in saved:
                os.dup2(copy, descriptor)
                os.close(copy)


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it is None under pythonw
            stream.flush()


class LiteRTInterpreter:
    """A LiteRT interpreter with a lock: thread-safe, but for speed use one per thread.

    content: the file's bytes, not its path: LiteRT cannot open every Windows path, and keeps the file open.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with captured_output():  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
            self._interpreter: Any = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()[0]
        self._input = details["index"]
        self.input_scale: tuple[float, int] = details["quantization"]
        """Scale and zero point of the input, `(byte - zero point) * scale`; zeros if not quantized."""
        self._outputs = tuple(each["index"] for each in self._interpreter.get_output_details())
        self._lock = threading.Lock()

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the first output for one image: uint8, (h, w, 3), to float32, (n,)."""
        output: npt.NDArray[np.float32] = self.outputs(pixels, 1)[0]
        return output

    def outputs(self, pixels: npt.NDArray[np.uint8], count: int | None = None) -> list[Any]:
        """Return the first `count` outputs for one image, by default all, without the batch dimension."""
        with self._lock:
            self._interpreter.set_tensor(self._input, pixels[np.newaxis])
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output)[0] for output in self._outputs[:count]]
