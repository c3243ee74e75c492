"""Write those pages of docs/ that follow from the catalogue and the tables of words: commands, codes, causes.

``python tests/pages.py`` writes them anew; ``tests/test_pages.py`` holds them to what they are made from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from troubleshoot.cli.words import ARGUMENTS, COMMANDS, DEFAULT, OPTIONS, TOP  # noqa: E402
from troubleshoot.knowledge.catalogue import Catalogue  # noqa: E402

MADE = "(Made by `tests/pages.py`.)"


def commands(catalogue: Catalogue) -> str:
    """Return the page of every command with its arguments and options."""
    return "\n".join(_commands(catalogue.wording("en"))) + "\n"


def _commands(wording: Mapping[str, str]) -> Iterator[str]:
    yield from ("# Commands", "", wording["usage.help"], wording["usage.help-status"], MADE)
    for name, shape in COMMANDS.items():
        called = "wsadiag" if name == DEFAULT else f"wsadiag {name}"
        taken = [ARGUMENTS[one] for one in shape.arguments]
        words = [one.metavar if one.required or name == DEFAULT else f"[{one.metavar}]" for one in taken]
        yield from ("", f"## {called}", "", wording[f"usage.command-{name}"])
        yield from ("", "```text", f"{called} [OPTIONS] {' '.join(words)}".rstrip(), "```")
        rows = [(ARGUMENTS[one].metavar, _said(wording, one, name)) for one in shape.arguments]
        for option in (*shape.options, *(TOP if name == DEFAULT else ())):
            known = OPTIONS[option]
            rows.append((f"{', '.join(known.names)} {known.metavar}".strip(), _said(wording, option, name)))
        yield from ("", "| | |", "| --- | --- |")
        yield from (f"| `{_cell(word)}` | {_cell(text)} |" for word, text in rows)


def _said(wording: Mapping[str, str], what: str, command: str) -> str:
    key = f"usage.help-{what.replace('_', '-')}"
    return wording.get(f"{key}-{command}") or wording[key]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def codes(catalogue: Catalogue) -> str:
    """Return the page of every code with its name and title."""
    lines = ["# All codes", "", f"`wsadiag explain CODE` says what is known of one. {MADE}", ""]
    lines += ["| number | name | POSIX | |", "| --- | --- | --- | --- |"]
    for entry in catalogue.codes():
        lines.append(f"| {entry.number} | {entry.name} | {entry.posix or ''} | {_cell(entry.title.en)} |")
    return "\n".join(lines) + "\n"


def causes(catalogue: Catalogue) -> str:
    """Return the page of every cause that a verdict may name."""
    lines = ["# All causes", "", f"`verdict.cause` of a report is one of these. {MADE}", ""]
    wording = catalogue.wording("en")
    for name, cause in sorted(catalogue.causes.items()):
        where = ", ".join(wording[f"ui.scope-{scope}"] for scope in cause.scopes)
        lines += [f"- `{name}` ({where}): **{cause.en.title}.** {cause.en.explanation}"]
    return "\n".join(lines) + "\n"


PAGES = {"commands.md": commands, "codes.md": codes, "causes.md": causes}


def main() -> None:
    """Write every page."""
    catalogue = Catalogue()
    for name, made in PAGES.items():
        (ROOT / "docs" / name).write_text(made(catalogue), encoding="utf-8")


if __name__ == "__main__":
    main()
