"""The command line: what may be written, and which part of the program answers it.

``diagnose`` is the command that is meant where none is named. It stays out of sight: help and completion show its
options as those of ``wsadiag`` itself. Options may stand before, between and after CODE and TARGET.

A negative number such as ``-2147014835`` would be taken for a bundle of options; before the words reach the
parser its hyphen is replaced by a minus sign (U+2212), which :func:`troubleshoot.intake.codes.parse_code` reads like a
hyphen. ``-4`` and ``-6`` alone remain the options that they are.
"""

# ruff: noqa: PLR0917 - typer passes every option by its name; a command's signature is its list of options
from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer.core import TyperCommand, TyperGroup

from troubleshoot import __version__
from troubleshoot.cli import entry
from troubleshoot.errors import UserError
from troubleshoot.intake.codes import SYSTEMS, System, parse_code
from troubleshoot.knowledge.catalogue import Catalogue, Language
from troubleshoot.knowledge.text import Refusal, fill, read_back, say

if TYPE_CHECKING:
    from troubleshoot.intake.target import Target
    from troubleshoot.options import Options
    from troubleshoot.render.style import Style
    from troubleshoot.render.text import Lexicon
    from troubleshoot.report import Report

_DEFAULT = "diagnose"
_NEGATIVE = re.compile(r"-[0-9][0-9A-Fa-fxX]*")
_MINUS = "\N{MINUS SIGN}"
_TOP_LEVEL = ("--version", "--help", "-h", "--install-completion", "--show-completion")
#: A report of a long run takes some hundred kilobytes.
_MAX_REPORT_MB = 32
_TIMEOUT_S = (0.1, 600.0)


class _Session(msgspec.Struct):
    """What every command of one run of the program needs."""

    language: Language
    catalogue: Catalogue

    @property
    def wording(self) -> dict[str, str]:
        return self.catalogue.wording(self.language)

    def translated(self, text: str) -> str:
        """Return an English complaint of the parser or of a file in this language, as it is where it is a new one."""
        if self.language == "en":
            return text
        known = {k: s for k, s in self.catalogue.wording("en").items() if ".other-" in k}
        for key in sorted(known, key=lambda key: -len(known[key])):  # the one that says more than another's place
            values = read_back(text, known[key])
            if values is not None:
                return fill(self.wording[key], values)
        return text


def run(argv: list[str], language: Language) -> int:
    """Carry out the command line ``argv`` and return the exit status; raises ``UserError`` for bad usage."""
    command = typer.main.get_command(app)
    session = _Session(language, Catalogue())
    try:
        status = command.main(
            args=list(argv),
            prog_name="wsadiag",
            standalone_mode=False,
            obj=session,
        )
    except Exception as error:
        # The parser's complaints, known by how they are told: they share no public class across versions.
        complaint = getattr(error, "format_message", None)
        if complaint is None:
            raise
        raise UserError(session.translated(" ".join(complaint().replace(_MINUS, "-").split()))) from None
    return status if isinstance(status, int) else 0


# -- words before they are parsed ------------------------------------------------------------------------------


