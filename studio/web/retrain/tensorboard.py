"""TensorBoard processes: one per project, started on request and ended with the server."""

import json
import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from studio.errors import ServerError
from studio.i18n import _
from studio.process import start_module
from studio.retrain.run_folder import SUMMARIES_DIR
from studio.settings import Settings

_MAX_RUNS = 200
"""The length of a command line is limited, on Windows to 32,767 characters."""
_MAX_PROCESSES = 3
"""Each takes 100 MB and more; the oldest is ended for a new one."""
_START_TIMEOUT_S = 90
_RELOAD_S = 3
_SEPARATORS = re.compile(r"[,:/\\\x00-\x1f]")

TitledRun = tuple[str, str]
"""The unique title of a run, and the name of its folder."""


@dataclass
class _Process:
    process: subprocess.Popen[str]
    url: str
    logdir_spec: str


class TensorBoards:
    """Running TensorBoard processes, at most one per project; they end when this process does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes: dict[int, _Process] = {}
        self._lock = threading.Lock()

    def url(self, project_id: int, runs: Sequence[TitledRun]) -> str:
        """Return the URL of a TensorBoard that shows these runs; start it unless it is running.

        runs: newest first. Takes seconds. Raises ServerError where it does not start or no run can be shown.
        """
        logdir_spec = self._logdir_spec(runs)
        with self._lock:
            running = self._processes.pop(project_id, None)
            if running is not None and (
                running.process.poll() is not None or running.logdir_spec != logdir_spec
            ):
                _end(running)
                running = None
            if running is None:
                while len(self._processes) >= _MAX_PROCESSES:
                    _end(self._processes.pop(next(iter(self._processes))))
                running = self._start(logdir_spec)
            self._processes[project_id] = running
            return running.url

    def stop(self) -> None:
        """End all processes."""
        with self._lock:
            for running in self._processes.values():
                _end(running)
            self._processes.clear()

    def _logdir_spec(self, runs: Sequence[TitledRun]) -> str:
        parts = [
            f"{' '.join(_SEPARATORS.sub(' ', name).split())}:{folder}/{SUMMARIES_DIR}"
            for name, folder in runs
            if (self._settings.runs_dir / folder / SUMMARIES_DIR).is_dir()
        ]
        if not parts:
            raise ServerError(
                _("There is nothing for TensorBoard to show yet. Wait until training has started.")
            )
        return ",".join(parts[:_MAX_RUNS])

    def _start(self, logdir_spec: str) -> _Process:
        process = start_module("studio.web.retrain.tensorboard_child", self._settings, stdout=subprocess.PIPE)
        # Port 0: a free port, chosen by the system. Loopback only: TensorBoard has no authentication.
        arguments = [
            "--logdir_spec",
            logdir_spec,
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--reload_interval",
            str(_RELOAD_S),
        ]
        kill_timer = threading.Timer(_START_TIMEOUT_S, process.kill)
        kill_timer.start()
        try:
            message = {"folder": str(self._settings.runs_dir), "arguments": arguments}
            assert process.stdin is not None and process.stdout is not None  # noqa: S101 - as it was started
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            url = process.stdout.readline().strip()
        except OSError:
            url = ""  # the process ended before it read its arguments
        finally:
            kill_timer.cancel()
        if not url.startswith("http://"):
            process.kill()
            process.wait()
            raise ServerError(
                _("TensorBoard did not start. See {path} for the reason.").format(
                    path=self._settings.logs_dir / "tensorboard_child.log"
                )
            )
        return _Process(process, url, logdir_spec)


def _end(running: _Process) -> None:
    running.process.kill()
    running.process.wait()
