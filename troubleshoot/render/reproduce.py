"""Reproductions as text: the calls in order, what the last one returned, and how it compares with Winsock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.knowledge.kinds import Language
from troubleshoot.knowledge.text import fill
from troubleshoot.render.layout import wrap
from troubleshoot.render.safe import safe
from troubleshoot.reproduce.claims import SUCCESS, said_of
from troubleshoot.reproduce.records import Call, Reproduction

_WIDTH = 80


def render(reproductions: Iterable[Reproduction], language: Language = "en") -> str:
    """Return one paragraph for each reproduction, at most 80 columns wide but for long arguments.

    The calls read as in a trace, whatever the language is.
    """
    wording = catalogue().wording(language)
    return "\n\n".join(_paragraph(one, wording, said_of(one, language)) for one in reproductions)


def not_possible(code: str, reason: str, language: Language = "en") -> str:
    """Return why the code cannot be made to happen, wrapped to 80 columns."""
    text = fill(catalogue().wording(language)["ui.reproduce-impossible"], {"code": code, "reason": reason})
    return "\n".join(wrap(safe(text), _WIDTH, rest="  "))


def _paragraph(one: Reproduction, wording: Mapping[str, str], said: tuple[str, str]) -> str:
    """``said`` is the reproduction's state and remark."""

    def say(key: str, **given: str) -> str:
        return fill(wording[f"ui.reproduce-{key}"], given)

    state, remark = said
    heading = say("heading", code=one.code, function=one.claim.function, state=state)
    lines = wrap(safe(heading), _WIDTH, rest="  ")
    lines += [f"    {safe(_call(call))}" for call in one.calls]
    if one.observed is None:
        lines += wrap(safe(say("not-run", reason=remark)), _WIDTH, "  ", "    ")
        return "\n".join(lines)
    lines += wrap(safe(" ".join(_verdict(one, say))), _WIDTH, "  ", "    ")
    if remark:
        lines += wrap(safe(remark), _WIDTH, "  ", "    ")
    if not one.isolated:
        lines += wrap(say("shared"), _WIDTH, "  ", "    ")
    return "\n".join(lines)


def _call(call: Call) -> str:
    ending = f" {call.errno}" if call.errno else ""
    times = f"  ({call.times}x)" if call.times > 1 else ""
    return f"{call.function}({call.arguments}) = {call.returned}{ending}{times}"


def _verdict(one: Reproduction, say: Callable[..., str]) -> list[str]:
    nothing = say("no-error")
    if one.system == "windows":
        expected = one.expected_winsock or nothing
        seen = say("windows", observed=nothing if one.observed == SUCCESS else str(one.observed))
        return [seen, *(() if one.matches else (say("differs", expected=expected),))]
    observed = nothing if one.observed in (None, SUCCESS) else str(one.observed)
    said = [say("twin" if one.shows_code else "seen", observed=observed, code=one.code)]
    if one.expected_winsock is None:
        said.append(say("winsock-none"))
    elif one.same_as_winsock:
        said.append(say("winsock-same"))
    else:
        said.append(say("winsock-other", winsock=one.expected_winsock))
    if not one.matches:
        expected = nothing if one.claim.errno == SUCCESS else one.claim.errno
        said.append(say("differs", expected=expected))
    return said
