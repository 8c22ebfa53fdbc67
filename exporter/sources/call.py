"""One HTTP request under way: its deadline, how far it got, and how another thread ends it."""

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from exporter.clock import SystemClock

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
_CLOCK = SystemClock()


class Cancel:
    """Ends the calls it was given to, at once, from any thread. Once set it stays set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._calls: set[Call] = set()

    def cancel(self) -> None:
        """Close the sockets of the calls under way; their readers raise HttpError with kind `cancelled`."""
        with self._lock:
            self._set = True
            calls = tuple(self._calls)
        for call in calls:
            call.abort()

    def is_set(self) -> bool:
        """Whether `cancel` was called."""
        return self._set

    def add(self, call: "Call") -> None:
        """Have this call end when `cancel` is called; at once if it was already."""
        with self._lock:
            self._calls.add(call)
            late = self._set
        if late:
            call.abort()

    def discard(self, call: "Call") -> None:
        """Forget a call that has ended."""
        with self._lock:
            self._calls.discard(call)


class Call:
    """The deadline of one request, and the socket it is on.

    The deadline holds for everything together, because each operation on the socket is allowed only what is
    left of it: a server that sends a byte a second gets no further than one that sends nothing.
    """

    def __init__(self, seconds: float, cancel: Cancel | None = None) -> None:
        self.seconds = seconds
        self.started = _CLOCK.monotonic()
        self.received = 0
        """Bytes received, as they came over the wire."""
        self.reused = True
        """Whether the request went out on a connection that an earlier one had opened."""
        self.cancelled = False
        self._until = self.started + seconds
        self._stage = "the start"
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._wake: Callable[[], None] | None = None
        self._cancel = cancel
        if cancel is not None:
            cancel.add(self)

    def left(self) -> float:
        """Seconds left, more than 0.

        Raises:
            TimeoutError: none are left.
            ConnectionAbortedError: the call was cancelled.
        """
        if self.cancelled:
            raise ConnectionAbortedError("cancelled")
        left = self._until - _CLOCK.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return _CLOCK.monotonic() >= self._until

    def elapsed(self) -> float:
        """Seconds since the call started."""
        return _CLOCK.monotonic() - self.started

    def reach(self, stage: str) -> None:
        """Note how far the call got."""
        self._stage = stage

    def progress(self) -> str:
        """How far the call got, in words."""
        if self.received and self._stage == "waiting for the first byte":
            return f"reading the answer, {self.received} bytes so far"
        return self._stage

    def on(self, sock: socket.socket) -> None:
        """Note the socket that the call is on from now.

        Raises:
            ConnectionAbortedError: the call was cancelled meanwhile.
        """
        with self._lock:
            self._socket = sock
        if self.cancelled:
            raise ConnectionAbortedError("cancelled")

    def abort(self) -> None:
        """End the call from another thread: whoever waits on its socket wakes up."""
        with self._lock:
            self.cancelled = True
            if self._wake is not None:
                self._wake()
            if self._socket is not None:
                # SSLSocket.shutdown drops its TLS state under the reader's feet; the plain one only wakes it.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def finish(self) -> None:
        """The call has ended: nobody may abort what its connection is used for next."""
        with self._lock:
            self._socket = None
        if self._cancel is not None:
            self._cancel.discard(self)

    def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of a host; a name is looked up in a thread, as the system's resolver knows no deadline.

        Raises:
            socket.gaierror: the name is unknown.
            TimeoutError: the name server did not answer in time.
        """
        with contextlib.suppress(socket.gaierror, UnicodeError):
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
        self.reach(f"resolving the name {host}")
        answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
            except OSError as error:
                answers.put(error)
            except UnicodeError:
                answers.put(socket.gaierror(socket.EAI_NONAME, "a part of the name is empty or too long"))

        with self._lock:
            self._wake = lambda: answers.put(ConnectionAbortedError("cancelled"))
        threading.Thread(target=look_up, name="lmwatch-resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=self.left())
        except queue.Empty:
            raise TimeoutError("the name server did not answer") from None
        finally:
            with self._lock:
                self._wake = None
        if isinstance(answer, Exception):
            raise answer
        return answer


CURRENT: ContextVar[Call] = ContextVar("lmwatch_call")
"""The call that this thread is making; how urllib3's connections, which take no further arguments, find it."""
