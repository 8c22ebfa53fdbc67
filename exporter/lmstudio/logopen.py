"""From a server's configuration to its log stream, if it has one."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lms import LocalLmStudio, find_lms, is_this_host
from exporter.lmstudio.logstream import LogStream
from exporter.lmstudio.own_calls import OwnCalls
from exporter.lmstudio.wire import Prediction
from exporter.logs import fields

logger = logging.getLogger(__name__)


def open_log_stream(
    config: Server,
    clock: Clock,
    *,
    environ: Mapping[str, str],
    home: Path,
    on_prediction: Callable[[Prediction], None],
    on_failure: Callable[[str, ModelFailure], None],
    on_state: Callable[[bool], None],
    own: OwnCalls | None,
) -> LogStream | None:
    """The log stream of a server, not started yet; None where there can be none.

    `auto` says nothing where the server is on another host or `lms` is not here. `on` then warns, and tells that the stream
    is down.

    Args:
        config: the server.
        clock: tells the time.
        environ: the environment, for the path on which `lms` is looked for and for `lms` itself.
        home: the home directory of the user whose LM Studio it is.
        on_prediction: as for LogStream.
        on_failure: as for LogStream.
        on_state: as for LogStream.
        own: as for LogStream.
    """
    if config.log_stream == "off":
        return None
    lms = find_lms(environ, home)
    here = is_this_host(config.url)
    if lms is None or not here:
        if config.log_stream == "on":
            reason = "there is no command lms on the path or in ~/.lmstudio/bin" if here else "it is on another host"
            logger.warning("no log stream", extra=fields(server=config.name, url=config.url, reason=reason))
            on_state(False)
        return None
    local = LocalLmStudio(config, home)
    return LogStream(
        config,
        lms,
        local.runs,
        clock,
        on_prediction=on_prediction,
        on_failure=on_failure,
        on_state=on_state,
        own=own,
        environ=lambda: local.environ(environ),
        on_stop=local.close,
    )
