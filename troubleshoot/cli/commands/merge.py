"""``wsadiag merge REPORT…``: reports of one target from many machines become one verdict with a matrix."""

from __future__ import annotations

import sys

from troubleshoot.cli.commands import confined, loaded
from troubleshoot.cli.files import forms_of
from troubleshoot.cli.output import complain, style, write_records
from troubleshoot.cli.show import write_documents
from troubleshoot.errors import UserError
from troubleshoot.knowledge.text import Refusal, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque

    from troubleshoot.cli.collect import Content
    from troubleshoot.cli.session import Session
    from troubleshoot.fleet.model import View
    from troubleshoot.report import Report

#: So many lines are told one by one.
_MOST_COMPLAINTS = 20
_BAD_USAGE = 2


def run(session: Session, *, reports: list[str], json: bool, one_target: bool, to: list[str]) -> int:
    """Judge every report by today's rules and tell what they bear together, for each target.

    Returns 74 where a file was not written, else 2 where something given is no report, else 1 where a target fails, 3
    where one is undecided, 0.
    """
    if not reports:
        raise Refusal("usage.merge-none")
    files = forms_of(to, "--to", (".json", ".md", ".html"))
    from troubleshoot.cli.collect import contents  # noqa: PLC0415 - heavy

    held = contents(reports)
    confined(for_probes=False, writes=bool(files))

    from troubleshoot.fleet import merge  # noqa: PLC0415 - heavy, from here on
    from troubleshoot.render.merged import as_html, as_json, as_markdown, as_text  # noqa: PLC0415
    from troubleshoot.report import EXIT_STATUS, written  # noqa: PLC0415

    views, unread = _views(session, held)
    if not views:
        raise Refusal("usage.merge-empty")
    found = merge(views, one_target=one_target)
    forms = {form for _, form in files}
    plain = as_json.document(found, session.wording, unread) if json or "json" in forms else None
    if json:
        write_records(plain)
    else:
        sys.stdout.write(as_text.render(found, session.wording, style()))
    texts = {
        "json": written(plain) + "\n" if "json" in forms else "",
        "markdown": as_markdown.render(found, session.wording) if "markdown" in forms else "",
        "html": as_html.render(found, session.wording, session.language) if "html" in forms else "",
    }
    outcomes = {one.finding.outcome for one in found}
    status = next(EXIT_STATUS[one] for one in ("fault", "inconclusive", "healthy") if one in outcomes)
    return write_documents([(file, texts[form]) for file, form in files], session) or (_BAD_USAGE if unread else status)


def _views(session: Session, held: deque[tuple[str, str, Content]]) -> tuple[list[View], int]:
    """Return every report as one of many, and how many of what was given are none; each of these costs a line."""
    from troubleshoot.cli.collect import reports_in  # noqa: PLC0415 - heavy

    loaded()
    views: list[View] = []
    unread = 0
    while held:
        file, folder, data = held.popleft()
        found = [(file, data)] if isinstance(data, Refusal) else reports_in(file, data, session)
        for place, report in found:
            view = report if isinstance(report, Refusal) else _view(report, place, folder, session)
            if not isinstance(view, Refusal):
                views.append(view)
                continue
            unread += 1
            if unread <= _MOST_COMPLAINTS:
                complain(say(view, session.wording))
    if unread > _MOST_COMPLAINTS:
        complain(say(Refusal("usage.merge-more", count=unread - _MOST_COMPLAINTS), session.wording))
    return views, unread


def _view(report: Report, place: str, folder: str, session: Session) -> View | Refusal:
    """Return a report, judged by today's rules, as one of many."""
    from troubleshoot.fleet.view import view_of  # noqa: PLC0415 - heavy
    from troubleshoot.run import engine  # noqa: PLC0415

    try:
        return view_of(engine.replay(report, session.language), place, folder)
    except UserError as error:
        return Refusal("usage.replay-bad", file=place, reason=session.translated(str(error)))