class _Group(TyperGroup):
    """The top level: a first word that names no command belongs to the default command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise Refusal("usage.missing")
        return super().parse_args(ctx, self.arranged(ctx, args))

    def arranged(self, ctx: Any, args: list[str]) -> list[str]:
        """Return ``args`` with the command's name in front."""
        valued = {
            name
            for command in self.commands.values()
            for param in command.get_params(ctx)
            if not getattr(param, "is_flag", True)
            for name in param.opts
            if name.startswith("-")
        }
        words: list[str] = []
        first: int | None = None
        value_next = False
        for index, word in enumerate(args):
            if value_next:
                value_next = False
            elif word == "--":
                words += args[index:]
                break
            elif _NEGATIVE.fullmatch(word) and word not in ("-4", "-6"):
                words.append(_MINUS + word[1:])
                first = index if first is None else first
                continue
            elif word.startswith("-") and word != "-":
                value_next = word in valued
            elif first is None:
                first = index
            words.append(word)
        if any(word.partition("=")[0] in _TOP_LEVEL[-2:] for word in words):
            return words  # typer's own; where it cannot tell the shell, its name follows
        if first is not None and words[first] in self.commands:
            return [words[first], *words[:first], *words[first + 1 :]]
        if first is None:
            top = [word for word in words if word.partition("=")[0] in _TOP_LEVEL]
            if top or not words:
                return top
        return [_DEFAULT, *words]

    def get_help(self, ctx: Any) -> str:
        return _help(self, ctx, self.commands[_DEFAULT])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete commands, and what may stand in their place: codes and options of the default command."""
        found = super().shell_complete(ctx, incomplete)
        default = self.commands[_DEFAULT]
        if incomplete.startswith("-"):
            known = {item.value for item in found}
            found += [item for item in default.shell_complete(ctx, incomplete) if item.value not in known]
        elif incomplete:
            code = next(param for param in default.params if param.name == "code")
            found += code.shell_complete(ctx, incomplete)
        return found


class _Command(TyperCommand):
    """A command whose help comes from the catalogue's wording."""

    def get_help(self, ctx: Any) -> str:
        if self.name == _DEFAULT and isinstance(ctx.parent.command, _Group):
            return ctx.parent.command.get_help(ctx.parent)
        return _help(self, ctx, self)


def _help(command: Any, ctx: Any, shown: Any) -> str:
    """Return the help page of ``command``, with the parameters of ``shown``, in the session's language."""
    from troubleshoot.render.layout import cells, pad, wrap  # noqa: PLC0415
    from troubleshoot.render.style import style_of  # noqa: PLC0415

    session: _Session = ctx.obj
    usage = {key[6:]: text for key, text in session.wording.items() if key.startswith("usage.")}
    style = style_of(sys.stdout, os.environ)

    def about(name: str) -> str:
        return usage.get(f"command-{name}", f"<usage.command-{name}>")

    top = command is not shown
    params = [*shown.get_params(ctx), *(p for p in command.get_params(ctx) if top and p.name != "help")]
    arguments, options = [], []
    synopsis = []
    for param in params:
        key = f"help-{(param.name or '').replace('_', '-')}"
        text = usage.get(f"{key}-{shown.name}") or usage.get(key, f"<usage.{key}>")
        if param.param_type_name == "argument":
            arguments.append((param.metavar or "", text))
            needed = param.required or top  # TARGET can only be left out by mistake
            synopsis.append(param.metavar if needed else f"[{param.metavar}]")
        else:
            names = ", ".join(sorted(param.opts, key=len))
            options.append((names if param.is_flag else f"{names} {param.metavar or ''}".rstrip(), text))
    path = "wsadiag" if top else ctx.command_path
    lines = [f"{usage['heading-usage']}: {path} [OPTIONS] {' '.join(synopsis)}".rstrip()]
    if top:
        lines.append(f"{' ' * (cells(usage['heading-usage']) + 2)}wsadiag COMMAND ...")
    lines += ["", *wrap(usage["help"] if top else about(shown.name), style.width)]

    def section(heading: str, rows: list[tuple[str, str]], column: int) -> None:
        lines.extend(["", style.heading(f"{usage[heading]}:")])
        for label, text in rows:
            lines.extend(wrap(text, style.width, f"  {pad(label, column)}  ", " " * (column + 4)))

    column = min(26, max((cells(label) for label, _ in [*arguments, *options]), default=0))
    if top:
        lines += ["", style.heading(f"{usage['heading-examples']}:")]
        lines += [f"  {line}" for line in usage["help-examples"].strip().splitlines()]
    if arguments:
        section("heading-arguments", arguments, column)
    section("heading-options", options, column)
    if top:
        rows = [(name, about(name)) for name in command.commands if name != _DEFAULT]
        section("heading-commands", rows, column)
        lines += ["", *wrap(usage["help-status"], style.width)]
    return "\n".join(lines)


# -- what completion offers ------------------------------------------------------------------------------------


