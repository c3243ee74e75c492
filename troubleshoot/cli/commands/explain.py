"""``wsadiag explain CODE``: what the code means, who raises it, its checklist."""

from __future__ import annotations

import sys

from troubleshoot.cli.given import code_of
from troubleshoot.cli.output import style, write_json
from troubleshoot.render.explain import code_document, code_page
from troubleshoot.reproduce.claims import reproducible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session


def run(session: Session, *, code: str, json: bool, errno: str | None) -> int:
    """Print what ``code`` means."""
    known = session.catalogue
    name = code_of(code, session, errno)
    shown = reproducible(known.code(name).alias_of or name, "en" if json else session.language)
    if json:
        write_json(code_document(name, known, session.language, shown))
    else:
        sys.stdout.write(code_page(name, known, session.language, style(), shown))
    return 0
