"""Every configured name server asked for a name, each for itself, in the order in which glibc would ask for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from msgspec.structs import replace

from probes.base import Context
from probes.system.blocking import in_thread
from probes.system.dns import ABSENT_NAME, CONTROL_NAME, KNOWN_NAME, SILENT, Answer, ServerAnswer
from probes.system.dns.exchange import OwnLimitError, Server, ask_tcp, ask_udp, name_of
from probes.system.dns.message import PORT, Question, load, unanswered

#: After the first of A and AAAA has been answered, how long the other may still come before a consumer is told
#: of the addresses (RFC 8305, section 3, "Resolution Delay").
_RESOLUTION_DELAY_S = 0.05
#: From when on a server that has said nothing is told of as silent, so that the way to it is looked at meanwhile.
_SILENT_AFTER_S = 0.4
#: A name's greatest length (RFC 1035, section 2.3.4, as text).
_LONGEST = 253


class Survey:
    """What was asked of whom, and what has come back so far; ``changed`` is called after every piece of news.

    ``candidates`` are asked for in their order until one has addresses, each for all of ``types`` (``A``, ``AAAA``).
    ``typed`` is the name as it was given: where it has a dot it is asked for even if another candidate has addresses.
    ``wait_s`` bounds one answer over UDP and again over TCP; all ends after twice that.
    """

    def __init__(
        self,
        context: Context,
        changed: Callable[[], None],
        *,
        servers: tuple[str, ...],
        candidates: tuple[str, ...],
        typed: str,
        types: tuple[str, ...],
        wait_s: float,
    ) -> None:
        self.context = context
        self.servers = servers
        self.candidates = candidates
        self.typed = typed
        self.types = types
        self.wait_s = wait_s
        self.changed = changed
        self.ends = 0.0
        #: The servers that have been asked for a while and have said nothing, as long as that is so.
        self.silent: dict[str, None] = {}
        self._answers: dict[tuple[int, int, int], ServerAnswer] = {}
        #: The server and the candidate that gave addresses first.
        self.first: tuple[str, str] | None = None
        #: Limits of this process that kept questions from being asked, as symbolic errors.
        self.own_errors: dict[str, None] = {}

    @property
    def answers(self) -> tuple[ServerAnswer, ...]:
        """What came back so far, server by server, in the order of the questions."""
        return tuple(self._answers[key] for key in sorted(self._answers))

    async def run(self) -> None:
        """Ask every server."""
        # Half the time of the fastest run is this import: in a thread, it leaves the loop to the others.
        try:
            await in_thread(load, "import dns")
        except OSError as problem:
            self.limited(name_of(problem))
            return
        self.ends = asyncio.get_running_loop().time() + 2 * self.wait_s
        async with asyncio.TaskGroup() as group:
            for index, text in enumerate(self.servers):
                if text not in self.servers[:index]:
                    group.create_task(self._ask_server(index, text))

    async def _ask_server(self, index: int, text: str) -> None:
        try:
            # numeric: answered at once, and gives a scoped address its interface
            entry = socket.getaddrinfo(text, PORT, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        except (OSError, UnicodeError):
            # the interface of a scoped address is not there
            for order, record_type in enumerate(self.types):
                question = Question(order, self.candidates[0], record_type)
                failed = unanswered(text, question, "udp", Answer.UNREACHABLE)
                self.record(index, order, replace(failed, errno="ENODEV", transmissions=0))
            return
        await _OneServer(self, index, Server(text, entry[0], entry[4])).run()

    def record(self, index: int, order: int, answer: ServerAnswer) -> None:
        """Keep one answer: the UDP and the TCP answer to one question stand beside each other."""
        self._answers[index, order, 0 if answer.transport == "udp" else 1] = answer
        self.changed()

    def settle(self, server: str, name: str) -> None:
        """Let the addresses of a server count from now on, if it is the first to have any."""
        if self.first is not None:
            return
        if any(a.server == server and a.name == name and a.addresses for a in self._answers.values()):
            self.first = (server, name)
            self.changed()

    def limited(self, error: str) -> None:
        """Keep the symbolic error of this process's own limit."""
        self.own_errors[error] = None
        self.changed()


