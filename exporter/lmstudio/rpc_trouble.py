"""How a look at the websocket RPC fails, and what limits it."""

from typing import Literal

import websocket

from exporter.errors import LmwatchError
from exporter.lmstudio.failures import readable
from exporter.sources.call import Call
from exporter.sources.failures import FOREIGN, HttpError, translate

MAX_BYTES = 8 * 1024**2
"""That may come in during one look, on all its sockets together."""
WEBSOCKET_ERRORS: tuple[type[Exception], ...] = (websocket.WebSocketException, *FOREIGN)
"""What websocket-client, ssl and socket raise on their own."""

Trouble = Literal["denied", "absent", "failed", "cancelled"]


class RpcError(LmwatchError):
    """The websocket RPC gave no answer. The text names the address and holds no secret.

    Attributes:
        trouble: `denied`: the server wants other credentials; `absent`: what answers there is no LM Studio RPC;
            `failed`: it may work later; `cancelled`: lmwatch gave up by itself.
    """

    def __init__(self, trouble: Trouble, url: str, text: str) -> None:
        self.trouble: Trouble = trouble
        super().__init__(f"{url}: {readable(text)}")


class Look(Call):
    """The deadline, and the limit of bytes, of one look at a server."""

    def left(self) -> float:
        """Seconds left, more than 0; see Call.left.

        Raises:
            OSError: too much came in; or as Call.left.
        """
        if self.received > MAX_BYTES:
            raise OSError(f"more than {MAX_BYTES} bytes came in")
        return super().left()


def trouble_in(error: BaseException, look: Look, url: str) -> RpcError:
    """The RpcError that one of `WEBSOCKET_ERRORS` means.

    Args:
        error: what was raised.
        look: during which.
        url: of the websocket.
    """
    if look.cancelled:
        return RpcError("cancelled", url, "given up")
    if isinstance(error, websocket.WebSocketTimeoutException) or look.expired():
        return RpcError(
            "failed", url, f"no complete answer within {look.seconds:g} s (got as far as {look.progress()})"
        )
    if isinstance(error, websocket.WebSocketConnectionClosedException):
        return RpcError("failed", url, "connection lost: the server closed it")
    if isinstance(error, websocket.WebSocketException):
        return RpcError("failed", url, f"not a websocket as it should be: {error}")
    said = str(error if isinstance(error, HttpError) else translate(error, look, url))
    return RpcError("failed", url, said.removeprefix(f"{url}: "))
