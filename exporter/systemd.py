"""Tells systemd how the service is doing: the datagrams of sd_notify(3), for units with `Type=notify`."""

import contextlib
import os
import socket


def notify(state: str) -> bool:
    """Send one state to the service manager that started this process.

    Args:
        state: what sd_notify(3) lists: `READY=1`, `STOPPING=1`, `STATUS=...`.

    Returns:
        Whether it was handed over; False where no service manager asked for it, or it does not listen any more: that
        is never a reason for a service to fail.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    family = getattr(socket, "AF_UNIX", None)  # Windows has none
    if not address.startswith(("/", "@")) or family is None:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), address)
        return True
    return False
