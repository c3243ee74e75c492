"""Show a report as one screen: the block that matters, the checklist, the evidence, what else to do.

On a terminal the block comes last, where the eye is when the run ends; in a pipe it comes first. Somebody reads this
aloud on the telephone: words carry everything, marks and colour only repeat it. Every string of a report goes through
:func:`~troubleshoot.render.safe.safe`, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator

from troubleshoot.render import checklist
from troubleshoot.render.block import Block, block, code, titled
from troubleshoot.render.layout import cells, cut, pad, wrap
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.outline import outline
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style
from troubleshoot.report import Report

__all__ = ["Lexicon", "headline", "outline", "screen"]

_MANY_ADDRESSES = 4
#: The lines of a screen without ``verbose``, as far as the checklist leaves room.
_MOST_LINES = 30


def screen(
    report: Report, lexicon: Lexicon, style: Style, *, verbose: bool = False, remarks: tuple[str, ...] = ()
) -> str:
    """Return the report as text. ``remarks`` tell how the target was read; ``verbose`` adds every step's facts."""
    first = block(report, lexicon, style)
    head = list(_head(report, lexicon, style, remarks))
    rest = [*head, *(_whole(report, lexicon, style) if verbose else _short(report, lexicon, style, len(head), first))]
    lines = [*rest, "", *first.lines] if style.last else [*first.lines, "", *rest]
    return "\n".join(lines) + "\n"


def headline(report: Report, lexicon: Lexicon) -> str:
    """Return the verdict as one line (``--quiet``)."""
    title, _ = titled(report.verdict, lexicon)
    return safe(f"{title.rstrip('.')}: {code(report)}, {report.target.input}") + "\n"


def _short(report: Report, lexicon: Lexicon, style: Style, taken: int, first: Block) -> list[str]:
    """Return what fits beside the block: of actions, other causes and evidence as much as there is room for.

    ``taken`` is how many lines stand above.
    """
    steps = checklist.folded(report, lexicon, style)
    end = [style.dim(line) for line in wrap(safe(_footer(report, lexicon, style)), style.width)]
    left = _MOST_LINES - len(first.lines) - 1 - taken - len(steps) - len(end)
    middle: list[str] = []
    shown = {step.summary for step in report.steps if step.status not in ("passed", "skipped")}
    sections = (
        ("actions-more", _actions(report, style, first.actions)),
        ("alternatives", _alternatives(report, lexicon, style, verbose=False)),
        ("evidence", [lines for fact, lines in _evidence(report, lexicon, style, verbose=False) if fact not in shown]),
    )
    for key, entries in sections:
        lines: list[str] = []
        for entry in entries:
            if len(middle) + 1 + len(lines) + len(entry) > left:
                break
            lines += entry
        if lines:
            middle += [style.heading(lexicon.ui(key)), *lines]
    return [*steps, *middle, *end]


def _whole(report: Report, lexicon: Lexicon, style: Style) -> list[str]:
    """Return all that a report says."""
    verdict = report.verdict
    lines = [*checklist.whole(report, lexicon, style)]
    explanation = wrap(safe(verdict.explanation), style.width, "  ") if verdict.explanation else []
    missing = [step for step in report.steps if step.status == "unavailable"]
    unsure = verdict.outcome == "inconclusive" or (verdict.outcome == "fault" and verdict.confidence != "certain")
    settle = [wrap(safe(f"{s.title}: {s.why or s.summary}"), style.width, "  - ") for s in missing if unsure]
    sections = (
        ("explanation", [explanation] if explanation else []),
        ("evidence", [entry for _, entry in _evidence(report, lexicon, style, verbose=True)]),
        ("actions", _actions(report, style, 0)),
        ("alternatives", _alternatives(report, lexicon, style, verbose=True)),
        ("not-checked", [wrap(safe(text), style.width, "  - ") for text in verdict.not_checked]),
        ("settle", settle),
    )
    for key, entries in sections:
        if entries:
            lines += ["", style.heading(lexicon.ui(key)), *(line for entry in entries for line in entry)]
    return [*lines, "", *(style.dim(line) for line in wrap(safe(_footer(report, lexicon, style)), style.width))]


