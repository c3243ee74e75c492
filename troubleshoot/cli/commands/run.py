"""``wsadiag run -- COMMAND…``: run a program, and say why where it fails with an error of the network."""

from __future__ import annotations

import itertools
import re
import sys

from troubleshoot.cli.child import Child, supported
from troubleshoot.cli.commands import confined, loaded, spare_tls
from troubleshoot.cli.output import complain
from troubleshoot.knowledge.text import Refusal, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from troubleshoot.cli.session import Session
    from troubleshoot.options import Options
    from troubleshoot.render.style import Style

#: What shells answer where a program is not found, or cannot be run.
_NOT_FOUND, _NOT_RUN = 127, 126
#: A name that a number behind it makes a target; a file is none.
_NAME = re.compile(r"(?!.*\.(?:py|js|rb|pl|sh|jar|php|go)$)[A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+|localhost")


def run(
    session: Session,
    *,
    command: list[str],
    timeout: str,
    verdict_status: bool,
    ipv4: bool,
    ipv6: bool,
    show_secrets: bool,
) -> int:
    """Run ``command`` and return its status; with ``verdict_status`` that of the diagnosis, where there was one."""
    if not command:
        raise Refusal("usage.run-missing")
    if not supported():
        raise Refusal("usage.run-system")
    from troubleshoot.cli.options import options_of  # noqa: PLC0415

    options = options_of(session, timeout=timeout, ipv4=ipv4, ipv6=ipv6, pid=None, show_secrets=show_secrets)
    loaded()
    try:
        child = Child(command)
    except OSError as error:
        complain(
            say(Refusal("usage.run-failed", word=command[0], reason=error.strerror or str(error)), session.wording)
        )
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUN
    status = child.wait()
    if status == 0:
        return 0
    from troubleshoot.intake.texts import read_text  # noqa: PLC0415 - only where something failed

    reading = read_text(child.said, session.catalogue)
    target, code = _target(reading.target, command, session), reading.code
    if target is not None and not reading.clear:
        from troubleshoot.intake.ends import CODE, ended_by  # noqa: PLC0415

        ender = ended_by(child.said, session.catalogue)
        code = CODE if ender is not None else code
        if ender == "certificate" and "://" not in target:
            target = f"{_over_tls(command[0], session)}://{target}"
    if code is None or target is None:
        return status
    found = _diagnosed(code, target, options, session)
    return found if verdict_status else status


def _target(said: str | None, command: list[str], session: Session) -> str | None:
    """Return what the program was to reach: what its output names, with the port that its command line has.

    Many messages name no target, or a host alone.
    """
    from troubleshoot.intake.texts import read_text  # noqa: PLC0415

    host, port = _option(command, "-h", "--host"), _option(command, "-p", "-P", "--port")
    given = f"{host}:{port}" if host and port and port.isdecimal() else None
    if given is None:
        given = _pair(command) or read_text(" ".join(command), session.catalogue).target
    if said is None or given is None:
        return said or given
    named = said.rpartition(":")[0] or said
    return given if given.startswith(f"{named}:") else said


def _over_tls(program: str, session: Session) -> str:
    """Return the scheme of what a program speaks inside TLS: its own service's where it is called so, else HTTP's."""
    name = program.rpartition("/")[2]
    for entry in session.catalogue.services.values():
        if entry.tls and entry.speaks and entry.schemes and name.startswith(entry.speaks):
            return entry.schemes[0]
    return "https"


def _pair(command: list[str]) -> str | None:
    """Return a host and its port where they stand side by side: ``nc db.example 5432``."""
    from troubleshoot.intake.target import is_address  # noqa: PLC0415

    for host, port in itertools.pairwise(command):
        number = port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= 65_535
        if number and (is_address(host) or _NAME.fullmatch(host)):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return None


def _option(command: list[str], *names: str) -> str | None:
    """Return the value of an option, behind it or behind its equals sign."""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following or None
    return None


def _diagnosed(code: str, target: str, options: Options, session: Session) -> int:
    """Diagnose what the program's output told, say it on standard error, and return the diagnosis' status."""
    spare_tls()
    from troubleshoot.cli.options import target_of  # noqa: PLC0415 - the heavy half, from here on
    from troubleshoot.cli.show import lexicon  # noqa: PLC0415
    from troubleshoot.errors import UserError  # noqa: PLC0415
    from troubleshoot.render import text  # noqa: PLC0415
    from troubleshoot.run import engine  # noqa: PLC0415

    context = confined(for_probes=True)
    try:
        report = engine.run(code, target_of(target, session.catalogue, code), options, context=context)
    except UserError:  # what looked like a target is none
        return 0
    stream = sys.stderr
    if stream is not None:
        stream.write("\n" + text.screen(report, lexicon(report, session.catalogue, session.language), _style(stream)))
        stream.flush()
    return report.exit_status


def _style(stream: TextIO) -> Style:
    import os  # noqa: PLC0415

    from troubleshoot.render.style import style_of  # noqa: PLC0415

    return style_of(stream, os.environ)
