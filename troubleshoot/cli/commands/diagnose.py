"""``wsadiag CODE TARGET``: the diagnosis itself."""

from __future__ import annotations

import os
import sys

from troubleshoot.cli.commands import confined, loaded, placed, spare_tls, standing_in
from troubleshoot.cli.files import forms_of
from troubleshoot.cli.options import advice_for as system_for
from troubleshoot.cli.options import options_of, system_of, target_of
from troubleshoot.cli.output import style
from troubleshoot.intake.codes import is_plain, may_speak, parse_code
from troubleshoot.knowledge.text import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from troubleshoot.cli.session import Session
    from troubleshoot.intake.target import Target
    from troubleshoot.options import Options
    from troubleshoot.report import Report
    from troubleshoot.run.place import Place


def run(
    session: Session,
    *,
    code: str,
    place: list[str],
    json: bool,
    errno: str | None,
    advice_for: str | None,
    verbose: bool,
    quiet: bool,
    output: list[str],
    redact: bool,
    evidence: str | None,
    **given: Any,
) -> int:
    """Diagnose and print the report; ``given`` are the options of the run."""
    name, code, target, remarks = _given(code, place, session, errno)
    if verbose and quiet:
        raise Refusal("usage.option-quiet")
    spare_tls()
    files = forms_of(output, "--output")
    stand = placed(given)
    options = options_of(session, system=system_for(advice_for), place=stand, **given)
    aim = target_of(target, session.catalogue, name)

    from troubleshoot.cli.show import redacted, show  # noqa: PLC0415

    if evidence is not None:
        from troubleshoot.cli.pasted import judged  # noqa: PLC0415 - most runs look for themselves

        report = judged(session, evidence, name, aim, options, code_input=code, writes=bool(files))
    else:
        live = not json and not quiet and not redact
        report = _looked(session, name, aim, options, stand, code_input=code, writes=bool(files), live=live)
    if redact:
        report, remarks = redacted(report, session), ()
    return show(report, session, json=json, verbose=verbose, quiet=quiet, remarks=remarks, files=files)


def _looked(
    session: Session,
    name: str,
    aim: Target,
    options: Options,
    stand: Place | None,
    *,
    code_input: str,
    writes: bool,
    live: bool,
) -> Report:
    """Return the report of a run from here; ``live`` shows its steps while they run, where somebody looks on."""
    from troubleshoot.knowledge.secrets import masked  # noqa: PLC0415
    from troubleshoot.run import engine  # noqa: PLC0415 - the heavy half of the program, from here on

    loaded()
    stand_ins = standing_in(options, stand)
    context = confined(for_probes=True, writes=writes)
    if not live or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return engine.run(name, aim, options, code_input=code_input, stand_ins=stand_ins, context=context)
    from troubleshoot.render.live import LiveView  # noqa: PLC0415

    written = aim.input if options.show_secrets else masked(aim.input)
    heading = f"{session.catalogue.code(name).number} {name}: {written}"
    height = os.get_terminal_size(sys.stdout.fileno()).lines
    with LiveView(heading, session.wording, style(), height=height) as view:
        return engine.run(
            name, aim, options, on_event=view.event, code_input=code_input, stand_ins=stand_ins, context=context
        )


def _given(code: str, place: list[str], session: Session, errno: str | None) -> tuple[str, str, str, tuple[str, ...]]:
    """Return the code's entry, how it was written, the target, and what was concluded from the words' form."""
    known = session.catalogue
    plain = is_plain(code, known) or not (may_speak(code, known) or any(is_plain(word, known) for word in place))
    if plain and len(place) < 2 and " " not in "".join(place):
        name = parse_code(code, session.catalogue, system_of(errno))
        if not place:
            raise Refusal("usage.missing-target", code=code)
        return name, code, place[0], ()
    from troubleshoot.cli.given import chosen, remark, words_of  # noqa: PLC0415 - a plain code costs none of it

    given = words_of([code, *place], session, errno)
    name = chosen(given, session)
    if given.target is None:
        raise Refusal("usage.text-no-target", code=name)
    return name, given.code, given.target, remark(given, session)
