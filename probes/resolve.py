"""Ask for a name's addresses: the system resolver, and each configured name server by itself.

The system resolver (getaddrinfo(3)) gives the answer that programs get, hosts file and all, and may take half a
minute over it. The name servers are asked beside it, each for itself, in the way in which glibc would ask them:
the same candidate names in the same order (resolv.conf(5)), yet with waits of our own and with every detail of
the answer kept. Sockets are connected, so that a closed port shows in a millisecond and an unreachable network at
once. Sources: RFC 1035, RFC 6891 (EDNS), RFC 7766 (TCP), RFC 8914 (extended errors), resolv.conf(5).
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from probes.base import Context, NotApplicable, Probe, ProbeTarget
from probes.failure import Failure, classify, errno_name, number_of
from probes.system import text_file
from probes.system.blocking import in_thread
from probes.system.linux import errqueue
from probes.system.windows import name_servers

if TYPE_CHECKING:
    import dns.message


class Answer(enum.StrEnum):
    """What one question to one name server came to.

    ``ADDRESSES`` is only said of A and AAAA questions; a question for anything else that is answered with
    NOERROR counts as ``NO_DATA``, whether records came with it or not.
    """

    ADDRESSES = "addresses"
    NO_DATA = "no-data"
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    FORMERR = "formerr"
    NOTIMP = "notimp"
    OTHER_RCODE = "other-rcode"
    NO_ANSWER = "no-answer"
    PORT_CLOSED = "port-closed"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"


#: The answers that no message of the server stands behind.
SILENT = frozenset({Answer.NO_ANSWER, Answer.PORT_CLOSED, Answer.UNREACHABLE})


#: Three servers, each asked for two kinds of addresses of up to seven names of a search list, with few repetitions.
_MOST_PACKETS = 64


class ResolveRequest(msgspec.Struct, frozen=True):
    """``name`` without brackets or port; ``family`` 4 or 6 to ask for one kind of address only.

    ``wait_s`` bounds one name server's answer over UDP (one retry inside it) and again over TCP;
    ``system_wait_s`` bounds the system resolver, whose own time-outs run to half a minute.
    """

    name: str
    family: int | None = None
    wait_s: float = 1.5
    system_wait_s: float = 3.6


class ServerAnswer(msgspec.Struct, frozen=True):
    """One question (``name``, ``record_type``) to one name server and what came back.

    ``transport`` is ``udp``, or ``tcp`` after truncation (then ``truncated`` is set, and there is no separate
    record of the UDP answer) or after UDP silence (then a ``udp`` record of the same question says
    ``no-answer``). ``ttl_s`` is the least TTL of the answer's addresses. ``rtt_ms`` runs from the transmission
    that was answered. ``extended_error`` is RFC 8914 as ``code text``.

    ``icmp_sender`` names who sent the ICMP error behind ``port-closed`` and ``unreachable`` (an address of this
    machine where its own stack did), ``errno`` the symbolic error of the socket call. ``connected`` tells of
    TCP whether the connection was made at all.

    ``other_name`` marks the control questions that only check that the server works. The root's name servers
    (``.`` NS) are asked of every server: any rcode proves that the server works, and NOERROR (said as
    ``no-data``) that it reaches its upstream or knows the root. Where a server stays silent to everything it
    is asked for its own version (``version.bind``, TXT of class CHAOS): forwarders that merely wait for a dead
    upstream answer or refuse that themselves.

    ``edns`` tells whether the answered question carried EDNS; the second transmission never does, for there are
    firewalls that drop it and glibc does not use it. ``transmissions`` counts datagrams sent for the question.
    """

    server: str
    port: int
    name: str
    record_type: str
    transport: str
    answer: Answer
    rcode: str | None = None
    extended_error: str | None = None
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    ttl_s: int | None = None
    rtt_ms: float | None = None
    authoritative: bool = False
    other_name: bool = False
    icmp_sender: str | None = None
    errno: str | None = None
    connected: bool | None = None
    truncated: bool = False
    edns: bool = True
    recursion_available: bool = False
    transmissions: int = 1


class SystemAnswer(msgspec.Struct, frozen=True):
    """What ``getaddrinfo`` says, in the order in which it says it.

    ``eai`` is the symbolic name (``EAI_NONAME``, ``EAI_AGAIN``, ``EAI_FAIL``, ``EAI_NODATA``, …) where it
    failed, ``None`` with no addresses where our own ``system_wait_s`` ended first.
    """

    addresses: tuple[str, ...]
    eai: str | None
    duration_ms: float
    finished: bool = True


class ResolverConfiguration(msgspec.Struct, frozen=True):
    """``/etc/resolv.conf`` and the ``hosts`` line of ``/etc/nsswitch.conf`` as they stand.

    ``servers`` are those the system would use (at most three, resolv.conf(5)); ``configured`` is ``False``
    where no usable ``nameserver`` line exists and the system falls back on 127.0.0.1, ``readable`` tells
    whether the file itself could be read. ``ignored`` holds nameserver lines beyond the third and those that are
    no address. ``LOCALDOMAIN`` and ``RES_OPTIONS`` of the environment are taken into account.
    """

    readable: bool
    configured: bool
    servers: tuple[str, ...]
    ignored: tuple[str, ...]
    search: tuple[str, ...]
    ndots: int
    options: tuple[str, ...]
    nsswitch_hosts: tuple[str, ...]


class ResolveResult(msgspec.Struct, frozen=True):
    """Everything that was asked and answered about ``name``.

    ``literal`` is true where the name is an address already (nothing was asked). ``addresses`` are what the
    system resolver returned, or where it did not finish, what the first answering name server said.
    ``candidates`` are the full names that are tried, in order (search list, ndots), until one has addresses.
    ``other_name`` is the control name asked of each server to see whether it works at all; ``search_matched`` the
    candidate that the first answering server has addresses for. ``own_errors`` are symbolic errors of this
    process's own limits (``EMFILE``) that kept questions from being asked: they say nothing of a server.

    ``system`` is ``None`` while it is awaited, and always where the context's root is not ``/``, because the C
    library cannot be pointed elsewhere. Name servers are not asked for ``localhost`` (RFC 6761, section 6.3).
    """

    name: str
    ascii_name: str
    literal: bool
    addresses: tuple[str, ...]
    system: SystemAnswer | None
    answers: tuple[ServerAnswer, ...]
    configuration: ResolverConfiguration | None
    candidates: tuple[str, ...] = ()
    other_name: str | None = None
    search_matched: str | None = None
    own_errors: tuple[str, ...] = ()


CONTROL_NAME = "."
_PORT = 53
_MAX_SERVERS = 3  # MAXNS of <resolv.h>
_MAX_CANDIDATES = 6
_MAX_ADDRESSES = 256
_MAX_TEXT = 200
_MAX_JUNK = 16
_SMALL = 4096
#: After the first of A and AAAA has been answered, how long the other may still come before a consumer is told
#: of the addresses (RFC 8305, section 3, "Resolution Delay").
_RESOLUTION_DELAY_S = 0.05
_EDNS_PAYLOAD = 1232  # fits every path without fragments (RFC 9715, appendix A)
_TRUNCATED = 0x0200
_LIMITS = frozenset({Failure.TOO_MANY_FILES, Failure.NO_BUFFERS})


async def observe(
    request: ResolveRequest, context: Context, progress: Callable[[ResolveResult], None]
) -> ResolveResult:
    """Ask for the name's addresses; see the module's text.

    Ends at the latest after ``system_wait_s`` or twice ``wait_s``, whichever is longer. Raises
    :class:`NotApplicable` for a name that cannot be asked for (``reason.name-…``).
    """
    literal = _literal(request.name)
    if literal is not None:
        fits = request.family in (None, 6 if ":" in literal else 4)
        return ResolveResult(request.name, request.name, True, (literal,) if fits else (), None, (), None)
    ascii_name = to_ascii(request.name)
    run = _Run(request, context, progress, ascii_name, read_configuration(context))
    await run.whole()
    return run.result()


# --- names -------------------------------------------------------------------------------------------------


def _literal(name: str) -> str | None:
    """Return the address that ``name`` is, also in the short and octal forms of inet_aton(3), or ``None``."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    if re.fullmatch(r"[0-9][0-9a-fA-FxX.]*", name):
        # getaddrinfo takes 127.1 or 0x7f000001 for an address as well, and asks nobody
        try:
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            pass
    return None


