"""The pytest plugin: a fixture that wants a target to be reachable, and the verdict in the report of a failure.

``reachable("db.example:5432")`` fails the test with the whole diagnosis where the connection does not open. With
``pytest --wsadiag`` every test that fails with an error of the network is diagnosed, too: the code and the target are
found in its exception. Without both nothing of wsadiag is loaded but this module.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from troubleshoot.report import Report

#: No test's report gets longer by more diagnoses than this; what else failed is told by its own traceback.
_MOST = 20
#: A chain of exceptions is not followed further.
_DEEPEST = 10
#: What functions that connect call an address with its port, such as :func:`socket.create_connection`.
_ADDRESSES = ("address", "addr", "sockaddr", "sa")
_COUNT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--wsadiag`` and the time that a diagnosis may take."""
    group = parser.getgroup("wsadiag", "diagnosis of network errors")
    group.addoption(
        "--wsadiag", action="store_true", help="Diagnose tests that fail with an error of the network (sends packets)."
    )
    group.addoption(
        "--wsadiag-timeout", type=float, default=10.0, metavar="SECONDS", help="Seconds for a diagnosis (default 10)."
    )


@pytest.fixture
def reachable(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``reachable(target, expect="open", timeout=1.5)``: fail with the verdict where the target is not as expected.

    ``expect`` is ``open``, ``refused`` or ``unreachable``, ``timeout`` the seconds for the connection, ``wait`` how
    many seconds the target may take to come up.
    """
    limit_s = request.config.getoption("wsadiag_timeout")

    def wanted(target: str, *, expect: str = "open", timeout: float = 1.5, wait: float = 0.0) -> None:
        __tracebackhide__ = True
        said = _failure(target, expect, timeout, wait, limit_s)
        if said is not None:
            pytest.fail(said, pytrace=False)

    return wanted


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the verdict to the report of a test that failed with an error of the network."""
    report = yield
    if report.failed and call.excinfo is not None and item.config.getoption("wsadiag"):
        count = item.config.stash.get(_COUNT, 0)
        if count < _MOST and (said := _explained(call.excinfo.value, item.config.getoption("wsadiag_timeout"))):
            item.config.stash[_COUNT] = count + 1
            report.sections.append(("wsadiag", said))
    return report


def _failure(target: str, expect: str, timeout_s: float, wait_s: float, limit_s: float) -> str | None:
    """Return why a target is not as expected, ``None`` where it is."""
    from msgspec.structs import replace  # noqa: PLC0415 - nobody pays who does not use it

    from troubleshoot.check.file import CONNECTIONS, read_words  # noqa: PLC0415
    from troubleshoot.check.model import Expectation, Status  # noqa: PLC0415
    from troubleshoot.check.run import Plan, check  # noqa: PLC0415
    from troubleshoot.knowledge.catalogue import catalogue  # noqa: PLC0415
    from troubleshoot.options import Options  # noqa: PLC0415
    from troubleshoot.render.checks.words import Words  # noqa: PLC0415

    if expect not in CONNECTIONS:
        raise ValueError(f"expect: {expect!r} is none of {', '.join(CONNECTIONS)}")
    single = replace(
        read_words([target], catalogue())[0],
        expect=Expectation(connection=expect),
        timeout_s=timeout_s,
        wait_s=wait_s,
    )
    report = _awaited(check([single], Plan(options=Options(timeout_s=limit_s))))
    outcome = report.outcomes[0]
    if outcome.status in (Status.PASSED, Status.FLAKY):
        return None
    group = next((each for each in report.groups if each.id == outcome.group), None)
    head = f"{target} is not {expect}: {Words(catalogue().wording('en'), {}).found(outcome.last) or outcome.status}"
    return f"{head}\n\n{_screen(group.report)}" if group is not None else head


def _explained(error: BaseException, limit_s: float) -> str | None:
    """Return the diagnosis of the error of the network that a test failed with, ``None`` where there was none."""
    from troubleshoot.errors import UserError  # noqa: PLC0415 - as above
    from troubleshoot.intake.texts import read_text  # noqa: PLC0415
    from troubleshoot.knowledge.catalogue import catalogue  # noqa: PLC0415
    from troubleshoot.options import Options  # noqa: PLC0415
    from troubleshoot.run.engine import diagnose  # noqa: PLC0415

    errors = [each for each in _chain(error) if isinstance(each, Exception) and not isinstance(each, AssertionError)]
    if not errors:  # what a test says itself, such as the fixture's own verdict, is no error of the network
        return None
    text = "\n".join(f"{type(each).__name__}: {each}" for each in errors)
    reading = read_text(text, catalogue())
    target = reading.target or next(filter(None, map(_aim, errors)), None)
    if reading.code is None or target is None:
        return None
    try:
        return _screen(_awaited(diagnose(reading.code, target, options=Options(timeout_s=limit_s))))
    except UserError:  # what looked like a target is none
        return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it, the first cause last."""
    following: BaseException | None = error
    for _ in range(_DEEPEST):
        if following is None:
            return
        yield following
        following = following.__cause__ or following.__context__


def _aim(error: BaseException) -> str | None:
    """Return what the frames that raised an error were connecting to: the errors of sockets do not tell it."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_locals)
        trace = trace.tb_next
    for held in reversed(frames):
        pairs = [held.get(name) for name in _ADDRESSES]
        for pair in (*pairs, (held.get("host"), held.get("port"))):
            if isinstance(pair, tuple) and len(pair) > 1 and isinstance(pair[0], str) and type(pair[1]) is int:
                return f"[{pair[0]}]:{pair[1]}" if ":" in pair[0] else f"{pair[0]}:{pair[1]}"
    return None


def _awaited(work: Any) -> Any:
    """Await in a thread of its own: the test may have a loop that runs in this one."""
    import threading  # noqa: PLC0415

    from probes.system import loop  # noqa: PLC0415

    came: list[Any] = []
    thread = threading.Thread(target=lambda: came.append(loop.run(work)))
    thread.start()
    thread.join()
    if not came:
        raise RuntimeError("the diagnosis ended with an error, see above")
    return came[0]


def _screen(report: Report) -> str:
    from troubleshoot.cli.show import lexicon  # noqa: PLC0415 - as above
    from troubleshoot.knowledge.catalogue import catalogue  # noqa: PLC0415
    from troubleshoot.render import text  # noqa: PLC0415
    from troubleshoot.render.style import Style  # noqa: PLC0415

    return text.screen(report, lexicon(report, catalogue(), "en"), Style())
