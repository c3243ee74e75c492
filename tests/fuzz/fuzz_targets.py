"""What is fuzzed: each reader of bytes and words that others choose, as a function of the input.

A target returns what it read, which must be safe to show. It raises nothing but what its reader promises; whatever else
comes out of it is a find. None touches a network.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from msgspec.structs import replace

from probes import container, hosts_file, proxy, services_file, statistics
from probes.base import CannotObserve, Context
from probes.bodies import proxy_way, transfer
from probes.proxy_way import ProxyOutcome, ProxyWayRequest, ProxyWayResult
from probes.service import ServiceOutcome, ServiceResult
from probes.system import certificate, http_answer, proxy_rules, tls_line
from probes.system.dns import message, names, resolv_conf
from probes.system.linux import (
    counters,
    errqueue,
    frames,
    handshake,
    icmp,
    local_ports,
    modules,
    netlink,
    packet,
    rtnetlink,
    sockdiag,
    status_of,
)
from probes.system.windows import excluded_ports, name_servers
from probes.transfer import Dialogue, TransferRequest
from troubleshoot.check.file import read_file, read_lines
from troubleshoot.check.model import Attempt, Check, CheckReport, Group, Outcome, Reading
from troubleshoot.check.model import Status as CheckStatus
from troubleshoot.cli import entry, output
from troubleshoot.cli.commands import run as run_command
from troubleshoot.cli.options import options_of, target_of
from troubleshoot.cli.plain import read as read_words
from troubleshoot.cli.session import Session
from troubleshoot.cli.show import lexicon
from troubleshoot.errors import UserError
from troubleshoot.facts.rungs import read_rung
from troubleshoot.intake.codes import parse_code
from troubleshoot.intake.target import parse_target
from troubleshoot.intake.texts import read_text
from troubleshoot.intake.words import said
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.render import reading
from troubleshoot.render import text as screen
from troubleshoot.render.checks import FORMATS
from troubleshoot.render.checks import render as render_check
from troubleshoot.render.checks.words import Words
from troubleshoot.render.style import Style, style_of
from troubleshoot.report import from_json, to_json
from troubleshoot.run.engine import replay

Target = Callable[[bytes], Any]
TARGETS: dict[str, Target] = {}


def target(function: Target) -> Target:
    """Enter a function under its name."""
    TARGETS[function.__name__.replace("_", "-")] = function
    return function


class Written(Context):
    """A machine whose every file holds one text."""

    text: str = ""

    def read_text(self, path: str) -> str:
        return self.text


def machine(data: bytes) -> Written:
    return Written(root=Path("/no/such/root"), text=data.decode("utf-8", "replace"))


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


# -- packets ------------------------------------------------------------------------------------------------------


@target
def frames_of_the_link(data: bytes) -> Any:
    found = [frames.arp_reply_from(data, "192.0.2.1")]
    packet = frames.read(data)
    while packet is not None:  # a quotation may hold another one
        found += [frames.ports(packet), frames.tcp_flags(packet), frames.echo_reply(packet, 1)]
        found += [frames.echoed(packet, 1), frames.advertised_by(packet, "2001:db8::1", b"")]
        quoted = frames.quoted(packet)
        found.append(packet)
        packet = quoted.packet if quoted is not None else None
    return found


@target
def icmp_quotes(data: bytes) -> Any:
    echo = object.__new__(icmp.EchoSocket)
    found: list[Any] = []
    for version in (4, 6):
        for raw in (True, False):
            vars(echo).update(_version=version, _raw=raw, _identifier=1, _cookie=b"cookie")
            found += [echo._match(data, icmp._REQUEST), echo._match(data, icmp._REPLY)]
    levels = [(socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25), (socket.SOL_SOCKET, 35), (socket.IPPROTO_IP, 2)]
    found += [errqueue.decode(data[:20], [(level, kind, data)], ("", 7)) for level, kind in levels]
    found.append(errqueue.decode(data, [(level, kind, data) for level, kind in levels], None))
    return found


@target
def netlink_messages(data: bytes) -> Any:
    found: list[Any] = []
    for _kind, _sequence, body in netlink.messages(data):
        for read in (rtnetlink._link, rtnetlink._address, rtnetlink._route, rtnetlink._rule, rtnetlink._neighbour):
            with contextlib.suppress(OSError):
                found.append(read(body))
    with contextlib.suppress(OSError):
        found += rtnetlink.neighbour_changes(data)
    return found


class _Channel:
    """A channel on which the kernel says ``data``, and then that this was all."""

    def __init__(self, data: bytes) -> None:
        self.said = [data, netlink._HEADER.pack(16, 3, 0, 1, 0)]

    def send(self, data: bytes) -> int:
        return len(data)

    def recv(self, _size: int) -> bytes:
        return self.said.pop(0)


@target
def socket_tables(data: bytes) -> Any:
    found: list[Any] = []
    for transport in ("tcp", "udp"):
        with contextlib.suppress(OSError):
            found += sockdiag.dump(_Channel(data), 4, transport)  # type: ignore[arg-type]
    return found


# -- names --------------------------------------------------------------------------------------------------------

message.load()
SENT = [
    message.Sent.of(message.Question(0, "www.example.test", kind), edns)
    for kind, edns in (("A", True), ("AAAA", False), ("NS", True))
]
for one in SENT:
    one.query.id = 0x1234


@target
def dns_messages(data: bytes) -> Any:
    return [message.read(data, sent, "192.0.2.53", transport, 1.0) for sent in SENT for transport in ("udp", "tcp")]


@target
def resolv_conf_files(data: bytes) -> Any:
    found = resolv_conf.read_configuration(machine(data))
    return found, names.candidates("www.example.test", found)


@target
def names_of_hosts(data: bytes) -> Any:
    text = data.decode("utf-8", "surrogateescape")
    found: list[Any] = [names.literal(text), names.printable(text)]
    with contextlib.suppress(CannotObserve):
        found.append(names.to_ascii(text))
    return found


@target
def hosts_files(data: bytes) -> Any:
    return at_once(hosts_file.observe(hosts_file.HostsFileRequest("bücher.example"), machine(data), lambda _: None))


@target
def services_files(data: bytes) -> Any:
    request = services_file.ServicesFileRequest("tcp", service="ftp")
    return list(services_file._parse(machine(data).text)), at_once(
        services_file.observe(request, machine(data), lambda _: None)
    )


@target
def proxy_settings(data: bytes) -> Any:
    class Set(Context):
        def environment(self) -> dict[str, str]:
            word = data.decode("utf-8", "surrogateescape")
            return dict.fromkeys(("http_proxy", "no_proxy", "ALL_PROXY"), word)

    return at_once(proxy.observe(proxy.ProxyRequest(host="192.0.2.1"), Set(), lambda _: None))


@target
def files_of_proc(data: bytes) -> Any:
    where = machine(data)
    found: list[Any] = [local_ports.read(where), modules.filtered(where), modules._blocks(where.text, "sctp")]
    with contextlib.suppress(CannotObserve):
        found.append(at_once(statistics.observe(statistics.StatisticsRequest(), where, lambda _: None)))
    return found


# -- services -----------------------------------------------------------------------------------------------------


@target
def certificates(data: bytes) -> Any:
    return certificate.read(data)


@target
def answers_of_services(data: bytes) -> Any:
    line = object.__new__(transfer._Line)
    found: list[Any] = [tls_line.alert_in(data), tls_line._messages(data), http_answer.read(data)]
    for dialogue in Dialogue:
        vars(line).update(request=TransferRequest("192.0.2.1", 443, dialogue=dialogue), data=data)
        found += [line._may_be_over()]
    return found


class _Proxy:
    """A proxy that says ``data``, whatever it is asked, and then closes."""

    def __init__(self, data: bytes) -> None:
        self.left = data
        self.agreed = False

    async def say(self, data: bytes) -> None:
        pass

    async def exactly(self, count: int) -> bytes:
        said, self.left = self.left[:count], self.left[count:]
        if not said:
            raise proxy_way._Ended
        return said

    async def head(self) -> bytes:
        return await self.exactly(proxy_way._LONGEST_HEAD)


@target
def answers_of_proxies(data: bytes) -> Any:
    """The first line is the variable, what follows it the proxy's answer, which is read for every kind of proxy."""
    first, _, answer = data.partition(b"\n")
    value = first.decode("utf-8", "surrogateescape")
    names_it = {"http_proxy": value, "no_proxy": value}
    ways = [rules(names_it, "http", host, 80) for rules in proxy_rules.RULES.values() for host in ("192.0.2.1", "a.b")]
    server = proxy_rules.read(value) or proxy_rules.Server("http", "192.0.2.9", None)
    found: list[Any] = []
    for ask in ("192.0.2.1", "2001:db8::1", "www.example.test"):
        for scheme in ("http", "https"):
            request = ProxyWayRequest("curl", scheme, ask, 80, ask, "")
            begun = ProxyWayResult(ProxyOutcome.SILENT, ask, server.kind)
            for speak in (proxy_way._by_http, proxy_way._by_socks5, proxy_way._by_socks4):
                with contextlib.suppress(proxy_way._Ended, CannotObserve):
                    found.append(at_once(speak(begun, _Proxy(answer), server, request)))  # type: ignore[arg-type]
    return server.port_for("curl"), ways, found


