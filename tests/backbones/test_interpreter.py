import os
import sys

import pytest

from studio.backbones.interpreter import captured_output, tensorflow


def test_output_is_captured_and_restored(capfd: pytest.CaptureFixture[str]) -> None:
    with captured_output():
        print("python")
        os.write(1, b"out")
        os.write(2, b"err")
        sys.stderr.write("python too")
    print("after")
    os.write(2, b"and after")
    assert capfd.readouterr() == ("after\n", "and after")


def test_an_error_gets_the_captured_output_as_a_note() -> None:
    with pytest.raises(ValueError, match="broken") as caught, captured_output():
        os.write(2, "왜 it broke".encode())
        raise ValueError("broken")
    assert "왜 it broke" in caught.value.__notes__[0]


def test_tensorflow_logs_errors_but_not_warnings(caplog: pytest.LogCaptureFixture) -> None:
    logger = tensorflow().get_logger()
    logger.warning("tracing is expensive")
    logger.error("something broke")
    assert caplog.messages == ["something broke"]
    assert logger.handlers == []  # a handler made during the capture would write to a closed file
