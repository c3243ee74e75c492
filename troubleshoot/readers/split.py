r"""Cut a pasted text into the outputs that it holds: at prompts, a collecting script's marks and known headings.

What stands behind a prompt says whose output follows; without one it is told by the first line of an output. Lines
before the first of both belong to no command. Prompts: ``C:\Users\kim>``, ``PS C:\>``, ``user@host:~$``,
``[user@host dir]#``, ``user@mac ~ %``, and ``$``, ``#``, ``%`` or ``>`` alone before the name of a command that is
read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from troubleshoot.readers.labels import Labels
from troubleshoot.readers.model import Block
from troubleshoot.readers.words import command_line

#: How the collecting scripts announce a command.
MARK: Final = "=== wsadiag: "
#: So much of a line is looked at, and so many lines of a text.
LONGEST: Final = 2000
MOST_LINES: Final = 60_000
_PROMPTS = (
    re.compile(r"^(?:\([\w.-]{1,40}\) ?)?PS(?: [^>]{0,260})?>+ ?(?P<typed>.*)$"),
    re.compile(r"^[A-Za-z]:\\[^<>|\"]{0,260}>(?P<typed>.*)$"),
    re.compile(
        r"^(?:\([\w.-]{1,40}\) ?)?\[?[\w.-]{1,40}@(?P<host>[\w.-]{1,80})[: ][^$#%>]{0,200}\]?[$#%>] ?(?P<typed>.*)$"
    ),
)
_BARE = re.compile(r"^(?:[$#%>]|bash-[\d.]+[$#]|sh-[\d.]+[$#]) ?(?P<typed>\S.*)$")


class Table:
    """The readers by the commands whose output they read."""

    def __init__(self, modules: tuple[ModuleType, ...]) -> None:
        self.modules = {module.__name__.rpartition(".")[2]: module for module in modules}
        self._by_command = {command: name for name, module in self.modules.items() for command in module.COMMANDS}

    def of_command(self, typed: str) -> str | None:
        """Return the reader of the output of a command line, ``None`` for a command that is not read."""
        words = command_line(typed)
        if not words:
            return None
        name = re.split(r"[\\/]", words[0].strip("\"'&"))[-1].casefold().removesuffix(".exe")
        return self._by_command.get(name)

    def of_heading(self, line: str, labels: Labels) -> str | None:
        """Return the reader whose command's output begins with a line."""
        return next((name for name, module in self.modules.items() if module.starts(line, labels)), None)


def split(text: str, table: Table, labels: Labels) -> Iterator[Block]:
    """Yield the outputs in a text, in their order; ``command`` is empty for lines of no known command."""
    lines = [line[:LONGEST].rstrip("\r").expandtabs() for line in text.split("\n")[:MOST_LINES]]
    begun, command, typed, host, explicit = 0, "", "", "", False
    for number, line in enumerate(lines):
        announced = _announced(line, table)
        if announced is not None:
            yield from _block(lines[begun:number], begun, command, typed, host)
            begun, (typed, host) = number + 1, announced
            command = table.of_command(typed) or ""
            explicit = bool(command)
        elif not explicit and line.strip():
            found = table.of_heading(line, labels)
            if found is not None and not _goes_on(found, command):
                yield from _block(lines[begun:number], begun, command, typed if command == found else "", host)
                begun, command, typed = number, found, ""
    yield from _block(lines[begun:], begun, command, typed, host)


#: Outputs with several headings: another one of the same kind is no new output.
_SEVERAL_HEADINGS = frozenset(
    {"arp", "curl", "ifconfig", "ip", "ipconfig", "iptables", "mtr", "netsh", "netstat", "nft", "nslookup", "resolvers"}
    | {
        "route",
        "ss",
        "dig",
        "getent",
        "get_netroute",
        "get_nettcpconnection",
        "openssl",
        "tasklist",
        "test_netconnection",
    }
)


def _goes_on(found: str, command: str) -> bool:
    if command == "netstat" and found == "route":
        return True  # netstat -r
    return found == command and found in _SEVERAL_HEADINGS


def _announced(line: str, table: Table) -> tuple[str, str] | None:
    """Return the command line that a prompt or a mark announces, and the machine that a prompt names, empty for none.

    ``None`` where the line is neither.
    """
    if line.startswith(MARK):
        return line[len(MARK) :].strip().removesuffix("===").strip(), ""
    for prompt in _PROMPTS:
        found = prompt.match(line)
        if found is not None:
            return found["typed"].strip(), found.groupdict().get("host") or ""
    bare = _BARE.match(line)
    if bare is not None and table.of_command(bare["typed"]) is not None:
        return bare["typed"].strip(), ""
    return None


def _block(lines: list[str], begin: int, command: str, typed: str, host: str) -> Iterator[Block]:
    held = tuple(lines)
    if typed or any(line.strip() for line in held):
        yield Block(command=command, lines=held, first=begin + 1, typed=typed, host=host)