def to_ascii(name: str) -> str:
    """Return ``name`` as it goes over the wire (A-labels), a trailing dot kept.

    Internationalised names go through UTS #46 and IDNA 2008 where the package ``idna`` is installed, else through
    IDNA 2003. Raises :class:`NotApplicable` for what is no host name: letters, digits, hyphens and
    underscores in labels of 1 to 63 octets, 253 in all (RFC 1035, section 2.3.4; RFC 1123, section 2.1).
    """
    text = name
    if not text.isascii():
        import dns.exception  # noqa: PLC0415 - most names need not pay for it
        import dns.name  # noqa: PLC0415

        codec = dns.name.IDNA_2008_Practical if dns.name.have_idna_2008 else dns.name.IDNA_2003_Practical
        try:
            # from_unicode would read a backslash as an escape, which to_text might undo
            text = dns.name.from_unicode(text.replace("\\", " "), None, codec).to_text()
        except (dns.exception.DNSException, ValueError, IndexError) as problem:
            raise NotApplicable("reason.name-not-idna", name=_printable(name)) from problem
    bare = text.removesuffix(".")
    if not bare:
        raise NotApplicable("reason.name-empty")
    if len(bare) > 253:
        raise NotApplicable("reason.name-too-long", length=len(bare), limit=253)
    for label in bare.split("."):
        if not label:
            raise NotApplicable("reason.name-empty-label", name=_printable(name))
        if len(label) > 63:
            raise NotApplicable("reason.name-label-too-long", label=_printable(label), length=len(label), limit=63)
        wrong = re.search(r"[^A-Za-z0-9_-]", label)
        if wrong:
            raise NotApplicable("reason.name-malformed", name=_printable(name), character=_printable(wrong.group()))
    return text


