"""The proxy settings in an environment, with what is secret in them hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from probes.base import Context, NotPermitted
from probes.system import need_linux
from probes.system.linux import status_of
from probes.system.windows import internet_settings

_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "socks_proxy", "all_proxy", "no_proxy")
_MAX_TEXT = 400


class ProxySetting(msgspec.Struct, frozen=True):
    """One variable; passwords and tokens in the value are replaced by ``***`` unless they are to be shown."""

    variable: str
    value: str


def environment_of(pid: int | None, context: Context) -> dict[str, str]:
    """Return the environment of a process, as it was when that was started (proc_pid_environ(5)), or this one's own.

    Windows' own settings of a proxy stand among the variables of the latter.

    Raises :class:`NotPermitted` where it may not be read.
    """
    if pid is None:
        return dict(context.environment()) | internet_settings.entries()
    need_linux("proxy")
    found = status_of.environment(context, pid)
    if found is None:
        raise NotPermitted("reason.process-hidden", pid=pid)
    return found


def settings_of(environment: Mapping[str, str], context: Context) -> tuple[ProxySetting, ...]:
    """Return the proxy variables that are set in ``environment``, secrets masked as the context wants it."""
    settings: list[ProxySetting] = []
    for variable in _VARIABLES:
        for spelling in (variable, variable.upper()):
            value = environment.get(spelling)
            if value:
                text = _printable(value) if variable == "no_proxy" else shown(value, context)
                settings.append(ProxySetting(spelling, text))
    settings += [
        ProxySetting(name, shown(environment[name], context))
        for name in internet_settings.BYPASS
        if environment.get(name)
    ]
    return tuple(settings)


def shown(value: str, context: Context) -> str:
    """Return what names a proxy as a record may hold it."""
    return _printable(value if context.show_secrets else context.masked(_masked(value)))


def _masked(value: str) -> str:
    """Replace what stands before ``@`` but for a user's name: also a token without a name, and odd passwords.

    A password may hold ``/`` and ``@`` where somebody forgot to escape them, hence the *last* ``@``.
    """
    head, at, rest = value.rpartition("@")
    if not at:
        return value
    scheme, separator, credentials = head.partition("://")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) or not separator:
        scheme, separator, credentials = "", "", head
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user + ':***' if colon else '***'}@{rest}"


def _printable(text: str) -> str:
    """Return the value as one line of printable characters."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return shown if len(shown) <= _MAX_TEXT else shown[:_MAX_TEXT] + "…"
