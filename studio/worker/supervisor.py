"""Supervision of the worker process by the web server."""

import subprocess
import threading

from studio.process import start_module
from studio.settings import Settings


class Supervisor:
    """Keeps one worker process running until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ended = threading.Event()
        self._worker: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Start the worker; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker and wait for it. Its job continues at the next start."""
        self._ended.set()
        self._thread.join(timeout=10)

    def _keep(self) -> None:
        while not self._ended.is_set():
            self._worker = start_module("studio.worker.worker", self._settings)
            while self._worker.poll() is None and not self._ended.wait(0.3):
                pass
            # A worker that cannot start must not be restarted in a tight loop.
            self._ended.wait(0.5)
        if self._worker is not None and self._worker.poll() is None:
            self._worker.kill()
            self._worker.wait()
