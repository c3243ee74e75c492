"""What the shell's completion offers in the place of a word."""

from __future__ import annotations

from troubleshoot.intake.codes import SYSTEMS
from troubleshoot.knowledge.catalogue import LANGUAGES, catalogue


def codes(incomplete: str) -> list[tuple[str, str]]:
    """Return codes that begin so, each with what it is called in the other world."""
    known = catalogue()
    start = incomplete.upper()
    pairs = [(name, str(number)) for name, number in sorted(known.numbers.items())]
    if start[:1].isdigit():
        pairs = sorted((number, name) for name, number in pairs)
    elif start and not start.startswith("W"):
        pairs = [(name, on.winsock) for name, on in known.posix.items()]
    found = [pair for pair in pairs if pair[0].startswith(start)]
    # A shell only takes what goes on from what was typed, case included.
    return [(word.lower(), text) for word, text in found] if incomplete.islower() else found


def probes(incomplete: str) -> list[str]:
    """Return names of probes."""
    from probes.table import TABLE  # noqa: PLC0415

    return [name for name in TABLE if name.startswith(incomplete)]


def languages(incomplete: str) -> list[str]:
    """Return languages."""
    return [name for name in LANGUAGES if name.startswith(incomplete)]


def systems(incomplete: str) -> list[str]:
    """Return systems whose numbers are known."""
    return [name for name in SYSTEMS if name.startswith(incomplete)]
