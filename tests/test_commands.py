"""Advice names complete commands: every action of every cause is walked for every system, and its commands are parsed.

Those of Linux and macOS by ``bash -n``, those of Windows by PowerShell's grammar (tree-sitter-powershell): they can be
typed in PowerShell and in the Command Prompt alike.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.kinds import Language, System
from troubleshoot.knowledge.text import fill, places
from troubleshoot.run.compose.command import in_places, spoken

ROOT = Path(__file__).parents[1]
CATALOGUE = Catalogue()
SYSTEMS: tuple[System, ...] = get_args(System)
#: Usual values of what a rule finds, as they stand in a command.
VALUES = {
    "host": "files.example.org", "name": "files.example.org", "alias": "www.example.org", "address": "192.0.2.21",
    "router": "192.0.2.1", "server": "192.0.2.53", "port": "8080", "interface": "eth0", "service": "ftp",
    "kind": "blackhole", "found": "192.0.2.0/24", "file": "/etc/hosts", "line": "7", "code": "WSAECONNREFUSED",
    "pid": "4711", "expected": "8080", "transport": "tcp",
}  # fmt: skip
#: What finds the same thing in another form.
INSTEAD = {"ask-server-kind": {"kind": "AAAA"}, "smaller-packets": {"found": "1400"}}
#: Words that a value follows: none may end a command.
VALUED = {"dev", "via", "host", "port", "mtu", "name"}
#: Options that take a value, by program.
OPTIONS = {
    "strace": "epo", "dtruss": "p", "journalctl": "u", "tcpdump": "i", "ping": "csMnlD", "traceroute": "m", "nc": "wG",
    "arping": "cI", "dig": "x", "semanage": "pt", "lsof": "i", "mtr": "c", "findstr": "c",
    "tracert": "h",
}  # fmt: skip
#: Parameters of PowerShell that take none.
SWITCHES = {"-NoElement", "-Descending"}


def waits_for_a_value(command: str) -> bool:
    """Whether the last word of a command is one that a value has to follow."""
    program, *words = command.removeprefix("sudo ").split()
    last = words[-1].strip("\"')") if words else ""
    if last in VALUED or last.endswith("="):
        return True
    if re.match(r"powershell|[A-Z]\w+-[A-Z]", program):
        return bool(re.fullmatch(r"-[A-Z]\w+", last)) and last not in SWITCHES
    return len(last) == 2 and last[0] == "-" and last[1] in OPTIONS.get(program, "")


def cases() -> list[tuple[str, System]]:
    return [(identifier, system) for identifier in CATALOGUE.commands for system in SYSTEMS]


def forms(identifier: str, system: System) -> list[str]:
    given = VALUES | INSTEAD.get(identifier, {})
    return [fill(form, given) for form in CATALOGUE.commands[identifier].on(system)]


def bash(command: str) -> None:
    done = subprocess.run(["bash", "-n"], input=command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def powershell(command: str) -> None:
    """Parse a command as PowerShell's, and what it hands to a PowerShell of its own likewise."""
    language = pytest.importorskip("tree_sitter_powershell")
    tree_sitter = pytest.importorskip("tree_sitter")
    parser = tree_sitter.Parser(tree_sitter.Language(language.language()))
    tree = parser.parse(command.encode())
    assert not tree.root_node.has_error, command
    inner = re.fullmatch(r'powershell "(.*)"', command)
    if inner:
        powershell(inner[1])


@pytest.mark.parametrize(("identifier", "system"), cases())
def test_a_command_is_complete(identifier: str, system: System) -> None:
    for command in forms(identifier, system):
        assert not re.search(r"<|\{\w|\b(PID|NAME|USER|ADDRESS|SERVER|HOST|PORT)\b", command)
        for part in re.split(r"\s*(?:[|;]|&&)\s*", command):
            assert not waits_for_a_value(part), f"{part} ends where a value belongs"
        if system == "windows":
            powershell(command)
        else:
            bash(command)


#: Commands with a value that only one system has, and values that are left to the reader.
WRITTEN_OUT = re.compile(
    r"\b(?:dig|tcpdump|nslookup|ss|nft|tc|ip|netstat|ping|nc|pktmon) (?:[-+@]\S|add|list|qdisc|set)"
    r"|(?<![/:@])\b(?:NAME|NETWORK|HOST|PORT|ADDRESS|SERVER|CERT|KEY)\b|sudo (?!dnf|pacman)"
)


