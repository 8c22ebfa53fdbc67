"""The HTTP session to one configured server, with its API token."""

from exporter.config.http import Authorization
from exporter.config.model import Server
from exporter.sources.http import HttpSession

_SPARE_CONNECTIONS = 2
"""For polls and probes, which run beside the analyses."""


def open_session(config: Server) -> HttpSession:
    """A session for this server. An API token goes out as a bearer token; its file is read at each request."""
    settings = config
    if config.api_token is not None or config.api_token_file is not None:
        bearer = Authorization(credentials=config.api_token, credentials_file=config.api_token_file)
        settings = config.model_copy(update={"authorization": bearer})
    return HttpSession(settings, pool_size=config.max_parallel + _SPARE_CONNECTIONS)
