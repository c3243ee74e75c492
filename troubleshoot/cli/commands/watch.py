"""``wsadiag watch CODE TARGET``: diagnose again and again, and tell every change."""

from __future__ import annotations

import signal
import sys

from troubleshoot.cli.commands import confined, loaded, spare_tls
from troubleshoot.cli.options import options_of, system_of, target_of
from troubleshoot.intake.codes import parse_code
from troubleshoot.knowledge.text import Refusal, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from troubleshoot.check.watch import Log, Sums
    from troubleshoot.cli.session import Session
    from troubleshoot.intake.target import Target
    from troubleshoot.options import Options
    from troubleshoot.report import Report

_UNTIL = ("change", "fault", "healthy")


def run(
    session: Session,
    *,
    code: str,
    target: str | None,
    interval: str,
    until: str | None,
    log: str | None,
    errno: str | None,
    **given: Any,
) -> int:
    """Watch until it is over, or somebody ends it; the status is that of the last diagnosis."""
    name = parse_code(code, session.catalogue, system_of(errno))
    if target is None:
        raise Refusal("usage.missing-target", code=code)
    if until is not None and until not in _UNTIL:
        raise Refusal("usage.option-number", option="--until", value=until, fits=", ".join(_UNTIL))
    spare_tls()
    options = options_of(session, **given)
    aim = target_of(target, session.catalogue)
    from troubleshoot.check.file import duration_s  # noqa: PLC0415 - heavy, from here on

    every_s = duration_s(interval)
    if every_s is None or not 1 <= every_s <= 86_400:
        raise Refusal("usage.option-number", option="--interval", value=interval, fits="10, 10s, 5m")
    kept = _log(log)
    loaded()
    confined(for_probes=True, writes=kept is not None)
    last = _watched(name, code, aim, options, session, every_s, until, kept)
    return 130 if last is None else last.exit_status


def _log(file: str | None) -> Log | None:
    if file is None:
        return None
    from troubleshoot.check.watch import Log  # noqa: PLC0415

    try:
        return Log(file)
    except OSError as error:
        raise Refusal("usage.check-written", file=file, reason=error.strerror or str(error)) from None


def _watched(  # noqa: PLR0917 - what a watch needs
    name: str,
    code: str,
    aim: Target,
    options: Options,
    session: Session,
    every_s: float,
    until: Any,
    kept: Log | None,
) -> Report | None:
    import asyncio  # noqa: PLC0415

    from probes.system import loop  # noqa: PLC0415
    from troubleshoot.check.watch import watch  # noqa: PLC0415
    from troubleshoot.run.engine import diagnose  # noqa: PLC0415

    def told(report: Report, sums: Sums) -> None:
        _line(report, session)
        if kept is not None:
            try:
                kept.write(report)
            except OSError as error:  # a full disk: the watch goes on
                _complain(session, kept.path, error)
        del sums

    async def main() -> Report | None:
        stop = asyncio.Event()
        loop.on_first_interrupt(stop.set)
        for each in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, each):
                _on(asyncio.get_running_loop(), getattr(signal, each), stop)

        async def once() -> Report:
            return await diagnose(name, aim, options=options, code_input=code, interrupted=stop)

        sums = await watch(once, every_s=every_s, until=until, stop=stop, told=told)
        _sums(sums, session)
        return sums.last

    return loop.run(main())


def _on(running: Any, number: int, stop: Any) -> None:
    try:
        running.add_signal_handler(number, stop.set)
    except (NotImplementedError, ValueError, RuntimeError):
        return


def _line(report: Report, session: Session) -> None:
    from troubleshoot.cli.show import lexicon  # noqa: PLC0415
    from troubleshoot.render import text  # noqa: PLC0415

    words = lexicon(report, session.catalogue, session.language)
    sys.stdout.write(f"{report.started}  {text.headline(report, words)}")
    sys.stdout.flush()


def _sums(sums: Sums, session: Session) -> None:
    counts = {outcome: str(sums.runs.get(outcome, 0)) for outcome in ("fault", "healthy", "inconclusive")}
    values = {"runs": str(sum(sums.runs.values())), "changes": str(sums.changes), **counts}
    sys.stdout.write(f"{fill(session.wording['check.watched'], values)}\n")


def _complain(session: Session, file: str, error: OSError) -> None:
    from troubleshoot.cli.output import complain  # noqa: PLC0415

    reason = error.strerror or str(error)
    complain(fill(session.wording["usage.check-written"], {"file": file, "reason": reason}))
