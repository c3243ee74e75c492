"""The parser's half of the command line: words before they are parsed, completion, and where help comes from.

Options may stand before, between and after CODE and TARGET. A negative number such as ``-2147014835`` would be taken
for a bundle of options; before the words reach the parser its hyphen is replaced by a minus sign.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from troubleshoot.cli.help import page
from troubleshoot.cli.output import style
from troubleshoot.cli.words import COMPLETION, DEFAULT, MINUS, OPTIONS, TOP, is_negative

_TOP_LEVEL = tuple(word for name in ("help", *TOP) for word in OPTIONS[name].names)
_VALUED = frozenset(word for option in OPTIONS.values() if option.metavar for word in option.names)


class Group(TyperGroup):
    """The top level: a first word that names no command belongs to the default command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse ``args`` with the command's name in front."""
        return super().parse_args(ctx, _arranged(args, self.commands))

    def get_help(self, ctx: Any) -> str:
        """Return the help page of ``wsadiag`` itself."""
        return page(DEFAULT, ctx.obj.wording, style())

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete commands, and what may stand in their place: codes and options of the default command."""
        found = super().shell_complete(ctx, incomplete)
        default = self.commands[DEFAULT]
        if incomplete.startswith("-"):
            known = {item.value for item in found}
            found += [item for item in default.shell_complete(ctx, incomplete) if item.value not in known]
        elif incomplete:
            code = next(param for param in default.params if param.name == "code")
            found += code.shell_complete(ctx, incomplete)
        return found


class Command(TyperCommand):
    """A command whose help comes from the catalogue's wording."""

    def get_help(self, ctx: Any) -> str:
        """Return the command's help page."""
        return page(self.name or DEFAULT, ctx.obj.wording, style())


def _arranged(args: list[str], commands: Any) -> list[str]:
    """Return ``args`` with the command's name in front and the hyphens of negative numbers replaced."""
    words, first = _marked(args)
    if any(word.partition("=")[0] in COMPLETION for word in words):
        return words  # the parser's own; where it cannot tell the shell, its name follows
    if first is not None and words[first] in commands:
        return [words[first], *words[:first], *words[first + 1 :]]
    if first is None:
        top = [word for word in words if word.partition("=")[0] in _TOP_LEVEL]
        if top or not words:
            return top
    return [DEFAULT, *words]


def _marked(args: list[str]) -> tuple[list[str], int | None]:
    """Return the words with negative numbers marked, and which of them is the first that is no option."""
    words: list[str] = []
    first: int | None = None
    value_next = False
    for index, word in enumerate(args):
        if value_next:
            value_next = False
        elif word == "--":
            return words + args[index:], first
        elif is_negative(word):
            words.append(MINUS + word[1:])
            first = index if first is None else first
            continue
        elif word.startswith("-") and word != "-":
            value_next = word in _VALUED
        elif first is None:
            first = index
        words.append(word)
    return words, first
