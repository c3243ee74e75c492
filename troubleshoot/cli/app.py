"""The commands as the parser knows them; what each takes stands in :mod:`troubleshoot.cli.words`.

The parser reads a command's options from the signature of a function. These functions hold nothing else: the values
go to the command's own module by their names.
"""

# ruff: noqa: ARG001, PLR0917 - the parser passes every option by its name; the context holds them all
from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from troubleshoot import __version__
from troubleshoot.cli import complete
from troubleshoot.cli.commands import carry_out
from troubleshoot.cli.grammar import Command, Group
from troubleshoot.cli.session import Session
from troubleshoot.cli.words import ARGUMENTS, DEFAULT, MINUS, OPTIONS
from troubleshoot.errors import UserError
from troubleshoot.knowledge.letters import cut

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    context_settings={"help_option_names": [*OPTIONS["help"].names]},
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


def _argument(name: str, **more: Any) -> Any:
    return typer.Argument(metavar=ARGUMENTS[name].metavar, **more)


def _option(name: str, **more: Any) -> Any:
    return typer.Option(*OPTIONS[name].names, metavar=OPTIONS[name].metavar or None, **more)


_Code = Annotated[str, _argument("code", autocompletion=complete.codes)]
_Target = Annotated[str | None, _argument("target")]
_Place = Annotated[list[str] | None, _argument("place")]
_File = Annotated[str | None, _argument("file")]
_Words = Annotated[list[str] | None, _argument("words")]
_Targets = Annotated[list[str] | None, _argument("targets")]
_Name = Annotated[str | None, _argument("name", autocompletion=complete.probes)]
_Report = Annotated[str, _argument("report")]
_Errno = Annotated[str | None, _option("errno", autocompletion=complete.systems)]
_For = Annotated[str | None, _option("advice_for", autocompletion=complete.systems)]
_Lang = Annotated[str | None, _option("lang", autocompletion=complete.languages)]
_Json = Annotated[bool, _option("json")]
_Timeout = Annotated[str, _option("timeout")]
_IPv4 = Annotated[bool, _option("ipv4")]
_IPv6 = Annotated[bool, _option("ipv6")]
_Pid = Annotated[str | None, _option("pid")]
_LocalHost = Annotated[str | None, _option("local_host")]
_Router = Annotated[str | None, _option("router")]
_Neighbour = Annotated[str | None, _option("remote_neighbour")]
_ShowSecrets = Annotated[bool, _option("show_secrets")]
_NoNetwork = Annotated[bool, _option("no_network")]
_Verbose = Annotated[bool, _option("verbose")]
_Quiet = Annotated[bool, _option("quiet")]
_Format = Annotated[list[str] | None, _option("format")]
_Expect = Annotated[str, _option("expect")]
_TryTimeout = Annotated[str | None, _option("try_timeout")]
_Retries = Annotated[str, _option("retries")]
_Backoff = Annotated[str, _option("backoff")]
_Wait = Annotated[str | None, _option("wait")]
_Tag = Annotated[list[str] | None, _option("tag")]
_Command = Annotated[list[str] | None, _argument("command")]
_VerdictStatus = Annotated[bool, _option("verdict_status")]
_Interval = Annotated[str, _option("interval")]
_Until = Annotated[str | None, _option("until")]
_Log = Annotated[str | None, _option("log")]
_Listen = Annotated[str, _option("listen")]
_Allow = Annotated[list[str] | None, _option("allow")]
_AtOnce = Annotated[str, _option("at_once")]
_MostTargets = Annotated[str, _option("most_targets")]
_Rate = Annotated[str, _option("rate")]
_NoDiagnosis = Annotated[bool, _option("no_diagnosis")]
_Version = Annotated[bool, _option("version")]
_SECONDS = OPTIONS["timeout"].default or ""
_DEFAULTS = {name: option.default or "" for name, option in OPTIONS.items()}


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


@app.callback()
def _top(version: _Version = False) -> int:
    if version:
        sys.stdout.write(f"wsadiag {__version__}\n")
        raise typer.Exit(0)
    return 0


