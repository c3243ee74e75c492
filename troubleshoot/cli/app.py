"""The commands as the parser knows them, made from the tables of :mod:`troubleshoot.cli.words`.

The parser reads a command's options from the signature of a function; each command gets one that holds nothing else,
and its values go to the command's own module by their names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from troubleshoot import __version__
from troubleshoot.cli import complete
from troubleshoot.cli.commands import carry_out
from troubleshoot.cli.grammar import Command, Group
from troubleshoot.cli.session import Session
from troubleshoot.cli.words import ARGUMENTS, COMMANDS, DEFAULT, MINUS, OPTIONS
from troubleshoot.errors import UserError
from troubleshoot.knowledge.letters import cut

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    context_settings={"help_option_names": [*OPTIONS["help"].names]},
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)

#: What the shell completes, by the name of the argument or option.
_COMPLETED = {
    "code": complete.codes,
    "name": complete.probes,
    "errno": complete.systems,
    "advice_for": complete.systems,
    "lang": complete.languages,
}


def run(argv: list[str], session: Session) -> int:
    """Carry out the command line ``argv`` and return the exit status; raises ``UserError`` for bad usage."""
    command = typer.main.get_command(app)
    try:
        status = command.main(args=list(argv), prog_name="wsadiag", standalone_mode=False, obj=session)
    except Exception as error:
        # The parser's complaints, known by how they are told: they share no public class across versions.
        complaint = getattr(error, "format_message", None)
        if complaint is None:
            raise
        raise UserError(session.translated(cut(" ".join(complaint().replace(MINUS, "-").split())))) from None
    return status if isinstance(status, int) else 0


def _run(context: typer.Context) -> int:
    values = dict(context.params)
    for name in ARGUMENTS.keys() & values.keys():
        given = values[name]
        if isinstance(given, str):
            values[name] = given.replace(MINUS, "-")
        elif ARGUMENTS[name].many:
            values[name] = [word.replace(MINUS, "-") for word in given or ()]
    for name in OPTIONS.keys() & values.keys():
        if OPTIONS[name].many:
            values[name] = list(values[name] or ())
    return carry_out(context.command.name or DEFAULT, context.obj, values)


def _parameter(name: str, kind: Any, default: Any, told: Any) -> Parameter:
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Annotated[kind, told])


def _argument(name: str) -> Parameter:
    argument = ARGUMENTS[name]
    told = typer.Argument(metavar=argument.metavar, autocompletion=_COMPLETED.get(name))
    if argument.required:
        return _parameter(name, str, Parameter.empty, told)
    return _parameter(name, list[str] | None if argument.many else str | None, None, told)


def _option(name: str) -> Parameter:
    option = OPTIONS[name]
    told = typer.Option(*option.names, metavar=option.metavar or None, autocompletion=_COMPLETED.get(name))
    if not option.metavar:
        return _parameter(name, bool, False, told)
    if option.many:
        return _parameter(name, list[str] | None, None, told)
    return _parameter(name, str if option.default is not None else str | None, option.default, told)


def _signed(name: str) -> Callable[..., int]:
    """Return the function from whose signature the parser takes the command ``name``."""

    def call(**values: Any) -> int:
        return _run(values["context"])

    taken = COMMANDS[name]
    parameters = [
        Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *(_argument(argument) for argument in taken.arguments),
        *(_option(option) for option in taken.options if option != "help"),  # which the parser adds by itself
    ]
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


@app.callback()
def _top(version: Annotated[bool, typer.Option(*OPTIONS["version"].names)] = False) -> int:
    if version:
        sys.stdout.write(f"wsadiag {__version__}\n")
        raise typer.Exit(0)
    return 0


for _name in COMMANDS:
    app.command(_name, cls=Command, hidden=_name == DEFAULT)(_signed(_name))
