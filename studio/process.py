"""Start of a module as a process, the same on Linux, macOS and Windows."""

import os
import subprocess
import sys
from pathlib import Path

from studio.settings import Settings

_ROOT = Path(__file__).resolve().parents[1]


def start_module(module: str, settings: Settings, *, stdout: int | None = None) -> subprocess.Popen[str]:
    """Start `python -m <module>` with a pipe to its standard input and its output in the log folder.

    The module must end when the pipe closes, which happens however this process dies.
    stdout: `subprocess.PIPE` to read its output; standard error goes to the log in any case.
    """
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUTF8": "1",
        "STUDIO_HOME": str(settings.home),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    log_path = settings.logs_dir / f"{module.rpartition('.')[2]}.log"
    with log_path.open("a", encoding="utf-8") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=log if stdout is None else stdout,
            stderr=log,
            env=environment,
            text=True,
            encoding="utf-8",
        )
