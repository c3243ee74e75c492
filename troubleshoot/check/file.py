"""Read targets and what is expected of them from a TOML file, a list of lines, or words of the command line.

A file holds ``[defaults]`` and any number of ``[[check]]``, each with ``target``, or with ``hosts`` and ``ports`` of
which every pair is a target. ``${NAME}`` and ``${NAME:-otherwise}`` in any text stand for the environment's value.
Every complaint names its line, and all of them come at once.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from troubleshoot.check.model import Check, Expectation, Http, Tls
from troubleshoot.errors import UserError
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.secrets import masked
from troubleshoot.knowledge.text import Refusal, say

#: No check has more targets.
MOST_TARGETS: Final = 100_000
CONNECTIONS: Final = ("open", "refused", "unreachable")
_KEYS: Final = (
    *("target", "hosts", "ports", "name", "expect", "tags", "timeout", "retries", "backoff", "wait"),
    *("resolves-to", "greeting", "tls", "http"),
)
#: An address with the length or the mask of a network, and perhaps ports.
_NETWORK: Final = re.compile(r"\[?([0-9a-fA-F:.]+)\]?/[0-9.]+\]?(?::.*)?")
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0}
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_HEADER: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_-]+)\s*\]?\]\s*(?:#.*)?")


class BadFileError(UserError):
    """A file of checks that does not fit; the text holds one line for each complaint."""


def read_lines(lines: Iterable[str], catalogue: Catalogue, base: Check | None = None) -> list[Check]:
    """Return a check for each line that is not empty and no comment; raises :class:`Refusal` for the first bad one."""
    words = [line.strip() for line in lines]
    return read_words([word for word in words if word and not word.startswith("#")], catalogue, base)


def read_words(words: Iterable[str], catalogue: Catalogue, base: Check | None = None) -> list[Check]:
    """Return a check for each word; ``base`` gives what is expected, and the rest."""
    checks = [_check(word, catalogue, base) for word in words]
    if len(checks) > MOST_TARGETS:
        raise Refusal("usage.check-many", most=MOST_TARGETS)
    return unique(checks)


def duration_s(text: str | float) -> float | None:
    """Return seconds for ``2``, ``2s``, ``500ms``, ``1m``; ``None`` for anything else."""
    if isinstance(text, bool):
        return None
    if isinstance(text, int | float):
        return float(text) if 0 <= text <= 86_400 else None
    found = _DURATION.fullmatch(text)
    return float(found[1]) * _UNITS[found[2]] if found else None


def unique(checks: Iterable[Check]) -> list[Check]:
    """Return the checks with a number behind names that come more than once."""
    seen: dict[str, int] = {}
    found = []
    for check in checks:
        count = seen[check.name] = seen.get(check.name, 0) + 1
        found.append(check if count == 1 else replace(check, name=f"{check.name} ({count})"))
    return found


def _check(word: str, catalogue: Catalogue, base: Check | None) -> Check:
    network = _NETWORK.fullmatch(word)
    if network is not None and _is_address(network[1]):
        raise Refusal("usage.check-network", word=word)
    target = parse_target(word, catalogue)
    if target.transport != "tcp":
        raise Refusal("usage.check-udp", word=word)
    if target.port is None:
        port = _port_of(target.service, catalogue)
        if port is None:
            raise Refusal("usage.check-no-port", word=word)
        target = replace(target, port=port)
    if base is None or not base.show_secrets:  # it stands in every format, and those in logs
        target = replace(target, input=masked(target.input, catalogue))
    plain = Check(target=target, name=target.input)
    return plain if base is None else replace(base, target=target, name=target.input)


def _port_of(service: str | None, catalogue: Catalogue) -> int | None:
    if service is None:
        return None
    import socket  # noqa: PLC0415 - most targets have a number

    try:
        return socket.getservbyname(service, "tcp")
    except OSError:
        known = catalogue.service(service, "tcp")
        return known.port if known is not None else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def read_file(
    text: str,
    catalogue: Catalogue,
    environment: Mapping[str, str],
    wording: Mapping[str, str],
    base: Check | None = None,
) -> list[Check]:
    """Return the checks of a TOML document; raises :class:`BadFileError` with every complaint and its line.

    ``base`` stands for what neither an entry nor ``[defaults]`` says.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFileError(_placed(str(error))) from None
    base = base or Check(target=parse_target("localhost:1"), name="")
    reader = _Reader(text, catalogue, environment, wording, base)
    checks = reader.read(document)
    if reader.complaints:
        raise BadFileError("\n".join(f"{place}: {said}" for place, said in sorted(reader.complaints)))
    return unique(checks)


