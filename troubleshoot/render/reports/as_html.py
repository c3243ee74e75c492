"""One self-contained HTML file: no script, nothing from elsewhere, nothing that a browser would ask for."""

from __future__ import annotations

from troubleshoot.render.block import titled, where
from troubleshoot.render.checklist import by_hand
from troubleshoot.render.escape import markup
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.outline import outline
from troubleshoot.render.reports import head, pictures
from troubleshoot.render.reports.page import listed, page, rows, section
from troubleshoot.render.style import Style
from troubleshoot.report import Report, Step, Way

_STYLE = Style()


def render(report: Report, lexicon: Lexicon) -> str:
    """Return the page."""
    title, _ = titled(report.verdict, lexicon)
    return page(
        title=f"{title}, {report.target.input}",
        language=report.language,
        head=f'<header class="{report.verdict.outcome}">\n{_verdict(report, lexicon)}</header>',
        parts=[
            *_said(report, lexicon),
            section("picture-path", lexicon, "".join(pictures.path(way, lexicon) for way in _ways(report))),
            _steps(report, lexicon),
            section("picture-timeline", lexicon, pictures.timeline(report, lexicon)),
            section("picture-rtt", lexicon, pictures.round_trips(report, lexicon)),
            section("picture-loss", lexicon, pictures.losses(report, lexicon)),
            section("owner", lexicon, rows(head.owner(lexicon))),
        ],
        foot=f"<h2>{markup(lexicon.ui('ticket-about'))}</h2>{rows(head.facts(report, lexicon))}",
    )


def _verdict(report: Report, lexicon: Lexicon) -> str:
    title, summary = titled(report.verdict, lexicon)
    lines = [f"<h1>{markup(title)}</h1>"]
    told = [summary, lexicon.ui("interrupted") if report.interrupted else "", where(report, lexicon)]
    lines += [f"<p>{markup(text)}</p>" for text in told if text]
    return "\n".join(lines) + "\n"


def _said(report: Report, lexicon: Lexicon) -> list[str]:
    """Return what is to be done, why, and what else it may be."""
    verdict = report.verdict
    titles = {**lexicon.steps, **{step.id: step.title for step in report.steps}}
    evidence = [f"{titles.get(piece.step, piece.step)}: {piece.fact}" for piece in verdict.evidence]
    others = [
        f"{lexicon.cause(o.cause)} ({lexicon.ui(f'confidence-{o.confidence}')}){': ' if o.why else ''}{o.why}"
        for o in verdict.alternatives
    ]
    elsewhere = f"<p>{markup(verdict.elsewhere)}</p>" if verdict.elsewhere else ""
    explained = f"<p>{markup(verdict.explanation)}</p>" if verdict.explanation else ""
    return [
        section("actions", lexicon, listed(verdict.actions, "ol") + elsewhere),
        section("explanation", lexicon, explained),
        section("evidence", lexicon, listed(evidence)),
        section("alternatives", lexicon, listed(others)),
        section("not-checked", lexicon, listed(verdict.not_checked)),
    ]


def _ways(report: Report) -> tuple[Way, ...]:
    """Return the ways to draw: where none is told, this machine and the target, apart where the fault lies between."""
    verdict = report.verdict
    if verdict.ways or report.target.host is None:
        return verdict.ways
    return (Way(nodes=(report.target.input,), broken=0 if verdict.outcome == "fault" else None),)


def _steps(report: Report, lexicon: Lexicon) -> str:
    return section("checklist", lexicon, "\n".join(_step(step, lexicon) for step in report.steps))


def _step(step: Step, lexicon: Lexicon) -> str:
    """Return a step as a line that unfolds to why it was looked at and what was observed."""
    mark, _ = _STYLE.mark(step.status)
    word = lexicon.ui(f"mark-{step.status}")
    state = f'<span class="{step.status}">{mark} {markup(word)}</span>'
    took = f" ({step.duration_ms:.1f} ms)" if step.duration_ms is not None else ""
    line = f"{state} <strong>{markup(step.title)}</strong>: {markup((step.summary or step.why) + took)}"
    why = f"<p>{markup(lexicon.ui('why'))}: {markup(step.why)}</p>" if step.why and step.why != step.summary else ""
    facts = [*by_hand(step, lexicon.ui("by-hand"), 0), *outline(step.observations)]
    inside = why + ("<pre>" + "\n".join(map(markup, facts)) + "</pre>" if facts else "")
    inside = inside or f"<p>{markup(lexicon.ui('nothing-more'))}</p>"
    return f"<details><summary>{line}</summary>{inside}</details>"
