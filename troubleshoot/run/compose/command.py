"""Commands in sentences: what stands in the places ``{run_…}`` on a system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from troubleshoot.facts import Facts
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import System
from troubleshoot.knowledge.text import fill, places

#: How the places of commands begin.
RUN = "run_"
_SENTENCE_ENDS = re.compile(r"(?<=[.?!]) (?=\S)")


def forms(catalogue: Catalogue, identifier: str, values: Mapping[str, str], system: System) -> list[str]:
    """Return the forms of a command on a system, without those that have a place for which there is no value."""
    given = {name: value for name, value in values.items() if value}
    return [fill(form, given) for form in catalogue.commands[identifier].on(system) if places(form) <= given.keys()]


def in_places(catalogue: Catalogue, lines: Iterable[str], values: Mapping[str, str], system: System) -> dict[str, str]:
    """Return what stands in the places of ``lines`` that name a command, quoted; one without any form is no value."""
    found = {}
    for place in {name for line in lines for name in places(line) if name.startswith(RUN)}:
        shown = forms(catalogue, place.removeprefix(RUN).replace("_", "-"), values, system)
        if shown:
            found[place] = ", ".join(f"`{form}`" for form in shown)
    return found


def spoken(sentence: str, given: Mapping[str, str]) -> str:
    """Return a text without the sentences that name a command which the system does not have."""
    if RUN not in sentence:
        return sentence
    parts = _SENTENCE_ENDS.split(sentence)
    return " ".join(p for p in parts if all(name in given for name in places(p) if name.startswith(RUN)))


def known(facts: Facts) -> dict[str, str]:
    """Return what a run knows by itself to fill commands with."""
    target, focus = facts.request.target, facts.attempts.focus
    given = {
        "host": target.host,
        "port": facts.port,
        "address": focus.address if focus is not None else next(iter(facts.targets), None),
        "router": next(iter(facts.link.routers), None),
        "service": target.service,
        "pid": facts.request.pid,
    }
    return {name: str(value) for name, value in given.items() if value is not None}
