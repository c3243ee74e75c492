"""``wsadiag explain CODE``: what the code means, who raises it, its checklist."""

from __future__ import annotations

import sys

from troubleshoot.cli.given import code_of
from troubleshoot.cli.options import advice_for as system_for
from troubleshoot.cli.options import system_of
from troubleshoot.cli.output import style, write_json
from troubleshoot.intake.caller import caller_system
from troubleshoot.render.explain import code_document, code_page
from troubleshoot.reproduce.claims import reproducible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session
    from troubleshoot.knowledge.kinds import System


def run(session: Session, *, code: str, json: bool, errno: str | None, advice_for: str | None) -> int:
    """Print what ``code`` means."""
    known = session.catalogue
    name = code_of(code, session, errno)
    system = system_for(advice_for) or caller_system(code, known, system_of(errno)) or _here()
    shown = reproducible(known.code(name).alias_of or name, "en" if json else session.language)
    if json:
        write_json(code_document(name, known, session.language, shown, system=system))
    else:
        sys.stdout.write(code_page(name, known, session.language, style(), shown, system=system))
    return 0


def _here() -> System:
    """Return the system that we run on."""
    from probes.system import platform_name  # noqa: PLC0415 - only where the code does not tell whose it is

    systems: dict[str, System] = {"windows": "windows", "darwin": "macos"}
    return systems.get(platform_name(), "linux")
