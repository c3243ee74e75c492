"""Show what one probe observed: ``wsadiag probe NAME TARGET``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from troubleshoot.knowledge.text import say
from troubleshoot.render.layout import wrap
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style
from troubleshoot.render.text import outline

if TYPE_CHECKING:
    from probes.base import Observation


def document(observation: Observation[Any], wording: Mapping[str, str]) -> dict[str, Any]:
    """Return the record as plain data, ``wsadiag/observation/1``; ``reason_text`` is the reason as a sentence."""
    data = msgspec.to_builtins(observation, enc_hook=str)
    reason = observation.reason
    return {
        "schema": "wsadiag/observation/1",
        **data,
        "reason_text": None if reason is None else say(reason, wording),
    }


def page(observation: Observation[Any], wording: Mapping[str, str], style: Style) -> str:
    """Return the record as text: one line about the run, then the typed result as an indented outline."""
    status = wording.get(f"ui.{observation.status}", str(observation.status))
    subject = f" {observation.subject}" if observation.subject else ""
    lines = [style.heading(safe(f"{observation.probe}{subject}: {status} ({observation.duration_ms:.1f} ms)"))]
    if observation.reason is not None:
        lines += wrap(safe(say(observation.reason, wording)), style.width, "  ")
    if observation.error:
        lines += wrap(safe(observation.error), style.width, "  ")
    if observation.result is not None:
        lines += [f"  {line}" for line in outline(msgspec.to_builtins(observation.result, enc_hook=str))]
    return "\n".join(lines) + "\n"
