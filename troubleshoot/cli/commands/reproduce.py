"""``wsadiag reproduce CODE``: make a code happen here, in a child process, and see the calls."""

from __future__ import annotations

import sys

from probes.system import loop
from troubleshoot.cli.commands import loaded
from troubleshoot.cli.given import code_of
from troubleshoot.cli.output import complain, write_json
from troubleshoot.errors import UserError
from troubleshoot.knowledge.text import Refusal
from troubleshoot.render.reproduce import not_possible, render
from troubleshoot.reproduce.claims import codes
from troubleshoot.reproduce.records import plain
from troubleshoot.reproduce.run import not_here, reproduce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session


def run(session: Session, *, code: str, json: bool, errno: str | None) -> int:
    """Exit with 0 where all went as the catalogue says, 1 where this system differs, 3 where it could not be run."""
    name = code_of(code, session, errno)
    entry = session.catalogue.code(name)
    name = entry.alias_of or name
    if name not in codes():
        raise Refusal("usage.reproduce-unknown", code=name)
    loaded()
    reason = not_here(name, "en" if json else session.language)
    try:
        found = () if reason else loop.run(reproduce(name))
    except UserError as error:  # not on this system
        complain(session.translated(str(error)))
        return 3
    if json:
        document = {"schema": "wsadiag/reproduction/1", "number": entry.number, "name": name, "impossible": reason}
        write_json({**document, "reproductions": plain(found)})
    else:
        text = render(found, session.language) if reason is None else not_possible(name, reason, session.language)
        sys.stdout.write(text + "\n")
    if any(one.observed is not None and not one.matches for one in found):
        return 1
    return 3 if not found or any(one.observed is None for one in found) else 0
