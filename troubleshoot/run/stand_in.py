"""Child processes that stand where the failing program does, and carry out probes there.

The child joins a network namespace, looks below another root directory and takes on another user, once and for good,
and does nothing else: it is told of jobs and sends back the records that their probes leave. There are two, because
what the network does is seen best with every right that this process has, and what the program may do only with the
program's own. They have to be started before this process gives up its privileges, while it has one thread.

Each message is its length (four bytes) and a document of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from probes.base import Context, Observation, Probe, Status, load, note
from probes.process import ProcessRequest
from probes.system import loop
from probes.system.linux import cgroups, namespaces_of, ruleset
from probes.system.linux.confinement import FOR_PROBES, confine
from probes.system.linux.shoes import Shoes, enter_group, step_into
from troubleshoot.asks.model import Job
from troubleshoot.facts.program import vantages
from troubleshoot.knowledge.catalogue import catalogue as installed
from troubleshoot.knowledge.text import Refusal
from troubleshoot.options import Options
from troubleshoot.report import encode
from troubleshoot.run.hiding import hiding_secrets
from troubleshoot.run.place import Place
from troubleshoot.run.saved import observation_of
from troubleshoot.run.worker import Worker, not_run

#: What comes of these depends on whose program asks, and with which files; the rest on where it asks from.
AS_THE_PROGRAM: Final = frozenset(
    {"address-family", "bind", "connect", "datagram", "hosts-file", "resolve", "route", "service", "services-file"}
)
#: These are about a process of this machine, or about us: no namespace changes what they see.
_HERE: Final = frozenset({"container", "process", "proxy"})
#: So long may a child take until it stands there, seconds.
_STEPPING_S: Final = 5.0
#: What the far end may take beyond a probe's own time, seconds.
_PATIENCE_S: Final = 1.0
_LENGTH: Final = struct.Struct("!I")
#: What a child says once it stands there, and where it is in the program's control group as well.
_STANDS, _IN_GROUP = b"+", b"g"


class StandIn:
    """One child: the far end of ``channel`` carries out what it is told."""

    def __init__(self, channel: socket.socket, vantage: str, *, in_group: bool = False) -> None:
        self.channel = channel
        self.in_group = in_group
        self.vantage = vantage
        self.inboxes: dict[int, asyncio.Queue[dict[str, Any] | None]] = {}
        self._buffer = bytearray()
        self._listening = False

    def tell(self, **message: Any) -> None:
        """Send a message; nobody may be there any more."""
        with contextlib.suppress(OSError):
            self.channel.sendall(_framed(message))

    def listen(self) -> None:
        """Hear from the child in the running loop."""
        if not self._listening:
            self._listening = True
            asyncio.get_running_loop().add_reader(self.channel, self._hear)

    def _hear(self) -> None:
        try:
            piece = self.channel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._buffer += piece
        for message in _messages(self._buffer):
            if (inbox := self.inboxes.get(message["job"])) is not None:
                inbox.put_nowait(message)
        if not piece:
            asyncio.get_running_loop().remove_reader(self.channel)
            for inbox in self.inboxes.values():
                inbox.put_nowait(None)


class SentWorker(Worker, kw_only=True):
    """A probe's run that is carried out by a child."""

    stand_in: StandIn
    count: int = 0

    @property
    def sent(self) -> int:
        """How many packets it has sent, as far as the child has said."""
        return self.count

    async def run(self, timeout_s: float) -> Observation[Any]:
        """Have the child run it; what it brings is told as it comes. A child that is gone leaves no result."""
        number = id(self)
        inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.stand_in.inboxes[number] = inbox
        self.stand_in.listen()
        request = msgspec.json.encode(self.job.request).decode()
        self.stand_in.tell(
            job=number, probe=self.job.probe, subject=self.job.subject, request=request, timeout_s=timeout_s
        )
        try:
            async with asyncio.timeout(timeout_s + _PATIENCE_S):
                return await self._end_of(inbox)
        except TimeoutError:
            return not_run(self.job, Status.CUT_SHORT, reason=note("reason.deadline", seconds=f"{timeout_s:.1f}"))
        except asyncio.CancelledError:
            self.stand_in.tell(job=number, cancel=True, out_of_time=self.out_of_time)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    return await self._end_of(inbox)
            return not_run(self.job, Status.CUT_SHORT, reason=note("reason.cancelled"))
        finally:
            self.stand_in.inboxes.pop(number, None)

    async def _end_of(self, inbox: asyncio.Queue[dict[str, Any] | None]) -> Observation[Any]:
        while (message := await inbox.get()) is not None:
            self.count = message["sent"]
            observation = observation_of(message["record"])
            if message["final"]:
                self.context.packets_sent += self.count
                return observation
            self.on_progress(observation)
        return not_run(self.job, Status.NOT_PERMITTED, reason=note("reason.stand-in-gone"))


