"""What pasted outputs of commands were found to show: screen and document of ``wsadiag read``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from troubleshoot.intake.codes import SYSTEM_NAMES
from troubleshoot.knowledge.text import fill, say
from troubleshoot.readers.model import Reading
from troubleshoot.readers.tell import tell
from troubleshoot.render.layout import wrap
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style

_MOST_SHOWN = 10


def page(readings: Sequence[Reading], wording: Mapping[str, str], style: Style) -> str:
    """Return one paragraph for each output: its command, what it shows, and the lines that were not understood."""
    lines: list[str] = []
    for reading in readings:
        if lines:
            lines.append("")
        lines += _paragraph(reading, wording, style)
    return "".join(f"{line}\n" for line in lines)


def _paragraph(reading: Reading, wording: Mapping[str, str], style: Style) -> list[str]:
    whose = f" ({SYSTEM_NAMES[reading.system]})" if reading.system else ""
    title = reading.typed or reading.command or wording["ui.read-nobody"]
    where = fill(wording["ui.read-line"], {"line": str(reading.line)})
    lines = [style.heading(safe(f"{where}: {title}{whose}"))]
    for seen in reading.seen:
        lines += wrap(safe(say(tell(seen), wording)), style.width, "  ")
    if reading.command and not reading.seen:
        lines += wrap(wording["ui.read-nothing"], style.width, "  ")
    if reading.unread:
        count = str(len(reading.unread) + reading.more)
        lines += wrap(fill(wording["ui.read-unread"], {"count": count}), style.width, "  ")
        for one in reading.unread[:_MOST_SHOWN]:
            lines += wrap(safe(f"{one.line}: {one.text.strip()}"), style.width, "    ")
        left = len(reading.unread) - _MOST_SHOWN + reading.more
        if left > 0:
            lines += wrap(fill(wording["ui.read-more"], {"count": str(left)}), style.width, "    ")
    return lines


def document(readings: Sequence[Reading], wording: Mapping[str, str]) -> dict[str, Any]:
    """Return what each output shows as ``wsadiag/read/1``: the typed observations, and a sentence for each."""
    found = []
    for reading in readings:
        data = msgspec.to_builtins(reading, enc_hook=str)
        data["seen"] = [
            {"observation": msgspec.to_builtins(seen, enc_hook=str), "text": say(tell(seen), wording)}
            for seen in reading.seen
        ]
        found.append(data)
    return {"schema": "wsadiag/read/1", "readings": found}
