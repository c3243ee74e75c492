"""The table of TCP and UDP sockets where there is no netlink: what psutil reads, on Windows from iphlpapi.dll."""

from __future__ import annotations

from typing import Final

from probes.base import NotPermitted
from probes.system.linux.holders import Holders
from probes.system.linux.sockdiag import DiagSocket

#: psutil's words that are not simply the kernel's in capitals.
_STATES: Final = {"NONE": "unconnected", "FIN_WAIT1": "fin-wait-1", "FIN_WAIT2": "fin-wait-2", "CLOSE": "closed"}
_CLOSED: Final = frozenset({"time-wait", "closed", "delete-tcb"})


def table(transport: str, port: int | None) -> tuple[list[DiagSocket], Holders]:
    """Return the sockets on a local port (on any for ``None``) and who holds them; blocks for some milliseconds.

    Queues, times and users are not known. ``inode`` is a number of our own, by which the holders are found. Raises
    :class:`NotPermitted` where the table takes a privilege (macOS).
    """
    import socket  # noqa: PLC0415

    import psutil  # noqa: PLC0415 - 17 ms that most runs need not pay

    found: list[DiagSocket] = []
    held: dict[int, tuple[int, ...]] = {}
    try:
        listed = psutil.net_connections(transport)
    except (psutil.AccessDenied, PermissionError) as error:
        raise NotPermitted("reason.socket-table-unreadable") from error
    for number, one in enumerate(listed, 1):
        if not one.laddr or (port is not None and one.laddr.port != port):
            continue
        family = 6 if one.family == socket.AF_INET6 else 4
        state = _STATES.get(one.status, one.status.lower().replace("_", "-"))
        remote = one.raddr or None
        found.append(
            DiagSocket(
                family=family,
                state=state,
                local_address=one.laddr.ip,
                local_port=one.laddr.port,
                remote_address=remote.ip if remote else "::" if family == 6 else "0.0.0.0",
                remote_port=remote.port if remote else 0,
                receive_queue=None,
                send_queue=None,
                time_left_s=None,
                uid=None,
                inode=0 if state in _CLOSED else number,
            )
        )
        if one.pid and state not in _CLOSED:
            held[number] = (one.pid,)
    return found, Holders(held, 0)