class StandIns:
    """The children of one run, by what they carry out; none where the program stands where this process does."""

    def __init__(self, network: StandIn | None = None, program: StandIn | None = None) -> None:
        self.network = network
        self.program = program

    def of(self, probe: str) -> StandIn | None:
        """Return who carries out ``probe``, ``None`` for this process itself."""
        if probe in _HERE:
            return None
        return (self.program if probe in AS_THE_PROGRAM else None) or self.network

    def worker(
        self, job: Job, probe: Probe[Any, Any], context: Context, hear: Callable[[Observation[Any]], None]
    ) -> Worker:
        """Return what carries out ``job``, here or where the program stands."""
        child = self.of(job.probe)
        if isinstance(job.request, ProcessRequest) and self.program is not None and self.program.in_group:
            job = replace(job, request=replace(job.request, in_group=True))
        if child is None:
            return Worker(job, probe, context, hear)
        return SentWorker(job, probe, context, hear, stand_in=child)

    def close(self) -> None:
        """Let the children go: they end when nobody is there to tell them anything."""
        for child in (self.network, self.program):
            if child is not None:
                child.channel.close()


def of_process(options: Options) -> StandIns:
    """Start the children that stand where process ``options.pid`` does; what is not allowed is left out."""
    pid, context = options.pid, Context()
    if pid is None:
        return StandIns()
    network = None if namespaces_of.same_network(context, pid) is not False else f"/proc/{pid}/ns/net"
    users = None if namespaces_of.same(context, pid, "user") is not False else f"/proc/{pid}/ns/user"
    root = None if namespaces_of.same_files(context, pid) is not False else f"/proc/{pid}/root"
    host = None if namespaces_of.same(context, pid, "uts") is not False else f"/proc/{pid}/ns/uts"
    as_it_is, from_its_network = vantages(pid)
    other_user = namespaces_of.same_user(context, pid) is False
    looks = _start(Shoes(network=network), from_its_network, options) if network is not None else None
    groups = cgroups.join_files(context, pid)
    shoes = Shoes(network=network, host=host, users=users, root=root, groups=groups, user_of=pid)
    acts = _start(shoes, as_it_is, options) if other_user or any((network, users, root, host, groups)) else None
    return StandIns(looks, acts)


def of_place(place: Place, options: Options) -> StandIns:
    """Start the children that stand at a place that was named; raises :class:`Refusal` where that is not allowed."""
    if place.pid is not None:
        started = of_process(options)
        context = Context()
        apart = (namespaces_of.same_network(context, place.pid), namespaces_of.same_files(context, place.pid))
        reached = (started.network is not None or apart[0] is True, started.program is not None or apart[1] is True)
    else:
        elsewhere = Shoes(network=place.network, covers=place.covers)
        looks = _start(elsewhere, place.name, options) if place.network is not None else None
        as_we_are = os.getpid() if place.root and place.account is None else None
        own = replace(elsewhere, root=place.root, user_of=as_we_are, account=place.account)
        acts = _start(own, place.name, options) if place.root or place.account else None
        started = StandIns(looks, acts)
        reached = (looks is not None or place.network is None, acts is not None or own == elsewhere)
    if all(reached):
        return started
    started.close()
    key = "usage.place-right" if os.geteuid() else "usage.place-right-root"
    raise Refusal(key, place=place.name, command=place.command)