def _complete_code(incomplete: str) -> list[tuple[str, str]]:
    catalogue = Catalogue()
    start = incomplete.upper()
    pairs = [(name, str(number)) for name, number in sorted(catalogue.numbers.items())]
    if start[:1].isdigit():
        pairs = sorted((number, name) for name, number in pairs)
    elif start and not start.startswith("W"):
        pairs = [(name, on.winsock) for name, on in catalogue.posix.items()]
    found = [pair for pair in pairs if pair[0].startswith(start)]
    # A shell only takes what goes on from what was typed, case included.
    return [(word.lower(), text) for word, text in found] if incomplete.islower() else found


def _complete_probe(incomplete: str) -> list[str]:
    from probes.base import TABLE  # noqa: PLC0415

    return [name for name in TABLE if name.startswith(incomplete)]


def _complete_language(incomplete: str) -> list[str]:
    return [name for name in ("en", "ko") if name.startswith(incomplete)]


def _complete_system(incomplete: str) -> list[str]:
    return [name for name in SYSTEMS if name.startswith(incomplete)]


# -- the options and the commands ------------------------------------------------------------------------------

app = typer.Typer(
    cls=_Group,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)

_Code = Annotated[str, typer.Argument(metavar="CODE", autocompletion=_complete_code)]
_Errno = Annotated[str | None, typer.Option("--errno", metavar="SYSTEM", autocompletion=_complete_system)]
_Lang = Annotated[str | None, typer.Option("--lang", metavar="LANGUAGE", autocompletion=_complete_language)]
_Json = Annotated[bool, typer.Option("--json")]
_Timeout = Annotated[str, typer.Option("--timeout", metavar="SECONDS")]
_IPv4 = Annotated[bool, typer.Option("-4")]
_IPv6 = Annotated[bool, typer.Option("-6")]
_Pid = Annotated[str | None, typer.Option("--pid", metavar="PID")]
_Router = Annotated[str | None, typer.Option("--router", metavar="ADDRESS")]
_Neighbour = Annotated[str | None, typer.Option("--remote-neighbour", metavar="ADDRESS")]
_LocalHost = Annotated[str | None, typer.Option("--local-host", metavar="ADDRESS")]
_Verbose = Annotated[bool, typer.Option("-v", "--verbose")]
_Quiet = Annotated[bool, typer.Option("-q", "--quiet")]


@app.callback()
def _top(version: Annotated[bool, typer.Option("--version")] = False) -> int:
    if version:
        sys.stdout.write(f"wsadiag {__version__}\n")
        raise typer.Exit(0)
    return 0


@app.command(_DEFAULT, cls=_Command, hidden=True)
def _diagnose(
    ctx: typer.Context,
    code: _Code,
    target: Annotated[str | None, typer.Argument(metavar="TARGET")] = None,
    json: _Json = False,
    timeout: _Timeout = "10",
    ipv4: _IPv4 = False,
    ipv6: _IPv6 = False,
    pid: _Pid = None,
    local_host: _LocalHost = None,
    router: _Router = None,
    remote_neighbour: _Neighbour = None,
    errno: _Errno = None,
    lang: _Lang = None,
    verbose: _Verbose = False,
    quiet: _Quiet = False,
) -> int:
    session = _session(ctx, lang)
    code = code.replace(_MINUS, "-")
    name = parse_code(code, session.catalogue, _system(errno))
    if target is None:
        raise Refusal("usage.missing-target", code=code)
    if verbose and quiet:
        raise Refusal("usage.option-quiet")
    options = _options(session, timeout, ipv4, ipv6, pid, local_host, router, remote_neighbour)
    aim = _target(target, session.catalogue)

    from troubleshoot.run import engine  # noqa: PLC0415 - the heavy half of the program, from here on

    style = _style()
    live = not json and not quiet and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if live:
        from troubleshoot.render.live import LiveView  # noqa: PLC0415

        heading = f"{session.catalogue.code(name).number} {name}: {aim.input}"
        height = os.get_terminal_size(sys.stdout.fileno()).lines
        with LiveView(heading, session.wording, style, height=height) as view:
            report = engine.run(name, aim, options, on_event=view.event, code_input=code)
    else:
        report = engine.run(name, aim, options, code_input=code)
    return _show(report, session, json=json, verbose=verbose, quiet=quiet)