def _candidates(ascii_name: str, configuration: ResolverConfiguration) -> tuple[str, ...]:
    """Return the full names in the order in which glibc's ``res_search`` tries them, without trailing dots."""
    bare = ascii_name.removesuffix(".")
    if bare.lower() == "localhost" or bare.lower().endswith(".localhost"):
        return ()
    if ascii_name.endswith("."):
        return (bare,)
    dots = bare.count(".")
    expanded = [f"{bare}.{domain}" if domain != "." else bare for domain in configuration.search]
    if dots >= configuration.ndots:
        names = [bare, *expanded]
    elif dots == 0 and expanded and "no-tld-query" in configuration.options:
        names = expanded
    else:
        names = [*expanded, bare]
    return tuple(dict.fromkeys(name for name in names if len(name) <= 253))[:_MAX_CANDIDATES]


def _printable(text: str) -> str:
    """Return hostile text as one short line of printable characters."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return shown if len(shown) <= _MAX_TEXT else shown[:_MAX_TEXT] + "…"


# --- configuration -----------------------------------------------------------------------------------------


def read_configuration(context: Context) -> ResolverConfiguration:
    """Read ``/etc/resolv.conf`` and ``/etc/nsswitch.conf`` as glibc does; missing files are no error.

    On Windows the adapters' configuration stands for them.
    """
    windows = name_servers.configured() if context.root == Path("/") else None
    if windows is not None:
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
            (servers if _is_server(words[0]) and len(servers) < _MAX_SERVERS else ignored).append(words[0])
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
        ignored=tuple(_printable(word) for word in ignored[:16]),
        search=tuple(filter(None, (_domain(word) for word in search)))[:64],
        ndots=_ndots(options),
        options=tuple(_printable(word) for word in options[:64]),
        nsswitch_hosts=_nsswitch_hosts(context),
    )


def _is_server(word: str) -> bool:
    """Tell whether glibc would take the word for a name server: inet_aton's forms, IPv6 with or without scope."""
    try:
        socket.inet_aton(word)
    except OSError:
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
            words = tuple(_printable(word) for word in re.findall(r"\[[^\]]*\]|[^\s\[]+", sources)[:32])
    return words


