"""Faults of names: name servers that answer falsely or by halves, and a client whose own look-up goes astray."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from tests.lab.faults import fault, require
from tests.lab.topology import Lab


def asked(lab: Lab, server: str, question: str) -> str:
    """What dig(1) on the client's neighbour shows of an answer: status, flags and records; empty for silence."""
    words = ["+tries=1", "+time=1", "+ignore", f"@{lab.values[server]}", *lab.fill(question).split()]
    return lab.run("mate", "dig", *words, check=False).stdout


@fault("zone")
@dataclass(frozen=True)
class ZoneFault:
    """Name servers (``ns1``, ``ns2`` or ``both``) answer from ``records`` (see zone.py) and from nothing else.

    ``shown`` maps a question (``NAME TYPE``) to what dig must show of its answer, ``no servers could be reached`` for
    silence.
    """

    records: list[str]
    shown: dict[str, str]
    silent: tuple[str, ...] = ()
    cut: bool = False
    node: str = "both"

    def _nodes(self) -> tuple[str, ...]:
        return ("ns1", "ns2") if self.node == "both" else (self.node,)

    def inject(self, lab: Lab) -> None:
        records = [lab.fill(line) for line in self.records]
        for node in self._nodes():
            lab.serve_zone(node, {"records": records, "silent": list(self.silent), "cut": self.cut})

    def verify(self, lab: Lab) -> None:
        for node in self._nodes():
            for question, wanted in self.shown.items():
                said = asked(lab, node, question)
                require(lab.fill(wanted) in said, f"{self}: {node}: {said}")


@fault("own-file")
@dataclass(frozen=True)
class OwnFile:
    """The client's ``/etc/NAME`` holds ``text``, with file mode ``mode``.

    ``lookup`` is a name, and ``found`` what ``getent ahosts`` on the client must give for it (nothing where empty),
    asked as ``who``.
    """

    file: str
    text: str
    lookup: str
    found: str = ""
    mode: str = "644"
    who: str = "root"

    def inject(self, lab: Lab) -> None:
        lab.etc("client", self.file, lab.fill(self.text), int(self.mode, 8))

    def verify(self, lab: Lab) -> None:
        words = lab.command("client", ["getent", "ahosts", lab.fill(self.lookup)], unprivileged=self.who != "root")
        said = subprocess.run(words, capture_output=True, text=True, timeout=20.0, check=False).stdout.split()
        require(lab.fill(self.found) in said if self.found else not said, f"{self}: {said}")
        held = lab.run("client", "cat", f"/etc/{self.file}").stdout
        require(held == lab.fill(self.text), f"{self}: {held}")


@fault("hosts-line")
@dataclass(frozen=True)
class HostsLine:
    """The client's hosts file names ``{missing_name}`` on a line that the C library does not understand.

    ``defect``: ``mark`` (a byte order mark before it), ``utf-16`` (the whole file), ``blank`` (U+00A0 between address
    and name) or ``glued`` (the next line follows without a line end).
    """

    defect: str

    def inject(self, lab: Lab) -> None:
        entry, usual = "{server} {missing_name}\n", "127.0.0.1 localhost\n"
        text = {
            "mark": f"\ufeff{entry}{usual}",
            "utf-16": f"\ufeff{usual}{entry}",
            "blank": usual + entry.replace(" ", "\u00a0"),
            "glued": usual + entry.strip() + "{spare} other.{zone}\n",
        }[self.defect]
        encoding = "utf-16-le" if self.defect == "utf-16" else "utf-8"
        lab.etc("client", "hosts", lab.fill(text).encode(encoding))

    def verify(self, lab: Lab) -> None:
        said = lab.run("client", "getent", "ahosts", lab.values["missing_name"], check=False).stdout
        held = lab.run("client", "sh", "-c", "LC_ALL=C tr -cd '[:print:]' </etc/hosts").stdout
        require(lab.values["missing_name"] in held and not said, f"{self}: {said or held}")
