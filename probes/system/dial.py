"""One TCP handshake: its first definite answer, the ICMP error behind it, and how many SYNs it took (tcp(7))."""

from __future__ import annotations

import asyncio
import errno as errno_module
import math
import socket
from typing import Final

from probes.base import Context, NotPermitted
from probes.failure import Failure, IcmpError, IcmpMeaning, classify, errno_name, number_of
from probes.system import on_linux
from probes.system.endpoint import Endpoint, text_of
from probes.system.linux import errqueue, tcp_info
from probes.system.linux.constants import IPV6_AUTOFLOWLABEL
from probes.system.rights import Capability, using
from probes.system.watch import Watch

#: A SYN is sent again after a second at the earliest (RFC 6298, section 2.1).
_REPEATED_S: Final = 1.0
#: Of connect(2) a filter's word; of any call before it this process's own lack, which says nothing of the target.
_FORBIDDEN: Final = frozenset({errno_module.EPERM, errno_module.EACCES})
_CONNECT: Final = "connect"
#: How soon the kernel is asked for the first time whether a FIN was acknowledged, seconds, ...
_ASK_AGAIN_S: Final = 0.01
#: ... and how much longer than that each further pause is, as a part of the time that it has been under way.
_PATIENCE: Final = 0.2


def syns_in(wait_s: float) -> int:
    """Return how many SYNs one connection sends at most while it is waited for so long, the repeated ones included."""
    return 1 + int(wait_s / _REPEATED_S)


