"""One question to one name server, over UDP and over TCP (RFC 1035, RFC 7766), with every detail of what came back.

Sockets are connected, so that a closed port shows in a millisecond and an unreachable network at once.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import msgspec
from msgspec.structs import replace

from probes.base import Context
from probes.failure import Failure, classify, errno_name, number_of
from probes.system.dns import Answer, ServerAnswer, Unfit
from probes.system.dns.message import Question, Sent, read_aside, unanswered, unfit
from probes.system.linux import errqueue

_MAX_JUNK = 16
_LIMITS = frozenset({Failure.TOO_MANY_FILES, Failure.NO_BUFFERS})


class Server(msgspec.Struct):
    """One name server while it is asked.

    ``asked_s`` is when the first datagram to it was sent (the loop's clock); ``heard`` once any of it has come, good or
    bad.
    """

    text: str
    family: int
    address: Any
    asked_s: float | None = None
    heard: bool = False


class OwnLimitError(Exception):
    """A limit of this process or machine kept a socket from being opened; the text is the errno's name."""


async def ask_udp(context: Context, server: Server, question: Question, wait_s: float) -> ServerAnswer:
    """Send the question, and once more without EDNS after silence or where EDNS was not understood.

    Where the answer was cut (TC) the result is marked ``truncated`` and holds nothing else.
    """
    loop = asyncio.get_running_loop()
    last = unanswered(server.text, question, "udp", Answer.NO_ANSWER)
    sent: dict[int, Sent] = {}
    async with context.budget.slot():
        sock = _open(context, server, socket.SOCK_DGRAM)
        if isinstance(sock, OSError):
            return replace(last, answer=Answer.UNREACHABLE, errno=name_of(sock), transmissions=0)
        with sock:
            try:
                errqueue.enable(sock, stamps=False)
                sock.connect(server.address)
                ends = loop.time() + wait_s
                for edns, share in ((True, 0.4), (False, 1.0)):
                    await context.sending()
                    outgoing = Sent.of(question, edns)
                    sent[outgoing.query.id] = outgoing
                    outgoing.at = loop.time()
                    server.asked_s = server.asked_s or outgoing.at
                    await loop.sock_sendall(sock, outgoing.query.to_wire())
                    last = replace(last, transmissions=len(sent))
                    until = ends - wait_s * (1 - share)
                    got = await _receive(sock, server, sent, max(until, loop.time()))
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
                    errno=name_of(problem),
                    icmp_sender=_icmp_sender(sock),
                    transmissions=len(sent),
                )
    return last


async def _receive(sock: socket.socket, server: Server, sent: dict[int, Sent], until: float) -> ServerAnswer | None:
    """Return the first datagram that answers something sent; ``None`` for silence.

    Anything else is passed over, as a resolver must (RFC 5452, section 9.1); where only such came, the answer
    is ``MALFORMED``.
    """
    loop = asyncio.get_running_loop()
    junk: list[Unfit] = []
    first = next(iter(sent.values()))
    while len(junk) < _MAX_JUNK:
        try:
            async with asyncio.timeout_at(until):
                data = await loop.sock_recv(sock, 65535)
        except TimeoutError:
            break
        server.heard = True
        # What came in time counts, however long the reading takes.
        matching = sent.get(int.from_bytes(data[:2], "big")) if len(data) >= 12 else None
        if matching is not None:
            answer = await read_aside(data, matching, server.text, "udp", loop.time())
            if answer is not None:
                return answer
        junk.append(unfit(data, matching or first))
    return replace(unanswered(server.text, first.question, "udp", Answer.MALFORMED), unfit=junk[0]) if junk else None


async def ask_tcp(
    context: Context, server: Server, question: Question, wait_s: float, *, truncated: bool = False
) -> ServerAnswer:
    """Ask over TCP (RFC 7766): a length of two octets before each message."""
    loop = asyncio.get_running_loop()
    blank = replace(unanswered(server.text, question, "tcp", Answer.NO_ANSWER), connected=False, truncated=truncated)
    async with context.budget.slot():
        sock = _open(context, server, socket.SOCK_STREAM)
        if isinstance(sock, OSError):
            return replace(blank, answer=Answer.UNREACHABLE, errno=name_of(sock), transmissions=0)
        with sock:
            try:
                async with asyncio.timeout(wait_s):
                    errqueue.enable(sock, stamps=False)
                    await context.sending()
                    await loop.sock_connect(sock, server.address)
                    blank = replace(blank, connected=True)
                    outgoing = Sent.of(question, edns=True)
                    wire = outgoing.query.to_wire()
                    await context.sending()
                    outgoing.at = loop.time()
                    await loop.sock_sendall(sock, struct.pack("!H", len(wire)) + wire)
                    (length,) = struct.unpack("!H", await _exactly(sock, 2))
                    data = await _exactly(sock, length)
            except (TimeoutError, EOFError):
                return blank
            except OSError as problem:
                answer = Answer.NO_ANSWER if blank.connected else _answer_of(problem)
                sender = _icmp_sender(sock)
                return replace(blank, answer=answer, errno=name_of(problem), icmp_sender=sender)
    fits = len(data) >= 12 and int.from_bytes(data[:2], "big") == outgoing.query.id
    got = await read_aside(data, outgoing, server.text, "tcp", loop.time()) if fits else None
    if got is None:
        return replace(blank, answer=Answer.MALFORMED, unfit=unfit(data, outgoing))
    return replace(got, connected=True, truncated=truncated)


def _open(context: Context, server: Server, kind: int) -> socket.socket | OSError:
    """Open a socket; an error is returned where it concerns the server's family.

    Raises :class:`OwnLimitError` for an error that concerns this process alone.
    """
    try:
        return context.socket(server.family, kind)
    except OSError as problem:
        if classify(number_of(problem)) in _LIMITS:
            raise OwnLimitError(name_of(problem)) from problem
        return problem


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


def name_of(problem: OSError) -> str:
    """Return the symbolic error of a socket call."""
    return errno_name(number_of(problem))


def _answer_of(problem: OSError) -> Answer:
    """Return what an error of a socket call says about the server."""
    failure = classify(number_of(problem))
    if failure is Failure.REFUSED:
        return Answer.PORT_CLOSED
    if failure in (Failure.RESET, Failure.ABORTED, Failure.TIMED_OUT):
        return Answer.NO_ANSWER
    return Answer.UNREACHABLE


def _icmp_sender(sock: socket.socket) -> str | None:
    """Return who sent the ICMP error that waits on the socket's error queue, if one does."""
    return next((entry.icmp.sender for entry in errqueue.drain(sock) if entry.icmp), None)
