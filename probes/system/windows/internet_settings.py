"""The proxies that Windows itself holds: of the user's Internet Settings (WinINet), and of WinHTTP.

Sources: Microsoft, "Internet Settings" (ProxyEnable, ProxyServer, ProxyOverride) and ``netsh winhttp show proxy``:
``WinHttpSettings`` holds a version, a counter and flags, then proxy and exemptions, each behind its length.
"""

from __future__ import annotations

import contextlib
import struct
import sys
from typing import Final

#: The name of a setting here → that of what it exempts; neither can be the name of an environment variable.
USER, WINHTTP = "Internet Settings", "WinHTTP settings"
BYPASS: Final = {USER: f"{USER}=bypass", WINHTTP: f"{WINHTTP}=bypass"}
_KEY: Final = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
_HEAD: Final = struct.Struct("<III")
_LENGTH: Final = struct.Struct("<I")
_BY_PROXY: Final = 2


def entries() -> dict[str, str]:
    """Return the settings that name a proxy, and what they exempt; empty on other systems and where there are none."""
    if sys.platform != "win32":
        return {}
    import winreg  # noqa: PLC0415 - only Windows has it

    found: dict[str, str] = {}
    with contextlib.suppress(OSError), winreg.OpenKey(winreg.HKEY_CURRENT_USER, _KEY) as key:
        if winreg.QueryValueEx(key, "ProxyEnable")[0]:
            found[USER] = str(winreg.QueryValueEx(key, "ProxyServer")[0])
            found[BYPASS[USER]] = str(winreg.QueryValueEx(key, "ProxyOverride")[0])
    with contextlib.suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"{_KEY}\Connections") as key:
        blob = winreg.QueryValueEx(key, "WinHttpSettings")[0]
        proxy, exempt = of_winhttp(blob if isinstance(blob, bytes) else b"")
        if proxy:
            found |= {WINHTTP: proxy, BYPASS[WINHTTP]: exempt}
    return found


def of_winhttp(blob: bytes) -> tuple[str, str]:
    """Return proxy and exemptions of ``WinHttpSettings``, empty where it names none or is none."""
    try:
        if not _HEAD.unpack_from(blob)[2] & _BY_PROXY:
            return "", ""
        at, words = _HEAD.size, []
        for _ in range(2):
            (length,) = _LENGTH.unpack_from(blob, at)
            at += _LENGTH.size
            words.append(blob[at : at + length].decode("latin-1"))
            at += length
    except struct.error:
        return "", ""
    return words[0], words[1]