@app.command("explain", cls=_Command)
def _explain(ctx: typer.Context, code: _Code, json: _Json = False, errno: _Errno = None, lang: _Lang = None) -> int:
    session = _session(ctx, lang)
    return entry.explain(code, json, session.language, _system(errno))


@app.command("codes", cls=_Command)
def _codes(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="WORD...")] = None,
    json: _Json = False,
    lang: _Lang = None,
) -> int:
    from troubleshoot.render.explain import codes_document, codes_table, matching  # noqa: PLC0415
    from troubleshoot.render.safe import safe  # noqa: PLC0415

    session = _session(ctx, lang)
    wanted = [word.replace(_MINUS, "-") for word in words or ()]
    found = matching(wanted, session.catalogue)
    if json:
        entry.write_json(codes_document(found, session.language))
    elif found:
        sys.stdout.write(codes_table(found, session.language, _style()))
    else:
        note = Refusal("ui.none-found", words=" ".join(wanted))
        sys.stderr.write(f"wsadiag: {safe(say(note, session.wording))}\n")
    return 0


@app.command("probe", cls=_Command)
def _probe(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", autocompletion=_complete_probe)] = None,
    target: Annotated[str | None, typer.Argument(metavar="TARGET")] = None,
    json: _Json = False,
    timeout: _Timeout = "10",
    ipv4: _IPv4 = False,
    ipv6: _IPv6 = False,
    pid: _Pid = None,
    lang: _Lang = None,
) -> int:
    from probes.base import TABLE  # noqa: PLC0415

    session = _session(ctx, lang)
    if name is None:
        return _list_probes(session, json=json)
    if name not in TABLE:
        import difflib  # noqa: PLC0415

        near = ", ".join(difflib.get_close_matches(name, TABLE, 3, 0.5))
        raise Refusal("usage.probe-unknown-near" if near else "usage.probe-unknown", word=name, near=near)
    options = _options(session, timeout, ipv4, ipv6, pid, None, None, None)
    if target is None:
        from troubleshoot.intake.target import Target  # noqa: PLC0415

        aim = Target(input="", host=None, port=None)
    else:
        aim = _target(target, session.catalogue)

    from probes.system import loop  # noqa: PLC0415
    from troubleshoot.run import engine  # noqa: PLC0415

    observation = loop.run(engine.observe(name, aim, options))
    from troubleshoot.render.observation import document, page  # noqa: PLC0415

    if json:
        entry.write_json(document(observation, session.wording))
    else:
        sys.stdout.write(page(observation, session.wording, _style()))
    return {"observed": 0, "broken": entry.CRASHED}.get(str(observation.status), 3)


def _list_probes(session: _Session, *, json: bool) -> int:
    import importlib  # noqa: PLC0415

    from probes.base import TABLE  # noqa: PLC0415
    from troubleshoot.render.layout import wrap  # noqa: PLC0415

    about = {name: (importlib.import_module(module).__doc__ or "").partition("\n")[0] for name, module in TABLE.items()}
    if json:
        rows = [{"name": name, "about": text} for name, text in about.items()]
        entry.write_json({"schema": "wsadiag/probes/1", "probes": rows})
        return 0
    about |= {name: text for name, text in session.catalogue.probes(session.language).items() if name in about}
    column = max(map(len, about))
    width = _style().width
    for name, text in about.items():
        sys.stdout.write("".join(f"{line}\n" for line in wrap(text, width, f"{name:{column}}  ")))
    return 0


@app.command("doctor", cls=_Command)
def _doctor(
    ctx: typer.Context,
    json: _Json = False,
    no_network: Annotated[bool, typer.Option("--no-network")] = False,
    lang: _Lang = None,
    verbose: _Verbose = False,
) -> int:
    session = _session(ctx, lang)

    from probes.system import loop  # noqa: PLC0415
    from troubleshoot.doctor import examine as doctor  # noqa: PLC0415
    from troubleshoot.render.doctor import document, page  # noqa: PLC0415

    encoding = sys.stdout.encoding or "ascii"
    found = loop.run(doctor.examine(network=not no_network, encoding=encoding))
    if json:
        entry.write_json(document(found, session.wording, __version__))
    else:
        sys.stdout.write(page(found, session.wording, _style(), __version__, verbose=verbose))
    return 0  # it is information; only a diagnosis has a verdict to tell by its status


