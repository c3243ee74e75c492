"""``wsadiag replay REPORT.json``: judge a saved report again, without a network."""

from __future__ import annotations

from troubleshoot.cli.commands import confined, loaded
from troubleshoot.cli.files import forms_of
from troubleshoot.cli.interrupt import hold, let
from troubleshoot.cli.options import advice_for as system_for
from troubleshoot.cli.show import redacted, show
from troubleshoot.errors import UserError
from troubleshoot.knowledge.text import Refusal
from troubleshoot.report import from_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session
    from troubleshoot.report import Report

#: A report of a long run takes some hundred kilobytes.
MAX_REPORT_MB = 32


def run(
    session: Session,
    *,
    report: str,
    json: bool,
    advice_for: str | None,
    verbose: bool,
    quiet: bool,
    output: list[str],
    redact: bool,
    show_secrets: bool,
) -> int:
    """Print the verdict of today's rules on the report in the file ``report`` (``-``: standard input)."""
    if verbose and quiet:
        raise Refusal("usage.option-quiet")
    system = system_for(advice_for)
    files = forms_of(output, "--output")
    data = bytes_of(report)
    confined(for_probes=False, writes=bool(files))
    saved = saved_in(data, report, session)

    from troubleshoot.run import engine  # noqa: PLC0415

    loaded()
    saved = shown(saved, session, show_secrets=show_secrets)
    again = engine.replay(saved, session.language, system)
    if redact:
        again = redacted(again, session)
    return show(again, session, json=json, verbose=verbose, quiet=quiet, files=files)


def saved_in(data: bytes, file: str, session: Session) -> Report:
    """Return the report that the bytes of ``file`` hold; raises :class:`Refusal`."""
    try:
        return from_json(data)
    except UserError as error:
        raise Refusal("usage.replay-bad", file=file, reason=session.translated(str(error))) from None


def shown(saved: Report, session: Session, *, show_secrets: bool) -> Report:
    """Return the report as it may be shown: whoever made it may have asked for its secrets."""
    if show_secrets:
        return saved
    from troubleshoot.run.hiding import without_secrets  # noqa: PLC0415 - heavy

    return without_secrets(saved, session.catalogue)


def bytes_of(file: str) -> bytes:
    """Return what a file (``-``: standard input) holds; raises :class:`Refusal`."""
    let()  # standard input may be a person
    try:
        return _read(file)
    finally:
        hold()


def _read(file: str) -> bytes:
    limit = MAX_REPORT_MB << 20
    try:
        # By its number: a standard input that was closed before we started is no object at all.
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as opened:
            data = opened.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refusal("usage.replay-unreadable", file=file, reason=reason) from None
    if len(data) > limit:
        raise Refusal("usage.replay-large", file=file, megabytes=MAX_REPORT_MB)
    return data
