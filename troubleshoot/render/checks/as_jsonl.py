"""One JSON document a line: each target, then the groups' diagnoses, then the sums."""

from __future__ import annotations

import json

from troubleshoot.check.model import CheckReport
from troubleshoot.knowledge.letters import escape_json
from troubleshoot.render.checks.as_json import document
from troubleshoot.render.checks.words import Words


def render(report: CheckReport, words: Words) -> str:
    """Return a line for each target (``"kind": "target"``), each group and the summary."""
    whole = document(report, words)
    lines = [{"kind": "target", **each} for each in whole.pop("targets")]
    lines += [{"kind": "group", **each} for each in whole.pop("groups")]
    lines.append({"kind": "summary", **whole})
    return "".join(escape_json(json.dumps(line, ensure_ascii=False)) + "\n" for line in lines)
