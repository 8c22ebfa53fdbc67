"""A small model behind LM Studio's API, for stacks on machines that have no LM Studio."""

import logging
import signal
import threading
from pathlib import Path

from exporter.embedded.engine import LlamaEngine, find_demo_model
from exporter.embedded.studio import StudioServer
from exporter.errors import ConfigError
from exporter.logs import fields

logger = logging.getLogger(__name__)

_SIGNAL_SECONDS = 1.0
"""On Windows a wait without an end cannot be interrupted: Ctrl-C would never be seen."""


def serve_model(*, model: Path | None, listen: str) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        model: a GGUF file; None takes the demo's.
        listen: `host:port` in IPv4, or `:port` for all addresses.

    Raises:
        LmwatchError: the model cannot be loaded, or the address cannot be listened on.
    """
    host, port = _parse(listen)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    engine = LlamaEngine(model or find_demo_model())
    try:
        with StudioServer([engine], host=host, port=port) as studio:
            logger.info("serving a model", extra=fields(url=studio.url, model=", ".join(studio.loaded)))
            while not stopped.wait(_SIGNAL_SECONDS):
                pass
            logger.info("stopping")
    finally:
        engine.close()
    return 0


def _parse(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"{listen!r} is no address to listen on; write it like 127.0.0.1:1234 or :1234")
    return host or "0.0.0.0", int(port)  # noqa: S104 - that is what ":1234" asks for
