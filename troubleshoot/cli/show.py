"""Print a report in the form asked for."""

from __future__ import annotations

import sys

from probes.base import note
from troubleshoot.cli.output import complain, style, write_utf8
from troubleshoot.errors import UserError
from troubleshoot.intake.codes import meant
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.text import say
from troubleshoot.render import text
from troubleshoot.render.text import Lexicon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session
    from troubleshoot.knowledge.catalogue import Catalogue
    from troubleshoot.knowledge.kinds import Language
    from troubleshoot.report import Report


def show(
    report: Report, session: Session, *, json: bool, verbose: bool, quiet: bool, remarks: tuple[str, ...] = ()
) -> int:
    """Print a report and return its exit status; ``remarks`` are what was concluded from the words' order and text."""
    if json or quiet:
        for remark in remarks:
            complain(remark)
    if json:
        from troubleshoot.report import to_json  # noqa: PLC0415

        write_utf8(to_json(report).encode() + b"\n")
        return report.exit_status
    words = lexicon(report, session.catalogue, session.language)
    if quiet:
        sys.stdout.write(text.headline(report, words))
    else:
        told = dict.fromkeys((*remarks, *_remarks(report, session)))
        sys.stdout.write(text.screen(report, words, style(report.started), verbose=verbose, remarks=tuple(told)))
    return report.exit_status


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
