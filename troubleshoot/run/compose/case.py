"""What a report is composed from, and how its sentences are said."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from probes.base import Note
from troubleshoot.facts import Facts, Key
from troubleshoot.judge import Conclusion
from troubleshoot.judge.model import Finding
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Language, System
from troubleshoot.knowledge.text import fill, say, worded
from troubleshoot.report import Evidence
from troubleshoot.run.compose.command import RUN, in_places, known, spoken
from troubleshoot.steps import StepView


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """For which system advice is written: ``here`` is this one's, ``caller`` that on which the code was met.

    ``hostname`` is this machine's. ``away`` is whether what only the caller's machine can tell counts: not where the
    target is this machine itself and its system knows the error, too. ``asked`` is whether the system was said rather
    than concluded from the form of the code.
    """

    here: System
    system: System
    caller: System
    hostname: str
    away: bool
    asked: bool


class Case(msgspec.Struct, frozen=True):
    """One diagnosis as it ended, the language to tell it in, and the system to give advice for."""

    facts: Facts
    conclusion: Conclusion
    views: dict[str, StepView]
    catalogue: Catalogue
    language: Language
    advice: Advice

    @property
    def wording(self) -> dict[str, str]:
        """Every sentence and label of the language."""
        return self.catalogue.wording(self.language)

    def say(self, sentence: Note) -> str:
        """Return a sentence of the catalogue with its places filled; commands are those of the system of the advice."""
        text = self.wording.get(sentence.key, "")
        if RUN not in text:
            return say(sentence, self.wording)
        return self.spoken(text, worded(dict(sentence.values), self.wording))

    def spoken(self, text: str, values: dict[str, str]) -> str:
        """Return a text with its places filled, without what names a command that the system does not have."""
        given = in_places(self.catalogue, [text], {**known(self.facts), **values}, self.advice.system)
        return fill(spoken(text, given), {**values, **given})

    def values_of(self, finding: Finding) -> dict[str, str]:
        """Return the values for the catalogue's sentences about a finding."""
        target = self.facts.request.target
        given: dict[str, object] = {
            "target": target.input or "?",
            "host": target.host,
            "port": self.facts.port,
            "service": target.service,
            "code": self.facts.request.code,
            "hop": finding.hop,
            "address": finding.address,
            **dict(finding.values),
        }
        return worded({name: str(value) for name, value in given.items() if value is not None}, self.wording)

    def title_of(self, key: Key) -> str:
        """Return the title of the step that a probe belongs to; what none names looks closer at the attempt."""
        step = next((i for i, view in self.views.items() if key in view.probes), "connect")
        return self.catalogue.steps[step].title.in_(self.language)

    def evidence(self, said: Iterable[tuple[str, Note]]) -> list[Evidence]:
        """Return pairs of step id and fact as evidence, repeated ones once."""
        return [Evidence(step=step, fact=self.say(fact)) for step, fact in dict.fromkeys(said)]
