"""Print a report in the form asked for."""

from __future__ import annotations

import sys

from probes.base import note
from troubleshoot.cli.output import NOT_WRITTEN, complain, style, write_utf8
from troubleshoot.errors import UserError
from troubleshoot.intake.codes import meant
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.text import Refusal, say
from troubleshoot.render import text
from troubleshoot.render.owner import owner_of
from troubleshoot.render.text import Lexicon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from troubleshoot.cli.session import Session
    from troubleshoot.knowledge.catalogue import Catalogue
    from troubleshoot.knowledge.kinds import Language
    from troubleshoot.report import Report


def show(
    report: Report,
    session: Session,
    *,
    json: bool,
    verbose: bool,
    quiet: bool,
    remarks: tuple[str, ...] = (),
    files: Sequence[tuple[str, str]] = (),
) -> int:
    """Print a report, write it to ``files`` with their forms, and return the exit status.

    ``remarks`` are what was concluded from the words' order and text.
    """
    _print(report, session, json=json, verbose=verbose, quiet=quiet, remarks=remarks)
    return write_files(report, session, files) or report.exit_status


def _print(
    report: Report, session: Session, *, json: bool, verbose: bool, quiet: bool, remarks: tuple[str, ...]
) -> None:
    if json or quiet:
        for remark in remarks:
            complain(remark)
    if json:
        from troubleshoot.report import to_json  # noqa: PLC0415

        write_utf8(to_json(report).encode() + b"\n")
        return
    words = lexicon(report, session.catalogue, session.language)
    if quiet:
        sys.stdout.write(text.headline(report, words))
    else:
        told = dict.fromkeys((*remarks, *_remarks(report, session)))
        sys.stdout.write(text.screen(report, words, style(report.started), verbose=verbose, remarks=tuple(told)))


def write_files(report: Report, session: Session, files: Sequence[tuple[str, str]]) -> int:
    """Write the report to each file in its form; returns 0, or :data:`NOT_WRITTEN` after all have been tried."""
    if not files:
        return 0
    from troubleshoot.render.reports import render  # noqa: PLC0415 - most runs write no file

    words = lexicon(report, session.catalogue, session.language)
    return write_documents([(file, render(form, report, words)) for file, form in files], session)


def write_documents(documents: Sequence[tuple[str, str]], session: Session) -> int:
    """Write each text to its file and complain of those that cannot be; returns 0 or :data:`NOT_WRITTEN`."""
    from troubleshoot.cli.files import written  # noqa: PLC0415 - as above

    failed = written((file, text.encode("utf-8", "backslashreplace")) for file, text in documents)
    for file, error in failed:
        refusal = Refusal("usage.check-written", file=file, reason=error.strerror or str(error))
        complain(say(refusal, session.wording))
    return NOT_WRITTEN if failed else 0


def redacted(report: Report, session: Session) -> Report:
    """Return the report under other names; says so where it is judged otherwise for it."""
    from troubleshoot.run.redact import redact  # noqa: PLC0415 - off by default

    hidden = redact(report)
    if not hidden.same:
        complain(session.wording["usage.redact-differs"])
    return hidden.report


def lexicon(report: Report, catalogue: Catalogue, language: Language) -> Lexicon:
    """Return the words that the report's screen needs."""
    verdict = report.verdict
    causes = {other.cause for other in verdict.alternatives} | ({verdict.cause} if verdict.cause else set())
    observed = report.reproduction.observed
    return Lexicon(
        wording=catalogue.wording(language),
        causes={c: catalogue.cause(c).text(language).title for c in causes & catalogue.cause_names},
        codes={} if observed is None else {observed: " ".join(catalogue.names_of(observed)[:1])},
        steps={name: step.title.in_(language) for name, step in catalogue.steps.items()},
        owner=owner_of(verdict, catalogue.judgement.owners),
    )


def _remarks(report: Report, session: Session) -> tuple[str, ...]:
    """Return what was concluded from the form of code and target, which their own texts still tell."""
    code = report.error
    of_code: tuple[str, ...] = ()
    if code.name in session.catalogue.numbers and meant(code.input, code.name, session.catalogue):
        of_code = (say(note("usage.remark-code", word=code.input, code=code.name), session.wording),)
    try:
        target = parse_target(report.target.input, session.catalogue)
    except UserError:  # the report of another version
        return of_code
    return (*of_code, *(say(remark, session.wording) for remark in target.remarks))
