"""Read a command line that holds nothing unusual, without the parser.

The parser costs as much time as starting five interpreters. What is read here means what the parser would say it means;
whatever is not clear at once (an unknown option, a word too many, a value that lacks, ``--``) is left to the parser,
and so are all complaints about the form.
"""

from __future__ import annotations

from troubleshoot.cli.words import ARGUMENTS, COMMANDS, COMPLETION, DEFAULT, MINUS, OPTIONS, is_negative
from troubleshoot.knowledge.text import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def read(argv: list[str]) -> tuple[str, dict[str, Any]] | None:
    """Return the command and its values by name, ``None`` where the parser should see the words.

    Where help is asked for the value ``help`` is true, and the arguments are not counted. Raises
    :class:`~troubleshoot.knowledge.text.Refusal` where there are no words at all.
    """
    if not argv:
        raise Refusal("usage.missing")
    if any(word.partition("=")[0] in COMPLETION for word in argv):
        return None
    named = argv[0] in COMMANDS
    command = argv[0] if named else DEFAULT
    taken = _sorted_out(iter(argv[1:] if named else argv), command)
    if taken is None:
        return None
    words, given = taken
    if not named and words and words[0] in COMMANDS:
        return None
    values: dict[str, Any] = {}
    for name in COMMANDS[command].options:
        option = OPTIONS[name]
        values[name] = given.get(name, [] if option.many else option.default if option.metavar else False)
    if values["help"]:
        return command, values
    for name in COMMANDS[command].arguments:
        argument = ARGUMENTS[name]
        if argument.required and not words:
            return None
        values[name] = words if argument.many else words[0] if words else None
        words = [] if argument.many else words[1:]
    return None if words else (command, values)


def _sorted_out(rest: Iterator[str], command: str) -> tuple[list[str], dict[str, Any]] | None:
    """Return the words by their place and the options' values."""
    known = {word: name for name in COMMANDS[command].options for word in OPTIONS[name].names}
    words: list[str] = []
    given: dict[str, Any] = {}
    for word in rest:
        if not word.startswith("-") or word == "-" or is_negative(word):
            words.append(word.replace(MINUS, "-"))
            continue
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        name = known.get(option)
        if name is None:
            return None
        if not OPTIONS[name].metavar:
            if equals:
                return None
            given[name] = True
            continue
        following = value if equals else next(rest, None)
        if following is None:
            return None
        if OPTIONS[name].many:
            given.setdefault(name, []).append(following)
        else:
            given[name] = following
    return words, given
