"""The manual page ``wsadiag.1``, from the tables of words and the catalogue's sentences about them (man(7)).

``python -m troubleshoot.cli.man`` writes it to standard output; ``docs/wsadiag.1`` is kept that way, and the wheel puts
it where ``man wsadiag`` looks.
"""

from __future__ import annotations

import sys

from troubleshoot.cli.words import ARGUMENTS, COMMANDS, DEFAULT, OPTIONS, TOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_STATUSES = (
    ("0", "healthy"), ("1", "a fault was found"), ("2", "bad usage; no packet was sent"), ("3", "inconclusive"),
    ("70", "a bug in wsadiag"), ("71", "this machine lacks or withholds what a run needs"),
    ("74", "the result could not be written"), ("130", "interrupted; until Python itself is up, its own 1"),
    ("141", "whoever read the output closed it"),
)  # fmt: skip


def page(wording: Mapping[str, str]) -> str:
    """Return the manual page in roff."""
    return "\n".join(_lines(wording)) + "\n"


def _lines(wording: Mapping[str, str]) -> Iterator[str]:
    yield '.TH WSADIAG 1 "" "wsadiag" "User Commands"'
    yield from (".SH NAME", f"wsadiag \\- {_roff(wording['usage.help'][:1].lower() + wording['usage.help'][1:])}")
    yield ".SH SYNOPSIS"
    for name in COMMANDS:
        words = []
        for argument in (ARGUMENTS[a] for a in COMMANDS[name].arguments):
            shown = f"\\fI{_roff(argument.metavar)}\\fR"
            words.append(shown if argument.required or name == DEFAULT else f"[{shown}]")
        yield ".nh" if name == DEFAULT else ".br"
        command = "wsadiag" if name == DEFAULT else f"wsadiag {_roff(name)}"
        yield f"\\fB{command}\\fR [\\fIOPTIONS\\fR] {' '.join(words)}".rstrip()
    yield ".SH DESCRIPTION"
    yield _roff(wording["usage.help"])
    yield ".SH ARGUMENTS"
    for name, argument in ARGUMENTS.items():
        text = wording.get(f"usage.help-{name.replace('_', '-')}")
        if text:
            yield from (".TP", f"\\fI{_roff(argument.metavar)}\\fR", _roff(text))
    yield ".SH OPTIONS"
    yield from _options((*COMMANDS[DEFAULT].options, *TOP), DEFAULT, wording)
    yield ".SH COMMANDS"
    for name, shape in COMMANDS.items():
        if name != DEFAULT:
            yield from (f".SS wsadiag {_roff(name)}", _roff(wording[f"usage.command-{name}"]))
            # What the diagnosis takes, too, has been said.
            yield from _options((o for o in shape.options if o not in COMMANDS[DEFAULT].options), name, wording)
    yield ".SH EXIT STATUS"
    for status, text in _STATUSES:
        yield from (".TP", f"\\fB{status}\\fR", text)
    yield ".SH ENVIRONMENT"
    yield from (
        ".TP",
        "\\fBLANGUAGE\\fR, \\fBLC_ALL\\fR, \\fBLC_MESSAGES\\fR, \\fBLANG\\fR",
        "The language of the texts.",
    )
    yield from (".TP", "\\fBNO_COLOR\\fR", "Turns colour off.")
    yield ".SH EXAMPLES"
    yield from (".nf", *(_roff(line) for line in wording["usage.help-examples"].strip().splitlines()), ".fi")


def _options(names: Iterable[str], command: str, wording: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        option = OPTIONS[name]
        words = ", ".join(f"\\fB{_roff(word)}\\fR" for word in option.names)
        yield from (".TP", f"{words} \\fI{_roff(option.metavar)}\\fR" if option.metavar else words)
        key = f"usage.help-{name.replace('_', '-')}"
        yield _roff(wording.get(f"{key}-{command}") or wording[key])


def _roff(text: str) -> str:
    """Return text as roff reads it: no escape, no request at a line's beginning, hyphens that can be copied."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


if __name__ == "__main__":
    from troubleshoot.knowledge.catalogue import catalogue

    sys.stdout.write(page(catalogue().wording("en")))
