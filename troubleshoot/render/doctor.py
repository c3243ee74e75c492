"""Show what ``wsadiag doctor`` found, as a page of text or as ``wsadiag/doctor/1``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from troubleshoot.doctor.checkup import GROUPS, Checkup, Item
from troubleshoot.knowledge.text import fill, say
from troubleshoot.render.layout import cells, cut, pad, wrap
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style

#: How an item's mark is drawn (:meth:`Style.mark`), by what the mark says.
_MARKS = {
    "there": "passed",
    "essential": "failed",
    "certainty": "warning",
    "none": "skipped",
    "unknown": "unavailable",
    "not-asked": "unavailable",
}
_LABELS = ("gives", "costs", "stakes", "remedy")


def document(checkup: Checkup, wording: Mapping[str, str], version: str) -> dict[str, Any]:
    """Return the findings as plain data; ``cost`` and ``remedy`` are null where nothing is lacking."""
    return {
        "schema": "wsadiag/doctor/1",
        "tool": {"name": "wsadiag", "version": version},
        "started": checkup.started,
        "duration_ms": checkup.duration_ms,
        "packets": checkup.packets,
        "vantage": {
            "hostname": checkup.hostname,
            "platform": checkup.platform,
            "privileged": any(item.id == "raw-packets" and item.state == "there" for item in checkup.items),
        },
        "kernel": checkup.kernel,
        "python": checkup.python,
        "user": checkup.user,
        "capabilities": list(checkup.held),
        "libraries": dict(checkup.libraries),
        "tools": dict(checkup.tools),
        "reason": None if checkup.reason is None else say(checkup.reason, wording),
        "items": [
            {
                "id": item.id,
                "group": item.group,
                "subject": item.subject or None,
                "title": _title(item, wording),
                "state": item.state,
                "weight": item.weight,
                "found": say(item.found, wording),
                "gives": say(item.gives, wording),
                "cost": say(item.cost, wording) if item.lacking else None,
                "remedy": say(item.remedy, wording) if item.lacking else None,
                "steps": list(item.steps),
                "causes": list(item.causes),
            }
            for item in checkup.items
        ],
    }


def page(checkup: Checkup, wording: Mapping[str, str], style: Style, version: str, *, verbose: bool = False) -> str:
    """Return the findings as text; ``verbose`` says what each thing gives, too."""
    lines = [style.heading(wording["doctor.heading"]), *_head(checkup, wording, style)]
    if checkup.reason is not None:
        lines += ["", *wrap(safe(say(checkup.reason, wording)), style.width)]
    column = min(max(cells(safe(_title(item, wording))) for item in checkup.items), style.width * 2 // 5)
    for group in GROUPS:
        items = [item for item in checkup.items if item.group == group]
        if items:
            lines += ["", style.heading(wording[f"doctor.group-{group}"])]
            lines += [line for item in items for line in _item(item, wording, style, column, verbose=verbose)]
    lines += wrap(f"({_legend(checkup, wording, style)})", style.width, "  ")
    lines += ["", *wrap(safe(_summary(checkup, wording)), style.width), ""]
    packets = fill(wording["ui.packets"], {"packets": str(checkup.packets)})
    took = fill(wording["ui.took"], {"seconds": f"{checkup.duration_ms / 1000:.1f}"})
    footer = f"{checkup.hostname}, {style.moment(checkup.started)}, {took}, {packets}, wsadiag {version}"
    lines += [style.dim(line) for line in wrap(safe(footer), style.width)]
    return "\n".join(lines) + "\n"


def _title(item: Item, wording: Mapping[str, str]) -> str:
    title = wording[f"doctor.{item.id}"]
    return f"{title} {item.subject}" if item.subject else title


def _head(checkup: Checkup, wording: Mapping[str, str], style: Style) -> Iterator[str]:
    libraries = [f"{name} {version}" for name, version in checkup.libraries if version is not None]
    names = ", ".join(checkup.held)
    held = fill(wording["doctor.capabilities"], {"names": names}) if names else wording["doctor.capabilities-none"]
    user = wording["doctor.user-root"] if checkup.user == 0 else str(checkup.user)
    rows = [
        ("system", checkup.kernel or checkup.platform),
        ("python", ", ".join([checkup.python, *libraries])),
        *((("user", f"{user}, {held}"),) if checkup.user is not None else ()),
    ]
    labels = [wording[f"doctor.{key}"] for key, _ in rows]
    column = max(map(cells, labels)) + 2
    for label, (_, text) in zip(labels, rows, strict=True):
        yield from wrap(safe(text), style.width, pad(label, column))


def _sense(item: Item) -> str:
    """Return what the item's mark says."""
    return item.weight if item.state == "missing" else item.state


def _item(item: Item, wording: Mapping[str, str], style: Style, column: int, *, verbose: bool) -> Iterator[str]:
    mark, sgr = style.mark(_MARKS[_sense(item)])
    sign = cells(style.mark("passed")[0])
    ellipsis = "…" if style.unicode else "..."
    title = pad(cut(safe(_title(item, wording)), column, ellipsis), column)
    # The mark is painted after the line is laid out: colour takes no cells.
    first, *rest = wrap(safe(say(item.found, wording)), style.width, f"  {pad(mark, sign)} {title}  ")
    yield f"  {style.paint(mark, sgr)}{first[2 + len(mark) :]}"
    yield from rest
    texts = {
        "gives": item.gives if verbose else None,
        "costs": item.cost if item.state == "missing" else None,
        "stakes": item.cost if item.state == "unknown" else None,
        "remedy": item.remedy if item.lacking else None,
    }
    indent = " " * (3 + sign)
    labels = {key: f"{wording[f'doctor.{key}']}:" for key in _LABELS}
    widest = max(map(cells, labels.values()))
    for key, text in texts.items():
        if text is not None:
            yield from wrap(safe(say(text, wording)), style.width, f"{indent}{pad(labels[key], widest)} ")


def _legend(checkup: Checkup, wording: Mapping[str, str], style: Style) -> str:
    used = {_sense(item) for item in checkup.items}
    return "; ".join(
        f"{style.mark(status)[0]} {wording[f'doctor.mark-{sense}']}"
        for sense, status in _MARKS.items()
        if sense in used
    )


def _summary(checkup: Checkup, wording: Mapping[str, str]) -> str:
    lacking = [_title(item, wording) for item in checkup.items if item.lacking and item.weight != "none"]
    if not lacking and checkup.reason is None:
        return wording["doctor.complete"]
    return fill(wording["doctor.lacking"], {"titles": ", ".join(lacking) or "-"})