class Dial:
    """One socket on its way to one address. Filled in while :meth:`run` runs, also when it is cancelled.

    ``begun`` is ``None`` until the SYN was sent. ``answered`` tells that there is an answer: ``errno`` is 0
    for a connection, else the failure's number, and ``icmp`` the error queue's entry behind it.
    ``at_once`` is true where the local stack refused before anything was sent.

    With ``part_s`` a connection that was made is closed in our direction, and ``parted`` tells whether the first FIN
    was acknowledged within so many seconds: one more exchange, of a connection that the other side knows. It is
    ``None`` where there was no connection, or where the system does not tell.

    With ``flow`` routers see the same flow whenever the same port is given (0 for one that the system chooses), which
    is ``source_port`` afterwards: the port is bound, and IPv6 packets carry no flow label (RFC 6437). With ``device``
    the socket is bound to that interface (Linux).
    """

    def __init__(
        self,
        target: Endpoint,
        *,
        ttl: int | None = None,
        retransmissions: int = 4,
        part_s: float = 0.0,
        flow: int | None = None,
        device: str | None = None,
    ) -> None:
        self._target = target
        self._ttl = ttl
        self._retransmissions = retransmissions
        self._part_s = part_s
        self._flow = flow
        self._device = device
        self.source_port = 0
        self.parted: bool | None = None
        self.begun: errqueue.Stamp | None = None
        self.answered = False
        self.at_once = False
        self.errno = 0
        self.icmp: IcmpError | None = None
        self.duration_ms = 0.0
        self._opened: socket.socket | None = None
        self._retransmitted = 0
        self.local_address: str | None = None

    @property
    def syns(self) -> int:
        """How many SYNs were sent so far, the kernel's retransmissions included; 0 before the first."""
        if self.begun is None or self.at_once:
            return 0
        if self._opened is not None and on_linux():
            self._retransmitted = max(self._retransmitted, tcp_info.read(self._opened).retransmitted)
        return 1 + self._retransmitted

    @property
    def connected(self) -> bool:
        """Whether the connection was made."""
        return self.answered and self.errno == 0

    @property
    def failure(self) -> Failure | None:
        """What is in the way of a connection: silence, too; ``None`` where it was made."""
        if not self.answered:
            return Failure.NO_ANSWER
        return classify(self.errno) if self.errno else None

    @property
    def errno_word(self) -> str | None:
        """The name of the error that the system gave, such as ``ECONNREFUSED``; ``None`` without one."""
        return errno_name(self.errno) if self.answered and self.errno else None

    async def run(self, context: Context, wait_s: float | None = None) -> None:
        """Connect, return at the first answer, or without one after ``wait_s`` seconds from the SYN on, and close.

        The caller, too, may bound the time, by cancelling. Either way what came while this process was busy counts.
        """
        async with context.budget.slot():
            await context.sending()
            with Watch() as watch:
                self.begun = errqueue.now()
                try:
                    opened = context.socket(self._target.family, socket.SOCK_STREAM)
                except OSError as error:
                    self._fail_at_once(error)
                    return
                watch.add(opened, writing=True)
                self._opened = opened
                try:
                    self._start(opened)
                    end_s = math.inf if wait_s is None else self.begun.monotonic_s + wait_s
                    while not self.answered:
                        left_s = end_s - errqueue.now().monotonic_s
                        await watch.wait(max(0.0, left_s) if wait_s is not None else None)
                        self._look(opened)
                        if left_s <= 0:
                            break
                    if self.connected and self._part_s and on_linux():
                        watch.rest(opened)
                        await self._part(opened)
                except OSError as error:
                    self._fail_at_once(error)
                finally:
                    self.look()
                    if not self.answered:
                        self.duration_ms = errqueue.elapsed_ms(self.begun)
                    context.packets_sent += max(0, self.syns - 1)
                    if self.icmp is not None and self.icmp.sender is not None:
                        context.reported(self._target.text, self._ttl, self.icmp.sender)
                    self._opened = None

    def _start(self, opened: socket.socket) -> None:
        errqueue.enable(opened)
        if on_linux():
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, self._retransmissions)
        if self._ttl is not None:
            errqueue.set_ttl(opened, self._ttl)
        if self._device is not None:
            with using(Capability.NET_RAW):  # asked for before Linux 5.7
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._device.encode() + b"\0")
        if self._flow is not None:
            self._keep_flow(opened, self._flow)
        self.begun = errqueue.now()
        number = opened.connect_ex(self._target.sockaddr)
        in_progress = number in (0, errno_module.EINPROGRESS, errno_module.EWOULDBLOCK)
        if in_progress:
            name = opened.getsockname()
            self.local_address = text_of(str(name[0]), int(name[3]) if len(name) > 3 else 0)
        self._look(opened, 0 if in_progress else number)
        if not in_progress and self.icmp is None:
            raise OSError(number, _CONNECT)

    def _keep_flow(self, opened: socket.socket, port: int) -> None:
        if self._target.family == socket.AF_INET6 and on_linux():
            opened.setsockopt(socket.IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(("", port))
        self.source_port = int(opened.getsockname()[1])

    async def _part(self, opened: socket.socket) -> None:
        """Send a FIN and see whether it is acknowledged without being sent again."""
        before = tcp_info.read(opened).retransmitted
        self._retransmitted, self._opened = before, None  # what is sent again from here on is no SYN
        try:
            opened.shutdown(socket.SHUT_WR)
        except OSError:
            return  # reset meanwhile
        begun_s = errqueue.now().monotonic_s
        while True:
            waited_s = errqueue.now().monotonic_s - begun_s
            info = tcp_info.read(opened)
            if info.retransmitted > before:
                self.parted = False
            elif info.state and info.state not in tcp_info.FIN_SENT:
                self.parted = True
            elif waited_s >= self._part_s:
                self.parted = False
            if self.parted is not None:
                return
            # The counters keep what happened between two looks, so that a rare look misses nothing.
            await asyncio.sleep(min(max(_ASK_AGAIN_S, waited_s * _PATIENCE), self._part_s - waited_s))

    def _fail_at_once(self, error: OSError) -> None:
        if number_of(error) in _FORBIDDEN and error.strerror != _CONNECT:
            raise NotPermitted("reason.system-refuses", error=errno_name(number_of(error)))
        self.answered = self.at_once = True
        self.errno = number_of(error) or errno_module.EIO
        if self.begun is not None:
            self.duration_ms = errqueue.elapsed_ms(self.begun)

    def look(self) -> None:
        """See whether an answer has come, without waiting for the event loop to tell."""
        if self._opened is not None and not self.answered:
            try:
                self._look(self._opened)
            except OSError as error:
                self._fail_at_once(error)

    def _look(self, opened: socket.socket, number: int = 0) -> None:
        """See whether there is an answer, beside the ``number`` that a call gave.

        SO_ERROR goes first: draining the queue clears it.
        """
        number = number or opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        received_s: float | None = None
        for entry in errqueue.drain(opened):
            if entry.icmp is not None and entry.icmp.meaning is not IcmpMeaning.TOO_BIG and self.icmp is None:
                self.icmp = entry.icmp
                received_s = entry.received_s
                # the socket was busy when the error came: the kernel keeps it as a soft one and only queues it
                number = number or entry.errno
        if number == 0:
            try:
                opened.getpeername()
            except OSError:
                return
        self.answered = True
        self.errno = number
        if self.begun is not None:
            self.duration_ms = errqueue.elapsed_ms(self.begun, received_s)


async def give_up(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until their sockets are closed."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
