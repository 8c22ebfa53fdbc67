"""The proxy's own address: connections are accepted, and each is passed on by a thread of its own."""

import logging
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.errors import ConfigError, LmwatchError
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import Origin, Prediction
from exporter.logs import fields
from exporter.proxy.capture import Allowance
from exporter.proxy.dialogue import Dialogue
from exporter.proxy.exchange import Accounts, Exchange
from exporter.proxy.head import Head
from exporter.proxy.names import Names
from exporter.proxy.passage import Passage
from exporter.proxy.upstream import Upstream, prepare

logger = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0002
"""For `sys.setswitchinterval` in a process with a proxy: with the default of 5 ms, each piece that passes waits about 10 ms while
another thread computes, with this less than 1 ms."""
MAX_CONNECTIONS = 512
"""Clients at the same time; further ones wait until one leaves."""
HELD_BYTES = 64 * 1024**2
"""Of all bodies that are being read, together; what does not fit passes, and is counted by its status."""
_BACKLOG = 128
_CUT_SECONDS = 1.0
"""How long threads whose clients were cut off may take to end."""
_PAUSE_SECONDS = 1.0
"""After a connection that could not be accepted, as when no more files may be opened."""
_ALL_LOCAL = ("localhost", "127.0.0.1", "::1")
_SAME_AS = {
    "::": _ALL_LOCAL,
    "0.0.0.0": _ALL_LOCAL,  # noqa: S104 - nothing is bound to it here
    "localhost": _ALL_LOCAL,
    "127.0.0.1": ("localhost",),
    "::1": ("localhost",),
}
"""Other hosts under which one that is listened on is reached."""


