"""In the lab our probes see what ping, traceroute, dig, ss and nc see."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.plan import draw
from tests.lab.topology import ROOT, Lab, Settings, Shape, unavailable

pytestmark = pytest.mark.lab

DELAY_MS = 20.0
WHO = pytest.mark.parametrize("unprivileged", [False, True], ids=["root", "nobody"])
FAMILY = pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    why = unavailable()
    if why:
        pytest.skip(why)
    # the classic tools would use up what routers may send to one client, and the two must see the same in one lab
    with Lab(draw(77, 4), Settings(shapes={"link2": Shape(delay_ms=DELAY_MS)}, icmp="off")) as built:
        yield built


def probe(lab: Lab, name: str, target: str, *, node: str = "client", unprivileged: bool = False) -> dict[str, Any]:
    """Run one probe on a machine of the lab and return its result."""
    argv = [sys.executable, "-B", "-m", "troubleshoot", "probe", name, target, "--json"]
    done = subprocess.run(
        lab.command(node, argv, unprivileged=unprivileged),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    record = json.loads(done.stdout or "{}")
    assert record.get("status") == "observed", done.stdout + done.stderr
    result: dict[str, Any] = record["result"]
    return result


def address(lab: Lab, name: str, family: int) -> str:
    return lab.plan[name].near.address(family)


@FAMILY
@WHO
def test_ping_measures_the_same(lab: Lab, family: int, unprivileged: bool) -> None:
    server = address(lab, "server", family)
    said = lab.run("client", "ping", "-n", "-c5", "-i0.2", server).stdout
    theirs = float(said.rsplit("=", 1)[1].split("/")[0])
    ours = probe(lab, "ping", server, unprivileged=unprivileged)
    assert ours["received"] == ours["sent"] > 0
    assert 2 * DELAY_MS <= theirs < 2 * DELAY_MS + 30
    assert 2 * DELAY_MS <= ours["rtt_min_ms"] < 2 * DELAY_MS + 30


@FAMILY
@WHO
def test_ping_finds_nobody_where_nobody_is(lab: Lab, family: int, unprivileged: bool) -> None:
    nobody = str(lab.plan.spare[family == 6].ip)
    assert lab.run("client", "ping", "-n", "-c1", "-W0.5", nobody, check=False).returncode == 1
    assert probe(lab, "ping", nobody, unprivileged=unprivileged)["received"] == 0


@FAMILY
@WHO
def test_traceroute_names_the_same_hops(lab: Lab, family: int, unprivileged: bool) -> None:
    server = address(lab, "server", family)
    said = lab.run("client", "traceroute", "-n", "-q1", "-w2", f"-{family}", server).stdout
    theirs = [row.split()[1] for row in said.splitlines()[1:]]
    result = probe(lab, "traceroute", server, unprivileged=unprivileged)
    ours = [hop["answers"][0]["address"] for hop in result["hops"] if hop["answers"]]
    plan = [address(lab, f"router{i}", family) for i in range(1, 5)]
    assert ours == theirs == [*plan, server]
    assert result["reached_ttl"] == lab.plan.hop("server")


@pytest.mark.parametrize(("name", "kind"), [("name", "A"), ("name", "AAAA"), ("missing_name", "A")])
def test_name_servers_answer_the_same(lab: Lab, name: str, kind: str) -> None:
    asked = lab.values[name]
    answers = probe(lab, "resolve", asked)["answers"]
    for server in (lab.values["ns1"], lab.values["ns2"]):
        said = lab.run("client", "dig", "+time=2", "+tries=1", f"@{server}", asked, kind).stdout
        rows = [line.split() for line in said.splitlines() if line.startswith(f"{asked}.")]
        theirs = sorted(words[4] for words in rows if words[3] == kind)
        mine = [a for a in answers if (a["server"], a["record_type"], a["name"]) == (server, kind, asked)]
        assert mine, answers
        assert sorted(mine[-1]["addresses"]) == theirs
        assert f"status: {mine[-1]['rcode']}" in said


def test_the_system_resolver_says_the_same(lab: Lab) -> None:
    said = lab.run("client", "getent", "ahosts", lab.values["name"]).stdout
    theirs = list(dict.fromkeys(line.split()[0] for line in said.splitlines()))
    assert probe(lab, "resolve", lab.values["name"])["system"]["addresses"] == theirs


@WHO
def test_listeners_are_the_same(lab: Lab, unprivileged: bool) -> None:
    port = lab.plan.port
    said = lab.run("server", "ss", "-Hltn", "sport", "=", f":{port}").stdout
    theirs = sorted(row.split()[3].rsplit(":", 1)[0].strip("[]") for row in said.splitlines())
    entries = probe(lab, "sockets", f":{port}", node="server", unprivileged=unprivileged)["entries"]
    assert sorted(entry["local_address"] for entry in entries if entry["state"] == "listen") == theirs
    assert theirs == ["0.0.0.0", "::"]


@FAMILY
@WHO
def test_connect_ends_as_for_nc(lab: Lab, family: int, unprivileged: bool) -> None:
    server = address(lab, "server", family)
    bracketed = f"[{server}]" if family == 6 else server
    for port, open_ in ((lab.plan.port, True), (lab.plan.closed_port, False)):
        theirs = lab.run("client", "nc", "-z", "-w3", server, str(port), check=False).returncode == 0
        result = probe(lab, "connect", f"{bracketed}:{port}", unprivileged=unprivileged)
        assert theirs is open_
        assert (result["outcome"] == "connected") is open_, result
        if not open_:
            assert result["attempts"][-1]["failure"] == "refused"


@FAMILY
def test_route_is_the_same(lab: Lab, family: int) -> None:
    server = address(lab, "server", family)
    said = lab.run("client", "ip", "route", "get", server).stdout.split()
    result = probe(lab, "route", server)
    assert result["gateway"] == said[said.index("via") + 1] == address(lab, "router1", family)
    assert result["source"] == said[said.index("src") + 1]
    assert result["interface"] == said[said.index("dev") + 1]
