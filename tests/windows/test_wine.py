"""The whole program as Windows' own Python runs it, under wine: not Windows, and as near as this comes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import record
import wine

from troubleshoot.reproduce.claims import measured_under_wine

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def windows() -> Iterator[wine.Windows]:
    reason = wine.obstacle()
    if reason is not None:
        pytest.skip(reason)
    with wine.windows() as here:
        yield here


def wsadiag(windows: wine.Windows, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return windows.run("-m", "troubleshoot", *words, more=more)


def report(windows: wine.Windows, *words: str) -> dict[str, Any]:
    done = wsadiag(windows, *words, "--json")
    assert not done.stderr, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert [p["probe"] for p in document["probes"] if p["status"] == "broken"] == []
    assert document["vantage"]["platform"] == "windows"
    verdict = document["verdict"]
    assert done.returncode == {"healthy": 0, "fault": 1, "inconclusive": 3}[verdict["outcome"]]
    return document


def step(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(s for s in document["steps"] if s["id"] == name)
    return found


@pytest.fixture(scope="module")
def driver(windows: wine.Windows) -> dict[str, Any]:
    done = windows.run(f"Z:{Path(__file__).with_name('driver.py')}".replace("/", "\\"))
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["platform"] == "win32"
    return found


def test_every_module_can_be_imported(driver: dict[str, Any]) -> None:
    only_linux = {"probes.system.linux.namespaces", "troubleshoot.cli.monitor"}  # loaded by what has made sure of it
    extras = {"troubleshoot.exporter.app", "troubleshoot.exporter.metrics", "troubleshoot.testing"}  # not installed
    assert driver["imports"].keys() == only_linux | extras


def test_a_refusal_has_three_shapes_and_one_meaning(driver: dict[str, Any]) -> None:
    shapes = {name: driver[name] for name in ("plain", "proactor", "selector")}
    assert {(s["failure"], s["name"]) for s in shapes.values()} == {("refused", "ECONNREFUSED")}
    numbers = {name: (s["winerror"], s["errno"]) for name, s in shapes.items()}
    assert numbers == {"plain": (10061, 10061), "proactor": (1225, 22), "selector": (None, 10061)}


@pytest.mark.parametrize("loop", ["proactor", "selector"])
def test_probes_work_in_either_loop(driver: dict[str, Any], loop: str) -> None:
    found = driver["probes"][loop]
    assert found["refused"] == ["failed", "refused", "ECONNREFUSED"]
    assert found["connected"] == "connected"
    assert found["exchanges"] == [None] * 4
    assert ["listen", "127.0.0.1"] in found["listening"]


def test_errands_without_a_target(windows: wine.Windows) -> None:
    version = wsadiag(windows, "--version")
    assert (version.returncode, version.stdout.split()[0]) == (0, b"wsadiag")
    explained = wsadiag(windows, "explain", "10061")
    assert explained.returncode == 0
    assert explained.stdout.startswith(b"10061 WSAECONNREFUSED")
    wrong = wsadiag(windows, "4711", "localhost")
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1
    missing = wsadiag(windows, "10061")
    assert missing.returncode == 2


def test_a_list_and_the_doctor(windows: wine.Windows) -> None:
    listed = wsadiag(windows, "codes")
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) > 90
    doctor = wsadiag(windows, "doctor", "--no-network")
    assert doctor.returncode == 0
    assert b"windows" in doctor.stdout
    assert b"capabilities is not available on Windows" in doctor.stdout


def test_what_the_code_page_lacks_is_written_otherwise(windows: wine.Windows) -> None:
    plain = wsadiag(windows, "10061", "127.0.0.1:1")
    assert plain.returncode == 1
    plain.stdout.decode("cp1252")
    assert b"FAULT" in plain.stdout
    korean = wsadiag(windows, "10061", "127.0.0.1:1", "--lang", "ko", PYTHONUTF8="1")
    assert korean.returncode == 1
    assert "포트" in korean.stdout.decode("utf-8")


def test_a_refusal_on_this_machine(windows: wine.Windows, tmp_path: Path) -> None:
    document = report(windows, "10061", "127.0.0.1:1")
    assert document["verdict"]["cause"] == "no-listener"
    assert document["reproduction"] == {"outcome": "same", "observed": 10061, "said": None}
    for name in ("statistics", "interface", "router-configured"):
        assert step(document, name)["status"] != "unavailable"
    # the report is judged alike on Windows and here
    saved = windows.prefix / "drive_c/report.json"
    saved.write_text(json.dumps(document), encoding="utf-8")
    again = json.loads(wsadiag(windows, "replay", r"C:\report.json", "--json").stdout)
    assert again["verdict"] == document["verdict"]
    command = [sys.executable, "-m", "troubleshoot", "replay", str(saved), "--json"]
    here = subprocess.run(command, cwd=wine.ROOT, capture_output=True, check=False)
    assert json.loads(here.stdout)["verdict"] == document["verdict"]


def test_names_are_asked_of_windows(windows: wine.Windows) -> None:
    document = report(windows, "10061", "localhost:1")
    assert document["verdict"]["cause"] == "no-listener"
    hosts = step(document, "hosts-file")["observations"]["hosts-file"][0]
    assert hosts["path"].lower() == r"c:\windows\system32\drivers\etc\hosts"


def test_a_port_that_another_program_holds(windows: wine.Windows) -> None:
    code = "import socket, time; s = socket.create_server(('', 8080)); print('ready', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        windows.python("-c", code),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=windows.environment,
        cwd=windows.prefix / "drive_c",
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"ready"
        document = report(windows, "10048", ":8080")
    finally:
        holder.kill()
        holder.communicate()
    assert document["verdict"]["cause"] == "port-in-use"
    assert "0.0.0.0:8080" in "".join(item["fact"] for item in document["verdict"]["evidence"])
    assert document["reproduction"] == {"outcome": "same", "observed": 10048, "said": None}


def test_a_port_that_is_free(windows: wine.Windows) -> None:
    document = report(windows, "10048", ":8081")
    assert step(document, "port-owner")["status"] == "passed"


def test_a_port_that_is_denied_without_a_table_of_ranges(windows: wine.Windows) -> None:
    document = report(windows, "10013", ":80")
    assert (document["verdict"]["cause"], document["verdict"]["confidence"]) == ("port-not-permitted", "likely")
    assert step(document, "port-owner")["why"] == "netsh shows no table of excluded ports"
    bound = step(document, "port-owner")["observations"]["bind"][0]
    assert bound["excluded"]["ranges"] is None
    assert [attempt["how"] for attempt in bound["attempts"]] == ["plain"]


@pytest.mark.parametrize(
    ("code", "cause"), [("10091", None), ("10093", "api-misuse"), ("10092", "api-misuse"), ("10022", "api-misuse")]
)
def test_winsock_itself(windows: wine.Windows, code: str, cause: str | None) -> None:
    document = report(windows, code, "localhost")
    assert document["verdict"]["cause"] == cause
    if code == "10022":
        return
    library = step(document, "network-subsystem")["observations"]["network-subsystem"][0]["winsock"]
    assert [(start["asked"], start["given"], start["error"]) for start in library["starts"]] == [
        ("2.2", "2.2", None),
        ("1.1", "1.1", None),
    ]
    assert library["library"].lower() == r"c:\windows\system32\ws2_32.dll"
    assert library["library_version"]
    assert not library["foreign"]
    kinds = {(one["family"], one["type"], one["protocol"], one["kind"]) for one in library["providers"]}
    assert {("AF_INET", "SOCK_STREAM", 6, "base"), ("AF_INET6", "SOCK_DGRAM", 17, "base")} <= kinds
    assert step(document, "network-subsystem")["status"] == "passed"


@pytest.mark.parametrize("code", ["10024", "10055"])
def test_what_cannot_be_seen_is_never_called_fine(windows: wine.Windows, code: str) -> None:
    document = report(windows, code, "localhost")
    assert document["verdict"]["outcome"] == "inconclusive"
    assert step(document, "open-sockets")["status"] == "unavailable"


def test_every_reproducer_returns_what_was_recorded(windows: wine.Windows) -> None:
    # The record is that of one version of wine; another one is held to what matters.
    version = subprocess.run(["wine", "--version"], capture_output=True, text=True, check=True).stdout
    done = windows.run(f"Z:{Path(record.__file__)}".replace("/", "\\"), "--inside")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["observed"]
    known = measured_under_wine()
    assert found.keys() == known.observed.keys()
    if f"wine {version.split()[0].removeprefix('wine-')}" in known.measured_on:
        assert found == known.observed
    own = {code for code, claims in found.items() if code in claims.values()}
    assert len(own) >= 20
    assert {"WSAECONNREFUSED", "WSANOTINITIALISED", "WSAVERNOTSUPPORTED", "WSAESHUTDOWN"} <= own


def test_a_reproduction_is_shown(windows: wine.Windows) -> None:
    done = wsadiag(windows, "reproduce", "10093")
    assert done.returncode == 0
    assert b"WSACleanup() = 0" in done.stdout
    assert b"Windows: WSANOTINITIALISED." in done.stdout


def test_ctrl_c_reports_what_is_known(windows: wine.Windows) -> None:
    drop = "table ip wsadiag { chain i { type filter hook input priority 0; tcp dport 9 drop; }; }"
    inside = ["ip", "netns", "exec", windows.namespace]
    done = subprocess.run([*inside, "nft", drop], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nft cannot be used here: {done.stderr.decode().strip()[:80]}")
    running = subprocess.Popen(
        windows.python("-m", "troubleshoot", "10060", "127.0.0.1:9", "--json", "--timeout", "60"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=windows.environment,
        cwd=windows.prefix / "drive_c",
    )
    try:
        for _ in range(300):  # until it connects: before that there is nothing to report
            waiting = subprocess.run([*inside, "ss", "-Htn", "state", "syn-sent"], capture_output=True, check=True)
            if b":9" in waiting.stdout:
                break
            time.sleep(0.1)
        assert waiting.stdout, "it never connected"
        running.send_signal(signal.SIGINT)
        output, complaint = running.communicate(timeout=30)
    finally:
        running.kill()
        subprocess.run([*inside, "nft", "delete table ip wsadiag"], check=False)
    assert not complaint, complaint
    assert running.returncode == 130
    assert json.loads(output)["interrupted"] is True


@pytest.fixture(scope="module")
def peer(windows: wine.Windows) -> Iterator[str]:
    """Give the namespace a neighbour: 198.51.100.1 listens on port 7000, drops 7001 and is nobody at .77."""
    here, there = windows.namespace, f"{windows.namespace}-peer"
    rules = "table ip wsadiag { chain i { type filter hook input priority 0; tcp dport 7001 drop; }; }"
    server = "import socket, time; s = socket.create_server(('198.51.100.1', 7000)); print(flush=True); time.sleep(600)"
    inside = ["ip", "netns", "exec", there]
    subprocess.run(["ip", "netns", "add", there], check=True)
    try:
        for words in (
            f"link add w0 netns {here} type veth peer name w1 netns {there}",
            f"-n {here} addr add 198.51.100.2/24 dev w0",
            f"-n {here} link set w0 up",
            f"-n {there} addr add 198.51.100.1/24 dev w1",
            f"-n {there} link set w1 up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        if subprocess.run([*inside, "nft", rules], capture_output=True, check=False).returncode != 0:
            pytest.skip("nft cannot be used here")
        with subprocess.Popen([*inside, sys.executable, "-c", server], stdout=subprocess.PIPE) as listening:
            assert listening.stdout is not None
            listening.stdout.readline()
            yield "198.51.100.1"
            listening.kill()
    finally:
        subprocess.run(["ip", "netns", "del", there], check=False)


def test_a_neighbour_that_answers(windows: wine.Windows, peer: str) -> None:
    document = report(windows, "10060", f"{peer}:7000")
    assert document["verdict"]["outcome"] == "healthy"
    assert step(document, "connect")["status"] == "passed"


def test_a_neighbour_that_refuses(windows: wine.Windows, peer: str) -> None:
    verdict = report(windows, "10061", f"{peer}:7002")["verdict"]
    assert (verdict["cause"], verdict["confidence"]) == ("no-listener", "likely")


@pytest.mark.parametrize(
    ("target", "cause"), [("198.51.100.1:7001", "firewall-drop"), ("198.51.100.77:7000", "host-down")]
)
def test_silence_is_never_explained_for_certain(windows: wine.Windows, peer: str, target: str, cause: str) -> None:
    document = report(windows, "10060", target)
    assert (document["verdict"]["cause"], document["verdict"]["confidence"]) == (cause, "likely")
    assert step(document, "connect")["status"] == "failed"
    assert step(document, "ping-remote")["status"] == ("passed" if target.startswith(f"{peer}:") else "failed")


#: Enters a proxy of the user's and one of WinHTTP's, says what is read of them, and takes both away again.
_ENTERS_PROXIES = r"""
import asyncio, struct, winreg
from probes.system.windows.internet_settings import entries
import troubleshoot
key = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
user = winreg.CreateKey(winreg.HKEY_CURRENT_USER, key)
machine = winreg.CreateKey(winreg.HKEY_LOCAL_MACHINE, key + r"\Connections")
proxy = b"proxy.invalid:3128"
blob = struct.pack("<IIII", 24, 0, 3, len(proxy)) + proxy + struct.pack("<I", 7) + b"<local>"
try:
    winreg.SetValueEx(user, "ProxyEnable", 0, winreg.REG_DWORD, 1)
    winreg.SetValueEx(user, "ProxyServer", 0, winreg.REG_SZ, "http=127.0.0.1:1")
    winreg.SetValueEx(user, "ProxyOverride", 0, winreg.REG_SZ, "*.test;<local>")
    winreg.SetValueEx(machine, "WinHttpSettings", 0, winreg.REG_BINARY, blob)
    print(entries())
    verdict = asyncio.run(troubleshoot.diagnose("10061", "http://127.0.0.1:2")).verdict
    print([verdict.cause, *(one.cause for one in verdict.alternatives)])
    print(verdict.summary)
finally:
    winreg.SetValueEx(user, "ProxyEnable", 0, winreg.REG_DWORD, 0)
    for name in ("ProxyServer", "ProxyOverride"):
        winreg.DeleteValue(user, name)
    winreg.DeleteValue(machine, "WinHttpSettings")
"""


def test_the_proxies_of_windows_settings_are_read(windows: wine.Windows) -> None:
    done = windows.run("-c", _ENTERS_PROXIES)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    read, causes, _said = done.stdout.decode().splitlines()
    assert "'Internet Settings': 'http=127.0.0.1:1'" in read
    assert "'WinHTTP settings': 'proxy.invalid:3128'" in read
    assert "proxy-unreachable" in causes