class _OneServer:
    """One server while it is asked."""

    def __init__(self, survey: Survey, index: int, server: Server) -> None:
        self._survey = survey
        self._index = index
        self._server = server
        self._version_asked = False
        self._tcp_useless = False
        self._second_try = asyncio.Lock()
        self._group = asyncio.TaskGroup()
        self._look_again: asyncio.TimerHandle

    async def run(self) -> None:
        """Ask for the name's candidates in turn, and beside them whether the server works at all."""
        survey, loop = self._survey, asyncio.get_running_loop()
        self._look_again = loop.call_later(_SILENT_AFTER_S, self._look_for_silence)
        try:
            async with self._group as group:
                group.create_task(self._ask(Question(1000, CONTROL_NAME, "NS", other_name=True)))
                for position, name in enumerate(survey.candidates):
                    if position and loop.time() + survey.wait_s > survey.ends:
                        break  # what is left would be too short a wait to call silence
                    answers = await self._ask_candidate(position, name)
                    if Answer.ADDRESSES in answers:
                        await self._doubt(position, name, survey.types[answers.index(Answer.ADDRESSES)])
                    if all(answer in SILENT for answer in answers) or Answer.ADDRESSES in answers:
                        break
        finally:
            self._look_again.cancel()
            survey.silent.pop(self._server.text, None)

    def _look_for_silence(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = (self._server.asked_s or loop.time()) + _SILENT_AFTER_S  # waiting for the budget is nobody's silence
        if loop.time() < due_s:
            self._look_again = loop.call_at(due_s, self._look_for_silence)
        elif not self._server.heard and all(a.server != self._server.text for a in self._survey.answers):
            self._survey.silent[self._server.text] = None
            self._survey.changed()

    async def _doubt(self, position: int, name: str, record_type: str) -> None:
        """Hold addresses against what the server says of names that cannot have any, and of the name as typed."""
        survey = self._survey
        suffix = name.removeprefix(survey.typed)
        async with asyncio.TaskGroup() as group:
            if name != survey.typed and "." in survey.typed and survey.typed in survey.candidates[position:]:
                group.create_task(self._ask_candidate(survey.candidates.index(survey.typed), survey.typed))
            if name not in (survey.typed, suffix) and len(ABSENT_NAME + suffix) <= _LONGEST:
                group.create_task(self._ask(Question(1003, ABSENT_NAME + suffix, record_type, other_name=True)))
            false = await self._ask(Question(1002, ABSENT_NAME, record_type, other_name=True))
        if false is Answer.ADDRESSES:
            await self._ask(Question(1004, KNOWN_NAME, record_type, other_name=True))

    async def _ask_candidate(self, position: int, name: str) -> list[Answer]:
        """Ask for every wanted kind of address of one name at once."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._ask(Question(2 * position + offset, name, record_type)))
                for offset, record_type in enumerate(self._survey.types)
            ]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if pending and any(task.result() is Answer.ADDRESSES for task in done):
                await asyncio.wait(pending, timeout=_RESOLUTION_DELAY_S)
                self._survey.settle(self._server.text, name)
        self._survey.settle(self._server.text, name)
        return [task.result() for task in tasks]

    async def _ask(self, question: Question) -> Answer:
        """Ask one question over UDP, and over TCP where that is called for; return the last answer's kind."""
        try:
            return await self._ask_either_way(question)
        except OwnLimitError as limit:
            self._survey.limited(str(limit))
            return Answer.NO_ANSWER

    async def _ask_either_way(self, question: Question) -> Answer:
        context, wait_s = self._survey.context, self._survey.wait_s
        answer = await ask_udp(context, self._server, question, wait_s)
        if answer.truncated:
            left = max(self._left(), wait_s / 4)
            answer = await ask_tcp(context, self._server, question, left, truncated=True)
            return self._record(question, answer)
        self._record(question, answer)
        if answer.answer is not Answer.NO_ANSWER:
            return answer.answer
        if not self._server.heard and not self._version_asked:
            self._version_asked = True
            self._group.create_task(self._ask_version())
        async with self._second_try:
            # one try for all questions: the others follow only where it brought an answer
            left = self._left()
            if self._tcp_useless or left < wait_s / 4:
                return answer.answer
            answer = await ask_tcp(context, self._server, question, left)
            self._tcp_useless = answer.answer in SILENT
            return self._record(question, answer)

    async def _ask_version(self) -> None:
        question = Question(1001, "version.bind", "TXT", "CH", other_name=True)
        try:
            wait_s = max(self._left(), 0.1)
            self._record(question, await ask_udp(self._survey.context, self._server, question, wait_s))
        except OwnLimitError as limit:
            self._survey.own_errors[str(limit)] = None

    def _record(self, question: Question, answer: ServerAnswer) -> Answer:
        if answer.answer is not Answer.NO_ANSWER:
            self._survey.silent.pop(self._server.text, None)
        self._survey.record(self._index, question.order, answer)
        return answer.answer

    def _left(self) -> float:
        return max(0.0, min(self._survey.wait_s, self._survey.ends - asyncio.get_running_loop().time()))
