"""What ended a connection that had come about, by the words of the program that made it."""

from __future__ import annotations

import re

from troubleshoot.intake.evidence import LONGEST_LINE, folded
from troubleshoot.intake.texts import LONGEST
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Ender

#: What a diagnosis is asked about then: the other end was reached, and the connection ended in good order.
CODE = "WSAEDISCON"


def ended_by(text: str, catalogue: Catalogue) -> Ender | None:
    """Return who ended it, ``None`` where the text says nothing of that. The last line that does counts."""
    for line in reversed(text[-LONGEST:].splitlines()):
        plain = folded(line[:LONGEST_LINE])
        for entry in catalogue.ends.values():
            if any(word in plain for word in entry.has) and re.search(entry.pattern, plain):
                return entry.by
    return None
