"""The help pages, from the tables of words and the catalogue's sentences about them."""

from __future__ import annotations

from troubleshoot.cli.words import ARGUMENTS, COMMANDS, DEFAULT, OPTIONS, TOP
from troubleshoot.render.layout import cells, pad, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from troubleshoot.render.style import Style

_MOST_CELLS = 26


def page(command: str, wording: Mapping[str, str], style: Style) -> str:
    """Return the help page of ``command``, without a line break at its end; the default's is that of ``wsadiag``."""
    top = command == DEFAULT
    arguments = [(ARGUMENTS[name].metavar, _about(name, command, wording)) for name in COMMANDS[command].arguments]
    options = [
        (
            " ".join(filter(None, (", ".join(OPTIONS[name].names), OPTIONS[name].metavar))),
            _about(name, command, wording),
        )
        for name in (*COMMANDS[command].options, *(TOP if top else ()))
    ]
    column = min(_MOST_CELLS, max(cells(label) for label, _ in (*arguments, *options)))

    def section(heading: str, rows: list[tuple[str, str]]) -> list[str]:
        lines = ["", style.heading(f"{wording[f'usage.heading-{heading}']}:")]
        for label, text in rows:
            lines += wrap(text, style.width, f"  {pad(label, column)}  ", " " * (column + 4))
        return lines if rows else []

    lines = _usage(command, wording)
    lines += ["", *wrap(wording["usage.help" if top else f"usage.command-{command}"], style.width)]
    if top:
        lines += ["", style.heading(f"{wording['usage.heading-examples']}:")]
        lines += [f"  {line}" for line in wording["usage.help-examples"].strip().splitlines()]
    lines += section("arguments", arguments) + section("options", options)
    if top:
        lines += section("commands", [(n, wording[f"usage.command-{n}"]) for n in COMMANDS if n != DEFAULT])
        lines += ["", *wrap(wording["usage.help-packets"], style.width)]
        lines += ["", *wrap(wording["usage.help-status"], style.width)]
    return "\n".join(lines)


def _usage(command: str, wording: Mapping[str, str]) -> list[str]:
    heading = f"{wording['usage.heading-usage']}: "
    top = command == DEFAULT
    words = ["wsadiag" if top else f"wsadiag {command}", "[OPTIONS]"]
    for argument in (ARGUMENTS[name] for name in COMMANDS[command].arguments):
        needed = argument.required or top  # TARGET can only be left out by mistake
        words.append(argument.metavar if needed else f"[{argument.metavar}]")
    return [heading + " ".join(words), *([" " * cells(heading) + "wsadiag COMMAND ..."] if top else [])]


def _about(name: str, command: str, wording: Mapping[str, str]) -> str:
    key = f"usage.help-{name.replace('_', '-')}"
    return wording.get(f"{key}-{command}") or wording[key]