# --- the run -----------------------------------------------------------------------------------------------


class _Question(msgspec.Struct, frozen=True):
    """``order`` places it among the questions to one server."""

    order: int
    name: str
    record_type: str
    record_class: str = "IN"
    other_name: bool = False


class _Server(msgspec.Struct):
    """One name server while it is asked. ``heard`` once any datagram of it has come, good or bad."""

    index: int
    text: str
    ends: float
    family: int
    address: Any
    group: asyncio.TaskGroup
    heard: bool = False
    version_asked: bool = False
    tcp_useless: bool = False
    second_try: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)


class _Run:
    """One observation under way: who is asked what, and what has come back so far."""

    def __init__(
        self,
        request: ResolveRequest,
        context: Context,
        progress: Callable[[ResolveResult], None],
        ascii_name: str,
        configuration: ResolverConfiguration,
    ) -> None:
        self._request = request
        self._context = context
        self._progress = progress
        self._ascii_name = ascii_name
        self._configuration = configuration
        self._candidates = _candidates(ascii_name, configuration)
        self._types = {None: ("A", "AAAA"), 4: ("A",), 6: ("AAAA",)}[request.family]
        self._system: SystemAnswer | None = None
        self._answers: dict[tuple[int, int, int], ServerAnswer] = {}
        self._first: tuple[int, str] | None = None  # server and candidate that gave addresses first
        self._own_errors: dict[str, None] = {}

    def result(self) -> ResolveResult:
        """Return what is known by now."""
        answers = tuple(self._answers[key] for key in sorted(self._answers))
        if self._system is not None and self._system.finished:
            addresses = self._system.addresses
        elif self._first is not None:
            server, name = self._configuration.servers[self._first[0]], self._first[1]
            said = (a.addresses for a in answers if a.server == server and a.name == name)
            addresses = tuple(dict.fromkeys(address for group in said for address in group))
        else:
            addresses = ()
        return ResolveResult(
            name=self._request.name,
            ascii_name=self._ascii_name,
            literal=False,
            addresses=addresses,
            system=self._system,
            answers=answers,
            configuration=self._configuration,
            candidates=self._candidates,
            other_name=CONTROL_NAME if self._candidates else None,
            search_matched=self._first[1] if self._first else None,
            own_errors=tuple(self._own_errors),
        )

    async def whole(self) -> None:
        """Ask everybody side by side."""
        async with asyncio.TaskGroup() as group:
            if self._context.root == Path("/"):
                group.create_task(self._ask_system())
            if self._candidates:
                group.create_task(self._ask_servers())

    async def _ask_system(self) -> None:
        family = {None: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}[self._request.family]
        # As bytes: Python would put a text through its own IDNA codec, which refuses names that glibc takes.
        name = self._ascii_name.encode("ascii")
        loop = asyncio.get_running_loop()
        started = loop.time()
        addresses: tuple[str, ...] = ()
        eai: str | None = None
        finished = True
        try:
            async with asyncio.timeout(self._request.system_wait_s):
                # SOCK_STREAM: one entry an address. No AI_ADDRCONFIG: it would hide what the name has.
                found = await in_thread(
                    lambda: socket.getaddrinfo(name, None, family, socket.SOCK_STREAM), "system resolver"
                )
            addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        except TimeoutError:
            finished = False
        except socket.gaierror as problem:
            eai = _eai_name(problem.errno)
        except OSError:
            eai = "EAI_SYSTEM"
        self._system = SystemAnswer(addresses, eai, (loop.time() - started) * 1000, finished)
        self._progress(self.result())

    async def _ask_servers(self) -> None:
        # Half the time of the fastest run is this import: in a thread, it leaves the loop to the others.
        try:
            await in_thread(_load_dns, "import dns")
        except OSError as problem:
            self._own_errors[_name_of(problem)] = None
            return
        ends = asyncio.get_running_loop().time() + 2 * self._request.wait_s
        async with asyncio.TaskGroup() as group:
            for index, text in enumerate(self._configuration.servers):
                if text not in self._configuration.servers[:index]:
                    group.create_task(self._ask_server(index, text, ends))

    async def _ask_server(self, index: int, text: str, ends: float) -> None:
        try:
            # numeric: answered at once, and gives a scoped address its interface
            entry = socket.getaddrinfo(text, _PORT, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        except (OSError, UnicodeError):
            # the interface of a scoped address is not there
            for order, record_type in enumerate(self._types):
                failed = _blank(text, _Question(order, self._candidates[0], record_type), "udp", Answer.UNREACHABLE)
                self._record(index, order, replace(failed, errno="ENODEV", transmissions=0))
            return
        async with asyncio.TaskGroup() as group:
            server = _Server(index, text, ends, entry[0], entry[4], group)
            group.create_task(self._ask(server, _Question(1000, CONTROL_NAME, "NS", other_name=True)))
            for position, name in enumerate(self._candidates):
                if position and asyncio.get_running_loop().time() + self._request.wait_s > ends:
                    break  # what is left would be too short a wait to call silence
                answers = await self._ask_candidate(server, position, name)
                if all(answer in SILENT for answer in answers) or Answer.ADDRESSES in answers:
                    break

    async def _ask_candidate(self, server: _Server, position: int, name: str) -> list[Answer]:
        """Ask for every wanted kind of address of one name at once."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._ask(server, _Question(2 * position + offset, name, record_type)))
                for offset, record_type in enumerate(self._types)
            ]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if pending and any(task.result() is Answer.ADDRESSES for task in done):
                await asyncio.wait(pending, timeout=_RESOLUTION_DELAY_S)
                self._settle(server, name)
        self._settle(server, name)
        return [task.result() for task in tasks]

    def _settle(self, server: _Server, name: str) -> None:
        """Let the addresses of a server count from now on, if it is the first to have any."""
        if self._first is not None:
            return
        if any(a.server == server.text and a.name == name and a.addresses for a in self._answers.values()):
            self._first = (server.index, name)
            self._progress(self.result())

    def _record(self, index: int, order: int, answer: ServerAnswer) -> None:
        self._answers[index, order, 0 if answer.transport == "udp" else 1] = answer
        self._progress(self.result())

    async def _ask(self, server: _Server, question: _Question) -> Answer:
        """Ask one question over UDP, and over TCP where that is called for; return the last answer's kind."""
        wait_s = self._request.wait_s
        try:
            answer = await self._ask_udp(server, question, wait_s)
            if answer.truncated:
                answer = await self._ask_tcp(server, question, max(self._left(server), wait_s / 4), truncated=True)
                self._record(server.index, question.order, answer)
                return answer.answer
            self._record(server.index, question.order, answer)
            if answer.answer is not Answer.NO_ANSWER:
                return answer.answer
            if not server.heard and not server.version_asked:
                server.version_asked = True
                server.group.create_task(self._ask_version(server))
            async with server.second_try:
                # one try for all questions: the others follow only where it brought an answer
                left = self._left(server)
                if server.tcp_useless or left < wait_s / 4:
                    return answer.answer
                answer = await self._ask_tcp(server, question, left)
                server.tcp_useless = answer.answer in SILENT
                self._record(server.index, question.order, answer)
        except _OwnLimitError as limit:
            self._own_errors[str(limit)] = None
            self._progress(self.result())
            return Answer.NO_ANSWER
        return answer.answer

    async def _ask_version(self, server: _Server) -> None:
        question = _Question(1001, "version.bind", "TXT", "CH", other_name=True)
        try:
            self._record(
                server.index, question.order, await self._ask_udp(server, question, max(self._left(server), 0.1))
            )
        except _OwnLimitError as limit:
            self._own_errors[str(limit)] = None

    def _left(self, server: _Server) -> float:
        return max(0.0, min(self._request.wait_s, server.ends - asyncio.get_running_loop().time()))

    async def _ask_udp(self, server: _Server, question: _Question, wait_s: float) -> ServerAnswer:
        """Send the question, and once more without EDNS after silence or where EDNS was not understood.

        Where the answer was cut (TC) the result is marked ``truncated`` and holds nothing else.
        """
        loop = asyncio.get_running_loop()
        last = _blank(server.text, question, "udp", Answer.NO_ANSWER)
        sent: dict[int, _Sent] = {}
        async with self._context.budget.slot():
            sock = self._open(server, socket.SOCK_DGRAM)
            if isinstance(sock, OSError):
                return replace(last, answer=Answer.UNREACHABLE, errno=_name_of(sock), transmissions=0)
            with sock:
                try:
                    errqueue.enable(sock, stamps=False)
                    sock.connect(server.address)
                    ends = loop.time() + wait_s
                    for edns, share in ((True, 0.4), (False, 1.0)):
                        await self._context.sending()
                        outgoing = _Sent.of(question, edns)
                        sent[outgoing.query.id] = outgoing
                        outgoing.at = loop.time()
                        await loop.sock_sendall(sock, outgoing.query.to_wire())
                        last = replace(last, transmissions=len(sent))
                        until = ends - wait_s * (1 - share)
                        got = await self._receive(sock, server, sent, max(until, loop.time()))
                        if got is not None:
                            last = replace(got, transmissions=len(sent))
                            junk = got.answer is Answer.MALFORMED and not got.truncated
                            if not junk and not (got.edns and got.answer in (Answer.FORMERR, Answer.NOTIMP)):
                                break
                except OSError as problem:
                    if last.answer in (Answer.FORMERR, Answer.NOTIMP):
                        return last  # the server has spoken: what befell the second question matters less
                    return replace(
                        last,
                        answer=_answer_of(problem),
                        errno=_name_of(problem),
                        icmp_sender=_icmp_sender(sock),
                        transmissions=len(sent),
                    )
        return last

    async def _receive(
        self, sock: socket.socket, server: _Server, sent: dict[int, _Sent], until: float
    ) -> ServerAnswer | None:
        """Return the first datagram that answers something sent; ``None`` for silence.

        Anything else is passed over, as a resolver must (RFC 5452, section 9.1); where only such came, the answer
        is ``MALFORMED``.
        """
        loop = asyncio.get_running_loop()
        junk = 0
        first = next(iter(sent.values()))
        while junk < _MAX_JUNK:
            try:
                async with asyncio.timeout_at(until):
                    data = await loop.sock_recv(sock, 65535)
            except TimeoutError:
                break
            server.heard = True
            # What came in time counts, however long the reading takes.
            matching = sent.get(int.from_bytes(data[:2], "big")) if len(data) >= 12 else None
            if matching is not None:
                answer = await _read_aside(data, matching, server.text, "udp", loop.time())
                if answer is not None:
                    return answer
            junk += 1
        return _blank(server.text, first.question, "udp", Answer.MALFORMED) if junk else None

    async def _ask_tcp(
        self, server: _Server, question: _Question, wait_s: float, *, truncated: bool = False
    ) -> ServerAnswer:
        """Ask over TCP (RFC 7766): a length of two octets before each message."""
        loop = asyncio.get_running_loop()
        blank = replace(_blank(server.text, question, "tcp", Answer.NO_ANSWER), connected=False, truncated=truncated)
        async with self._context.budget.slot():
            sock = self._open(server, socket.SOCK_STREAM)
            if isinstance(sock, OSError):
                return replace(blank, answer=Answer.UNREACHABLE, errno=_name_of(sock), transmissions=0)
            with sock:
                try:
                    async with asyncio.timeout(wait_s):
                        errqueue.enable(sock, stamps=False)
                        await self._context.sending()
                        await loop.sock_connect(sock, server.address)
                        blank = replace(blank, connected=True)
                        outgoing = _Sent.of(question, edns=True)
                        wire = outgoing.query.to_wire()
                        await self._context.sending()
                        outgoing.at = loop.time()
                        await loop.sock_sendall(sock, struct.pack("!H", len(wire)) + wire)
                        (length,) = struct.unpack("!H", await _exactly(sock, 2))
                        data = await _exactly(sock, length)
                except (TimeoutError, EOFError):
                    return blank
                except OSError as problem:
                    answer = Answer.NO_ANSWER if blank.connected else _answer_of(problem)
                    sender = _icmp_sender(sock)
                    return replace(blank, answer=answer, errno=_name_of(problem), icmp_sender=sender)
        fits = len(data) >= 12 and int.from_bytes(data[:2], "big") == outgoing.query.id
        got = await _read_aside(data, outgoing, server.text, "tcp", loop.time()) if fits else None
        if got is None:
            return replace(blank, answer=Answer.MALFORMED)
        return replace(got, connected=True, truncated=truncated)

    def _open(self, server: _Server, kind: int) -> socket.socket | OSError:
        """Open a socket; an error is returned where it concerns the server's family.

        Raises :class:`_OwnLimitError` for an error that concerns this process alone.
        """
        try:
            return self._context.socket(server.family, kind)
        except OSError as problem:
            if classify(number_of(problem)) in _LIMITS:
                raise _OwnLimitError(_name_of(problem)) from problem
            return problem


class _OwnLimitError(Exception):
    """A limit of this process or machine kept a socket from being opened; the text is the errno's name."""


async def _exactly(sock: socket.socket, count: int) -> bytes:
    """Read ``count`` bytes; raises ``EOFError`` where the stream ends before."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < count:
        chunk = await loop.sock_recv(sock, count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


# --- errors ------------------------------------------------------------------------------------------------


def _name_of(problem: OSError) -> str:
    return errno_name(number_of(problem))


def _answer_of(problem: OSError) -> Answer:
    """Return what an error of a socket call says about the server."""
    failure = classify(number_of(problem))
    if failure is Failure.REFUSED:
        return Answer.PORT_CLOSED
    if failure in (Failure.RESET, Failure.ABORTED, Failure.TIMED_OUT):
        return Answer.NO_ANSWER
    return Answer.UNREACHABLE


def _eai_name(number: int | None) -> str:
    """Return the symbolic name of an error of getaddrinfo(3)."""
    for name in reversed(dir(socket)):  # where NONAME and NODATA are one (Windows, FreeBSD), it is the former
        if name.startswith("EAI_") and getattr(socket, name) == number:
            return name
    return f"EAI_{number}"


def _icmp_sender(sock: socket.socket) -> str | None:
    """Return who sent the ICMP error that waits on the socket's error queue, if one does."""
    return next((entry.icmp.sender for entry in errqueue.drain(sock) if entry.icmp), None)


# --- messages ----------------------------------------------------------------------------------------------


def _load_dns() -> None:
    """Import what questions and answers need of dnspython, record types included."""
    import dns.edns  # noqa: PLC0415 - about 40 ms, which only names need to pay
    import dns.flags  # noqa: PLC0415
    import dns.message  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415
    import dns.rdtypes.ANY.CNAME  # noqa: PLC0415
    import dns.rdtypes.ANY.NS  # noqa: PLC0415
    import dns.rdtypes.ANY.OPT  # noqa: PLC0415
    import dns.rdtypes.ANY.SOA  # noqa: PLC0415
    import dns.rdtypes.IN.A  # noqa: PLC0415
    import dns.rdtypes.IN.AAAA  # noqa: F401, PLC0415


class _Sent(msgspec.Struct):
    """One transmission of a question; ids are random, so that an answer tells which one it belongs to."""

    question: _Question
    query: dns.message.QueryMessage
    edns: bool
    at: float = 0.0

    @classmethod
    def of(cls, question: _Question, edns: bool) -> _Sent:
        """Make the message; the name was checked before."""
        import dns.message  # noqa: PLC0415 - loaded by _load_dns

        query = dns.message.make_query(
            question.name.rstrip(".") + ".",
            question.record_type,
            question.record_class,
            use_edns=0 if edns else False,  # None would take the payload for a wish
            payload=_EDNS_PAYLOAD,
        )
        return cls(question, query, edns)


def _blank(server: str, question: _Question, transport: str, answer: Answer) -> ServerAnswer:
    return ServerAnswer(
        server, _PORT, question.name, question.record_type, transport, answer, other_name=question.other_name
    )


async def _read_aside(data: bytes, sent: _Sent, server: str, transport: str, now: float) -> ServerAnswer | None:
    """Read a message without holding up the loop: dnspython takes 0.15 s over 64 KiB of addresses."""
    if len(data) <= _SMALL:
        return _read(data, sent, server, transport, now)
    return await in_thread(lambda: _read(data, sent, server, transport, now), "read answer")


def _read(data: bytes, sent: _Sent, server: str, transport: str, now: float) -> ServerAnswer | None:
    """Read a message whose id fits; ``None`` where it is no answer to what was sent."""
    import dns.exception  # noqa: PLC0415 - loaded by _load_dns
    import dns.flags  # noqa: PLC0415
    import dns.message  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415

    blank = replace(
        _blank(server, sent.question, transport, Answer.MALFORMED), edns=sent.edns, rtt_ms=(now - sent.at) * 1000
    )
    flags = int.from_bytes(data[2:4], "big")
    if transport == "udp" and flags & _TRUNCATED and flags & dns.flags.QR:
        return replace(blank, truncated=True)  # it may end in the middle of a record: not worth reading
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
        if not sent.query.is_response(message):
            return None
        answer = replace(_content(blank, message), extended_error=_extended_error(message))
    except Exception:  # noqa: BLE001 - a parser of hostile data: whatever it trips over is the sender's doing
        return None
    code = message.rcode()
    return replace(
        answer,
        rcode=dns.rcode.to_text(code),
        authoritative=bool(message.flags & dns.flags.AA),
        recursion_available=bool(message.flags & dns.flags.RA),
    )


def _content(blank: ServerAnswer, message: dns.message.Message) -> ServerAnswer:
    """Take addresses and aliases out of an answer by following its aliases; raises what dnspython raises."""
    import dns.message  # noqa: PLC0415 - loaded by _load_dns
    import dns.rcode  # noqa: PLC0415

    kinds = {
        dns.rcode.NOERROR: Answer.NO_DATA,
        dns.rcode.NXDOMAIN: Answer.NXDOMAIN,
        dns.rcode.SERVFAIL: Answer.SERVFAIL,
        dns.rcode.REFUSED: Answer.REFUSED,
        dns.rcode.FORMERR: Answer.FORMERR,
        dns.rcode.NOTIMP: Answer.NOTIMP,
    }
    answer = replace(blank, answer=kinds.get(message.rcode(), Answer.OTHER_RCODE))
    if blank.other_name or answer.answer not in (Answer.NO_DATA, Answer.NXDOMAIN):
        return answer
    if not isinstance(message, dns.message.QueryMessage):
        raise TypeError(type(message))
    chain = message.resolve_chaining()
    # dnspython escapes everything but printable ASCII
    aliases = tuple(_printable(str(link[0].target).removesuffix(".")) for link in chain.cnames)
    answer = replace(answer, aliases=aliases)
    if answer.answer is Answer.NO_DATA and chain.answer is not None:
        addresses = tuple(dict.fromkeys(str(record.address) for record in chain.answer))[:_MAX_ADDRESSES]
        return replace(answer, answer=Answer.ADDRESSES, addresses=addresses, ttl_s=int(chain.answer.ttl))
    return answer


def _extended_error(message: dns.message.Message) -> str | None:
    """Return the first extended error (RFC 8914) as its number, its registered words and its own text."""
    import dns.edns  # noqa: PLC0415 - loaded by _load_dns

    for option in message.options:
        if isinstance(option, dns.edns.EDEOption):
            number = int(option.code)
            words = [str(number)]
            if number in set(dns.edns.EDECode):
                words.append(dns.edns.EDECode(number).name.replace("_", " ").lower())
            if option.text:
                words.append(f"({_printable(option.text)})")
            return " ".join(words)
    return None


# --- the probe ---------------------------------------------------------------------------------------------


def _request_for(target: ProbeTarget) -> ResolveRequest:
    if target.host is None:
        raise NotApplicable("reason.no-host-given")
    return ResolveRequest(target.host, target.family)


PROBE = Probe(
    name="resolve",
    request=ResolveRequest,
    result=ResolveResult,
    observe=observe,
    request_for=_request_for,
    subject=lambda request: request.name,
    deadline_s=7.0,
    most_packets=lambda _request: _MOST_PACKETS,
)
