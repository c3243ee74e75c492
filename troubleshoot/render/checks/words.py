"""The sentences of a check, in the reader's language, from the records of its attempts."""

from __future__ import annotations

from collections.abc import Mapping

from troubleshoot.check.model import Attempt, CheckReport, Group, Outcome, Status
from troubleshoot.knowledge.text import fill


class Words:
    """The catalogue's sentences and the titles of causes, as a renderer needs them."""

    def __init__(self, wording: Mapping[str, str], titles: Mapping[str, str]) -> None:
        self._wording = wording
        self._titles = titles

    def say(self, key: str, **values: object) -> str:
        """Return the sentence ``check.KEY``."""
        return fill(self._wording[f"check.{key}"], {name: str(value) for name, value in values.items()})

    def cause(self, identifier: str | None) -> str:
        """Return the title of a cause; nothing for none."""
        return self._titles.get(identifier, identifier) if identifier else ""

    def found(self, attempt: Attempt | None) -> str:
        """Return what an attempt found instead of what was expected; nothing where it was met."""
        if attempt is None or attempt.found is None:
            return ""
        key, values = attempt.found
        return fill(self._wording[key], values)

    def reason(self, outcome: Outcome, group: Group | None) -> str:
        """Return in one line why a target stands as it does; nothing for one that passed at once."""
        unmet = next((each for each in reversed(outcome.attempts) if not each.met), None)
        parts = [self.found(unmet)]
        expected = outcome.check.expect.connection
        if outcome.status is Status.FAILED and expected != "open":
            parts.append(self.say("expected", what=self.say(f"expected-{expected}")))
        if outcome.status is Status.FLAKY:
            parts.append(self.say("attempt", count=len(outcome.attempts)))
        if group is not None and outcome.cause:
            parts.append(self.cause(outcome.cause))
        elif group is not None:
            parts.append(group.report.verdict.summary)
        return "; ".join(filter(None, parts))

    def summary(self, report: CheckReport) -> str:
        """Return the line of sums."""
        counts = {str(status): report.count(status) for status in Status}
        return self.say("summary", total=len(report.outcomes), seconds=f"{report.duration_ms / 1000:.1f}", **counts)


def group_of(outcome: Outcome, report: CheckReport) -> Group | None:
    """Return the group of a failure."""
    return next((group for group in report.groups if group.id == outcome.group), None)
