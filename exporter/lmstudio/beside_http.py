"""What is known of a server beside its HTTP API, added to what a poll found: websocket RPC, process.

None of it can make a poll fail, and each part has a short deadline of its own.
"""

import logging
from dataclasses import replace

from exporter.config.model import Server
from exporter.lmstudio.hostprocess import HostProcess
from exporter.lmstudio.rpc import RpcClient
from exporter.lmstudio.rpc_state import RpcState, merge
from exporter.lmstudio.wire import ServerHealth

logger = logging.getLogger(__name__)

STALE_SECONDS = 30.0
"""How long times to live and of last use are taken from an earlier look while the RPC does not answer."""


class BesideHttp:
    """The other ways to one server. For one thread at a time.

    Args:
        config: the server.
        rpc: its websocket RPC.
        process: its process, if it runs on this host.
    """

    def __init__(self, config: Server, rpc: RpcClient, process: HostProcess) -> None:
        self._config = config
        self._rpc = rpc
        self._process = process
        self._was_up = True
        self._version = ""
        self._last: RpcState | None = None

    def complete(self, health: ServerHealth) -> ServerHealth:
        """The poll with all that the other ways tell.

        The RPC is asked only while the HTTP API is up, as it answers on the same port; with `rpc: auto` only an LM Studio.
        """
        try:
            completed = self._with_process(self._with_rpc(health))
        except Exception:
            # A fault of ours in what is only added must not make a server that is up look down.
            logger.exception("cannot tell more of server %s than its HTTP API does", self._config.name)
            return health
        self._version = completed.version or self._version
        return replace(completed, version=self._version)

    def close(self) -> None:
        """Close all connections."""
        self._rpc.close()
        self._process.close()

    def _with_rpc(self, health: ServerHealth) -> ServerHealth:
        if health.up and not self._was_up:
            self._rpc.look_again()
        self._was_up = health.up
        if not health.up:
            # What comes back may be another process of another version with other models.
            self._last, self._version = None, ""
            return replace(health, rpc_up=False if self._rpc.expected else None)
        if self._config.rpc == "off" or (self._config.rpc == "auto" and health.api == "openai"):
            return health
        state = self._rpc.look()
        if state is not None:
            self._last = state
            return replace(merge(health, state, present=True), rpc_up=True)
        if self._last is not None and 0 <= health.polled_at - self._last.at <= STALE_SECONDS:
            health = merge(health, self._last, present=False)
        return replace(health, rpc_up=False if self._rpc.expected else None, rpc_detail=self._rpc.problem)

    def _with_process(self, health: ServerHealth) -> ServerHealth:
        state = self._process.look(health)
        if state is None:
            return health
        health = replace(health, process_up=state.up)
        if self._config.rpc == "off" and health.up:
            # Only then: the two ways may word a version differently and count different processes.
            return replace(health, version=health.version or state.version, process_id=state.pid)
        return health
