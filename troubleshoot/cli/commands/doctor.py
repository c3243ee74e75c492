"""``wsadiag doctor``: what can be used on this machine, and what each missing thing costs."""

from __future__ import annotations

import sys

from probes.system import loop
from troubleshoot import __version__
from troubleshoot.cli.commands import loaded
from troubleshoot.cli.output import style, write_records
from troubleshoot.doctor import examine as doctor
from troubleshoot.render.doctor import document, page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session


def run(session: Session, *, json: bool, no_network: bool, verbose: bool) -> int:
    """Print what was found; the status is 0 whatever is missing, for only a diagnosis has a verdict to tell by it."""
    loaded()
    found = loop.run(doctor.examine(network=not no_network, encoding=sys.stdout.encoding or "ascii"))
    if json:
        write_records(document(found, session.wording, __version__))
    else:
        sys.stdout.write(page(found, session.wording, style(found.started), __version__, verbose=verbose))
    return 0
