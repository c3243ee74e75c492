"""Foreign text that means nothing but itself in the language of a document: Markdown, HTML."""

from __future__ import annotations

import html
import re

from troubleshoot.render.safe import safe

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$@-])")
#: What GitHub makes a link of without being asked: ``www.`` and ``https://``.
_LINKED = re.compile(r"(?i)\b(www)\.|(://)")
#: A number and a stop (or bracket) at a line's beginning would be a list.
_NUMBERED = re.compile(r"^(\s*\d{1,9})([.)])")


def markdown(text: str) -> str:
    """Return text that means nothing to a renderer of Markdown (GitHub's flavour) but itself, in one line."""
    escaped = _SPECIAL.sub(r"\\\1", safe(text).strip())
    escaped = _LINKED.sub(lambda found: f"{found[1]}\\." if found[1] else r"\://", escaped)
    return _NUMBERED.sub(r"\1\\\2", escaped)


def markup(text: str) -> str:
    """Return text for the content of an element or for an attribute in double quotes."""
    return html.escape(safe(text), quote=True)
