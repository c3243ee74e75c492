"""``wsadiag compare A.json B.json``: what differs between two reports, and what follows."""

from __future__ import annotations

import sys

from troubleshoot.cli.commands import confined, loaded
from troubleshoot.cli.commands.replay import bytes_of, saved_in, shown
from troubleshoot.cli.files import forms_of
from troubleshoot.cli.output import style, write_records
from troubleshoot.cli.show import write_documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session


def run(session: Session, *, report: str, other: str, json: bool, to: list[str], show_secrets: bool) -> int:
    """Judge both reports by today's rules and tell what differs; returns 0, or 74 where a file was not written."""
    files = forms_of(to, "--to", (".json", ".md"))
    data = [(file, bytes_of(file)) for file in (report, other)]
    confined(for_probes=False, writes=bool(files))
    saved = [saved_in(held, file, session) for file, held in data]

    from troubleshoot.render.compare import document, page, ticket  # noqa: PLC0415 - heavy, from here on
    from troubleshoot.report import written  # noqa: PLC0415
    from troubleshoot.run import engine  # noqa: PLC0415
    from troubleshoot.run.compare import compare  # noqa: PLC0415

    loaded()
    saved = [shown(one, session, show_secrets=show_secrets) for one in saved]
    found = compare(*(engine.replay(one, session.language) for one in saved))
    plain = document(found, session.wording)
    if json:
        write_records(plain)
    else:
        sys.stdout.write(page(found, session.wording, style()))
    texts = {"json": written(plain) + "\n", "markdown": ticket(found, session.wording)}
    return write_documents([(file, texts[form]) for file, form in files], session)
