"""What the readers make of recorded outputs: ``tests/data/pasted/NAME.txt`` with the observations expected beside it.

``python tests/readers/test_samples.py`` writes the expectations anew; what changed is to be read line by line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.readers import TABLE, read
from troubleshoot.readers.model import Reading

FOLDER = Path(__file__).parents[1] / "data" / "pasted"
SAMPLES = sorted(FOLDER.glob("*.txt"))
LANGUAGES = {"en", "ko", "de", "ja"}
#: What each system's samples must hold, as it is typed.
COMMANDS = {
    "windows": (
        *("ping", "tracert", "pathping", "nslookup", "Resolve-DnsName", "netstat -ano", "netstat -anob"),
        *("Get-NetTCPConnection", "ipconfig /all", "route print", "Get-NetRoute", "arp -a", "Test-NetConnection"),
        *("netsh interface ipv4 show excludedportrange", "netsh int ipv4 show dynamicport", "tasklist"),
        *("netsh winsock show catalog", "netsh advfirewall firewall show rule", "Get-NetFirewallRule"),
    ),
    "linux": (
        *("ping", "traceroute", "mtr -r", "dig", "getent", "ss", "netstat", "ip addr", "ip route", "ip neigh"),
        *("ip -s link", "resolvectl", "nft list ruleset", "iptables-save", "curl", "openssl s_client", "nslookup"),
    ),
    "macos": (
        *("ping", "traceroute", "scutil --dns", "netstat -an", "netstat -rn", "ifconfig", "arp -an"),
        *("route -n get", "lsof -nP -iTCP"),
    ),
}


def plain(value: Any) -> Any:
    """The value as data, without what says nothing."""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items() if held not in (None, "", [], (), {}, False)}
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    return value


def readings(sample: Path) -> tuple[Reading, ...]:
    return read(sample.read_text(encoding="utf-8"), catalogue())


def document(sample: Path) -> list[Any]:
    found: list[Any] = plain(msgspec.to_builtins(readings(sample), enc_hook=str))
    return found


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_is_read_as_expected(sample: Path) -> None:
    expected = json.loads(sample.with_suffix(".json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(document(sample))) == expected


@pytest.mark.parametrize("system", COMMANDS)
def test_every_command_has_a_sample(system: str) -> None:
    typed = [reading.typed for sample in FOLDER.glob(f"{system}-*.txt") for reading in readings(sample)]
    assert [one for one in COMMANDS[system] if not any(t.startswith(one) for t in typed)] == []


def test_every_reader_has_a_sample() -> None:
    used = {reading.command for sample in SAMPLES for reading in readings(sample)}
    assert set(TABLE.modules) - used == set()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_the_system_of_a_sample_is_known(sample: Path) -> None:
    system = sample.stem.partition("-")[0]
    assert {reading.system for reading in readings(sample)} <= {system, None}  # curl is the same everywhere


@pytest.mark.parametrize(
    "name",
    ["ping", "nslookup", "ipconfig", "netstat", "route", "arp", "netsh-firewall", "netsh-ports", "tasklist", "tracert"],
)
def test_what_windows_says_is_read_in_four_languages(name: str) -> None:
    assert {reading.language for reading in readings(FOLDER / f"windows-{name}.txt") if reading.seen} == LANGUAGES


def test_the_same_thing_is_the_same_observation_in_every_language() -> None:
    tables = [reading.seen for reading in readings(FOLDER / "windows-route.txt")]
    defaults = [[entry for entry in seen[0].entries if entry.prefix == "0.0.0.0/0"] for seen in tables]  # type: ignore[union-attr]
    assert len(defaults) == len(LANGUAGES)
    assert all(one == defaults[0] for one in defaults)
    on_link = [[entry for entry in seen[0].entries if entry.prefix == "192.0.2.0/24"] for seen in tables]  # type: ignore[union-attr]
    assert all(one == on_link[0] and one[0].gateway is None for one in on_link)


PROMPTS = ("kim@", "root@", "C:\\", "PS C:\\")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_without_its_prompt_an_output_is_known_by_its_heading_or_not_at_all(sample: Path) -> None:
    lines = sample.read_text(encoding="utf-8").split("\n")
    known = 0
    for reading in readings(sample):
        mine = lines[reading.line - 1 :]
        end = next((n for n, line in enumerate(mine) if line.startswith(PROMPTS)), len(mine))
        for alone in read("\n".join(mine[:end]), catalogue()):
            routes = reading.command == "netstat" and alone.command == "route"  # netstat -r
            assert alone.command in ("", reading.command) or routes, reading.typed
            assert {type(seen) for seen in alone.seen} <= {type(seen) for seen in reading.seen}, reading.typed
            known += bool(alone.seen)
    assert known or sample.stem.endswith(("getent", "ip-neigh", "openssl"))


if __name__ == "__main__":
    for one in SAMPLES if len(sys.argv) == 1 else [FOLDER / f"{name}.txt" for name in sys.argv[1:]]:
        text = json.dumps(document(one), indent=1, ensure_ascii=False)
        one.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
