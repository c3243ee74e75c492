"""What somebody can do about a code without knowing how to program: step by step, with the commands of one system."""

from __future__ import annotations

from troubleshoot.knowledge.text import fill, places
from troubleshoot.render.layout import wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from troubleshoot.knowledge.catalogue import Catalogue
    from troubleshoot.knowledge.kinds import Language, System
    from troubleshoot.knowledge.model import CodeEntry

NAMES: dict[System, str] = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
#: What stands in a command for what only the reader knows.
_PLACES = {name: name.upper() for name in ("host", "port", "address", "router", "service")}


def steps(entry: CodeEntry, catalogue: Catalogue, language: Language, system: System) -> Iterator[dict[str, Any]]:
    """Yield what to do: about the code itself, then each step of its checklist with what an answer means.

    ``step`` is a step's id and ``title``, both ``None`` for what is about the code itself.
    """
    for words in entry.user:
        yield {"step": None, "title": None, "text": words.in_(language), "commands": []}
    for line in catalogue.checklist(entry.name):
        step = catalogue.steps[line.id]
        if step.tells is None:
            continue
        forms = catalogue.commands[step.by_hand].on(system) if step.by_hand else ()
        yield {
            "step": line.id,
            "title": step.title.in_(language),
            "text": step.tells.in_(language),
            "commands": [fill(form, _PLACES) for form in forms],
        }
    if system == "windows":
        for words in entry.windows:
            yield {"step": None, "title": None, "text": _filled(words.in_(language), catalogue, system), "commands": []}


def hints(texts: Sequence[str], catalogue: Catalogue, system: System) -> list[str]:
    """Return hints to developers with the commands that they name, as the system has them."""
    return [_filled(text, catalogue, system) for text in texts]


def _filled(text: str, catalogue: Catalogue, system: System) -> str:
    """Return a text with each command in its place; where the system has none, in the form of another one."""
    given = {}
    for place in places(text):
        command = catalogue.commands[place.removeprefix("run_").replace("_", "-")]
        shown = command.on(system) or command.linux or command.windows or command.macos
        given[place] = ", ".join(f"`{fill(form, _PLACES)}`" for form in shown)
    return fill(text, given)


def lines(entry: CodeEntry, catalogue: Catalogue, language: Language, system: System, width: int) -> Iterator[str]:
    """Yield the steps as lines of text, numbered through; each command stands unbroken on a line of its own."""
    for number, step in enumerate(steps(entry, catalogue, language, system), 1):
        first = f"  {number}. "
        head = f"{step['title']}: " if step["title"] else ""
        yield from wrap(head + step["text"], width, first)
        for command in step["commands"]:
            yield f"{' ' * (len(first) + 2)}`{command}`"


def raised_by(entry: CodeEntry, catalogue: Catalogue) -> list[str]:
    """Return every other function that brings the code: those that are named, and all of the families."""
    named = list(entry.also_raised_by)
    members = [name for family in entry.also_any for name in catalogue.functions[family]]
    left_out = {*entry.functions, *named, *entry.also_except}
    return [*named, *dict.fromkeys(name for name in members if name not in left_out)]
