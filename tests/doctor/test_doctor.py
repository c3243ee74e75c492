"""``wsadiag doctor``: what it says is there is there, and each missing thing has its price in words and ids."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from probes.base import CannotObserve, Context
from probes.capabilities import FILES, TOOLS
from troubleshoot.doctor import examine as doctor
from troubleshoot.doctor.checkup import GROUPS, Checkup, Item
from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.kinds import Language
from troubleshoot.knowledge.text import places
from troubleshoot.render.doctor import document, page
from troubleshoot.render.layout import cells
from troubleshoot.render.style import Style

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = Catalogue()
NOBODY = 65534
ORDINARY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--bounding-set", "-all"]
UP = "ip link set lo up"
CLOSED = "echo '1 0' > /proc/sys/net/ipv4/ping_group_range"
OPEN = "echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range"
#: Commands that the catalogue names and that are in no need of being looked for: parts of every system or its shell.
EVERYWHERE = {"cat", "grep", "ulimit"}


def need_lab(*tools: str) -> None:
    """Skip where no namespace can be made whose files can be covered."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to cover /etc/resolv.conf in a namespace")
    for tool in ("unshare", "ip", "setpriv", *tools):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    done = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no namespace can be made: {done.stderr.strip()}")


def in_lab(
    tmp_path: Path, *words: str, setup: str = UP, resolv: str = "", ordinary: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run ``wsadiag doctor`` in a network namespace of its own, with a resolv.conf of its own."""
    file = tmp_path / "resolv.conf"
    file.write_text(resolv)
    program = [sys.executable, "-m", "troubleshoot", "doctor", *words]
    script = f'mount --bind {file} /etc/resolv.conf; {setup}; cd {ROOT}; "$@"; exit'
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-ec", script, "sh", *(ORDINARY if ordinary else []), *program],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done


def items_of(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    found = json.loads(done.stdout)
    assert found["schema"] == "wsadiag/doctor/1"
    return {item["subject"] or item["id"]: item for item in found["items"]}


@pytest.mark.lab
def test_root_lacks_nothing_but_a_name_server(tmp_path: Path) -> None:
    need_lab()
    done = in_lab(tmp_path, "--json")
    items = items_of(done)
    # tcp_mem is not shown in a network namespace; which tools are installed is not our business.
    # Neither is a machine's first process that not even root may look into.
    missing = {name for name, item in items.items() if item["state"] != "there"} - {"files", "tools", "processes"}
    assert missing == {"no-name-server"}
    assert items["no-name-server"]["found"] == "/etc/resolv.conf names none"
    assert "name-does-not-exist" in items["no-name-server"]["causes"]
    assert items["echo"]["found"] == "through raw sockets"
    vantage = json.loads(done.stdout)["vantage"]
    assert (vantage["privileged"], vantage["platform"]) == (True, "linux")


@pytest.mark.lab
def test_an_ordinary_user_is_told_what_is_lost(tmp_path: Path) -> None:
    need_lab()
    items = items_of(in_lab(tmp_path, "--json", setup=f"{UP}; {CLOSED}", ordinary=True))
    assert {name for name, item in items.items() if item["group"] == "privileges" and item["state"] == "missing"} == {
        "raw-packets", "echo", "processes", "low-ports", "net-admin",
    }  # fmt: skip
    assert items["raw-packets"]["causes"] == [
        "local-firewall", "firewall-drop", "accept-queue-full", "wrong-subnet-mask", "host-down",
    ]  # fmt: skip
    assert "net.ipv4.ping_group_range is 1 0" in items["echo"]["found"]
    assert "UDP" in items["echo"]["cost"]
    assert "sysctl" in items["echo"]["remedy"]
    assert (items["error-queue"]["state"], items["error-queue"]["cost"]) == ("there", None)
    opened = items_of(in_lab(tmp_path, "--json", setup=f"{UP}; {OPEN}", ordinary=True))
    assert (opened["echo"]["state"], opened["echo"]["found"]) == ("there", "through datagram sockets")


SILENT = "import socket, time; s = socket.socket(2, 2); s.bind(('127.0.0.55', 53)); print(flush=True); time.sleep(60)"


@pytest.mark.lab
def test_each_name_server_is_asked(tmp_path: Path) -> None:
    need_lab("dnsmasq", "ss")
    serve = (
        "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --no-resolv --no-hosts "
        "--bind-interfaces --listen-address=127.0.0.53 --address=/example.com/192.0.2.80 >/dev/null 2>&1 & one=$!"
    )
    silent = f'{sys.executable} -c "{SILENT}" >/dev/null & two=$!'
    ready = "for a in 53 55; do until ss -Hlun src 127.0.0.$a | grep -q .; do sleep 0.05; done; done"
    setup = f'{UP}; {serve}; {silent}; trap "kill $one $two" EXIT; {ready}'
    resolv = "".join(f"nameserver 127.0.0.{last}\n" for last in (53, 54, 55))
    done = in_lab(tmp_path, "--json", setup=setup, resolv=resolv)
    items = items_of(done)
    assert items["127.0.0.53"]["state"] == "there"
    assert re.fullmatch(r"answers \([0-9.]+ ms\)", items["127.0.0.53"]["found"])
    assert (items["127.0.0.54"]["state"], items["127.0.0.54"]["found"]) == (
        "missing",
        "nothing listens on the DNS port",
    )
    assert items["127.0.0.55"]["state"] == "missing"
    assert items["127.0.0.55"]["found"].startswith("does not answer")
    assert "nameservers-disagree" in items["127.0.0.55"]["causes"]
    unasked = in_lab(tmp_path, "--json", "--no-network", setup=UP, resolv=resolv)
    assert {item["state"] for name, item in items_of(unasked).items() if name.startswith("127.")} == {"not-asked"}
    assert json.loads(unasked.stdout)["packets"] <= 4


@pytest.mark.lab
def test_a_name_server_that_no_route_leads_to(tmp_path: Path) -> None:
    need_lab()
    items = items_of(in_lab(tmp_path, "--json", resolv="nameserver 192.0.2.53\n"))
    assert (items["192.0.2.53"]["state"], items["192.0.2.53"]["found"]) == (
        "missing",
        "cannot be reached: ENETUNREACH",
    )


@pytest.mark.lab
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_an_ordinary_user(tmp_path: Path, language: Language) -> None:
    need_lab()
    shown = in_lab(tmp_path, "--lang", language, "-v", setup=f"{UP}; {CLOSED}", ordinary=True).stdout
    assert max(map(cells, shown.splitlines())) <= 80
    assert "<" not in shown
    assert "1 0" in shown
    wording = CATALOGUE.wording(language)
    for key in ("raw-packets", "echo", "no-name-server"):
        assert f"! {wording[f'doctor.{key}']}" in shown
    assert f"✓ {wording['doctor.error-queue']}" in shown


# -- without a lab: nothing leaves this machine ----------------------------------------------------------------


class Nothing(Context):
    """A process that may open no socket at all."""

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")


def examined(context: Context | None = None, encoding: str = "utf-8") -> Checkup:
    return asyncio.run(doctor.examine(network=False, encoding=encoding, context=context))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Items of machines that have, and that lack, as much as can be."""
    bare = tmp_path_factory.mktemp("bare")
    (bare / "etc").mkdir()
    (bare / "etc/resolv.conf").write_text("nameserver 192.0.2.53\n")
    empty = tmp_path_factory.mktemp("empty")
    checkups = [
        examined(),
        examined(Context(root=bare)),
        examined(Nothing(root=empty), "ascii"),
    ]
    return [item for checkup in checkups for item in checkup.items]


def test_every_item_has_its_sentences_and_every_sentence_its_item(everything: list[Item]) -> None:
    for item in everything:
        for language in LANGUAGES:
            wording = CATALOGUE.wording(language)
            assert wording[f"doctor.{item.id}"]
            for told in (item.found, item.gives, item.cost, item.remedy):
                assert places(wording[told.key]) <= dict(told.values).keys(), told.key
        assert set(item.steps) <= CATALOGUE.steps.keys()
        assert set(item.causes) <= CATALOGUE.causes.keys()
        assert item.group in GROUPS
    described = {key[7:-6] for key in CATALOGUE.wording("en") if key.startswith("doctor.") and key.endswith("-gives")}
    assert {item.id for item in everything} == described


def test_what_may_not_be_opened_is_missing_and_breaks_nothing(everything: list[Item]) -> None:
    checkup = examined(Nothing())
    states = {item.id: item.state for item in checkup.items}
    for name in ("raw-packets", "route-tables", "socket-table", "ipv4", "ipv6", "echo", "low-ports"):
        assert states[name] == "missing", name
    assert (states["error-queue"], states["least-ttl"]) == ("unknown", "unknown")
    assert checkup.packets == 0
    shown = page(checkup, CATALOGUE.wording("en"), Style(), "1")
    assert f"✗ {CATALOGUE.wording('en')['doctor.route-tables']}" in shown
    assert "If not:" in shown
    assert {item.id for item in everything if item.state == "missing"} >= {"files", "processes", "encoding"}


def test_what_is_there_costs_nothing() -> None:
    for item in document(examined(), CATALOGUE.wording("en"), "1")["items"]:
        lacking = item["state"] in ("missing", "unknown")
        assert (item["cost"] is not None) is lacking
        assert (item["remedy"] is not None) is lacking


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_of_everything_missing_fits(language: Language) -> None:
    checkup = examined(Nothing())
    for width in (40, 80):
        shown = page(checkup, CATALOGUE.wording(language), Style(width=width), "1", verbose=True)
        assert max(map(cells, shown.splitlines())) <= width
    assert "\x1b[1;31m" in page(checkup, CATALOGUE.wording(language), Style(colour=True), "1")


def test_a_page_in_ascii() -> None:
    assert page(examined(Nothing()), CATALOGUE.wording("en"), Style(unicode=False), "1", verbose=True).isascii()


def test_a_hostile_name_server_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text("nameserver fe80::1%\x1b[2J\n")
    checkup = examined(Context(root=tmp_path))
    shown = page(checkup, CATALOGUE.wording("en"), Style(), "1")
    assert "\x1b" not in shown
    assert "fe80::1%\\x1b" in shown
    assert [item.subject for item in checkup.items if item.group == "name-servers"] == ["fe80::1%\x1b[2J"]


def test_a_process_that_can_open_no_file_is_no_machine_without_name_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(context: Context) -> None:
        raise CannotObserve("reason.own-limit-reached", error="EMFILE")

    monkeypatch.setattr(doctor, "read_configuration", none_left)
    (item,) = (item for item in examined().items if item.group == "name-servers")
    assert (item.id, item.state, item.found.key) == ("name-server", "unknown", "reason.own-limit-reached")


def test_another_system_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.system.on_linux", lambda: False)
    checkup = examined()
    assert checkup.reason is not None
    assert checkup.reason.key == "reason.platform-lacks"
    assert {item.group for item in checkup.items} <= {"name-servers", "output"}
    shown = page(checkup, CATALOGUE.wording("en"), Style(), "1")
    assert "capabilities is not available on" in shown
    assert CATALOGUE.wording("en")["doctor.complete"] not in shown


def test_the_tools_are_those_that_the_catalogue_names() -> None:
    named = {
        identifier: {
            part.removeprefix("sudo ").split()[0]
            for form in entry.linux
            for part in re.split(r"[;&|]+ *", form)
        }
        for identifier, entry in CATALOGUE.commands.items()
    }  # fmt: skip
    by_hand = set().union(*(named[step.by_hand] for step in CATALOGUE.steps.values() if step.by_hand))
    assert by_hand - EVERYWHERE <= set(TOOLS)
    assert set(TOOLS) <= set().union(*named.values())
    assert doctor.PACKAGES.keys() == set(TOOLS)


def test_every_file_belongs_to_a_step() -> None:
    assert doctor._STEP_OF_FILE.keys() == set(FILES)
    assert set(doctor._STEP_OF_FILE.values()) == doctor._CAUSE_OF_STEP.keys() <= CATALOGUE.steps.keys()


def wsadiag(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "troubleshoot", *words],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_status_and_usage() -> None:
    assert wsadiag("doctor", "--no-network").returncode == 0
    for words, said in ((["more"], "more"), (["--lang", "fr"], "--lang fr"), (["--timeout", "1"], "--timeout")):
        done = wsadiag("doctor", *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert said in done.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_and_completion(language: Language) -> None:
    shown = wsadiag("doctor", "--help", "--lang", language).stdout
    wording = CATALOGUE.wording(language)
    for key in ("command-doctor", "help-no-network", "help-verbose-doctor"):
        assert " ".join(wording[f"usage.{key}"].split()) in " ".join(shown.split())
    completed = wsadiag(_WSADIAG_COMPLETE="complete_bash", COMP_WORDS="wsadiag do", COMP_CWORD="1").stdout
    assert completed.split() == ["doctor"]


def test_letters_that_cannot_be_written() -> None:
    done = wsadiag("doctor", "--no-network", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "Output encoding" in done.stdout
    assert "Text is English, and marks are written in ASCII." in done.stdout
