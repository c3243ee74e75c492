"""Codes and targets as people bring them: addresses to bind, holders that are no listeners, states of a connection.

Each fault is made in a network namespace of its own, as root and as an ordinary user.
"""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from tests.engine.test_local_faults import LOOPBACK, cause, facts, situation

VETH = f"{LOOPBACK}; ip link add e0 type veth peer name e1; ip link set e0 up; ip link set e1 up"
ONLY_IPV4 = f"sysctl -qw net.ipv6.conf.all.disable_ipv6=1; {LOOPBACK}"


# -- 10048: a holder that is no listener ------------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.parametrize("nobody", [False, True])
def test_the_local_end_of_a_connection_holds_its_port(nobody: bool) -> None:
    report = situation(
        f"""
        server = listen("127.0.0.1", 700)
        client = socket.socket()
        client.connect(("127.0.0.1", 700))
        port = client.getsockname()[1]
        result = wsadiag(10048, f":{{port}}", nobody={nobody})
        """
    )
    assert cause(report) == "port-in-use"
    assert "nothing listens there" in report["verdict"]["summary"]
    assert "127.0.0.1:700" in report["verdict"]["summary"]
    actions = " ".join(report["verdict"]["actions"])
    assert "ss -tuanp" in actions, "a list of listeners would show nothing"
    assert "ip_local_reserved_ports" in actions


@pytest.mark.lab
def test_a_connection_to_itself_holds_its_port() -> None:
    report = situation(
        """
        own = socket.socket()
        own.bind(("127.0.0.1", 41234))
        own.connect(("127.0.0.1", 41234))
        result = wsadiag(10048, "127.0.0.1:41234")
        """
    )
    assert cause(report) == "port-in-use"
    assert "to itself" in report["verdict"]["summary"]


@pytest.mark.lab
def test_a_holder_at_one_address_keeps_all_from_being_bound() -> None:
    report = situation(
        """
        held = listen("127.0.0.53", 5300)
        result = wsadiag(10048, "0.0.0.0:5300")
        """
    )
    assert cause(report) == "port-in-use"
    assert "127.0.0.53:5300" in report["verdict"]["summary"]


# -- addresses to bind ------------------------------------------------------------------------------------------------


@pytest.mark.lab
def test_what_only_windows_reports_is_not_healthy_on_another_system() -> None:
    report = situation('result = wsadiag(10091, "127.0.0.1:9")')
    assert report["verdict"]["outcome"] == "inconclusive"
    assert "Windows" in report["verdict"]["elsewhere"]
    assert {step["id"]: step["status"] for step in report["steps"]}["callers-machine"] == "unavailable"
    assert "netsh winsock show catalog" in " ".join(report["verdict"]["actions"])


@pytest.mark.lab
@pytest.mark.parametrize("target", [":80", "0.0.0.0:80", "[::]:80"])
@pytest.mark.parametrize("code", [10043, 10044, 10046, 10047, 10050, 10055])
def test_an_address_to_bind_is_bound_and_not_connected_to(code: int, target: str) -> None:
    report = situation(f'result = wsadiag({code}, "{target}")')
    assert cause(report) is None
    assert report["verdict"]["outcome"] == "healthy"
    assert "can be bound" in report["verdict"]["summary"]
    assert "connect" not in {p["probe"] for p in report["probes"]}


@pytest.mark.lab
def test_all_addresses_are_bound_whether_there_are_any_or_not() -> None:
    there, here = situation('result = wsadiag(10047, "[::]:80"), wsadiag(10047, "[::1]:80")', setup=ONLY_IPV4)
    assert cause(there) is None
    assert cause(here) == "address-family-unavailable"


@pytest.mark.lab
@pytest.mark.parametrize("nobody", [False, True])
def test_an_address_that_another_machine_has_cannot_be_bound(nobody: bool) -> None:
    report = situation(
        f"""
        other = subprocess.Popen(["unshare", "--net", "sleep", "60"])
        while os.readlink(f"/proc/{{other.pid}}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.05)
        subprocess.run(f"ip link set e1 netns {{other.pid}}", shell=True, check=True)
        there = f"nsenter --net --target {{other.pid}} "
        subprocess.run(f"{{there}} ip link set e1 up; {{there}} ip addr add fd00:77::9/64 dev e1 nodad", shell=True)
        time.sleep(1)
        subprocess.run("ip addr add fd00:77::9/64 dev e0", shell=True)
        for _ in range(100):
            shown = subprocess.run("ip -6 addr show dev e0 dadfailed", shell=True, capture_output=True, text=True)
            if "fd00:77::9" in shown.stdout:
                break
            time.sleep(0.1)
        assert "fd00:77::9" in shown.stdout, shown.stdout
        result = wsadiag(10049, "[fd00:77::9]:8080", nobody={nobody})
        other.kill()
        """,
        setup=VETH,
    )
    assert cause(report) == "address-not-local"
    assert report["verdict"]["confidence"] == "certain"
    assert "another machine on e0" in report["verdict"]["summary"]
    assert "(dadfailed)" in facts(report)


