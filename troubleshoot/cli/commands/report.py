"""``wsadiag report REPORT.json --to FILE``: a saved report as documents, without a network."""

from __future__ import annotations

from troubleshoot.cli.commands import confined, loaded
from troubleshoot.cli.commands.replay import bytes_of, saved_in, shown
from troubleshoot.cli.files import forms_of
from troubleshoot.cli.show import redacted, write_files
from troubleshoot.knowledge.text import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session


def run(session: Session, *, report: str, to: list[str], redact: bool, show_secrets: bool) -> int:
    """Write the report in the file ``report`` (``-``: standard input) as it is: it is judged again for its words only.

    That is where another language is spoken now. Returns the status of the writing, 0 or 74.
    """
    if not to:
        raise Refusal("usage.report-none")
    files = forms_of(to, "--to")
    data = bytes_of(report)
    confined(for_probes=False, writes=True)
    saved = saved_in(data, report, session)
    loaded()
    saved = shown(saved, session, show_secrets=show_secrets)
    if saved.language != session.language:
        from troubleshoot.run import engine  # noqa: PLC0415 - heavy

        saved = engine.replay(saved, session.language)
    if redact:
        saved = redacted(saved, session)
    return write_files(saved, session, files)
