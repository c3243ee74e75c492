"""``wsadiag codes [WORD…]``: list the codes; words narrow the list."""

from __future__ import annotations

import sys

from troubleshoot.cli.output import complain, style, write_json
from troubleshoot.knowledge.text import Refusal, say
from troubleshoot.render.explain import codes_document, codes_table, matching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session


def run(session: Session, *, words: list[str], json: bool) -> int:
    """Print the codes in which every word occurs."""
    found = matching(words, session.catalogue)
    if json:
        write_json(codes_document(found, session.language))
    elif found:
        sys.stdout.write(codes_table(found, session.language, style()))
    else:
        note = Refusal("ui.none-found", words=" ".join(words))
        complain(say(note, session.wording))
    return 0
