"""``wsadiag CODE TARGET --evidence FILE``: the verdict from what another machine's commands wrote."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from troubleshoot.cli.commands import confined, loaded
from troubleshoot.cli.commands.read import bytes_of
from troubleshoot.cli.output import complain
from troubleshoot.intake.request import request_of
from troubleshoot.knowledge.text import Refusal, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session
    from troubleshoot.intake.target import Target
    from troubleshoot.options import Options
    from troubleshoot.report import Report


def judged(
    session: Session, file: str, name: str, target: Target, options: Options, *, code_input: str, writes: bool
) -> Report:
    """Return the report about ``name`` and ``target`` by the outputs in ``file``; raises :class:`Refusal`."""
    if options.pid is not None or options.place is not None:
        raise Refusal("usage.evidence-pid")
    data = bytes_of(file)
    confined(for_probes=False, writes=writes)

    from troubleshoot.readers import labels_of, read  # noqa: PLC0415 - all readers
    from troubleshoot.readers.text import text_of  # noqa: PLC0415
    from troubleshoot.run.pasted import judge_pasted, of_one_machine  # noqa: PLC0415

    loaded()
    readings, others = of_one_machine(read(text_of(data, labels_of(session.catalogue)), session.catalogue))
    if not readings:
        raise Refusal("usage.read-nothing", file=file)
    if others:
        complain(say(Refusal("usage.evidence-others", count=others), session.wording))
    return judge_pasted(
        request_of(name, target, options, session.catalogue, privileged=False),
        readings,
        session.catalogue,
        started=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        epoch_s=time.time(),
        code_input=code_input,
        language=session.language,
    )
