"""Show a report as one screen: the code, the checklist with its marks, the verdict, the evidence, what to do.

Somebody reads this aloud on the telephone: words carry everything, marks and colour only repeat it. Every string
of a report goes through :func:`~troubleshoot.render.safe.safe`, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from troubleshoot.knowledge.text import fill
from troubleshoot.render.explain import checklist_heading, labels_in
from troubleshoot.render.layout import cells, cut, pad, wrap
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style
from troubleshoot.report import Report, Step, Verdict

_STATUSES = ("passed", "failed", "warning", "skipped", "unavailable")
_SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
_OUTCOME_SGR = {"fault": "1;31", "healthy": "1;32", "inconclusive": "1;33"}
#: A list of more entries than this (sockets, hops) is cut in the verbose view; JSON holds all of it.
_LONGEST_LIST = 40
_MANY_ADDRESSES = 4


class Lexicon(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a screen in one language.

    ``wording`` is :meth:`~troubleshoot.knowledge.catalogue.Catalogue.wording`, ``causes`` the title of each cause id,
    ``codes`` the name of each Winsock number that the report mentions, ``steps`` the title of each step id: evidence
    may come from a step that is not on the code's list.
    """

    wording: Mapping[str, str]
    causes: Mapping[str, str] = msgspec.field(default_factory=dict)
    codes: Mapping[int, str] = msgspec.field(default_factory=dict)
    steps: Mapping[str, str] = msgspec.field(default_factory=dict)

    def ui(self, key: str, **values: str) -> str:
        """Return a label of the screen."""
        sentence = self.wording.get(f"ui.{key}")
        return f"<ui.{key}>" if sentence is None else fill(sentence, values)

    @property
    def labels(self) -> dict[str, str]:
        """All labels by their name."""
        return labels_in(self.wording)

    def cause(self, cause: str) -> str:
        """Return the title of a cause, its id where it is unknown here (a report of a newer version)."""
        return self.causes.get(cause, cause)


def screen(
    report: Report, lexicon: Lexicon, style: Style, *, verbose: bool = False, remarks: tuple[str, ...] = ()
) -> str:
    """Return the report as text. ``remarks`` tell how the target was read; ``verbose`` adds every step's facts."""
    lines = [
        *_head(report, lexicon, style, remarks),
        *_checklist(report, lexicon, style, verbose=verbose),
        *_verdict(report, lexicon, style, verbose=verbose),
        "",
        *(style.dim(line) for line in wrap(safe(_footer(report, lexicon)), style.width)),
    ]
    return "\n".join(lines) + "\n"


def headline(report: Report, lexicon: Lexicon) -> str:
    """Return the verdict as one line (``--quiet``)."""
    verdict = report.verdict
    return safe(f"{_outcome(verdict, lexicon)}: {verdict.summary or _title(verdict, lexicon)}") + "\n"


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
    for n, (label, text) in enumerate(rows):
        for k, line in enumerate(wrap(safe(text), style.width, pad(label, column))):
            yield style.heading(line) if n == 0 and k == 0 else line


def _seen(report: Report, lexicon: Lexicon) -> str:
    reproduction = report.reproduction
    if reproduction.outcome != "different":
        return lexicon.ui(f"seen-{reproduction.outcome}")
    if reproduction.observed is None:
        return lexicon.ui("seen-different-unknown")
    name = lexicon.codes.get(reproduction.observed, "")
    return lexicon.ui("seen-different", observed=f"{reproduction.observed} {name}".rstrip())


