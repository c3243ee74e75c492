"""Reproductions as text: the calls in order, what the last one returned, and how it compares with Winsock."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from troubleshoot.reproduce.claims import claims, codes, impossible, measured_on
from troubleshoot.reproduce.records import SUCCESS, Call, Reproduction

_WIDTH = 80


def render(reproductions: Iterable[Reproduction]) -> str:
    """Return one paragraph for each reproduction, at most 80 columns wide but for long arguments."""
    return "\n\n".join(_paragraph(one) for one in reproductions)


def page() -> str:
    """Return the catalogue's claims as a page in Markdown: code, claim, what Linux returns, what Winsock has."""
    lines = [
        "# What can be reproduced",
        "",
        f"Generated from `catalogue/reproduce.toml`; every line held on {measured_on()}, and a test holds it to the",
        "kernel that it runs on. `wsadiag reproduce CODE` shows the calls.",
        "",
        "| code | call | where | Linux returns | Winsock has |",
        "| --- | --- | --- | --- | --- |",
    ]
    for code in codes():
        for claim in claims(code):
            note = f"<br>{claim.note}" if claim.note else ""
            seen = "no error" if claim.errno == SUCCESS else f"`{claim.errno}`"
            winsock = f"`{claim.winsock}`" if claim.winsock else "no such error"
            lines.append(f"| `{code}` | `{claim.function}` | {claim.state}{note} | {seen} | {winsock} |")
    lines += ["", "## What nothing on a modern Linux returns", "", "| code | reason |", "| --- | --- |"]
    lines += [f"| `{code}` | {reason} |" for code in codes() if (reason := impossible(code))]
    return "\n".join(lines) + "\n"


def _paragraph(one: Reproduction) -> str:
    claim = one.claim
    lines = [*_wrap(f"{one.code}: {claim.function}() where {claim.state}", "")]
    lines += [f"    {_call(call)}" for call in one.calls]
    if one.observed is None:
        lines += _wrap(f"not carried out: {one.remark}", "  ")
        return "\n".join(lines)
    lines += _wrap(_verdict(one), "  ")
    if one.remark:
        lines += _wrap(one.remark, "  ")
    if not one.isolated:
        lines += _wrap("no network namespace could be had: it ran on this machine's own loopback", "  ")
    return "\n".join(lines)


def _call(call: Call) -> str:
    ending = f" {call.errno}" if call.errno else ""
    times = f"  ({call.times} times)" if call.times > 1 else ""
    return f"{call.function}({call.arguments}) = {call.returned}{ending}{times}"


def _verdict(one: Reproduction) -> str:
    verdict = "Linux: no error." if one.observed == SUCCESS else f"Linux: {one.observed}."
    if one.shows_code:
        verdict = f"Linux: {one.observed}, the twin of {one.code}."
    if one.expected_winsock is None:
        verdict += " Winsock does not know this situation, or sees nothing wrong with it."
    elif one.same_as_winsock:
        verdict += " Winsock has the same."
    else:
        verdict += f" Winsock has {one.expected_winsock} for this."
    if not one.matches:
        expected = "no error" if one.claim.errno == SUCCESS else one.claim.errno
        verdict += f" The catalogue expects {expected}: this system differs."
    return verdict


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
