"""The operating-system seam: facts and socket tricks that differ from one platform to the next.

``linux`` is complete, ``windows`` has what concerns Winsock and ports; nothing else in the project asks
``sys.platform``. What a platform cannot do is raised as :class:`probes.base.NotApplicable` with its reason.
"""

from __future__ import annotations

import sys
from typing import Literal

from probes.base import Context, NotApplicable


def on_linux() -> bool:
    """Tell whether this is Linux, the one system whose own interfaces (netlink, error queue) are used."""
    return sys.platform == "linux"


def platform_name() -> Literal["linux", "windows", "darwin"]:
    """Return the system's name as reports spell it; every system but the two others counts as Linux."""
    return "windows" if sys.platform == "win32" else "darwin" if sys.platform == "darwin" else "linux"


def system_version() -> str | None:
    """Return the system's name and its version (``Linux 6.1.0-30-amd64``), ``None`` where it does not tell."""
    import platform  # noqa: PLC0415 - for reports alone

    return f"{platform.system()} {platform.release()}".strip() or None


def file_of_names(name: str) -> str:
    """Return where the system keeps ``hosts`` or ``services``: ``/etc`` or Windows' folder of the same name."""
    if sys.platform != "win32":
        return f"/etc/{name}"
    import os  # noqa: PLC0415

    return os.environ.get("SYSTEMROOT", "C:\\Windows") + rf"\System32\drivers\etc\{name}"


def need_linux(probe: str) -> None:
    """Raise :class:`NotApplicable` (``reason.platform-lacks``) where this is not Linux."""
    if not on_linux():
        named = {"win32": "Windows", "darwin": "macOS"}.get(sys.platform, sys.platform)
        raise NotApplicable("reason.platform-lacks", probe=probe, platform=named)


def can_send_raw(context: Context) -> bool:
    """Tell whether this process may send raw packets, by ability and not by user id."""
    if not on_linux():
        return False
    from probes.system.linux.privileges import may_send_raw  # noqa: PLC0415

    return may_send_raw(context)