def _checklist(report: Report, lexicon: Lexicon, style: Style, *, verbose: bool) -> Iterator[str]:
    labels = lexicon.labels
    titles = max((cells(safe(step.title)) for step in report.steps), default=0)
    sign = cells(style.mark("passed")[0])
    column = min(titles, max(12, style.width * 2 // 5))
    last: str | None = None
    for step in report.steps:
        heading = safe(checklist_heading(step.origin, labels, added=step.added))
        if heading != last:
            yield ""
            yield from (style.heading(line) for line in wrap(heading, style.width))
            last = heading
        mark, sgr = style.mark(step.status)
        # The mark is painted after the line is laid out: colour takes no cells.
        title = pad(cut(safe(step.title), column, "…" if style.unicode else "..."), column)
        took = f" [{step.duration_ms:.1f} ms]" if verbose and step.duration_ms is not None else ""
        first, *rest = wrap(safe(step.summary or step.why) + took, style.width, f"  {pad(mark, sign)} {title}  ")
        yield f"  {style.paint(mark, sgr)}{first[2 + len(mark) :]}"
        yield from rest
        if verbose:
            yield from _details(step, lexicon, style)
    used = [status for status in _STATUSES if any(step.status == status for step in report.steps)]
    legend = ", ".join(f"{style.mark(status)[0]} {lexicon.ui(f'mark-{status}')}" for status in used)
    if legend:
        yield from (style.dim(line) for line in wrap(f"({legend})", style.width, "  "))


def _details(step: Step, lexicon: Lexicon, style: Style) -> Iterator[str]:
    if step.why and step.why != step.summary:
        yield from wrap(safe(f"{lexicon.ui('why')}: {step.why}"), style.width, " " * 6)
    yield from by_hand(step, lexicon.ui("by-hand"), 6)
    for fact in outline(step.observations):
        text = fact.lstrip()
        indent = " " * min(6 + len(fact) - len(text), style.width // 2)
        yield from (style.dim(line) for line in wrap(text, style.width, indent, indent + "  "))


def _verdict(report: Report, lexicon: Lexicon, style: Style, *, verbose: bool) -> Iterator[str]:
    verdict = report.verdict
    titles = {**lexicon.steps, **{step.id: step.title for step in report.steps}}
    yield ""
    if report.interrupted:
        yield from wrap(lexicon.ui("interrupted"), style.width)
    title, summary = _title(verdict, lexicon), verdict.summary
    if summary and not (verdict.title or verdict.cause):
        title, summary = summary, ""
    for line in wrap(safe(f"{_outcome(verdict, lexicon)}: {title}"), style.width, rest="  "):
        yield style.paint(line, _OUTCOME_SGR[verdict.outcome])
    if summary:
        yield from wrap(safe(summary), style.width, "  ")
    if verdict.location is not None:
        yield from wrap(safe(_where(verdict, lexicon)), style.width, f"  {lexicon.ui('where')}: ")
    if verdict.explanation and verbose:
        yield from wrap(safe(verdict.explanation), style.width, "  ")

    def section(key: str) -> Iterator[str]:
        yield ""
        yield style.heading(lexicon.ui(key))

    if verdict.evidence:
        yield from section("evidence")
        for piece in verdict.evidence:
            text = f"{titles.get(piece.step, piece.step)}: {piece.fact}"
            yield from wrap(safe(text), style.width, "  - ")
    if verdict.actions:
        yield from section("actions")
        for number, action in enumerate(verdict.actions, 1):
            yield from wrap(safe(action), style.width, f"  {number}. ")
    if verdict.alternatives:
        yield from section("alternatives")
        for other in verdict.alternatives:
            confidence = lexicon.ui(f"confidence-{other.confidence}")
            text = f"{lexicon.cause(other.cause)} ({confidence})"
            yield from wrap(safe(f"{text}: {other.why}" if other.why else text), style.width, "  - ")
    missing = [step for step in report.steps if step.status == "unavailable"]
    open_still = verdict.outcome == "inconclusive" or (verdict.outcome == "fault" and verdict.confidence != "certain")
    if open_still and missing:
        yield from section("settle")
        for step in missing:
            yield from wrap(safe(f"{step.title}: {step.why or step.summary}"), style.width, "  - ")
            if not verbose:
                yield from by_hand(step, lexicon.ui("there"), 4)


def by_hand(step: Step, label: str, indent: int) -> Iterator[str]:
    """Give the commands that do a step by hand, one a line and unbroken: they are there to be copied."""
    commands = [(name, step.by_hand[key]) for key, name in _SYSTEMS.items() if step.by_hand and step.by_hand.get(key)]
    if commands:
        yield f"{' ' * indent}{label}:"
    for system, command in commands:
        yield f"{' ' * (indent + 2)}{system + ':':8} {safe(command)}"


def _outcome(verdict: Verdict, lexicon: Lexicon) -> str:
    outcome = lexicon.ui(f"outcome-{verdict.outcome}")
    return f"{outcome} ({lexicon.ui(f'confidence-{verdict.confidence}')})" if verdict.outcome == "fault" else outcome


def _title(verdict: Verdict, lexicon: Lexicon) -> str:
    if verdict.title:
        return verdict.title
    if verdict.cause:
        return lexicon.cause(verdict.cause)
    return lexicon.ui("healthy" if verdict.outcome == "healthy" else "inconclusive")


def _where(verdict: Verdict, lexicon: Lexicon) -> str:
    location = verdict.location
    if location is None:
        return ""
    parts = [lexicon.ui(f"scope-{location.scope}")]
    if location.hop:  # 0 is this machine itself
        parts.append(lexicon.ui("hop", hop=str(location.hop)))
    if location.address:
        parts.append(location.address)
    return ", ".join(parts)


def _footer(report: Report, lexicon: Lexicon) -> str:
    privileged = lexicon.ui("privileged" if report.vantage.privileged else "unprivileged")
    parts = (
        report.vantage.hostname,
        report.started[:19] + "Z" if report.started.endswith("Z") else report.started,
        lexicon.ui("took", seconds=f"{report.duration_ms / 1000:.1f}"),
        lexicon.ui("packets", packets=str(report.packets)),
        privileged,
        f"{report.tool.name} {report.tool.version}",
    )
    return ", ".join(part for part in parts if part)


def outline(value: Any, depth: int = 0) -> Iterator[str]:
    """Give a typed result, as plain data, as indented ``key: value`` lines; empty values are left out."""
    indent = "  " * depth
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if inner is None or inner in ("", [], (), {}):
                continue
            if _flat(inner):
                yield f"{indent}{safe(str(key))}: {_scalar(inner)}"
            else:
                yield f"{indent}{safe(str(key))}:"
                yield from outline(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value[:_LONGEST_LIST]:
            if _flat(inner):
                yield f"{indent}- {_scalar(inner)}"
                continue
            short = _short(inner)
            if short:
                yield f"{indent}- {short}"
                continue
            first, *rest = [*outline(inner, depth + 1)] or [f"{indent}  {{}}"]
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
        if len(value) > _LONGEST_LIST:
            yield f"{indent}- ... {len(value) - _LONGEST_LIST} more"
    else:
        yield f"{indent}{_scalar(value)}"


def _short(value: Any) -> str:
    """Return an entry of a list in one line, ``name: lo; mtu: 65536``, where it is that simple."""
    if not isinstance(value, Mapping):
        return ""
    kept = {key: inner for key, inner in value.items() if inner is not None and inner not in ("", [], (), {})}
    if len(kept) > 8 or not all(_flat(inner) for inner in kept.values()):
        return ""
    line = "; ".join(f"{safe(str(key))}: {_scalar(inner)}" for key, inner in kept.items())
    return line if cells(line) <= 66 else ""


def _flat(value: Any) -> bool:
    """Whether ``value`` fits behind its key: a scalar, or a short list of scalars."""
    if isinstance(value, list | tuple):
        return len(value) <= 8 and not any(isinstance(inner, list | tuple | Mapping) for inner in value)
    return not isinstance(value, Mapping)


def _scalar(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_scalar(inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return safe(str(value))
