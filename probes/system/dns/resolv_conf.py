"""Which name servers this machine uses, and how it completes names: resolv.conf(5), nsswitch.conf(5)."""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path

from probes.base import Context
from probes.system import text_file
from probes.system.dns import ResolverConfiguration
from probes.system.dns.names import printable
from probes.system.windows import name_servers

_MAX_SERVERS = 3  # MAXNS of <resolv.h>
_FILES = ("/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts")


def read_configuration(context: Context) -> ResolverConfiguration:
    """Read ``/etc/resolv.conf`` and ``/etc/nsswitch.conf`` as glibc does; missing files are no error.

    On Windows the adapters' configuration stands for them.
    """
    windows = name_servers.configured() if context.root == Path("/") else None
    if windows is not None:
        return _of_adapters(windows)
    environment = context.environment()
    text = text_file.read(context, "/etc/resolv.conf")
    servers: list[str] = []
    ignored: list[str] = []
    search: list[str] | None = None
    options: list[str] = []
    for line in (text or "").split("\n"):
        # the keyword must start the line, and a blank must follow it
        keyword, *rest = re.split(r"[ \t]+", line.rstrip("\r"), maxsplit=1) if line[:1] not in "#; \t" else [""]
        words = rest[0].split() if rest else []
        if keyword == "nameserver" and words:
            (servers if is_server(words[0]) and len(servers) < _MAX_SERVERS else ignored).append(words[0])
        elif keyword == "domain" and words:
            search = words[:1]
        elif keyword == "search" and words:
            search = words
        elif keyword == "options":
            options += words
    if "LOCALDOMAIN" in environment:
        search = environment["LOCALDOMAIN"].split()
    options += environment.get("RES_OPTIONS", "").split()
    if search is None:
        # only this machine's own name is known, not that of a recorded tree
        _, _, domain = socket.gethostname().partition(".") if context.root == Path("/") else ("", "", "")
        search = [domain] if domain else []
    return ResolverConfiguration(
        readable=text is not None,
        configured=bool(servers),
        servers=tuple(servers) or ("127.0.0.1",),
        ignored=tuple(printable(word) for word in ignored[:16]),
        search=tuple(filter(None, (_domain(word) for word in search)))[:64],
        ndots=_ndots(options),
        options=tuple(printable(word) for word in options[:64]),
        nsswitch_hosts=_nsswitch_hosts(context),
        forbidden=tuple(path for path in _FILES if _is_forbidden(context, path)),
        restricted=tuple(path for path in _FILES if _is_restricted(context, path)),
    )


def _of_adapters(windows: name_servers.Configured) -> ResolverConfiguration:
    return ResolverConfiguration(
        readable=True,
        configured=bool(windows.servers),
        servers=windows.servers[:_MAX_SERVERS] or ("127.0.0.1",),
        ignored=windows.servers[_MAX_SERVERS:],
        search=tuple(filter(None, map(_domain, windows.domains)))[:64],
        ndots=1,
        options=(),
        nsswitch_hosts=(),
    )


def _is_forbidden(context: Context, path: str) -> bool:
    """Tell whether the file, or a directory on the way to it, is closed to this user."""
    try:
        with context.path(path).open("rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


def _is_restricted(context: Context, path: str) -> bool:
    """Tell whether the file is there and its mode keeps other users from reading it."""
    try:
        mode = context.path(path).stat().st_mode
    except OSError:
        return False
    return not mode & stat.S_IROTH


def is_server(word: str) -> bool:
    """Tell whether glibc would take the word for a name server: inet_aton's forms, IPv6 with or without scope."""
    try:
        socket.inet_aton(word)
    except (OSError, ValueError):
        try:
            socket.inet_pton(socket.AF_INET6, word.partition("%")[0])
        except (OSError, ValueError):
            return False
    return len(word) <= 64 and word.isascii()


def _domain(word: str) -> str:
    """Return a search domain without dots at its ends, ``.`` for the root, empty where it cannot be asked for."""
    bare = word.strip(".")
    if not bare:
        return "."
    return bare if re.fullmatch(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", bare) else ""


def _ndots(options: list[str]) -> int:
    value = 1
    for option in options:
        found = re.match(r"ndots:(\d{0,6})", option)
        if found:
            value = min(int(found.group(1) or 0), 15)
    return value


def _nsswitch_hosts(context: Context) -> tuple[str, ...]:
    """Return the words of the ``hosts`` line (nsswitch.conf(5)), nothing where there is none."""
    words: tuple[str, ...] = ()
    for line in (text_file.read(context, "/etc/nsswitch.conf") or "").split("\n"):
        database, colon, sources = line.partition("#")[0].partition(":")
        if colon and database.strip() == "hosts":
            words = tuple(printable(word) for word in re.findall(r"\[[^\]]*\]|[^\s\[]+", sources)[:32])
    return words
