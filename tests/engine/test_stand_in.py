"""A program that stands elsewhere (``--pid``): another network, other files, another user, a filter of system calls.

Each place is made for real; the truth is what the program itself would meet there.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from tests.engine.test_local_faults import cause, facts, situation

#: A process of somebody in namespaces of its own, known to stand there once it has said so.
_ELSEWHERE = """
def process(*command):
    started = subprocess.Popen([*command, "sh", "-c", "echo; exec sleep 100"], stdout=subprocess.PIPE)
    started.stdout.readline()
    return started

def seen_by(*command, code, target, nobody=False):
    with process(*command) as program:
        report = wsadiag(code, target, "--pid", program.pid, nobody=nobody)
        program.kill()
    return report
"""


def place(code: str) -> Any:
    return situation(_ELSEWHERE + code)


@pytest.mark.parametrize("nobody", [False, True], ids=["root", "nobody"])
def test_loopback_is_that_of_the_programs_network(nobody: bool) -> None:
    report = place(
        f"""
listener = listen("127.0.0.1", 5432)
command = ["unshare", "--net", *(AS_NOBODY if {nobody} else ()), "env"]
command[2:2] = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
result = seen_by(*command, code=10061, target="127.0.0.1:5432", nobody={nobody})
"""
    )
    assert cause(report) == "no-listener"
    assert "network namespace of process" in report["verdict"]["summary"]
    assert (report["verdict"]["confidence"] == "certain") is False or not nobody


def test_what_is_not_known_to_be_there_is_never_healthy() -> None:
    report = place(
        """
subprocess.run(["ip", "address", "add", "10.55.0.1/32", "dev", "lo"], check=True)
serve("10.55.0.1", 8080)
result = seen_by("unshare", "--net", code=10061, target="10.55.0.1:8080", nobody=True)
"""
    )
    assert report["verdict"]["outcome"] == "inconclusive"
    assert report["reproduction"]["outcome"] == "not-attempted"
    assert "another network namespace" in report["verdict"]["summary"]
    assert any("network namespace" in line for line in report["verdict"]["not_checked"])


def test_names_are_those_of_the_programs_own_files() -> None:
    report = place(
        """
import tempfile
hosts = tempfile.NamedTemporaryFile("w", suffix=".hosts")
hosts.write("127.0.0.9 only-inside\\n")
hosts.flush()
serve("127.0.0.9", 8080)
inside = f'mount --bind {hosts.name} /etc/hosts && exec "$@"'
command = ["unshare", "--mount", "sh", "-c", inside, "sh"]
result = [seen_by(*command, code=10061, target="only-inside:8080"), wsadiag(11001, "only-inside:8080")]
"""
    )
    inside, here = report
    assert inside["verdict"]["outcome"] == "healthy"
    assert inside["target"]["addresses"] == ["127.0.0.9"]
    assert here["verdict"]["outcome"] != "healthy"


@pytest.mark.skipif(not shutil.which("nft"), reason="nft is not installed")
def test_a_rule_for_the_programs_user_is_met() -> None:
    report = place(
        """
rules = "table inet t { chain o { type filter hook output priority 0; meta skuid 65534 tcp dport 8080 drop; }; }"
subprocess.run(["nft", rules], check=True)
serve("127.0.0.1", 8080)
result = seen_by(*AS_NOBODY, code=10060, target="127.0.0.1:8080"), wsadiag(10060, "127.0.0.1:8080")
"""
    )
    theirs, ours = report
    assert cause(theirs) == "policy-denies"
    assert ours["verdict"]["outcome"] == "healthy"


def test_a_low_port_is_bound_with_the_programs_rights() -> None:
    report = place('result = seen_by(*AS_NOBODY, code=10013, target=":80")')
    assert (cause(report), report["verdict"]["confidence"]) == ("port-not-permitted", "certain")
    assert report["reproduction"]["outcome"] == "same"


@pytest.mark.parametrize("apart", [(), ("--uts",)], ids=["beside us", "host name of its own"])
def test_a_program_beside_us_is_as_sure_as_we_are(apart: tuple[str, ...]) -> None:
    command = ("unshare", *apart) if apart else ("env",)
    report = place(
        f"""
serve("127.0.0.1", 21)
result = seen_by(*{command!r}, code=10061, target="127.0.0.1:21")
"""
    )
    verdict = report["verdict"]
    assert (verdict["outcome"], verdict["confidence"]) == ("healthy", "certain")
    assert not [line for line in verdict["not_checked"] if "process" in line]


def test_a_filter_of_system_calls_bars_certainty() -> None:
    report = place(
        """
filtered = '''
import ctypes, struct, time
allow = struct.pack("HBBI", 6, 0, 0, 0x7FFF0000)
text = ctypes.create_string_buffer(allow)
program = struct.pack("HxxxxxxP", 1, ctypes.addressof(text))
library = ctypes.CDLL(None)
word = ctypes.c_ulong
library.prctl(38, word(1), word(0), word(0), word(0))
assert library.prctl(22, word(2), ctypes.c_char_p(program), word(0), word(0)) == 0
print(flush=True)
time.sleep(100)
'''
serve("127.0.0.1", 21)
program = subprocess.Popen([sys.executable, "-c", filtered], stdout=subprocess.PIPE)
program.stdout.readline()
result = wsadiag(10061, "127.0.0.1:21", "--pid", program.pid)
program.kill()
"""
    )
    verdict = report["verdict"]
    assert (verdict["outcome"], verdict["confidence"]) == ("healthy", "likely")
    assert any("seccomp" in line for line in verdict["not_checked"])


def test_a_user_namespace_is_entered_by_its_owner() -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run(
        [*nobody, "unshare", "--user", "--map-root-user", "true"], check=False, capture_output=True
    ).returncode:
        pytest.skip("user namespaces cannot be made here, as in a chroot (unshare(2))")
    report = place(
        """
listener = listen("127.0.0.1", 5432)
own = ["unshare", "--user", "--map-root-user", "--net"]
command = [*AS_NOBODY, *own, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
result = seen_by(*command, code=10061, target="127.0.0.1:5432")
"""
    )
    assert (cause(report), report["verdict"]["confidence"]) == ("no-listener", "certain")
    assert "process" in facts(report)