@app.command("reproduce", cls=_Command)
def _reproduce(ctx: typer.Context, code: _Code, json: _Json = False, errno: _Errno = None, lang: _Lang = None) -> int:
    """Exit with 0 where all went as the catalogue says, 1 where this system differs, 3 where it could not be run."""
    session = _session(ctx, lang)
    word = code.replace(_MINUS, "-")
    name = parse_code(word, session.catalogue, _system(errno))
    name = session.catalogue.code(name).alias_of or name

    import asyncio  # noqa: PLC0415

    from troubleshoot.reproduce.claims import codes  # noqa: PLC0415
    from troubleshoot.reproduce.run import not_here, reproduce  # noqa: PLC0415

    if name not in codes():
        raise Refusal("usage.reproduce-unknown", code=name)
    reason = not_here(name, "en" if json else session.language)
    try:
        found = () if reason else asyncio.run(reproduce(name))
    except UserError as error:  # not on this system
        sys.stderr.write(f"wsadiag: {session.translated(str(error))}\n")
        return 3
    if json:
        number = session.catalogue.code(name).number
        document = {"schema": "wsadiag/reproduction/1", "number": number, "name": name, "impossible": reason}
        entry.write_json({**document, "reproductions": found})
    else:
        from troubleshoot.render.reproduce import not_possible, render  # noqa: PLC0415

        text = render(found, session.language) if reason is None else not_possible(name, reason, session.language)
        sys.stdout.write(text + "\n")
    if any(one.observed is not None and not one.matches for one in found):
        return 1
    return 3 if not found or any(one.observed is None for one in found) else 0


@app.command("replay", cls=_Command)
def _replay(
    ctx: typer.Context,
    report: Annotated[str, typer.Argument(metavar="REPORT.json")],
    json: _Json = False,
    lang: _Lang = None,
    verbose: _Verbose = False,
    quiet: _Quiet = False,
) -> int:
    from troubleshoot.report import from_json  # noqa: PLC0415

    session = _session(ctx, lang)
    if verbose and quiet:
        raise Refusal("usage.option-quiet")
    limit = _MAX_REPORT_MB << 20
    try:
        if report == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(report).open("rb") as file:
                data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refusal("usage.replay-unreadable", file=report, reason=reason) from None
    if len(data) > limit:
        raise Refusal("usage.replay-large", file=report, megabytes=_MAX_REPORT_MB)
    try:
        saved = from_json(data)
    except UserError as error:
        raise Refusal("usage.replay-bad", file=report, reason=session.translated(str(error))) from None
    except RecursionError:
        reason = session.translated("not a report: nested too deeply")
        raise Refusal("usage.replay-bad", file=report, reason=reason) from None

    from troubleshoot.run import engine  # noqa: PLC0415

    return _show(engine.replay(saved, session.language), session, json=json, verbose=verbose, quiet=quiet)


# -- what the commands share -----------------------------------------------------------------------------------


def _session(ctx: typer.Context, lang: str | None) -> _Session:
    """Return the session; ``--lang`` was heard before the parser ran, here it is only checked."""
    session: _Session = ctx.obj
    if lang not in (None, "en", "ko"):
        raise Refusal("usage.option-lang", value=lang)
    return session


def _system(errno: str | None) -> System | None:
    if errno is None:
        return None
    for system in SYSTEMS:
        if system == errno.lower():
            return system
    raise Refusal("usage.option-errno", value=errno)


