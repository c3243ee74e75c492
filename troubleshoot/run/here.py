"""Who runs this, and on what: the vantage of a report that is made here."""

from __future__ import annotations

import getpass
import socket

from probes.system import platform_name, system_version
from troubleshoot.report import Vantage


def vantage(*, privileged: bool, place: str | None = None) -> Vantage:
    """Return the vantage of this process; an account without a name has none."""
    try:
        user: str | None = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id that nobody has (a container's), no variable that names it
        user = None
    return Vantage(
        hostname=socket.gethostname(),
        platform=platform_name(),
        privileged=privileged,
        place=place,
        user=user,
        system=system_version(),
    )
