"""A LiteRT file that answers on one image at a time."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import numpy.typing as npt

# Descriptors belong to the process: of two threads taking turns here, one could put back the other's file.
_lock = threading.RLock()


def tensorflow() -> Any:
    """Import and return TensorFlow, with nothing printed."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with captured_output():
            import tensorflow
    import tensorflow

    # Its logger was made while output was kept back, and would write to a file that is closed.
    logger = tensorflow.get_logger()
    logger.handlers.clear()
    logger.setLevel("ERROR")
    return tensorflow


@contextmanager
def captured_output() -> Iterator[None]:
    """Keep back all that the process prints, C++ libraries included; an error gets it as its note."""
    with _lock, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        _flush()
        kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        try:
            for descriptor, _copy in kept:
                os.dup2(file.fileno(), descriptor)
            # Python's streams too: they need not lead to the descriptors.
            with redirect_stdout(file), redirect_stderr(file):
                yield
        except Exception as error:
            file.seek(0)
            error.add_note(file.read()[-4000:])
            raise
        finally:
            _flush()
            for descriptor, copy in kept:
                os.dup2(copy, descriptor)
                os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as under pythonw
            stream.flush()


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
        """Return the answer on one image: uint8, (h, w, 3) in; float32, (n,) out."""
        answer: npt.NDArray[np.float32] = self.outputs(pixels, 1)[0]
        return answer

    def outputs(self, pixels: npt.NDArray[np.uint8], count: int | None = None) -> list[Any]:
        """Return the first `count` outputs on one image, all by default, each without its batch of one."""
        with self._lock:
            self._interpreter.set_tensor(self._input, pixels[np.newaxis])
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output)[0] for output in self._outputs[:count]]
