"""``wsadiag check [FILE.toml|TARGET…]``: many targets, one connection each, and the reasons of those that fail."""

from __future__ import annotations

import os
import sys

from troubleshoot.cli.commands import confined, loaded, spare_tls
from troubleshoot.cli.ending import Ending
from troubleshoot.cli.files import replace
from troubleshoot.cli.interrupt import hold, let
from troubleshoot.cli.output import complain, write_utf8
from troubleshoot.knowledge.text import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from troubleshoot.check.model import Check, CheckReport
    from troubleshoot.check.progress import Progress
    from troubleshoot.check.run import Plan
    from troubleshoot.cli.session import Session

#: How often the line on the terminal is brought up to date, seconds.
_SHOW_EACH_S = 0.2
#: Files of targets are not longer than this.
_MOST_BYTES = 8 << 20


def run(
    session: Session,
    *,
    targets: list[str],
    format: list[str],  # noqa: A002 - the option's name
    expect: str,
    try_timeout: str | None,
    retries: str,
    backoff: str,
    wait: str | None,
    tag: list[str],
    rate: str,
    no_diagnosis: bool,
    ipv4: bool,
    ipv6: bool,
    show_secrets: bool,
) -> int:
    """Check the targets, write each format to its place, and return the worst status."""
    places = _places(format)
    if not targets:
        raise Refusal("usage.check-none")
    if ipv4 and ipv6:
        raise Refusal("usage.option-families")
    ending = Ending()
    if "-" not in targets:  # standard input may be a person
        ending.hold()
    from troubleshoot.check.run import Plan  # noqa: PLC0415 - heavy, and the words above are to be quick
    from troubleshoot.options import Options  # noqa: PLC0415

    base = _base(expect, try_timeout, retries, backoff, wait, show_secrets=show_secrets)
    checks = _checks(targets, base, session)
    if tag:
        checks = [check for check in checks if set(tag) & set(check.tags)]
    if not checks:  # nothing that was checked is no success
        raise Refusal("usage.check-no-tag", tags=", ".join(tag)) if tag else Refusal("usage.check-no-line")
    family = 4 if ipv4 else 6 if ipv6 else None
    plan = Plan(
        rate=float(whole("--rate", rate, 100_000, least=1)),
        diagnose=not no_diagnosis,
        options=Options(language=session.language, family=family, show_secrets=show_secrets),
    )
    ending.hold()
    loaded()
    confined(for_probes=True, writes=any(file is not None for _, file in places))
    report = _carried_out(checks, plan, ending, session)
    _write(report, places, ending, session)
    return 128 + ending.number if report.interrupted and ending.number else report.exit_status


def _base(
    expect: str, try_timeout: str | None, retries: str, backoff: str, wait: str | None, *, show_secrets: bool
) -> Check:
    """Return what the options say of every target."""
    from troubleshoot.check.file import CONNECTIONS  # noqa: PLC0415 - as above
    from troubleshoot.check.model import Check, Expectation  # noqa: PLC0415
    from troubleshoot.intake.target import parse_target  # noqa: PLC0415

    if expect not in CONNECTIONS:
        raise Refusal("usage.option-number", option="--expect", value=expect, fits=", ".join(CONNECTIONS))
    return Check(
        target=parse_target("localhost:1"),
        name="",
        expect=Expectation(connection=expect),
        timeout_s=None if try_timeout is None else seconds("--timeout", try_timeout, least=0.05),
        retries=whole("--retries", retries, 100),
        backoff_s=seconds("--backoff", backoff),
        wait_s=0.0 if wait is None else seconds("--wait", wait),
        show_secrets=show_secrets,
    )


def _places(formats: list[str]) -> list[tuple[str, str | None]]:
    """Return each format with its file, ``None`` for standard output."""
    from troubleshoot.render.checks import FORMATS  # noqa: PLC0415

    places = []
    for value in formats or ["text"]:
        name, equals, file = value.partition("=")
        if name not in FORMATS or (equals and not file):
            raise Refusal("usage.check-format", value=value, known=", ".join(FORMATS))
        places.append((name, file or None))
    files = [os.path.realpath(file) for _, file in places if file is not None]
    for _, path in places:
        if path is not None and files.count(os.path.realpath(path)) > 1 and not _is_read(path):
            raise Refusal("usage.check-same-file", file=path)
    spoken = [name for name, file in places if file is None]
    if len(spoken) > 1:
        raise Refusal("usage.check-stdout", first=spoken[0], second=spoken[1])
    return places


def seconds(option: str, value: str, least: float = 0.0) -> float:
    """Return the seconds of an option's value; raises :class:`Refusal`."""
    from troubleshoot.check.file import duration_s  # noqa: PLC0415

    found = duration_s(value)
    if found is None or not least <= found <= 86_400:
        raise Refusal("usage.option-number", option=option, value=value, fits="2, 500ms, 2s, 1m")
    return found