def _actions(report: Report, style: Style, behind: int) -> list[list[str]]:
    """Return the actions that do not stand in the block, under their numbers."""
    numbered = list(enumerate(report.verdict.actions, 1))[behind:]
    return [wrap(safe(action), style.width, f"  {number}. ") for number, action in numbered]


def _evidence(report: Report, lexicon: Lexicon, style: Style, *, verbose: bool) -> list[tuple[str, list[str]]]:
    titles = {**lexicon.steps, **{step.id: step.title for step in report.steps}}
    found = []
    for piece in report.verdict.evidence:
        text = f"{safe(titles.get(piece.step, piece.step))}: {safe(piece.fact)}"
        lines = wrap(text, style.width, "  - ") if verbose else [f"  - {_one_line(text, style, 4)}"]
        found.append((piece.fact, lines))
    return found


def _alternatives(report: Report, lexicon: Lexicon, style: Style, *, verbose: bool) -> list[list[str]]:
    found = []
    for other in report.verdict.alternatives:
        text = safe(f"{lexicon.cause(other.cause)} ({lexicon.ui(f'confidence-{other.confidence}')})")
        text = f"{text}: {safe(other.why)}" if other.why else text
        found.append(wrap(text, style.width, "  - ") if verbose else [f"  - {_one_line(text, style, 4)}"])
    return found


def _one_line(text: str, style: Style, indent: int) -> str:
    return cut(text, style.width - indent, "…" if style.unicode else "...")


def _head(report: Report, lexicon: Lexicon, style: Style, remarks: tuple[str, ...]) -> Iterator[str]:
    error, target = report.error, report.target
    posix = f" ({error.posix})" if error.posix else ""
    where = target.input
    addresses = [a for a in target.addresses if a != target.host]
    port = "" if target.port is None else f"{target.port}/{target.transport}"
    if target.service and port:
        port = f"{target.service} = {port}"
    elif target.transport == "tcp" and target.input.endswith(f":{target.port}"):
        port = ""  # it stands there already
    shown = ", ".join(addresses[:_MANY_ADDRESSES])
    if len(addresses) > _MANY_ADDRESSES:
        shown += f", +{len(addresses) - _MANY_ADDRESSES}"
    details = [part for part in (shown, port) if part]
    if details:
        where += f" ({'; '.join(details)})"
    rows = [
        (lexicon.ui("code"), f"{error.number} {error.name}{posix}: {error.title}"),
        (lexicon.ui("target"), where),
        *((lexicon.ui("remarks"), remark) for remark in remarks),
        (lexicon.ui("seen"), _seen(report, lexicon)),
    ]
    column = max(cells(label) for label, _ in rows) + 2
    for label, text in rows:
        yield from wrap(safe(text), style.width, pad(label, column))


def _seen(report: Report, lexicon: Lexicon) -> str:
    reproduction = report.reproduction
    if reproduction.outcome != "different":
        seen = lexicon.ui(f"seen-{reproduction.outcome}")
    elif reproduction.observed is None:
        seen = lexicon.ui("seen-different-unknown")
    else:
        name = lexicon.codes.get(reproduction.observed, "")
        seen = lexicon.ui("seen-different", observed=f"{reproduction.observed} {name}".rstrip())
    return f"{seen} ({reproduction.said})" if reproduction.said else seen


def _footer(report: Report, lexicon: Lexicon, style: Style) -> str:
    privileged = lexicon.ui("privileged" if report.vantage.privileged else "unprivileged")
    parts = (
        report.vantage.named,
        style.moment(report.started),
        lexicon.ui("took", seconds=f"{report.duration_ms / 1000:.1f}"),
        lexicon.ui("packets", packets=str(report.packets)),
        privileged,
        f"{report.tool.name} {report.tool.version}",
    )
    return ", ".join(part for part in parts if part)