@target
def tls_hellos(data: bytes) -> Any:
    """What a service says is given to the library that shakes hands, and its word to whoever reads the alert."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.check_hostname = False
    settings.verify_mode = ssl.CERT_NONE
    came = ssl.MemoryBIO()
    came.write(data)
    session = settings.wrap_bio(came, ssl.MemoryBIO())
    try:
        session.do_handshake()
    except ssl.SSLError as error:
        return str(error.reason), tls_line.alert_in(data)
    return None


# -- reports and words ----------------------------------------------------------------------------------------------

STYLE: Style = style_of(io.StringIO(), {})


@target
def reports(data: bytes) -> Any:
    try:
        judged = [replay(from_json(data), language) for language in ("en", "ko")]
    except UserError as refused:
        return str(refused)
    shown = [screen.screen(one, lexicon(one, catalogue(), "en"), STYLE, verbose=True) for one in judged]
    assert all(one.exit_status in {0, 1, 3, 130} for one in judged)
    for text in (*shown, *map(to_json, judged)):
        hidden = [c for c in text if c != "\n" and not c.isprintable()]
        assert not hidden, f"shown as it came: {hidden!r}"
    return judged[0].verdict.outcome


@target
def pasted_texts(data: bytes) -> Any:
    """What is read out of a text is a code and a target that are ones, and is shown without what steers a terminal."""
    found = read_text(data.decode("utf-8", "surrogateescape"), catalogue())
    for written in found.targets:
        if not written.startswith("unix:"):
            parse_target(written, catalogue())
    if not found.candidates:
        return found.targets
    shown = reading.page(found, catalogue(), "ko", STYLE) + reading.choices(found, catalogue(), "en")
    hidden = [c for c in shown if c != "\n" and not c.isprintable()]
    assert not hidden, f"shown as it came: {hidden!r}"
    return reading.document(found, catalogue(), "en")


@target
def words_of_the_command_line(data: bytes) -> Any:
    """Commands that send nothing are carried out; what the others take is read."""
    words = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")[:8]]
    session = Session("en")
    for word in words:
        for read in (
            lambda w=word: parse_code(w, catalogue(), None),
            lambda w=word: parse_target(w, catalogue()),
            lambda w=word: target_of(w, catalogue()),
            lambda w=word: options_of(session, timeout=w, ipv4=False, ipv6=False, pid=w, router=w),
        ):
            with contextlib.suppress(UserError):
                read()
    with contextlib.suppress(UserError):
        read_words(words)
    return [
        _carried_out(command, *words)
        for command in ("explain", "codes", "reproduce --", "replay", "parse /no/such/file")
    ]


class _Utf8(io.StringIO):
    """A text that is said to be UTF-8, so that Korean is shown; what no encoding could write is seen in it."""

    encoding = "utf-8"


def _carried_out(command: str, *words: str) -> int:
    """Run the console script with these words, in this process; nothing of it sends or starts anything."""
    argv, streams = sys.argv, (sys.stdout, sys.stderr)
    if command.startswith("reproduce"):
        # No code, and none in their text: they are refused.
        words = tuple(f"x{word}" for word in words if not read_text(f"x{word}", catalogue()).candidates)
    out, err = _Utf8(), _Utf8()
    try:
        sys.argv, sys.stdout, sys.stderr = ["wsadiag", *command.split(), *words], out, err
        status = entry.main()
    except SystemExit as end:  # the parser's own, for completion scripts
        status = int(end.code or 0)
    finally:
        sys.argv = argv
        sys.stdout, sys.stderr = streams
    said = err.getvalue()
    assert status in {0, output.BAD_USAGE}, (status, said)
    assert len(said.splitlines()) <= 1, said
    assert len(said) < 1200, said
    hidden = [c for c in out.getvalue() + said if c not in "\n\t" and not c.isprintable()]
    assert not hidden, f"shown as it came: {hidden!r}"
    return status


# -- many targets, programs, and what is said of them -----------------------------------------------------------------


def unseen(*shown: str) -> None:
    """Fail where a text holds what steers a terminal or hides in one."""
    hidden = [c for text in shown for c in text if c != "\n" and not c.isprintable()]
    assert not hidden, f"shown as it came: {hidden!r}"


@target
def check_files(data: bytes) -> Any:
    """A file of targets is read or refused line by line, and so is a list of targets."""
    text, found = data.decode("utf-8", "replace"), list[Any]()
    for read in (
        lambda: read_file(text, catalogue(), {"HOST": text[:40]}, catalogue().wording("en")),
        lambda: read_lines(text.splitlines(), catalogue()),
    ):
        try:
            found += read()
        except UserError as refused:
            found.append(str(refused))
    return found


REPORT = from_json((Path(__file__).parents[1] / "data/reports/healthy-plain.nobody.json").read_bytes())


@target
def outputs_of_checks(data: bytes) -> Any:
    """Names, words of services and of the system that strangers chose, in every format, read back by its own reader."""
    word = data.decode("utf-8", "surrogateescape")
    where = replace(parse_target("localhost:1"), input=word)
    attempt = Attempt(
        reading=Reading.OPEN, duration_ms=1.5, met=False, error=word, found=("check.found-greeting", {"text": word})
    )
    group = Group(id=1, report=REPORT, targets=1)
    outcomes = [
        Outcome(
            check=Check(target=where, name=word, tags=(word,)),
            attempts=[attempt],
            status=status,
            cause="no-listener",
            group=1,
        )
        for status in CheckStatus
    ]
    report = CheckReport(
        started="2026-01-02T03:04:05Z",
        duration_ms=1,
        hostname=word,
        version="0",
        outcomes=tuple(outcomes),
        groups=(group,),
    )
    shown = {name: render_check(name, report, Words(catalogue().wording("en"), {})) for name in FORMATS}
    unseen(*shown.values())
    ET.fromstring(shown["junit"])
    json.loads(shown["json"])
    assert all(json.loads(line) for line in shown["jsonl"].splitlines())
    points = [line for line in shown["tap"].splitlines() if line.startswith(("ok ", "not ok "))]
    assert len(points) == len(outcomes)
    assert sum(line.startswith("::") for line in shown["github"].splitlines()) == 4
    return shown


@target
def outputs_of_programs(data: bytes) -> Any:
    """The first line is a command, the rest what it wrote: a code and a target that are ones, or none."""
    first, _, wrote = data.partition(b"\n")
    command = [word.decode("utf-8", "surrogateescape") for word in first.split(b"\0")] or ["x"]
    read = read_text(wrote.decode("utf-8", "replace"), catalogue())
    aim = run_command._target(read.target, command, Session("en"))
    with contextlib.suppress(UserError):
        return read.code, aim and target_of(aim, catalogue(), read.code)
    return read.code, None


@target
def greetings(data: bytes) -> Any:
    """What a service said is held against what every service of the catalogue says, plain and inside TLS."""
    found = []
    for outcome in (ServiceOutcome.SPEAKS, ServiceOutcome.TLS_OK, ServiceOutcome.TLS_FAILED):
        result = ServiceResult("192.0.2.1", 25, outcome, first_hex=data[:512].hex())
        for manner in (None, *catalogue().services.values()):
            rung = read_rung("plain", result, manner, catalogue().marks)
            unseen(rung.quote)
            found.append(rung.ending)
    return found


@target
def words_in_any_order(data: bytes) -> Any:
    """Words of a diagnosis, in whatever order: a code and a target, or one sentence."""
    words = [word for word in data.decode("utf-8", "surrogateescape").split("\0")[:6] if word]
    try:
        given = said(words or ["x"], catalogue())
        return given.code, given.target and target_of(given.target, catalogue(), given.name)
    except UserError as refused:
        return str(refused)


@target
def frames_of_a_handshake(data: bytes) -> Any:
    """Each piece is a frame that passed an interface while our own connection was made: with a length before it."""
    talk = handshake.Attempt("192.0.2.1", 80, "198.51.100.7", 40000)
    while len(data) > 2:
        size = int.from_bytes(data[:2], "big") % 200
        piece, data = data[2 : 2 + size], data[2 + size :]
        for outgoing in (True, False):
            talk.take(packet.Frame(piece, 0x0800, outgoing, b""))
    return talk.unfitting


@target
def tables_of_windows(data: bytes) -> Any:
    return excluded_ports.parse(data), name_servers.address_of(data)


@target
def processes(data: bytes) -> Any:
    """What ``/proc`` says of another process, which chooses its name and its environment by itself."""
    where = machine(data)
    return (
        status_of.label(where, 7),
        status_of.environment(where, 7),
        list(counters.read(where)),
        at_once(container.observe(container.ContainerRequest(7), where, lambda _: None)),
    )
