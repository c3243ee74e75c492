"""What is a secret in words that other programs, or the user's own command line, hold: it is shown as ``***``.

The patterns stand in ``catalogue/secrets.toml``. They are tried on what strangers chose, so that each is bounded there,
and no text is looked at beyond :data:`LONGEST` characters.
"""

from __future__ import annotations

import functools
import re

from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.catalogue import catalogue as installed

#: No more of a text than this is looked at and kept; the word that is cut goes with the rest, for half a secret has no
#: form to know it by.
LONGEST = 4096
MASK = "***"
#: What is a name of short labels, an address, or one of them with a port, holds no secret that has a form.
_PLAIN = re.compile(r"[a-z0-9-]{0,19}(?:\.[a-z0-9-]{1,19}){0,10}(?::[0-9]{0,5})?|[0-9a-fA-F:.\[\]]{0,60}")
#: A pattern that finds one secret of a line is asked this often, at most, for others behind it.
_TIMES = 10


def masked(text: str, catalogue: Catalogue | None = None) -> str:
    """Return ``text`` with what the catalogue calls a secret replaced by ``***``; whatever else it says stays."""
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition(" ")[0] + " …"
    if _PLAIN.fullmatch(text):
        return text
    small = text.casefold()  # what an expression that ignores case takes for k (U+212A) and s (U+017F), too
    for secret in (catalogue or installed()).secrets.values():
        for sign in secret.signs:
            if sign in small:
                text = _without(_pattern(secret.pattern), text)
                break
    return text


def _without(pattern: re.Pattern[str], text: str) -> str:
    """Return ``text`` without what the pattern finds: one that begins with a program's name finds one a time."""
    for _ in range(_TIMES):
        before, text = text, pattern.sub(_hidden, text)
        if text == before:
            break
    return text


def _hidden(found: re.Match[str]) -> str:
    whole, (start, end) = found[0], found.span("secret")
    return whole[: start - found.start()] + MASK + whole[end - found.start() :]


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
