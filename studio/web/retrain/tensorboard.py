"""The real TensorBoard on a project's runs: started when asked for, ended with us."""

import json
import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from studio.errors import ServerError
from studio.i18n import _
from studio.process import start_module
from studio.retrain.run_folder import SUMMARIES
from studio.settings import Settings

_MOST_RUNS = 200
"""A command line has an end, on Windows after 32,767 letters."""
_MOST_BOARDS = 3
"""Each takes a hundred megabytes and more; the oldest makes room."""
_PATIENCE_S = 90
_RELOAD_S = 3
_PARTING = re.compile(r"[,:/\\\x00-\x1f]")

RunOnBoard = tuple[str, str]
"""What a run is called, unlike all others, and its folder's name."""


@dataclass
class _Board:
    process: subprocess.Popen[str]
    address: str
    runs: str


class TensorBoards:
    """At most one TensorBoard a project, each a process of its own that ends when this one does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._boards: dict[int, _Board] = {}
        self._lock = threading.Lock()

    def address(self, project_id: int, runs: Sequence[RunOnBoard]) -> str:
        """Return where TensorBoard shows these runs, the newest first, and start it unless it does already.

        Takes seconds. Raises ServerError where it does not start, or there is nothing to show.
        """
        wanted = self._wanted(runs)
        with self._lock:
            board = self._boards.pop(project_id, None)
            if board is not None and (board.process.poll() is not None or board.runs != wanted):
                _end(board)
                board = None
            if board is None:
                while len(self._boards) >= _MOST_BOARDS:
                    _end(self._boards.pop(next(iter(self._boards))))
                board = self._started(wanted)
            self._boards[project_id] = board
            return board.address

    def stop(self) -> None:
        """End them all."""
        with self._lock:
            for board in self._boards.values():
                _end(board)
            self._boards.clear()

    def _wanted(self, runs: Sequence[RunOnBoard]) -> str:
        there = [
            f"{' '.join(_PARTING.sub(' ', name).split())}:{folder}/{SUMMARIES}"
            for name, folder in runs
            if (self._settings.runs_dir / folder / SUMMARIES).is_dir()
        ]
        if not there:
            raise ServerError(_("There is nothing for TensorBoard to show yet. Wait until a run has begun."))
        return ",".join(there[:_MOST_RUNS])

    def _started(self, wanted: str) -> _Board:
        process = start_module("studio.web.retrain.tensorboard_child", self._settings, stdout=subprocess.PIPE)
        # Port 0: a free one, chosen by the system. Loopback, for TensorBoard asks nobody for a secret.
        arguments = [
            "--logdir_spec",
            wanted,
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--reload_interval",
            str(_RELOAD_S),
        ]
        lost_patience = threading.Timer(_PATIENCE_S, process.kill)
        lost_patience.start()
        try:
            asked = {"folder": str(self._settings.runs_dir), "arguments": arguments}
            assert process.stdin is not None and process.stdout is not None  # noqa: S101 - as it was started
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            address = process.stdout.readline().strip()
        except OSError:
            address = ""  # it was gone before it could be asked
        finally:
            lost_patience.cancel()
        if not address.startswith("http://"):
            process.kill()
            process.wait()
            raise ServerError(
                _("TensorBoard did not start; {path} says why.").format(
                    path=self._settings.logs_dir / "tensorboard_child.log"
                )
            )
        return _Board(process, address, wanted)


def _end(board: _Board) -> None:
    board.process.kill()
    board.process.wait()
