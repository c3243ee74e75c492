"""What can be used here, held against namespaces in which it is known: each feature is taken away once."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from children import NOBODY, ROOT, need_namespace, need_root, run

from probes.base import Context, load
from probes.capabilities import LIBRARIES, TOOLS, CapabilitiesRequest, CapabilitiesResult, Feature


def reads_first_process() -> bool:
    """Tell whether the links of process 1 can be read by us, asked of another program."""
    return subprocess.run(["readlink", "/proc/1/fd/0"], capture_output=True, check=False).returncode == 0


LOOK = "result = observe('capabilities')"
UP = "ip link set lo up"
OPEN = "echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range"
CLOSED = "echo '1 0' > /proc/sys/net/ipv4/ping_group_range"


def usable(found: CapabilitiesResult) -> dict[str, bool | None]:
    return {str(one.feature): one.usable for one in found.abilities}


def look(context: Context | None = None, **request: Any) -> CapabilitiesResult:
    probe = load("capabilities")
    observed: CapabilitiesResult = asyncio.run(
        probe.observe(CapabilitiesRequest(**request), context or Context(), lambda _: None)
    )
    return observed


@pytest.mark.lab
def test_root_may_everything() -> None:
    need_root()
    need_namespace()
    found = run(LOOK, namespace=True, setup=f"{UP}; {OPEN}")
    able = usable(found)
    # Where the machine's first process is somebody's beyond our reach (a virtual machine's agent), so it is.
    assert able.pop("processes") is (not found.processes_hidden)
    assert able == dict.fromkeys(set(map(str, Feature)) - {"processes"}, True)
    assert set(found.held) == {"CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE"}
    assert (found.user, found.hidepid) == (0, None)
    assert found.processes_hidden <= int(not reads_first_process())
    assert found.processes > 1
    assert found.low_port_start == 1024
    assert found.kernel == f"Linux {os.uname().release}"


@pytest.mark.lab
def test_an_ordinary_user_may_less() -> None:
    need_root()
    need_namespace()
    found = run(LOOK, namespace=True, setup=f"{UP}; {CLOSED}", uid=NOBODY)
    without = {"raw-sockets", "packet-sockets", "icmp-sockets", "low-ports", "net-admin", "processes"}
    able = {name: usable for name, usable in usable(found).items() if name != "namespaces"}
    assert {name for name, usable in able.items() if usable is False} == without
    assert all(able[name] for name in able.keys() - without)
    assert {f: found.ability(f).errno for f in (Feature.RAW_SOCKETS, Feature.PACKET_SOCKETS, Feature.ICMP_SOCKETS)} == {
        Feature.RAW_SOCKETS: "EPERM",
        Feature.PACKET_SOCKETS: "EPERM",
        Feature.ICMP_SOCKETS: "EACCES",
    }
    assert found.ping_group_range == (1, 0)
    assert (found.user, found.held) == (NOBODY, ())
    assert 0 < found.processes_hidden < found.processes
    opened = run(LOOK, namespace=True, setup=f"{UP}; {OPEN}", uid=NOBODY)
    assert opened.ability(Feature.ICMP_SOCKETS).usable
    assert opened.ping_group_range == (0, 2147483647)
    low = run(LOOK, namespace=True, setup=f"{UP}; echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start", uid=NOBODY)
    assert low.ability(Feature.LOW_PORTS).usable
    assert low.low_port_start == 0


@pytest.mark.lab
def test_without_loopback_what_needs_it_is_not_known() -> None:
    need_namespace()
    found = run(LOOK, namespace=True)
    assert found.ability(Feature.IPV4_LOOPBACK).usable is False
    assert found.ability(Feature.IPV4_LOOPBACK).errno == "ENETUNREACH"
    assert found.ability(Feature.IPV6_LOOPBACK).usable is False
    assert found.ability(Feature.ERROR_QUEUE).usable is None
    assert found.ability(Feature.LEAST_TTL).usable is None


@pytest.mark.lab
def test_without_ipv4_the_other_family_is_tried() -> None:
    need_namespace()
    found = run(LOOK, namespace=True, setup=f"{UP}; ip -4 addr flush dev lo; ip -4 route flush table local")
    assert found.ability(Feature.IPV4_LOOPBACK).usable is False
    for feature in (Feature.IPV6_LOOPBACK, Feature.ERROR_QUEUE, Feature.LEAST_TTL, Feature.IGNORED_COUNT):
        assert found.ability(feature).usable, feature


@pytest.mark.lab
@pytest.mark.parametrize(
    ("rule", "unknown"),
    [
        ("icmp type destination-unreachable drop", {Feature.ERROR_QUEUE}),
        ("tcp flags rst drop", {Feature.LEAST_TTL, Feature.IGNORED_COUNT}),
    ],
)
def test_an_answer_that_never_comes_proves_nothing(rule: str, unknown: set[Feature]) -> None:
    need_namespace()
    chain = "nft add table ip t; nft add chain ip t c '{ type filter hook input priority 0; }'"
    found = run(LOOK, namespace=True, setup=f"{UP}; {chain}; nft add rule ip t c {rule}")
    tried = {Feature.ERROR_QUEUE, Feature.LEAST_TTL, Feature.IGNORED_COUNT}
    assert {f for f in tried if found.ability(f).usable is None} == unknown
    assert {f for f in tried if found.ability(f).usable} == tried - unknown


@pytest.mark.lab
def test_a_greatest_ttl_of_our_own_leaves_the_least_ttl_untried() -> None:
    need_namespace()
    found = run(LOOK, namespace=True, setup=f"{UP}; echo 255 > /proc/sys/net/ipv4/ip_default_ttl")
    assert found.ability(Feature.LEAST_TTL).usable is None


@pytest.mark.lab
def test_hidden_processes_are_noticed_although_none_is_refused() -> None:
    need_root()
    need_namespace()
    own = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--bounding-set", "-all"]
    code = (
        f"import asyncio, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from probes.base import Context, load\n"
        "p = load('capabilities')\n"
        "r = asyncio.run(p.observe(p.request(), Context(), lambda _: None))\n"
        "print(r.hidepid, r.processes_hidden, [a.usable for a in r.abilities if a.feature == 'processes'])"
    )
    mounted = 'mount -t proc -o hidepid=2 proc /proc; "$@"; exit'  # the shell stays process 1
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-ec", mounted, "sh", *own, sys.executable]
    done = subprocess.run([*command, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    # Linux 5.8 and later show the word for the number.
    assert done.stdout.strip() in {"2 0 [False]", "invisible 0 [False]"}


@pytest.mark.lab
def test_root_that_may_list_descriptors_and_read_none_is_told_apart() -> None:
    need_root()
    code = (
        f"import asyncio, json, os, subprocess, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from probes.base import Context, load\n"
        "from probes.system.linux import holders\n"
        "p = load('capabilities')\n"
        "r = asyncio.run(p.observe(p.request(), Context(), lambda _: None))\n"
        "usable = next(a.usable for a in r.abilities if a.feature == 'processes')\n"
        "looked = holders.may_look_into(Path('/proc'), int(sys.argv[1]))\n"
        "print(os.geteuid(), 'CAP_SYS_PTRACE' in r.held, len(os.listdir(f'/proc/{sys.argv[1]}/fd')), looked, usable)"
    )
    other = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)  # with every capability
    try:
        said = {}
        for bounding in ("-sys_ptrace", "+sys_ptrace"):
            command = ["setpriv", "--bounding-set", bounding, sys.executable, "-c", code, str(other.pid)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode == 0, done.stderr
            user, held, listed, looked, usable = done.stdout.split()
            assert (user, listed != "0") == ("0", True)
            said[bounding] = (held, looked, usable)
    finally:
        other.kill()
        other.wait()
    assert said["-sys_ptrace"] == ("False", "False", "False")
    assert said["+sys_ptrace"][:2] == ("True", "True")


@pytest.mark.lab
def test_no_namespace_where_none_is_left() -> None:
    need_namespace()
    none = 'for kind in net user; do echo 0 >/proc/sys/user/max_${kind}_namespaces; done; exec "$@"'
    # In a user namespace of its own, so that the machine's other users keep theirs.
    command = ["unshare", "--user", "--map-root-user", "sh", "-ec", none, "sh", sys.executable, "-I", "-S"]
    script = Path(ROOT) / "probes/system/linux/namespaces.py"
    done = subprocess.run([*command, script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ENOSPC\n", "")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-I", "-S", script],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class Sandbox(Context):
    """A process that may not open sockets of one family, as seccomp or RestrictAddressFamilies= have it."""

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        if family == socket.AF_NETLINK:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        return super().socket(family, kind, protocol)


def test_a_sandbox_without_netlink() -> None:
    found = look(Sandbox())
    for feature in (Feature.ROUTE_TABLES, Feature.SOCKET_TABLE):
        assert found.ability(feature).usable is False
        assert found.ability(feature).errno == "EPERM"
    assert found.ability(Feature.IPV4_LOOPBACK).usable


def test_files_and_processes_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/snmp").write_text("Tcp: 1\n")
    found = look(Context(root=tmp_path))
    assert "/proc/net/snmp" not in found.unreadable
    assert "/proc/meminfo" in found.unreadable
    assert found.ability(Feature.PROCESSES).usable is False
    assert (found.ping_group_range, found.low_port_start) == (None, None)


def test_packets_are_counted_and_few() -> None:
    context = Context()
    look(context)
    assert 0 < context.packets_sent <= 4


def test_tools_are_looked_for_where_sudo_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "one"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    (tmp_path / "two").write_text("not a program")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {one.name: one.path for one in look(tools=("one", "two", "three", "../one")).tools}
    assert found == {"one": str(tool), "two": None, "three": None, "../one": None}
    administration = next((p for p in Path("/usr/sbin").iterdir() if os.access(p, os.X_OK) and p.is_file()), None)
    assert administration is not None
    assert look(tools=(administration.name,)).tools[0].path is not None


def test_versions() -> None:
    found = {one.name: one.version for one in look(libraries=(*LIBRARIES, "no-such-distribution")).libraries}
    assert found["no-such-distribution"] is None
    assert found["dnspython"]
    assert found["psutil"]


def test_what_is_looked_for_is_sorted_and_named_once() -> None:
    assert list(TOOLS) == sorted(set(TOOLS))
    assert list(LIBRARIES) == sorted(set(LIBRARIES))