class MeteringProxy:
    """Listens on a second address for an LM Studio server, passes everything through unchanged, and counts it.

    Nothing in what passes is changed, not even the Host header: LM Studio does not look at it. Credentials pass through
    and are neither kept nor added. Counting comes after passing, and never disturbs it.

    Args:
        listen: `host:port`, or `:port` for all addresses; port 0 takes a free one.
        upstream: the server that everything goes to.
        clock: for durations.
        on_prediction: told each complete answer of a model, with no text in it, and the context that the model is loaded with.
        on_failure: told each request to a model that brought no usable answer: server, model, origin, failure.
        on_response: told the status of each answer: server, model, status; the model is empty on routes where none answers.
        context_of: tokens of context that a model is loaded with; None where that is not known.
        is_listed: whether the server lists a model or instance of this name; other names become labels only in a limited
            number. By default those are listed whose context is known.

    The callbacks come from the threads of the connections.

    Raises:
        ConfigError: the address is malformed, or the server cannot stand behind a proxy.
    """

    def __init__(
        self,
        listen: str,
        upstream: Server,
        clock: Clock,
        *,
        on_prediction: Callable[[Origin, Prediction, int | None], None],
        on_failure: Callable[[str, str, Origin, ModelFailure], None],
        on_response: Callable[[str, str, int], None],
        context_of: Callable[[str], int | None],
        is_listed: Callable[[str], bool] | None = None,
    ) -> None:
        self._listen = _parse(listen)
        self._upstream = Upstream(upstream)
        self._clock = clock
        self._accounts = Accounts(
            server=upstream.name,
            url=upstream.url,
            base=self._upstream.base,
            names=Names(is_listed or (lambda name: context_of(name) is not None)),
            allowance=Allowance(HELD_BYTES),
            context_of=context_of,
            on_prediction=on_prediction,
            on_failure=on_failure,
            on_response=on_response,
        )
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._passages: set[Passage] = set()
        self._uncounted = 0
        self._address = ""
        self._wake: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where it listens, `host:port` with the real port; empty while it does not run."""
        return self._address

    @property
    def connections(self) -> int:
        """Clients that are connected."""
        with self._changed:
            return len(self._passages)

    @property
    def uncounted(self) -> int:
        """Exchanges, or whole connections, that passed without being counted: no HTTP/1, or a failure in the counting."""
        with self._changed:
            return self._uncounted

    @property
    def port(self) -> int | None:
        """The port that it listens on; None while it does not run."""
        return int(self.address.rpartition(":")[2]) if self.address else None

    def check(self, held: int | None) -> None:
        """Find out whether its address can be listened on, without listening.

        Args:
            held: a port that is in use now and will be free by then; None if there is none.

        Raises:
            ConfigError: it cannot, or it is the server's own.
        """
        hosts, port = self._listen
        if port and self._is_loop(port):
            raise self._loop()
        if port != held:
            _listen(hosts, port).close()

    def start(self) -> None:
        """Listen, and pass on from now on.

        Raises:
            ConfigError: the address cannot be listened on, or it is the server's own.
            LmwatchError: it was started before.
        """
        if self._thread is not None:
            raise LmwatchError("a proxy is started once")
        listener = _listen(*self._listen)
        if self._is_loop(listener.getsockname()[1]):
            listener.close()
            raise self._loop()
        listener.setblocking(False)
        self._address = _format(*listener.getsockname()[:2])
        woken, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, args=(listener, woken), name="proxy", daemon=True)
        self._thread.start()
        logger.info("the proxy listens", extra=fields(address=self.address, server=self._upstream.name))

    def stop(self, timeout: float) -> None:
        """Stop listening at once, and end all connections. A second call does nothing.

        Args:
            timeout: seconds that answers which are under way may go on; idle connections and websockets end at once.
        """
        self._stopping.set()
        wake, self._wake = self._wake, None
        if wake is None or self._thread is None:
            return
        wake.close()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        self._address = ""
        with self._changed:
            for passage in self._passages:
                passage.retire()
            self._changed.wait_for(lambda: not self._passages, timeout)
            for passage in self._passages:
                passage.cut()
            self._changed.wait_for(lambda: not self._passages, _CUT_SECONDS)

    def _is_loop(self, port: int) -> bool:
        here = {name for host in self._listen[0] for name in (host, *_SAME_AS.get(host, ()))}
        return port == self._upstream.port and self._upstream.host in here

    def _loop(self) -> ConfigError:
        return ConfigError(f"proxy: {self._upstream.url} is the proxy's own address: it would pass on to itself")

    def _accept(self, listener: socket.socket, woken: socket.socket) -> None:
        with listener, woken, selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                with self._changed:
                    self._changed.wait_for(lambda: len(self._passages) < MAX_CONNECTIONS or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                try:
                    self._admit(listener.accept()[0])
                except (BlockingIOError, ConnectionError):
                    continue
                except (OSError, RuntimeError) as error:
                    logger.warning("a connection to the proxy was not accepted", extra=fields(error=str(error)))
                    self._stopping.wait(_PAUSE_SECONDS)

    def _admit(self, client: socket.socket) -> None:
        """Begin to pass for a client.

        Raises:
            RuntimeError: there are no more threads.
        """
        dialogue = Dialogue(self._begin, self._note_uncounted)
        passage = Passage(client, self._upstream, dialogue, self._clock, self._stopping)
        with self._changed:
            self._passages.add(passage)
        try:
            with suppress(OSError):
                prepare(client)
            threading.Thread(target=self._run, args=(passage,), name="proxy passage", daemon=True).start()
        except RuntimeError:
            client.close()
            self._forget(passage)
            raise

    def _run(self, passage: Passage) -> None:
        try:
            passage.run()
        finally:
            self._forget(passage)

    def _forget(self, passage: Passage) -> None:
        with self._changed:
            self._passages.discard(passage)
            self._changed.notify_all()

    def _begin(self, head: Head, at: float) -> Exchange:
        return Exchange(self._accounts, head, at)

    def _note_uncounted(self, error: Exception | None) -> None:
        """Only the kind of an error is logged: its text may hold what users wrote. And only the first, the second, the fourth…"""
        with self._changed:
            self._uncounted += 1
            uncounted = self._uncounted
        if error is not None and uncounted & (uncounted - 1) == 0:
            logger.warning(
                "an exchange was passed on but not counted",
                extra=fields(error=type(error).__name__, place=_place(error), uncounted=uncounted),
            )


def _place(error: Exception) -> str:
    """Where it was raised: file and line."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else ""


def _format(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse(listen: str) -> tuple[tuple[str, ...], int]:
    """Hosts to try, the first that works is taken, and the port."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"proxy: {listen!r} is no address to listen on; write it like 127.0.0.1:1235 or :1235")
    # `::` takes IPv4 too; where the machine has no IPv6 the second one is left.
    return (host,) if host else ("::", "0.0.0.0"), int(port)  # noqa: S104 - that is what ":1235" asks for


def _listen(hosts: tuple[str, ...], port: int) -> socket.socket:
    failure: OSError | None = None
    for host in hosts:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
                0
            ]
            both = host == "::" and socket.has_dualstack_ipv6()
            return socket.create_server(address[:2], family=family, backlog=_BACKLOG, dualstack_ipv6=both)
        except OSError as error:
            failure = error
    reason = failure.strerror if failure is not None else "no address"
    raise ConfigError(f"proxy: cannot listen on {hosts[0] or '*'}:{port}: {reason}")
