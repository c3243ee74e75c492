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
#: What has none of these holds no secret that has a form: a host, a port, a name.
_SIGNS = frozenset(" =@?")


def masked(text: str, catalogue: Catalogue | None = None) -> str:
    """Return ``text`` with what the catalogue calls a secret replaced by ``***``; whatever else it says stays."""
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition(" ")[0] + " …"
    if _SIGNS.isdisjoint(text):
        return text
    for secret in (catalogue or installed()).secrets.values():
        small = text.casefold()  # what an expression that ignores case takes for k (U+212A) and s (U+017F), too
        if any(sign in small for sign in secret.signs):
            text = _pattern(secret.pattern).sub(_hidden, text)
    return text


def _hidden(found: re.Match[str]) -> str:
    whole, (start, end) = found[0], found.span("secret")
    return whole[: start - found.start()] + MASK + whole[end - found.start() :]


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