def _placed(complaint: str) -> str:
    """Return tomllib's complaint with its line in front, as the others have it."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", complaint, re.DOTALL)
    return f"{found[2]}: {found[1]}" if found else f"1: {complaint}"


def _line_of(lines: list[str], key: str, table: str, number: int) -> int:
    """Return the line of a key of that table, of the table's heading where the key stands in none."""
    of_key = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    within, seen, heading = False, -1, 1
    for place, line in enumerate(lines, 1):
        if found := _HEADER.fullmatch(line):
            if not table and found[1] == key:
                return place
            seen += found[1] == table
            within = found[1] == table and seen == number
            heading = place if within else heading
        elif (within or not table) and of_key.match(line):
            return place
    return heading


class _Reader:
    """Turns entries into checks and collects what does not fit."""

    def __init__(
        self,
        text: str,
        catalogue: Catalogue,
        environment: Mapping[str, str],
        wording: Mapping[str, str],
        base: Check,
    ) -> None:
        self.lines = text.splitlines()
        self.catalogue = catalogue
        self.environment = environment
        self.wording = wording
        self.base = base
        self.complaints: set[tuple[int, str]] = set()
        self.inherited: frozenset[str] = frozenset()
        self.table, self.number = "", 0

    def read(self, document: dict[str, Any]) -> list[Check]:
        for name in document:
            if name not in ("defaults", "check"):
                self.table, self.number = "", 0
                self.complain(name, Refusal("usage.check-key", setting=name, known="defaults, check"))
        self.table, self.number = "defaults", 0
        defaults = document.get("defaults", {})
        if not isinstance(defaults, dict):
            self.complain("defaults", Refusal("usage.check-value", setting="defaults", fits="[defaults]"))
            defaults = {}
        self.known(defaults)
        entries = document.get("check", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self.complain("check", Refusal("usage.check-value", setting="check", fits="[[check]]"))
            entries = []
        self.table = "check"
        checks: list[Check] = []
        for number, entry in enumerate(entries):
            self.number = number
            self.known(entry)
            self.inherited = frozenset(defaults.keys() - entry.keys())
            checks += self.entry({**defaults, **entry})
        if not checks and not self.complaints:
            self.complaints.add((1, say(Refusal("usage.check-empty"), self.wording)))
        if len(checks) > MOST_TARGETS:
            self.complaints.add((1, say(Refusal("usage.check-many", most=MOST_TARGETS), self.wording)))
        return checks

    def complain(self, key: str, error: UserError) -> None:
        said = say(error, self.wording) if isinstance(error, Refusal) else str(error)
        place = _line_of(self.lines, key, *(("defaults", 0) if key in self.inherited else (self.table, self.number)))
        self.complaints.add((place, said))

    def known(self, entry: dict[str, Any]) -> None:
        for key in entry:
            if key not in _KEYS:
                self.complain(key, Refusal("usage.check-key", setting=key, known=", ".join(_KEYS)))

    def entry(self, entry: dict[str, Any]) -> list[Check]:
        """Return the checks of one ``[[check]]``."""
        before = len(self.complaints)
        values = {key: self.filled(key, value) for key, value in entry.items() if key in _KEYS}
        words = self.targets(values)
        given = self.base
        base = replace(
            given,
            expect=self.expectation(values),
            tags=self.texts(values, "tags"),
            timeout_s=self.seconds(values, "timeout", 0.0, least=0.05) if "timeout" in values else given.timeout_s,
            retries=self.number_of(values, "retries", given.retries, 100),
            backoff_s=self.seconds(values, "backoff", given.backoff_s),
            wait_s=self.seconds(values, "wait", given.wait_s),
        )
        checks: list[Check] = []
        for word in words:
            try:
                check = _check(word, self.catalogue, base)
            except UserError as error:
                self.complain("target" if "target" in values else "hosts", error)
            else:
                name = values.get("name")
                if isinstance(name, str) and name:
                    check = replace(check, name=name if given.show_secrets else masked(name, self.catalogue))
                checks.append(check)
        return checks if len(self.complaints) == before else []

    def filled(self, key: str, value: Any) -> Any:
        """Return a value with the environment's put in, at any depth."""
        if isinstance(value, str):

            def put(found: re.Match[str]) -> str:
                given = self.environment.get(found[1], found[2])
                if given is None:
                    self.complain(key, Refusal("usage.check-variable", name=found[1]))
                return given or ""

            return _VARIABLE.sub(put, value)
        if isinstance(value, list):
            return [self.filled(key, each) for each in value]
        if isinstance(value, dict):
            return {name: self.filled(key, each) for name, each in value.items()}
        return value

    def targets(self, values: dict[str, Any]) -> list[str]:
        target, hosts, ports = values.get("target"), values.get("hosts"), values.get("ports")
        if isinstance(target, str) and hosts is None and ports is None:
            return [target]
        if target is None and isinstance(hosts, list) and isinstance(ports, list) and hosts and ports:
            if len(hosts) * len(ports) > MOST_TARGETS:
                self.complain("hosts", Refusal("usage.check-many", most=MOST_TARGETS))
                return []
            return [f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}" for host in hosts for port in ports]
        self.complain(
            "target", Refusal("usage.check-value", setting="target", fits='target = "host:port"; hosts, ports')
        )
        return []

    def expectation(self, values: dict[str, Any]) -> Expectation:
        more = values.keys() & {"greeting", "tls", "http"}  # of an open connection alone
        connection = values.get("expect", "open" if more else self.base.expect.connection)
        if connection not in CONNECTIONS:
            self.bad("expect", ", ".join(CONNECTIONS))
            connection = "open"
        addresses = self.texts(values, "resolves-to")
        if not all(map(_is_address, addresses)):
            self.bad("resolves-to", '["192.0.2.1"]')
            addresses = ()
        greeting = values.get("greeting")
        if greeting is not None and not isinstance(greeting, str):
            self.bad("greeting", '"220"')
            greeting = None
        return Expectation(
            connection=connection,
            addresses=addresses,
            greeting=greeting,
            tls=self.tls(values.get("tls")),
            http=self.http(values.get("http")),
        )

    def tls(self, value: Any) -> Tls | None:
        if value in (None, False):
            return None
        if value is True:
            return Tls()
        if isinstance(value, dict) and value.keys() <= {"name", "days"}:
            name, days = value.get("name"), value.get("days", 0)
            if isinstance(name, str | None) and isinstance(days, int) and 0 <= days <= 10_000:
                return Tls(name=name, days=days)
        self.bad("tls", 'true, { days = 14 }, { name = "www.example.com" }')
        return None

    def http(self, value: Any) -> Http | None:
        if value in (None, False):
            return None
        given = value if isinstance(value, dict) else {"status": value}
        status, path = given.get("status", ()), given.get("path", "/")
        statuses = () if status is True else tuple(status) if isinstance(status, list | tuple) else (status,)
        fits = all(isinstance(s, int) and 100 <= s <= 599 for s in statuses) and given.keys() <= {"status", "path"}
        if fits and isinstance(path, str) and re.fullmatch(r"/[!-~]{0,1000}", path):
            return Http(statuses=statuses, path=path)
        self.bad("http", '200, [200, 301], { status = 200, path = "/health" }')
        return None

    def bad(self, key: str, fits: str) -> None:
        self.complain(key, Refusal("usage.check-value", setting=key, fits=fits))

    def texts(self, values: dict[str, Any], key: str) -> tuple[str, ...]:
        value = values.get(key, [])
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        self.bad(key, '["…"]')
        return ()

    def seconds(self, values: dict[str, Any], key: str, otherwise: float, least: float = 0.0) -> float:
        value = values.get(key, otherwise)
        found = duration_s(value) if isinstance(value, str | int | float) else None
        if found is None or not least <= found <= 86_400:
            self.bad(key, '2, "500ms", "2s", "1m"')
            return otherwise
        return found

    def number_of(self, values: dict[str, Any], key: str, otherwise: int, most: int) -> int:
        value = values.get(key, otherwise)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
            return value
        self.bad(key, f"0 … {most}")
        return otherwise
