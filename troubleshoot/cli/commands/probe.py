"""``wsadiag probe [NAME] [TARGET]``: run one probe by itself, or list them."""

from __future__ import annotations

import sys

from troubleshoot.cli.commands import confined, loaded, placed, standing_in
from troubleshoot.cli.options import options_of, target_of
from troubleshoot.cli.output import CRASHED, style, write_json, write_records
from troubleshoot.knowledge.text import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from troubleshoot.cli.session import Session


def run(session: Session, *, name: str | None, target: str | None, json: bool, **given: Any) -> int:
    """Run the probe called ``name`` and print what it observed; ``given`` are its options."""
    if name is None:
        return _list(session, json=json)
    from probes.table import TABLE  # noqa: PLC0415

    if name not in TABLE:
        import difflib  # noqa: PLC0415

        near = ", ".join(difflib.get_close_matches(name, TABLE, 3, 0.5))
        raise Refusal("usage.probe-unknown-near" if near else "usage.probe-unknown", word=name, near=near)
    stand = placed(given)
    options = options_of(session, place=stand, **given)
    if target is None:
        from troubleshoot.intake.target import Target  # noqa: PLC0415

        aim = Target(input="", host=None, port=None)
    else:
        aim = target_of(target, session.catalogue)

    from probes.system import loop  # noqa: PLC0415
    from troubleshoot.run import single  # noqa: PLC0415

    loaded()
    # the probe called capabilities tells what this process could do
    stand_ins = standing_in(options, stand)
    context = confined(for_probes=True) if name != "capabilities" else None
    observation = loop.run(single.observe(name, aim, options, context=context, stand_ins=stand_ins))
    from troubleshoot.render.observation import document, page  # noqa: PLC0415

    if json:
        write_records(document(observation, session.wording))
    else:
        sys.stdout.write(page(observation, session.wording, style()))
    return {"observed": 0, "broken": CRASHED}.get(str(observation.status), 3)


def _list(session: Session, *, json: bool) -> int:
    from probes.table import TABLE, about  # noqa: PLC0415
    from troubleshoot.render.layout import wrap  # noqa: PLC0415

    told = {name: about(name) for name in TABLE}
    if json:
        rows = [{"name": name, "about": text} for name, text in told.items()]
        write_json({"schema": "wsadiag/probes/1", "probes": rows})
        return 0
    told |= {name: text for name, text in session.catalogue.probes(session.language).items() if name in told}
    column = max(map(len, told))
    width = style().width
    for name, text in told.items():
        sys.stdout.write("".join(f"{line}\n" for line in wrap(text, width, f"{name:{column}}  ")))
    return 0