@app.command(DEFAULT, cls=Command, hidden=True)
def _diagnose(
    ctx: typer.Context,
    code: _Code,
    place: _Place = None,
    json: _Json = False,
    timeout: _Timeout = _SECONDS,
    ipv4: _IPv4 = False,
    ipv6: _IPv6 = False,
    pid: _Pid = None,
    local_host: _LocalHost = None,
    router: _Router = None,
    remote_neighbour: _Neighbour = None,
    show_secrets: _ShowSecrets = False,
    errno: _Errno = None,
    advice_for: _For = None,
    lang: _Lang = None,
    verbose: _Verbose = False,
    quiet: _Quiet = False,
) -> int:
    return _run(ctx)


@app.command("explain", cls=Command)
def _explain(
    ctx: typer.Context,
    code: _Code,
    json: _Json = False,
    errno: _Errno = None,
    advice_for: _For = None,
    lang: _Lang = None,
) -> int:
    return _run(ctx)


@app.command("parse", cls=Command)
def _parse(
    ctx: typer.Context, file: _File = None, json: _Json = False, errno: _Errno = None, lang: _Lang = None
) -> int:
    return _run(ctx)


@app.command("codes", cls=Command)
def _codes(ctx: typer.Context, words: _Words = None, json: _Json = False, lang: _Lang = None) -> int:
    return _run(ctx)


@app.command("probe", cls=Command)
def _probe(
    ctx: typer.Context,
    name: _Name = None,
    target: _Target = None,
    json: _Json = False,
    timeout: _Timeout = _SECONDS,
    ipv4: _IPv4 = False,
    ipv6: _IPv6 = False,
    pid: _Pid = None,
    show_secrets: _ShowSecrets = False,
    lang: _Lang = None,
) -> int:
    return _run(ctx)


@app.command("check", cls=Command)
def _check(
    ctx: typer.Context,
    targets: _Targets = None,
    format: _Format = None,  # noqa: A002 - the option's name
    expect: _Expect = _DEFAULTS["expect"],
    try_timeout: _TryTimeout = None,
    retries: _Retries = _DEFAULTS["retries"],
    backoff: _Backoff = _DEFAULTS["backoff"],
    wait: _Wait = None,
    tag: _Tag = None,
    rate: _Rate = _DEFAULTS["rate"],
    no_diagnosis: _NoDiagnosis = False,
    ipv4: _IPv4 = False,
    ipv6: _IPv6 = False,
    lang: _Lang = None,
) -> int:
    return _run(ctx)


@app.command("run", cls=Command)
def _run_command(
    ctx: typer.Context,
    command: _Command = None,
    timeout: _Timeout = _SECONDS,
    verdict_status: _VerdictStatus = False,
    ipv4: _IPv4 = False,
    ipv6: _IPv6 = False,
    lang: _Lang = None,
) -> int:
    return _run(ctx)


@app.command("watch", cls=Command)
def _watch(
    ctx: typer.Context,
    code: _Code,
    target: _Target = None,
    interval: _Interval = _DEFAULTS["interval"],
    until: _Until = None,
    log: _Log = None,
    timeout: _Timeout = _SECONDS,
    ipv4: _IPv4 = False,
    ipv6: _IPv6 = False,
    pid: _Pid = None,
    local_host: _LocalHost = None,
    router: _Router = None,
    remote_neighbour: _Neighbour = None,
    errno: _Errno = None,
    lang: _Lang = None,
) -> int:
    return _run(ctx)


@app.command("exporter", cls=Command)
def _exporter(
    ctx: typer.Context,
    listen: _Listen = _DEFAULTS["listen"],
    allow: _Allow = None,
    timeout: _Timeout = _SECONDS,
    at_once: _AtOnce = _DEFAULTS["at_once"],
    most_targets: _MostTargets = _DEFAULTS["most_targets"],
    lang: _Lang = None,
) -> int:
    return _run(ctx)


@app.command("doctor", cls=Command)
def _doctor(
    ctx: typer.Context,
    json: _Json = False,
    no_network: _NoNetwork = False,
    lang: _Lang = None,
    verbose: _Verbose = False,
) -> int:
    return _run(ctx)


@app.command("reproduce", cls=Command)
def _reproduce(ctx: typer.Context, code: _Code, json: _Json = False, errno: _Errno = None, lang: _Lang = None) -> int:
    return _run(ctx)


@app.command("replay", cls=Command)
def _replay(
    ctx: typer.Context,
    report: _Report,
    json: _Json = False,
    advice_for: _For = None,
    lang: _Lang = None,
    verbose: _Verbose = False,
    quiet: _Quiet = False,
) -> int:
    return _run(ctx)
