"""Targets as people and programs write them, put into the form that TARGET has: ``host port 22`` is ``host:22``.

Asked only where the plain reading does not take a word, or takes it for what nobody means (``::1:3000``). Every
pattern is bounded. Sources: Oracle Net Services (EZConnect, connect descriptors), the manuals of the JDBC drivers, ODBC
and libpq (connection strings), RFC 6068 (mailto), [MS-DTYP] (UNC).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from probes.base import Note, note
from troubleshoot.knowledge.text import Refusal

_NAME = r"[\w-]{1,63}(?:\.[\w-]{1,63}){0,20}\.?"
_V4 = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_V6 = r"[0-9A-Fa-f:]{2,39}(?:%[\w.-]{1,20})?"
_PORT = r"[0-9]{1,5}"

# The last group of what could be an address of the block ::/96, which no machine has (RFC 4291, section 2.5.5.1).
_LOOPBACK_PORT = re.compile(r"(::1|::):([1-9][0-9]{1,4})")
_MAPPED_PORT = re.compile(rf"(::ffff:{_V4}):({_PORT})")
_LOCAL = re.compile(
    r"(?:unix:(?://)?/?|unix://|npipe:|local:|file:)\S{0,200}|/[\w./@+-]{1,200}\.(?:sock|socket)|\\\\\.\\pipe\\.{0,200}"
)
_RESOLVED = re.compile(rf"(?:{_NAME})?/(?:\[({_V6})\]|({_V4})|({_V6}))(?::({_PORT}))?")
_UNRESOLVED = re.compile(rf"({_NAME})/<unresolved>(?::({_PORT}))?")
_BRACKETED = re.compile(rf"{_NAME}\[({_V4}|{_V6})\](?::({_PORT}))?")
_TUPLE = re.compile(
    rf"""\(?['"]?({_NAME}|{_V4}|{_V6})['"]? ?[,;] ?['"]?({_PORT})['"]?(?:, ?\d{{1,9}}, ?\d{{1,9}})?\)?"""
)
_WORDS = re.compile(
    rf"(?:(?:host|server|address)[ :=]{{1,3}}(?!port))?['\"]?\[?({_NAME}|{_V4}|{_V6})\]?['\"]?[ ,:(]{{1,4}}"
    r"(?:(?:on )?port[ :=#]{1,3})?([a-z0-9-]{1,15})\)?",
    re.IGNORECASE,
)
_USER = re.compile(
    rf"(?:mailto:)?[^\s@/:]{{1,64}}(?::[^\s@/]{{1,64}})?@(\[?(?:{_NAME}|{_V4}|{_V6})\]?(?::[\w-]{{1,15}})?)"
)
_COPY = re.compile(rf"[^\s@/:]{{1,64}}@({_NAME}|{_V4}):(?![0-9]{{1,5}}$)[^\s@]{{1,500}}")
_OPTIONS = re.compile(rf"((?:{_NAME}|{_V4}|\[{_V6}\]):{_PORT})[,;]\w{{1,40}}=.{{0,1000}}")
_SHARE = re.compile(rf"(?:\\\\|//)({_NAME}|{_V4})(?:[\\/].{{0,200}})?")
_WITH_PATH = re.compile(rf"((?:{_NAME}|{_V4}|\[{_V6}\])(?::{_PORT})?)/(?![0-9]{{1,3}}$)[^\s]{{0,500}}")
_BEHIND_PORT = re.compile(rf"((?:{_NAME}|{_V4}|\[{_V6}\]):{_PORT})(?:/[0-9]{{1,3}}|\.)")
_WITH_KIND = re.compile(rf"(?:tcp|ipv4|dns):(?:///)?({_NAME}|{_V4})[:,]({_PORT})")
_WITH_NAME = re.compile(rf"((?:{_NAME}|{_V4}):{_PORT}):[A-Za-z_]\w{{0,30}}")
_HASH = re.compile(rf"({_NAME}|{_V4}|{_V6})#({_PORT})")
_SEVERAL = re.compile(rf"((?:{_NAME}|{_V4}|\[{_V6}\]):{_PORT})(?:[,;] ?(?:{_NAME}|{_V4}|\[{_V6}\]):{_PORT}){{1,20}}")
_MORE_IN_URL = re.compile(
    r"([A-Za-z][\w.+-]{1,30}://(?:[^\s@/]{1,200}@)?[\w.:\[\]-]{1,255}),[\w.:,\[\]-]{1,1000}(?=[/?#]|$)"
)

# behind its kind a double slash, or as Oracle has it an @ with a login before it and a scheme behind it
_JDBC = re.compile(
    r"jdbc:(?P<kinds>[a-z][\w+:-]{1,60}?):"
    r"(?://|(?:[^\s@/:]{1,64}(?:/[^\s@]{1,64})?)?@(?:(?:tcps?:)?//)?)(?P<rest>\S{1,1000})",
    re.IGNORECASE,
)
_JDBC_TDS = re.compile(rf"jdbc:sybase:tds:((?:{_NAME}|{_V4}):{_PORT})(?:[/?]\S{{0,500}})?", re.IGNORECASE)
_DESCRIPTOR = re.compile(
    rf"\(host ?= ?({_NAME}|{_V4}|{_V6})(?:\).{{0,60}}?\(|, ?)port ?= ?({_PORT})[),]", re.IGNORECASE
)
_HOST_KEY = re.compile(
    r"(?:^|[;, {])(?:data source|server|address|addr|network address|host|hostname|host name"
    r"|servername|dbq)\s?=\s?['\"{]?(?P<value>[^;'\"}\s]{1,255})",
    re.IGNORECASE,
)
_PORT_KEY = re.compile(rf"(?:^|[;, {{])port(?:number)?\s?=\s?['\"]?({_PORT})\b", re.IGNORECASE)
#: Words of a JDBC string that tell how, not what with.
_MODES = frozenset(
    {"thin", "oci", "loadbalance", "replication", "failover", "sequential", "aurora", "net", "tcp", "ssl"}
)
#: The scheme and the port of a database by a word of its connection string: its driver, or a key that only it has.
_BY_WORD = (
    ("postgres", "postgresql", 5432),
    ("npgsql", "postgresql", 5432),
    ("mysql", "mysql", 3306),
    ("mariadb", "mariadb", 3306),
    ("oracle", "oracle", 1521),
    ("sql server", "mssql", 1433),
    ("sqlserver", "mssql", 1433),
    ("msoledbsql", "mssql", 1433),
    ("initial catalog", "mssql", 1433),
    ("dbname=", "postgresql", 5432),
    ("db2", "db2", 50000),
    ("redis", "redis", 6379),
)


def rewritten(text: str) -> tuple[str, Note, bool] | None:
    """Return the plain form of ``text``, what is to be said of it, and whether ``text`` may hold a secret.

    ``None`` where no form fits. Raises :class:`~troubleshoot.knowledge.text.Refusal` for what is no place in a network.
    """
    if _LOCAL.fullmatch(text):
        raise Refusal("usage.target-local", word=text)
    for read in _FORMS:
        for plain, kind in read(text):
            return plain, _remark(kind, text, plain), kind in ("string", "user") or "@" in text
    return None


def _remark(kind: str, word: str, target: str) -> Note:
    """Return what is said of a form; a connection string and a login are not repeated."""
    if kind == "string":
        return note("usage.remark-string", target=target)
    if kind == "user":
        return note("usage.remark-user")
    if kind == "share":
        return note("usage.remark-share", word=word, target=target)
    if kind == "first":
        return note("usage.remark-first", target=target)
    if kind == "address":
        return note("usage.remark-address", word=word, target=target)
    return note("usage.remark-written", word="…" if "@" in word else word, target=target)


def loopback_port(text: str) -> tuple[str, Note] | None:
    """Return ``[::1]:3000`` for ``::1:3000``: programs write it so, and the address that it could be has nobody."""
    found = _LOOPBACK_PORT.fullmatch(text)
    if found is None or int(found[2]) > 65535:
        return None
    plain = f"[{found[1]}]:{found[2]}"
    return plain, note("usage.remark-written", word=text, target=plain)


def _end(host: str, port: str | None) -> str:
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


_Read = Iterator[tuple[str, str]]


def _addresses(text: str) -> _Read:
    """Addresses beside a name, or with a port behind them."""
    if found := _MAPPED_PORT.fullmatch(text):
        yield _end(found[1], found[2]), "written"
    if found := _UNRESOLVED.fullmatch(text):
        yield _end(found[1], found[2]), "written"
    if (found := _RESOLVED.fullmatch(text)) and (found[4] or text[0] != "/" or text[-3:].lstrip("/0123456789")):
        yield _end(found[1] or found[2] or found[3], found[4]), "address"
    if found := _BRACKETED.fullmatch(text):
        yield _end(found[1], found[2]), "address"


def _pairs(text: str) -> _Read:
    """Host and port as two words, as a tuple, with a hash, or with something behind them."""
    bare = text.strip("<>\"'`").rstrip(",;!?")
    if bare != text:
        yield bare, "written"
    if found := _TUPLE.fullmatch(text):
        yield _end(found[1], found[2]), "written"
    if (found := _WORDS.fullmatch(text)) and (" " in text or "," in text):
        yield _end(found[1], found[2]), "written"
    if found := _HASH.fullmatch(text):
        yield _end(found[1], found[2]), "written"
    if found := _SEVERAL.fullmatch(text):
        yield found[1], "first"
    if found := _WITH_KIND.fullmatch(text):
        yield _end(found[1], found[2]), "written"
    for pattern in (_WITH_PATH, _BEHIND_PORT, _WITH_NAME):
        if found := pattern.fullmatch(text):
            yield found[1], "written"


def _people(text: str) -> _Read:
    """Mail addresses, logins and shares; ``user@host:path`` is how scp and git write a place behind SSH."""
    if found := _USER.fullmatch(text):
        yield found[1], "user"
    if found := _COPY.fullmatch(text):
        yield _end(found[1], "22"), "user"
    if found := _SHARE.fullmatch(text):
        yield _end(found[1], "445"), "share"


def _databases(text: str) -> _Read:
    """Connection strings: JDBC, connect descriptors, ``Server=…;Port=…``."""
    if found := _DESCRIPTOR.search(text):
        scheme, _usual = _known(text)
        end = _end(found[1], found[2])
        yield f"{scheme}://{end}" if scheme else end, "string"
    if found := _JDBC_TDS.fullmatch(text):
        yield found[1], "string"
    if found := _JDBC.fullmatch(text):
        kind = [word for word in found["kinds"].lower().split(":") if word not in _MODES][-1:]
        rest = re.split(r"[;?]", found["rest"], maxsplit=1)[0].partition("\\")[0]
        first = rest.partition("/")[0].split(",")[0]
        if first:
            yield f"{''.join(kind) or 'jdbc'}://{_without_name(first)}", "string"
    if found := _MORE_IN_URL.match(text):
        yield found[1], "first"
    if found := _OPTIONS.fullmatch(text):
        yield found[1], "string"
    if "=" in text and (found := _HOST_KEY.search(text)):
        value = re.sub(r"^(?:tcp|np|lpc|admin):", "", found["value"]).partition("\\")[0]
        host, comma, port = value.partition(",")
        host, colon, behind = host.partition(":") if host.count(":") == 1 else (host, "", "")
        named = _PORT_KEY.search(text)
        scheme, usual = _known(text)
        written = port if comma else behind if colon else named[1] if named else usual
        host = {"(local)": "localhost", ".": "localhost", "(localdb)": "localhost"}.get(host.lower(), host)
        if not host.startswith("/"):
            yield f"{scheme}://{_end(host, written)}" if scheme else _end(host, written), "string"


def _without_name(end: str) -> str:
    """Return ``host:port`` of an EZConnect end with a SID behind it."""
    host, colon, port = end.rpartition(":")
    return host if colon and not port.isdecimal() and ":" in host else end


def _known(text: str) -> tuple[str, str] | tuple[None, None]:
    """Return scheme and port of the database that a connection string is for, where a word of it tells."""
    small = text.lower()
    return next(((scheme, str(port)) for word, scheme, port in _BY_WORD if word in small), (None, None))


_FORMS: tuple[Callable[[str], _Read], ...] = (_databases, _addresses, _people, _pairs)
