import os
import sys

import pytest

from studio.backbones.interpreter import captured_output, tensorflow


def test_nothing_is_printed_and_all_is_printed_again_after(capfd: pytest.CaptureFixture[str]) -> None:
    with captured_output():
        print("python")
        os.write(1, b"out")
        os.write(2, b"err")
        sys.stderr.write("python too")
    print("after")
    os.write(2, b"and after")
    assert capfd.readouterr() == ("after\n", "and after")


def test_an_error_carries_what_was_printed() -> None:
    with pytest.raises(ValueError, match="broken") as caught, captured_output():
        os.write(2, "왜 it broke".encode())
        raise ValueError("broken")
    assert "왜 it broke" in caught.value.__notes__[0]


def test_tensorflows_warnings_are_kept_back_and_its_errors_told(caplog: pytest.LogCaptureFixture) -> None:
    logger = tensorflow().get_logger()
    logger.warning("tracing is expensive")
    logger.error("something broke")
    assert caplog.messages == ["something broke"]
    assert logger.handlers == []  # one of its own would write to what was kept back, and is closed
