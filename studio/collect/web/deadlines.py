"""Deadlines of HTTP requests, enforced by shutting down their sockets."""

import contextlib
import socket
import threading
import time

from studio.collect.web.rate_limits import FetcherClosed

POLL_S = 0.1


class Deadline:
    """The deadline of one request in flight, and the socket to shut down when it passes."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        """In seconds of time.monotonic."""
        self.handle: socket.socket | None = None
        """A duplicate of the connection's socket."""
        self.is_released = False
        """Whether the connection is closed; a body without a length may still be read."""
        self.was_aborted = False
        self.reused_connection = False
        """Whether the request was sent over a kept-alive connection."""


class DeadlineWatcher:
    """Enforces the deadlines of all requests. Thread-safe; each thread has at most one request at a time.

    A handle is a duplicate of a connection's socket. Shutting it down interrupts a thread that waits for the
    socket, also during a TLS handshake, when the socket itself is out of reach.
    """

    def __init__(self) -> None:
        self._active: set[Deadline] = set()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Return whether all requests have been ended."""
        return self._closed.is_set()

    def start(self, ends_at: float) -> Deadline:
        """Start the deadline of this thread's request. Raises FetcherClosed after `close`."""
        deadline = Deadline(ends_at)
        with self._lock:
            if self.closed:
                raise FetcherClosed
            self._active.add(deadline)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._watcher.start()
        self._local.deadline = deadline
        return deadline

    def attach(self, handle: socket.socket, *, reused: bool) -> None:
        """Attach the socket handle of this thread's request. reused: from a kept-alive connection."""
        deadline: Deadline = self._local.deadline
        with self._lock:
            _close_released(deadline)
            deadline.handle, deadline.reused_connection = handle, reused
            if deadline.was_aborted:
                _abort(deadline)

    def release(self, handle: socket.socket) -> None:
        """Close the handle of a closed connection, or leave that to the request that still uses it."""
        with self._lock:  # so that no new socket with the same number is shut down instead
            for deadline in self._active:
                if deadline.handle is handle:
                    deadline.is_released = True
                    return
            handle.close()

    def check(self) -> None:
        """Raise FetcherClosed or TimeoutError when this thread's request has been ended."""
        if self.closed:
            raise FetcherClosed
        if self._local.deadline.was_aborted:
            raise TimeoutError

    def finish(self, deadline: Deadline) -> bool:
        """End a request's deadline; return whether the request was aborted."""
        with self._lock:
            self._active.discard(deadline)
            _close_released(deadline)
            return deadline.was_aborted

    def close(self) -> None:
        """Abort all requests and refuse new ones."""
        with self._lock:
            self._closed.set()
            for deadline in self._active:
                _abort(deadline)

    def _run(self) -> None:
        while not self._closed.wait(POLL_S):
            now = time.monotonic()
            with self._lock:
                for deadline in self._active:
                    if deadline.ends_at <= now:
                        _abort(deadline)


def _close_released(deadline: Deadline) -> None:
    if deadline.handle is not None and deadline.is_released:
        deadline.handle.close()
        deadline.is_released = False


def _abort(deadline: Deadline) -> None:
    deadline.was_aborted = True
    if deadline.handle is not None:
        with contextlib.suppress(OSError):
            deadline.handle.shutdown(socket.SHUT_RDWR)
