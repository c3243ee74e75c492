"""Tell a live view how each step of the checklist stands, whenever that changes."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from troubleshoot.facts import Facts, NotYet
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.text import say
from troubleshoot.options import Options
from troubleshoot.run.events import StepEvent
from troubleshoot.steps import StepView, view_of

OnEvent = Callable[[StepEvent], None]


class Teller:
    """Knows what was told last of each step."""

    def __init__(self, options: Options, catalogue: Catalogue, on_event: OnEvent) -> None:
        self.options = options
        self.catalogue = catalogue
        self.on_event = on_event
        self.told: dict[str, StepEvent] = {}

    def tell(self, facts: Facts, *, running: bool, elapsed_ms: float) -> None:
        """Send an event for every step whose state changed; ``running`` tells whether any probe still does."""
        wording = self.catalogue.wording(self.options.language)
        for identifier in facts.request.steps:
            try:
                view: StepView | None = view_of(facts, identifier)
            except NotYet:
                view = None
            event = StepEvent(
                step=identifier,
                title=self.catalogue.steps[identifier].title.in_(self.options.language),
                status=view.status if view else None,
                running=view is None and running,
                summary=say(view.summary, wording) if view else "",
                elapsed_ms=0.0,
                limit_ms=self.options.timeout_s * 1000,
            )
            if self.told.get(identifier) != event:
                self.told[identifier] = event
                self.on_event(replace(event, elapsed_ms=elapsed_ms))
