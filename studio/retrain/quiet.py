"""TensorFlow and LiteRT without their chatter: it is for their makers, not for a person at a terminal."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

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
