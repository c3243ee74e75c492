"""What containers have of their own, made with namespaces: no engine is needed to stand in one, or beside one."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from tests.engine.test_local_faults import Document, cause
from tests.probes import children

pytestmark = pytest.mark.lab
WHO = (False, True)

_PRELUDE = f"""
import contextlib, json, os, shutil, subprocess, tempfile, threading
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
# As podman has them: namespaces of its own, and a file that says so.
INSIDE = ["unshare", "--mount", "--uts", "--pid", "--cgroup", "--fork", "--mount-proc", "sh", "-c",
          'mount -t tmpfs tmpfs /run && : > /run/.containerenv && exec "$@"', "sh"]

def wsadiag(*words, wrap=(), nobody=False):
    command = [*wrap, *(AS_NOBODY if nobody else ()), sys.executable, "-B", "-m", "troubleshoot", "--json"]
    own = {{n: t for n, t in os.environ.items() if n != "KUBERNETES_SERVICE_HOST"}}
    done = subprocess.run([*command, *words], cwd={str(children.ROOT)!r}, capture_output=True, text=True, env=own)
    assert not done.stderr, done.stderr
    report = json.loads(done.stdout)
    # The pipe to the test holds 64 KiB: what no test reads is left out.
    return {{"probes": [{{"status": p["status"]}} for p in report["probes"]], "verdict": report["verdict"]}}
"""


def situation(code: str, setup: str = "ip link set lo up") -> Any:
    """Run ``code`` as root in a network namespace of its own; it leaves its finding in ``result``."""
    children.need_namespace()
    children.need_root()
    return children.run(_PRELUDE + textwrap.dedent(code), namespace=True, setup=setup)


def advice(report: Document) -> str:
    return " ".join(report["verdict"]["actions"])


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_localhost_in_a_container_is_its_own(address: str) -> None:
    for report in situation(
        f"result = [wsadiag('10061', '{address}:9', wrap=INSIDE, nobody=nobody) for nobody in {WHO}]"
    ):
        assert cause(report) == "no-listener"
        assert "runs in a container" in advice(report)


def test_localhost_of_a_program_in_a_container() -> None:
    inside = situation(
        """
        child = subprocess.Popen([*INSIDE, "sh", "-c", "echo stands; exec cat"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "stands\\n"
        with open(f"/proc/{child.pid}/task/{child.pid}/children") as listed:
            program = listed.read().split()[0]
        result = wsadiag("10061", "127.0.0.1:9", "--pid", program)
        child.stdin.close()
        child.wait()
        """
    )
    assert cause(inside) == "no-listener"
    assert "runs in a container" in advice(inside)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_published_port_with_nobody_behind(address: str) -> None:
    """An engine's program holds the port, cannot reach the container, and hangs up."""
    as_root, as_nobody = situation(
        f"""
        family = socket.AF_INET6 if ":" in "{address}" else socket.AF_INET
        held = socket.create_server(("{address}", 8080), family=family)
        folder = tempfile.mkdtemp()
        engine = os.path.join(folder, "docker-proxy")
        shutil.copy2(os.path.realpath(sys.executable), engine)
        code = "import socket,sys; held = socket.socket(fileno=int(sys.argv[1])); print('stands', flush=True)\\n"
        code += "while True: held.accept()[0].close()"
        child = subprocess.Popen([engine, "-SEc", code, str(held.fileno())], pass_fds=[held.fileno()],
                                 stdout=subprocess.PIPE, text=True, env={{"PYTHONHOME": sys.base_prefix}})
        held.close()
        assert child.stdout.readline() == "stands\\n"
        target = "[::1]:8080" if ":" in "{address}" else "127.0.0.1:8080"
        result = wsadiag("10054", target), wsadiag("10054", target, nobody=True)
        child.kill()
        child.wait()
        shutil.rmtree(folder)
        """,
        setup="ip link set lo up; ip link add docker0 type veth peer d1; ip link set docker0 up",
    )
    # a close before all is read becomes a reset
    assert {cause(as_root), cause(as_nobody)} <= {"service-closes", "service-resets"}
    assert "docker-proxy" in advice(as_root)
    assert "container engine" in advice(as_nobody)  # whose program it is, another user does not see


def test_a_service_address_without_endpoints() -> None:
    """The node refuses in the name of such an address, as kube-proxy has it do (REJECT in OUTPUT)."""
    for report in situation(
        f"result = [wsadiag('10061', '10.96.44.7:80', nobody=nobody) for nobody in {WHO}]",
        setup="ip link set lo up; ip link add e0 type veth peer e1; ip link set e1 up;"
        "ip addr add 10.0.2.15/24 dev e0; ip link set e0 up;"
        "ip route add default via 10.0.2.2; ip neigh add 10.0.2.2 lladdr 02:00:00:00:00:02 dev e0;"
        "nft 'add table ip k; add chain ip k o { type filter hook output priority 0; };"
        "add rule ip k o ip daddr 10.96.44.7 tcp dport 80 reject with icmp port-unreachable'",
    ):
        assert cause(report) is not None
        assert "service of Kubernetes" in advice(report)
