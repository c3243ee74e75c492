"""What a ticket says before and after the verdict: who, when, from where, the command, versions, the owner."""

from __future__ import annotations

import shlex

from troubleshoot.render.block import PLATFORMS, code
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.report import Report

_OPTIONS = {
    "pid": "--pid",
    "local_host": "--local-host",
    "router": "--router",
    "remote_neighbour": "--remote-neighbour",
    "advice_for": "--for",
}


def facts(report: Report, lexicon: Lexicon) -> list[tuple[str, str]]:
    """Return labels and what stands behind them, as plain text."""
    vantage, error = report.vantage, report.error
    rows = [
        ("code", f"{code(report)}{f' ({error.posix})' if error.posix else ''}: {error.title}"),
        ("target", _target(report)),
        ("ticket-who", vantage.user or ""),
        ("ticket-when", _moment(report, lexicon)),
        ("ticket-from", f"{vantage.named} ({vantage.system or PLATFORMS.get(vantage.platform, vantage.platform)})"),
        ("ticket-command", command(report)),
        ("ticket-versions", _versions(report, lexicon)),
    ]
    return [(lexicon.ui(key), value) for key, value in rows if value]


def command(report: Report) -> str:
    """Return the command line that asks the same again, quoted for a POSIX shell."""
    words = ["wsadiag", report.error.input or report.error.name, report.target.input]
    family = report.request.get("family")
    words += [f"-{family}"] if family in (4, 6) else []
    for key, option in _OPTIONS.items():
        value = report.request.get(key)
        words += [option, str(value)] if value is not None else []
    return shlex.join(words)


def owner(lexicon: Lexicon) -> list[tuple[str, str]]:
    """Return the suggested owner: who, what they need, how to disprove the conclusion; nothing where there is none."""
    if lexicon.owner is None:
        return []
    return [
        (lexicon.ui("owner"), lexicon.ui(f"owner-{lexicon.owner}")),
        (lexicon.ui("owner-needs"), lexicon.ui(f"owner-needs-{lexicon.owner}")),
        (lexicon.ui("owner-disprove"), lexicon.ui(f"owner-disprove-{lexicon.owner}")),
    ]


def _target(report: Report) -> str:
    target = report.target
    others = [address for address in target.addresses if address != target.host]
    return f"{target.input} ({', '.join(others)})" if others else target.input


def _moment(report: Report, lexicon: Lexicon) -> str:
    when = report.started
    shown = f"{when[:10]} {when[11:19]} UTC" if when.endswith("Z") else when
    return f"{shown}, {lexicon.ui('took', seconds=f'{report.duration_ms / 1000:.1f}')}"


def _versions(report: Report, lexicon: Lexicon) -> str:
    rights = lexicon.ui("privileged" if report.vantage.privileged else "unprivileged")
    packets = lexicon.ui("packets", packets=str(report.packets))
    return f"{report.tool.name} {report.tool.version}, {rights}, {packets}"