def whole(option: str, value: str, most: int, least: int = 0) -> int:
    """Return an option's whole number; raises :class:`Refusal`."""
    if not (value.isascii() and value.isdecimal() and least <= int(value[:12]) <= most):
        raise Refusal("usage.option-number", option=option, value=value, fits=f"{least} … {most}")
    return int(value)


def _checks(words: list[str], base: Check, session: Session) -> list[Check]:
    from troubleshoot.check.file import BadFileError, read_file, read_lines, read_words, unique  # noqa: PLC0415

    checks: list[Check] = []
    for word in words:
        if word == "-":
            let()  # standard input may be a person
            text = _read(word)
            hold()
            checks += read_lines(text.splitlines(), session.catalogue, base)
        elif word.lower().endswith(".toml"):
            try:
                checks += read_file(_read(word), session.catalogue, os.environ, session.wording, base)
            except BadFileError as error:
                # Every complaint has a line of its own; the last one says that nothing was done.
                for line in str(error).splitlines():
                    complain(f"{word}:{line}", prefix="")
                raise Refusal("usage.check-file", file=word) from None
        else:
            checks += read_words([word], session.catalogue, base)
    return unique(checks)


def _read(file: str) -> str:
    try:
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as opened:
            data = opened.read(_MOST_BYTES + 1)
        if len(data) <= _MOST_BYTES:
            return data.decode("utf-8-sig")
        reason = f"> {_MOST_BYTES >> 20} MiB"
    except UnicodeDecodeError as error:
        reason = str(error)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise Refusal("usage.check-unreadable", file=file, reason=reason)


def _carried_out(checks: list[Check], plan: Plan, ending: Ending, session: Session) -> CheckReport:
    if not any(check.expect.tls or check.expect.http for check in checks):
        spare_tls()
    import asyncio  # noqa: PLC0415

    from probes.system import loop  # noqa: PLC0415
    from troubleshoot.check.progress import Progress  # noqa: PLC0415
    from troubleshoot.check.run import check  # noqa: PLC0415

    async def main() -> CheckReport:
        interrupted = asyncio.Event()
        ending.stops(interrupted)
        progress = Progress(total=len(checks), waits_s=max((each.wait_s for each in checks), default=0.0))
        screen = sys.stderr if _has_screen() else None
        showing = None if screen is None else asyncio.create_task(_show(progress, screen, session.wording))
        try:
            return await check(checks, plan, progress=progress, interrupted=interrupted)
        finally:
            if showing is not None:
                showing.cancel()
                await asyncio.wait({showing})

    return loop.run(main())


def _has_screen() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


async def _show(progress: Progress, stream: TextIO, wording: Mapping[str, str]) -> None:
    """Keep a line on the terminal that tells how far the check is; it is taken away at the end."""
    import asyncio  # noqa: PLC0415 - heavy

    from troubleshoot.knowledge.text import fill  # noqa: PLC0415

    shown = ""
    try:
        while True:
            await asyncio.sleep(_SHOW_EACH_S)
            explaining = progress.explaining
            words = [wording["check.explained" if explaining else "check.tried"]]
            if (left_s := progress.left_s) is not None:
                words.append(wording["check.left"])
            values = {
                "done": str(progress.explained if explaining else progress.tried),
                "total": str(progress.failures if explaining else progress.total),
                "seconds": str(left_s),
            }
            line = fill(", ".join(words), values)
            if line != shown:
                shown = line
                stream.write(f"\r\x1b[K{line}")
                stream.flush()
    finally:
        if shown:
            stream.write("\r\x1b[K")
            stream.flush()


def _write(report: CheckReport, places: list[tuple[str, str | None]], ending: Ending, session: Session) -> None:
    """Write every format; a file that cannot be written is told after the others have been.

    No signal keeps files from being written: that takes a moment. What somebody has to read first comes last.
    """
    from troubleshoot.render.checks import render  # noqa: PLC0415
    from troubleshoot.render.checks.words import Words  # noqa: PLC0415

    catalogue = session.catalogue
    causes = {group.cause for group in report.groups if group.cause is not None}
    titles = {name: catalogue.cause(name).text(session.language).title for name in causes & catalogue.cause_names}
    words = Words(session.wording, titles)
    failed: Refusal | None = None
    ending.hold()
    for name, file in sorted(places, key=lambda place: _is_read(place[1])):
        if _is_read(file):
            ending.let()
        data = render(name, report, words).encode("utf-8", "backslashreplace")
        if file is None:
            write_utf8(data)
            continue
        try:
            replace(file, data)
        except OSError as error:
            failed = Refusal("usage.check-written", file=file, reason=error.strerror or str(error))
    ending.let()
    if failed is not None:
        raise failed


def _is_read(file: str | None) -> bool:
    """Whether somebody reads what is written, and may keep it waiting: standard output, a pipe, a device."""
    return file is None or (os.path.exists(file) and not os.path.isfile(file))