#: A listener whose program takes whoever comes: one that leaves them waiting is a fault of its own.
TAKING = """
import threading

def taking(opened):
    kept = []
    def take():
        with contextlib.suppress(OSError):
            while True:
                kept.append(opened.accept()[0])
    threading.Thread(target=take, daemon=True).start()
    return opened
"""


def taking_situation(code: str) -> Any:
    return situation(TAKING + textwrap.dedent(code))


@pytest.mark.lab
def test_a_port_alone_is_one_of_this_machine() -> None:
    nothing, one, elsewhere = taking_situation(
        """
        nothing = wsadiag(10061, ":8080")
        held = taking(listen("127.0.0.1", 8080))
        one = wsadiag(10061, ":8080")
        held.shutdown(socket.SHUT_RDWR)
        held.close()
        other = listen("127.0.0.9", 8080)
        result = nothing, one, wsadiag(10061, ":8080")
        """
    )
    assert cause(nothing) == "no-listener"
    assert nothing["reproduction"]["outcome"] == "same"
    assert cause(one) is None
    assert one["verdict"]["outcome"] == "healthy"
    assert cause(elsewhere) == "listener-on-other-address"
    assert "127.0.0.9:8080" in elsewhere["verdict"]["summary"]


# -- states and connections that are over -----------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.parametrize("code", ["10035", "10036", "10004", "EINPROGRESS", "EAGAIN", "10056", "10057", "10058"])
def test_what_the_connection_fails_with_is_the_cause(code: str) -> None:
    report = situation(f'result = wsadiag("{code}", "127.0.0.1:8080")')
    assert cause(report) == "no-listener"
    named = {alternative["cause"] for alternative in report["verdict"]["alternatives"]}
    assert ("api-misuse" in named) == (code in ("10056", "10057", "10058"))


@pytest.mark.lab
@pytest.mark.parametrize("code", ["10035", "10036", "10004"])
def test_a_state_is_no_fault_of_anybody(code: str) -> None:
    here, untried = taking_situation(
        f"""
        held = taking(listen("127.0.0.1", 48080))
        result = wsadiag("{code}", "127.0.0.1:48080"), wsadiag("{code}", ":48080")
        """
    )
    assert (here["verdict"]["outcome"], here["status"]) == ("healthy", 0)
    assert (untried["verdict"]["outcome"], untried["status"]) == ("inconclusive", 3)
    for report in (here, untried):
        assert "is no fault" in report["verdict"]["summary"]
        assert not any("maker" in action for action in report["verdict"]["actions"])


@pytest.mark.lab
def test_the_base_of_the_numbering_accuses_nobody() -> None:
    report = situation('result = wsadiag(10000, "127.0.0.1:8080")')
    assert (report["verdict"]["outcome"], report["status"]) == ("inconclusive", 3)


@pytest.mark.lab
def test_a_broken_pipe_is_a_connection_that_the_peer_closed() -> None:
    report = situation('result = wsadiag("EPIPE", "127.0.0.1:8080")')
    assert report["error"]["number"] == 10053
    assert cause(report) == "no-listener"


# -- the program elsewhere --------------------------------------------------------------------------------------------


@pytest.mark.lab
def test_the_network_of_the_program_is_looked_at_and_said_where_it_cannot_be() -> None:
    ours, theirs = taking_situation(
        """
        held = taking(listen("127.0.0.1", 40123))
        other = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; exec sleep 60"])
        time.sleep(1)
        words = 10061, "127.0.0.1:40123", "--pid", other.pid
        result = wsadiag(*words, nobody=True), wsadiag(*words)
        other.kill()
        """
    )
    assert (cause(ours), ours["verdict"]["confidence"]) == ("no-listener", "likely")
    assert any("network namespace" in said for said in ours["verdict"]["not_checked"])
    assert (cause(theirs), theirs["verdict"]["confidence"]) == ("no-listener", "certain")