def _options(
    session: _Session,
    timeout: str,
    ipv4: bool,
    ipv6: bool,
    pid: str | None,
    local_host: str | None,
    router: str | None,
    remote_neighbour: str | None,
) -> Options:
    from troubleshoot.options import Options  # noqa: PLC0415

    if ipv4 and ipv6:
        raise Refusal("usage.option-families")
    seconds = _number(timeout, float)
    if seconds is None or not _TIMEOUT_S[0] <= seconds <= _TIMEOUT_S[1]:
        raise Refusal("usage.option-timeout", value=timeout)
    process = None if pid is None else _number(pid, int)
    if pid is not None and (process is None or not 0 < process < 1 << 31):
        raise Refusal("usage.option-pid", value=pid)
    return Options(
        timeout_s=seconds,
        family=4 if ipv4 else 6 if ipv6 else None,
        pid=process,
        local_host=_address("--local-host", local_host),
        router=_address("--router", router),
        remote_neighbour=_address("--remote-neighbour", remote_neighbour),
        language=session.language,
    )


def _number(text: str, kind: Callable[[str], Any]) -> Any:
    """Return ``text`` as a plain decimal number, else ``None``: no exponents, no ``inf``, no foreign digits."""
    return (
        kind(text) if re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,6})?" if kind is float else r"[0-9]{1,10}", text) else None
    )


def _address(option: str, text: str | None) -> str | None:
    from troubleshoot.intake.target import is_address  # noqa: PLC0415

    if text is None:
        return None
    bare = text.removeprefix("[").removesuffix("]") if text.startswith("[") else text
    if not is_address(bare):
        raise Refusal("usage.option-address", option=option, value=text)
    return bare


def _target(word: str, catalogue: Catalogue) -> Target:
    """Return the target; a service name that nobody knows is refused before the run begins."""
    from troubleshoot.intake.target import parse_target  # noqa: PLC0415

    target = parse_target(word.replace(_MINUS, "-"), catalogue)
    if target.service is not None:
        _known_service(target.service, target.transport, catalogue)
    return target


def _known_service(service: str, transport: str, catalogue: Catalogue) -> None:
    import socket  # noqa: PLC0415

    try:
        socket.getservbyname(service, transport)
    except OSError:
        pass
    else:
        return
    names = {name for main, entry_ in catalogue.services.items() for name in (main, *entry_.aliases)}
    if service.lower() in names:
        return
    import difflib  # noqa: PLC0415

    near = ", ".join(difflib.get_close_matches(service.lower(), names, 3))
    key = "usage.target-service-near" if near else "usage.target-service"
    raise Refusal(key, service=service, transport=transport, near=near)


def _style() -> Style:
    from troubleshoot.render.style import style_of  # noqa: PLC0415

    return style_of(sys.stdout, os.environ)


def _show(report: Report, session: _Session, *, json: bool, verbose: bool, quiet: bool) -> int:
    """Print a report in the form asked for and return its exit status."""
    if json:
        from troubleshoot.report import to_json  # noqa: PLC0415

        entry.write_utf8(to_json(report).encode() + b"\n")
        return report.exit_status
    from troubleshoot.render import text  # noqa: PLC0415

    words = lexicon(report, session.catalogue, session.language)
    if quiet:
        sys.stdout.write(text.headline(report, words))
    else:
        remarks = _remarks(report, session)
        sys.stdout.write(text.screen(report, words, _style(), verbose=verbose, remarks=remarks))
    return report.exit_status


def lexicon(report: Report, catalogue: Catalogue, language: Language) -> Lexicon:
    """Return the words that the report's screen needs."""
    from troubleshoot.render.text import Lexicon  # noqa: PLC0415

    verdict = report.verdict
    causes = {other.cause for other in verdict.alternatives} | ({verdict.cause} if verdict.cause else set())
    observed = report.reproduction.observed
    return Lexicon(
        wording=catalogue.wording(language),
        causes={c: catalogue.cause(c).text(language).title for c in causes & catalogue.cause_names},
        codes={} if observed is None else {observed: " ".join(catalogue.names_of(observed)[:1])},
        steps={name: step.title.in_(language) for name, step in catalogue.steps.items()},
    )


def _remarks(report: Report, session: _Session) -> tuple[str, ...]:
    """Return what was concluded from the form of the target, which its own text still tells."""
    from troubleshoot.intake.target import parse_target  # noqa: PLC0415

    try:
        target = parse_target(report.target.input, session.catalogue)
    except UserError:  # the report of another version
        return ()
    return tuple(say(remark, session.wording) for remark in target.remarks)