def _start(shoes: Shoes, vantage: str, options: Options) -> StandIn | None:
    """Fork a child that stands in ``shoes``; ``None`` where it may not, or does not in time."""
    ours, theirs = socket.socketpair()
    try:
        child = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        return None
    if child == 0:
        ours.close()
        with contextlib.suppress(BaseException):
            _stand(theirs, shoes, vantage, options)
        os._exit(0)
    theirs.close()
    ours.settimeout(_STEPPING_S)
    with contextlib.suppress(OSError):
        if word := ours.recv(1):
            ours.settimeout(None)
            return StandIn(ours, vantage, in_group=word == _IN_GROUP)
    ours.close()
    with contextlib.suppress(OSError):  # it may wait for a file system that does not answer: nobody waits for it here
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, os.WNOHANG)
    return None


def _stand(channel: socket.socket, shoes: Shoes, vantage: str, options: Options) -> None:
    """Be the child, until nobody is at the other end any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who prints the report
    context = hiding_secrets(options, installed(), Context())
    for probe in AS_THE_PROGRAM:
        load(probe)
    grouped = enter_group(shoes.groups)
    context = step_into(shoes, context)
    if shoes.user_of is None and shoes.account is None:
        context.ruleset = ruleset.read(context)
        confine(FOR_PROBES, context, as_caller=False)
    channel.sendall(_IN_GROUP if grouped else _STANDS)
    loop.run(_serve(channel, context, vantage))


async def _serve(channel: socket.socket, context: Context, vantage: str) -> None:
    channel.setblocking(False)
    buffer, workers = bytearray(), dict[int, tuple[Worker, asyncio.Task[None]]]()
    running = asyncio.get_running_loop()

    def send(number: int, worker: Worker, observation: Observation[Any], *, final: bool) -> None:
        record = msgspec.to_builtins(replace(observation, vantage=vantage))
        message = _framed({"job": number, "sent": worker.sent, "record": record, "final": final})
        channel.setblocking(True)
        channel.sendall(message)
        channel.setblocking(False)

    async def carry_out(number: int, worker: Worker, timeout_s: float) -> None:
        send(number, worker, await worker.run(timeout_s), final=True)
        workers.pop(number, None)

    async with context.budget.turn():
        while piece := await running.sock_recv(channel, 1 << 16):
            buffer += piece
            for told in _messages(buffer):
                number = told["job"]
                if told.get("cancel"):
                    if number in workers:
                        worker, task = workers[number]
                        worker.out_of_time = told["out_of_time"]
                        task.cancel()
                    continue
                probe = load(told["probe"])
                request = msgspec.json.decode(told["request"], type=probe.request)
                worker = Worker(Job(told["probe"], told["subject"], request), probe, context, lambda _: None)
                worker.on_progress = lambda seen, n=number, w=worker: send(n, w, seen, final=False)  # type: ignore[misc]
                workers[number] = worker, asyncio.create_task(carry_out(number, worker, told["timeout_s"]))


def _framed(message: Any) -> bytes:
    data = encode(message)
    return _LENGTH.pack(len(data)) + data


def _messages(buffer: bytearray) -> list[dict[str, Any]]:
    """Take the whole messages out of the buffer."""
    found = []
    while len(buffer) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(buffer)
        end = _LENGTH.size + length
        if len(buffer) < end:
            break
        found.append(msgspec.json.decode(bytes(buffer[_LENGTH.size : end])))
        del buffer[:end]
    return found
