"""The words of the command line: commands, their arguments and options, each said once.

Help, the reader of plain lines and the parser are made from these tables.
"""

from __future__ import annotations

from troubleshoot.knowledge.record import Record

#: The command that is meant where none is named. It stays out of sight: help and completion show its options as
#: those of ``wsadiag`` itself.
DEFAULT = "diagnose"
#: Put in a negative number's place before it reaches the parser, which would take it for a bundle of options;
#: :func:`troubleshoot.intake.codes.parse_code` reads both.
MINUS = "\u2212"  # not by its name: Ctrl-C while names are loaded would become a syntax error


class Option(Record):
    """An option: how it is written, and what stands for its value (nothing for a flag).

    ``many`` may be given several times, each with a value.
    """

    names: tuple[str, ...]
    metavar: str = ""
    default: str | None = None
    many: bool = False


class Argument(Record):
    """A word by its place; ``many`` takes all that are left."""

    metavar: str
    required: bool = False
    many: bool = False


class Command(Record):
    """What a command takes, by name, in the order of its help."""

    arguments: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


OPTIONS = {
    "json": Option(names=("--json",)),
    "timeout": Option(names=("--timeout",), metavar="SECONDS", default="10"),
    "ipv4": Option(names=("-4",)),
    "ipv6": Option(names=("-6",)),
    "pid": Option(names=("--pid",), metavar="PID"),
    "netns": Option(names=("--netns",), metavar="NAME|PID"),
    "docker": Option(names=("--docker",), metavar="NAME"),
    "podman": Option(names=("--podman",), metavar="NAME"),
    "pod": Option(names=("--pod",), metavar="NAME|UID"),
    "as_user": Option(names=("--as",), metavar="USER"),
    "local_host": Option(names=("--local-host",), metavar="ADDRESS"),
    "router": Option(names=("--router",), metavar="ADDRESS"),
    "remote_neighbour": Option(names=("--remote-neighbour",), metavar="ADDRESS"),
    "show_secrets": Option(names=("--show-secrets",)),
    "errno": Option(names=("--errno",), metavar="SYSTEM"),
    "no_network": Option(names=("--no-network",)),
    "advice_for": Option(names=("--for",), metavar="SYSTEM"),
    "output": Option(names=("--output",), metavar="FILE", many=True),
    "evidence": Option(names=("--evidence",), metavar="FILE"),
    "redact": Option(names=("--redact",)),
    "to": Option(names=("--to",), metavar="FILE", many=True),
    "one_target": Option(names=("--one-target",)),
    "lang": Option(names=("--lang",), metavar="LANGUAGE"),
    "format": Option(names=("--format",), metavar="FORMAT[=FILE]", many=True),
    "expect": Option(names=("--expect",), metavar="WHAT", default="open"),
    "try_timeout": Option(names=("--timeout",), metavar="SECONDS"),
    "retries": Option(names=("--retries",), metavar="N", default="0"),
    "backoff": Option(names=("--backoff",), metavar="SECONDS", default="1"),
    "wait": Option(names=("--wait",), metavar="SECONDS"),
    "tag": Option(names=("--tag",), metavar="TAG", many=True),
    "verdict_status": Option(names=("--verdict-status",)),
    "interval": Option(names=("--interval",), metavar="SECONDS", default="10"),
    "until": Option(names=("--until",), metavar="WHAT"),
    "log": Option(names=("--log",), metavar="FILE"),
    "listen": Option(names=("--listen",), metavar="ADDRESS:PORT", default="127.0.0.1:9561"),
    "allow": Option(names=("--allow",), metavar="TARGETS", many=True),
    "at_once": Option(names=("--at-once",), metavar="N", default="16"),
    "most_targets": Option(names=("--most-targets",), metavar="N", default="256"),
    "rate": Option(names=("--rate",), metavar="N", default="2000"),
    "no_diagnosis": Option(names=("--no-diagnosis",)),
    "verbose": Option(names=("-v", "--verbose")),
    "quiet": Option(names=("-q", "--quiet")),
    "help": Option(names=("-h", "--help")),
    "version": Option(names=("--version",)),
    "install_completion": Option(names=("--install-completion",)),
    "show_completion": Option(names=("--show-completion",)),
}
ARGUMENTS = {
    "code": Argument(metavar="CODE", required=True),
    "target": Argument(metavar="TARGET"),
    "place": Argument(metavar="TARGET", many=True),
    "file": Argument(metavar="FILE"),
    "words": Argument(metavar="WORD...", many=True),
    "command": Argument(metavar="COMMAND...", many=True),
    "targets": Argument(metavar="FILE.toml|TARGET...", many=True),
    "name": Argument(metavar="NAME"),
    "report": Argument(metavar="REPORT.json", required=True),
    "other": Argument(metavar="OTHER.json", required=True),
    "reports": Argument(metavar="REPORT...", many=True),
}
#: The options of ``wsadiag`` itself.
TOP = ("version", "install_completion", "show_completion")
#: Whatever else stands beside one of these, the parser writes a script for the shell.
COMPLETION = ("--install-completion", "--show-completion")
COMMANDS = {
    DEFAULT: Command(
        arguments=("code", "place"),
        options=(
            *("json", "timeout", "ipv4", "ipv6", "pid", "netns", "docker", "podman", "pod", "as_user"),
            *("local_host", "router", "remote_neighbour"),
            *("show_secrets", "errno", "advice_for", "evidence", "output", "redact", "lang"),
            *("verbose", "quiet", "help"),
        ),
    ),
    "explain": Command(arguments=("code",), options=("json", "errno", "advice_for", "lang", "help")),
    "parse": Command(arguments=("file",), options=("json", "errno", "lang", "help")),
    "read": Command(arguments=("file",), options=("json", "lang", "help")),
    "codes": Command(arguments=("words",), options=("json", "lang", "help")),
    "probe": Command(
        arguments=("name", "target"),
        options=(
            *("json", "timeout", "ipv4", "ipv6", "pid", "netns", "docker", "podman", "pod", "as_user"),
            *("show_secrets", "lang", "help"),
        ),
    ),
    "check": Command(
        arguments=("targets",),
        options=(
            *("format", "expect", "try_timeout", "retries", "backoff", "wait", "tag", "rate", "no_diagnosis"),
            *("ipv4", "ipv6", "show_secrets", "lang", "help"),
        ),
    ),
    "run": Command(
        arguments=("command",), options=("timeout", "verdict_status", "ipv4", "ipv6", "show_secrets", "lang", "help")
    ),
    "watch": Command(
        arguments=("code", "target"),
        options=(
            *("interval", "until", "log", "timeout", "ipv4", "ipv6", "pid", "local_host", "router"),
            *("remote_neighbour", "show_secrets", "errno", "lang", "help"),
        ),
    ),
    "exporter": Command(options=("listen", "allow", "timeout", "at_once", "most_targets", "lang", "help")),
    "doctor": Command(options=("json", "no_network", "lang", "verbose", "help")),
    "reproduce": Command(arguments=("code",), options=("json", "errno", "lang", "help")),
    "replay": Command(
        arguments=("report",),
        options=("json", "advice_for", "output", "redact", "show_secrets", "lang", "verbose", "quiet", "help"),
    ),
    "compare": Command(arguments=("report", "other"), options=("json", "to", "show_secrets", "lang", "help")),
    "merge": Command(arguments=("reports",), options=("json", "to", "one_target", "lang", "help")),
    "report": Command(arguments=("report",), options=("to", "redact", "show_secrets", "lang", "help")),
}


def is_negative(word: str) -> bool:
    """Whether ``word`` is a negative number, and no option: ``-4`` and ``-6`` alone remain the options they are."""
    digits = word[1:]
    return (
        word[:1] == "-"
        and digits[:1] in tuple("0123456789")
        and not digits.strip("0123456789abcdefABCDEFxX")
        and word not in ("-4", "-6")
    )
