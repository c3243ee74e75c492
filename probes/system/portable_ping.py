"""Echo requests through icmplib's public socket classes, for systems that have no error queue (RFC 792, RFC 4443).

The datagram kind goes first (macOS opens it to everyone, icmp(4)), then the raw one (root, Administrator). icmplib
gives the type, code and sender of an error, but no TTL and no next-hop MTU, and it matches replies by identifier and
sequence alone: the source of a reply is checked here. Its own module decides by ``sys.platform`` whether a datagram
socket hands over the IP header and whether the kernel chooses the identifier.

Tested on Linux with raw and with datagram sockets, with a loop that watches sockets and with one that cannot; and
with Windows' Python under wine. Windows itself, macOS and every other system are untested. Where the clock is coarse
(before Python 3.13 that of Windows steps by about 16 ms), so are the round-trip times.
"""

from __future__ import annotations

import asyncio
import codecs
import errno as errno_module
import socket
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from probes.base import NotPermitted
from probes.failure import IcmpError
from probes.system import chance
from probes.system.blocking import in_thread
from probes.system.endpoint import Endpoint
from probes.system.linux.icmp import EchoAnswer

_REPLY: Final = {4: 0, 6: 129}
#: Destination unreachable, time exceeded, parameter problem, and IPv6's *packet too big*. Requests (a raw socket on
#: the loopback sees its own), redirects and neighbour discovery are nothing that happened to an echo.
_ERRORS: Final = {4: frozenset({3, 11, 12}), 6: frozenset({1, 2, 3, 4})}
#: No message for us is shorter, in bytes: an error that quotes no more than it must has 20 + 8 + 20 + 8 with the
#: outer IPv4 header, 8 + 40 + 8 over IPv6, where there is none. And every message as long as this is one that
#: icmplib's ``receive`` returns at once; a shorter one it might drop and wait for the next.
_SHORTEST: Final = 56
_LONGEST: Final = 65535
#: No more messages are looked at in one go, so that a flood cannot hold the event loop.
_MOST: Final = 256
#: How long one ``receive`` may last, seconds. It drops what it has read where its time is over by then, so it is
#: generous towards a busy machine; and it is how long the thread of a loop without readers outlives its echoes.
_WAIT_S: Final = 0.25
#: The thread's pause where receiving fails, seconds.
_PAUSE_S: Final = 0.02
#: What a system says that knows no datagram ICMP at all; the raw kind may exist all the same.
_UNKNOWN_KIND: Final = frozenset(
    {errno_module.EPROTONOSUPPORT, errno_module.EPROTOTYPE, errno_module.EOPNOTSUPP, errno_module.ESOCKTNOSUPPORT}
)
#: Who answers what is sent to the unspecified address.
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class PortableEcho:
    """Echo requests to one address; a context manager, to be used inside a running loop.

    ``wake`` is called in the loop whenever there may be something for :meth:`answers`. Opening raises
    :class:`NotPermitted` (``reason.needs-raw-sockets``) where neither kind of socket is allowed, and ``OSError``
    where the local stack refuses for another reason. The sockets are opened by icmplib, past the probe's context.
    """

    def __init__(self, target: Endpoint, wake: Callable[[], None]) -> None:
        self._version = target.version
        plain = target.text.partition("%")[0]
        scope = target.sockaddr[3] if self._version == 6 else 0
        self._to = f"{plain}%{scope}" if scope else plain
        self._from = socket.inet_pton(target.family, _LOOPBACK.get(plain, plain))
        self._wake = wake
        #: Random both, because icmplib gives no payload by which to know an answer.
        self._identifier = chance.below(0xFFFF) + 1
        self._first = chance.below(0x10000)
        self._sent: dict[int, tuple[int, Any]] = {}
        self._came: deque[Any] = deque(maxlen=_MOST)
        self._stop = threading.Event()
        self._thread: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        codecs.lookup("idna")  # loaded for any address that is a str: not within the first round-trip time
        self._library = _open(self._version)
        #: Whether it is a raw socket and not a datagram one.
        self.raw = bool(self._library.is_privileged)
        try:
            self._library.blocking = False
            self._watched = self._watch()
        except BaseException:
            self._library.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket: at once, or where a thread reads it, as soon as that has noticed (a quarter second)."""
        self._stop.set()
        if self._thread is not None:
            return  # a socket closed under a thread that waits for it may be another file by the time it wakes
        if self._watched:
            self._loop.remove_reader(self._library.sock)
            self._watched = False
        self._library.close()

    def send(self, sequence: int) -> None:
        """Send request number ``sequence`` (from 0). Raises ``OSError`` where the local stack refuses it."""
        from icmplib import ICMPLibError, ICMPRequest  # noqa: PLC0415 - imports asyncio and more

        number = (self._first + sequence) & 0xFFFF
        request = ICMPRequest(self._to, self._identifier, number)
        self._sent[number] = sequence, request
        if self._watched:
            self._library.blocking = False  # receive() leaves a time-out behind
        try:
            self._library.send(request)
        except ICMPLibError as error:
            del self._sent[number]
            raise _local(error) from error
        if not self._watched and self._thread is None:
            # only now: on Windows a socket that has no local address yet cannot be read
            self._thread = in_thread(self._work, "ping")

    def answers(self) -> list[EchoAnswer]:
        """Return what has come for our own requests since the last call."""
        if self._watched:
            self._read()
        elif self._thread is not None and self._thread.done():
            self._thread.result()  # it ends early only by a bug of ours, which must not pass for silence
        found = []
        while self._came:
            answer = self._match(self._came.popleft())
            if answer is not None:
                found.append(answer)
        return found

    def _watch(self) -> bool:
        """Have the loop watch the socket; false where it cannot (asyncio's ProactorEventLoop)."""
        try:
            self._loop.add_reader(self._library.sock, self._wake)
        except NotImplementedError:
            return False
        return True

    def _read(self) -> None:
        """Take in what lies in the socket, in the loop and without waiting."""
        from icmplib import ICMPLibError  # noqa: PLC0415 - imports asyncio and more

        for _ in range(_MOST):
            try:
                self._library.blocking = False
                waiting = self._library.sock.recv(_LONGEST, socket.MSG_PEEK)
                if len(waiting) < _SHORTEST:
                    self._library.sock.recv(_LONGEST)
                else:
                    self._keep(self._library.receive(None, _WAIT_S))
            except BlockingIOError:
                return
            except (OSError, ICMPLibError):
                continue

    def _work(self) -> None:
        """Read in a thread until told to stop, then close."""
        from icmplib import ICMPLibError, TimeoutExceeded  # noqa: PLC0415 - imports asyncio and more

        try:
            while not self._stop.is_set():
                try:
                    news = self._keep(self._library.receive(None, _WAIT_S))
                except TimeoutExceeded:
                    continue
                except ICMPLibError:
                    self._stop.wait(_PAUSE_S)
                    continue
                if news and not self._tell():
                    return
        finally:
            self._library.close()

    def _tell(self) -> bool:
        """Wake the loop from the thread; false where it is closed."""
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _keep(self, reply: Any) -> bool:
        """Keep a message that may be for us, and tell whether it may.

        The identifier is compared later, in :meth:`_match`: where the kernel chooses it, the request learns of it
        when ``send`` returns, and a thread may see the reply before that.
        """
        kept = (reply.type == _REPLY[self._version] or reply.type in _ERRORS[self._version]) and (
            reply.sequence in self._sent
        )
        if kept:
            self._came.append(reply)
        return kept

    def _match(self, reply: Any) -> EchoAnswer | None:
        """Return what a message says about a request of ours; ``None`` where it is not about any."""
        found = self._sent.get(reply.sequence)
        if found is None or reply.id != found[1].id:
            return None
        sequence = found[0]
        source = str(reply.source).partition("%")[0]
        if reply.type != _REPLY[self._version]:
            error = IcmpError(self._version, int(reply.type), int(reply.code), source)
            return EchoAnswer(sequence, float(reply.time), None, error)
        family = socket.AF_INET6 if self._version == 6 else socket.AF_INET
        if socket.inet_pton(family, source) != self._from:
            return None
        return EchoAnswer(sequence, float(reply.time), None)


def _open(version: int) -> Any:
    """Open icmplib's socket, unprivileged if possible (Windows knows the raw one only, whatever is asked for)."""
    from icmplib import ICMPSocketError, ICMPv4Socket, ICMPv6Socket, SocketPermissionError  # noqa: PLC0415

    kind = ICMPv6Socket if version == 6 else ICMPv4Socket
    try:
        return kind(privileged=False)
    except SocketPermissionError:
        pass
    except ICMPSocketError as error:
        local = _local(error)
        if local.errno not in _UNKNOWN_KIND:
            raise local from error
    try:
        return kind(privileged=True)
    except SocketPermissionError as error:
        raise NotPermitted("reason.needs-raw-sockets") from error
    except ICMPSocketError as error:
        raise _local(error) from error


def _local(error: Exception) -> OSError:
    """Return what the socket call itself said: icmplib keeps it as the context of its own exception only.

    Its text would mislead: a packet that a local filter drops is called a broadcast.
    """
    cause = error.__context__
    if isinstance(cause, socket.gaierror):  # the interface of a scoped address is gone; its numbers are no errno
        return OSError(errno_module.EADDRNOTAVAIL, str(cause))
    if isinstance(cause, OSError) and cause.errno is not None:
        return OSError(cause.errno, str(cause.strerror))
    return OSError(errno_module.EIO, str(error))