@pytest.mark.parametrize("cause", sorted(CATALOGUE.cause_names))
def test_every_action_names_complete_commands(cause: str) -> None:
    for language in LANGUAGES:
        text = CATALOGUE.cause(cause).text(language)
        for variant, lines in text.actions.items():
            for line in lines:
                assert not WRITTEN_OUT.search(line), f"{cause}: a command of one system, or one to be filled in: {line}"
                assert "`" not in line, (
                    f"{cause}: write the command into commands.toml and name it as {{run_…}}: {line}"
                )
                for place in places(line):
                    if place.startswith("run_"):
                        assert place.removeprefix("run_").replace("_", "-") in CATALOGUE.commands, place
            for system in SYSTEMS:
                left = [line for line in lines if all(has_form(place, system) for place in places(line))]
                assert left, f"{cause} {variant} says nothing to somebody on {system}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_and_no_hint_has_a_command_written_out(language: Language) -> None:
    """But for those that name wsadiag itself, or what is about this very machine, which is no other system's."""
    ours = re.compile(
        r"`(?:wsadiag [^`]*|\{engine\} start \{name\}|ip netns|sudo nsenter [^`]*|ulimit -n|nft list ruleset|--cap-add \w+|socks\w+://|host\.[\w.]+)`"
    )
    texts = [*CATALOGUE.wording(language).values()]
    texts += [hint for entry in CATALOGUE.codes() for hint in entry.text(language).developer_hints]
    for text in texts:
        assert "`" not in ours.sub("", text), text
        named = [place for place in places(text) if place.startswith("run_")]
        assert all(place.removeprefix("run_").replace("_", "-") in CATALOGUE.commands for place in named), text


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_sentence_leaves_out_what_the_system_lacks(system: System) -> None:
    for text in (text for text in CATALOGUE.wording("en").values() if "{run_" in text):
        given = in_places(CATALOGUE, [text], VALUES, system)
        said = fill(spoken(text, given), {**VALUES, **given})
        assert said
        assert "<run_" not in said
        assert "{run_" not in said


def has_form(place: str, system: System) -> bool:
    return not place.startswith("run_") or bool(
        CATALOGUE.commands[place.removeprefix("run_").replace("_", "-")].on(system)
    )


def test_every_command_is_named_somewhere() -> None:
    texts = [*(ROOT / "catalogue/causes").glob("*.toml"), *(ROOT / "catalogue/codes").glob("*.toml")]
    named = {
        place.replace("_", "-")
        for file in [*texts, ROOT / "catalogue/steps.toml", *(ROOT / "catalogue").glob("wording.*.toml")]
        for place in re.findall(r"\{run_([a-z0-9_]+)\}", file.read_text(encoding="utf-8"))
    }
    by_hand = {step.by_hand for step in CATALOGUE.steps.values()}
    assert set(CATALOGUE.commands) <= named | by_hand


def test_a_parser_is_at_hand() -> None:
    """The parsers stand in the project's own list of what its tests need."""
    assert shutil.which("bash")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert any(line.startswith("tree-sitter-powershell") for line in needed["dev"])


@pytest.mark.parametrize(
    "command", ["Get-Process -Id", "sudo strace -p", "ip route add default via", "netsh x set y mtu=", "dig -x"]
)
def test_a_command_without_its_value_is_found(command: str) -> None:
    assert waits_for_a_value(command)


@pytest.mark.parametrize("command", ["Stop-Process -Id (", "ss -ltnp 'sport = :80", "Get-Process | "])
def test_what_is_broken_is_found(command: str) -> None:
    with pytest.raises(AssertionError):
        (bash if command.startswith("ss") else powershell)(command)


@pytest.mark.parametrize("name", sorted(name for name in CATALOGUE.numbers if CATALOGUE.code(name).windows))
def test_what_may_be_behind_a_code_on_windows_alone_names_complete_commands(name: str) -> None:
    for check in CATALOGUE.code(name).windows:
        assert places(check.en) == places(check.ko)
        assert all(has_form(place, "windows") for place in places(check.en))
        for text in (check.en, check.ko):
            assert "`" not in text
            assert "Windows" in text
