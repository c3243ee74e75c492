"""What a process gives up stays given up, also for its children, and what probes look with stays."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import NOBODY, ROOT, need_namespace, need_root, run

RAW = 1 << 13
#: DAC_READ_SEARCH, NET_BIND_SERVICE, NET_ADMIN, NET_RAW, SYS_PTRACE; and SYS_ADMIN, which stays where files run out.
LOOKING = 1 << 2 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 19
SCARCE = 1 << 21

READ = """
def sets(text):
    words = dict(line.split(":\\t") for line in text.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
    return {name: int(words[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs")}
from probes.system.linux.confinement import FOR_PROBES, confine
from probes.system.rights import Capability, TO_LOOK, using
"""


def confined(keep: str, after: str = "", *, before: str = "", as_caller: bool = True, **more: Any) -> Any:
    code = f"""
import subprocess
{before}
confine({keep}, Context(), as_caller={as_caller})
own = sets(open("/proc/self/status").read())
child = sets(subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout)
more = None
"""
    return run(f"{READ}{code}{after}\nresult = own, child, more", **more)


def test_root_keeps_what_is_named_and_its_children_gain_nothing() -> None:
    need_root()
    own, child, _ = confined("{Capability.NET_RAW}")
    assert (child["CapPrm"], child["CapEff"], child["NoNewPrivs"]) == (0, 0, 1)
    assert (own["CapPrm"] & ~SCARCE, own["CapEff"] & ~SCARCE, own["CapInh"], own["CapAmb"]) == (RAW, 0, 0, 0)
    assert own["NoNewPrivs"] == 1


def test_what_is_gone_is_gone_and_what_stays_works(tmp_path: Path) -> None:
    """As the capabilities say: a raw socket opens; another user's file is neither read nor given away."""
    need_root()
    file = tmp_path / "theirs"
    file.write_text("x", encoding="ascii")
    file.chmod(0o600)
    os.chown(file, NOBODY, NOBODY)
    tried = f"""
def able(call):
    try:
        call()
    except PermissionError:
        return False
    return True
def all_of_it():
    return [
        able(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()),
        able(lambda: open({str(file)!r}).close()),
        able(lambda: os.chown({str(file)!r}, 0, 0)),
        able(lambda: os.setuid(1)),
    ]
with using(*Capability):
    raised = all_of_it()
more = raised, all_of_it(), able(lambda: Context().socket(socket.AF_INET, socket.SOCK_RAW, 1).close())
"""
    none = [False, False, False, False]
    *_, able = confined("{Capability.NET_RAW}", tried)
    assert able == ([True, False, False, False], none, True)
    *_, able = confined("FOR_PROBES", tried)
    assert able == ([True, True, False, False], none, True)


def need_open_python() -> None:
    """Skip where another user cannot reach the interpreter by itself: then nobody becomes one."""
    need_root()
    for path in map(Path, (sys.executable, *sys.path)):
        real = path.resolve()
        if real.exists() and not all(folder.stat().st_mode & 1 for folder in real.parents):
            pytest.skip("another user may not reach this Python")


IDS = """
def ids(text):
    words = dict(line.split(":\t") for line in text.splitlines() if line.startswith(("Uid", "Gid", "Groups")))
    return {word for name in words for word in words[name].split()}
more = ids(open("/proc/self/status").read()), ids(subprocess.check_output(["cat", "/proc/self/status"], text=True))
with using(Capability.NET_RAW):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()
"""


@pytest.mark.parametrize(
    ("user", "group", "becomes"),
    [("65533", "65532", {"65533", "65532"}), ("0", "0", None), ("x", "1", None), ("", "", None), ("9" * 30, "1", None)],
)
def test_who_called_sudo_is_who_looks(user: str, group: str, becomes: set[str] | None) -> None:
    """With raw packets all the same, and for good: the ids are those of the caller in every place."""
    need_open_python()
    before = f"os.environ.update(SUDO_UID={user!r}, SUDO_GID={group!r})"
    own, child, (ids, of_child) = confined("{Capability.NET_RAW}", IDS, before=before)
    assert (own["CapPrm"] & ~SCARCE, own["CapEff"] & ~SCARCE, child["CapPrm"]) == (RAW, 0, 0)
    assert ids == of_child
    assert ids == (becomes if becomes is not None else ids | {"0"})


def test_a_run_that_writes_files_stays_who_it_is() -> None:
    need_root()
    before = "os.environ.update(SUDO_UID='65533', SUDO_GID='65533')"
    *_, (ids, _) = confined("{Capability.NET_RAW}", IDS, before=before, as_caller=False)
    assert "65533" not in ids


def test_an_ordinary_user_has_no_more_to_gain() -> None:
    need_root()
    own, child, _ = confined("FOR_PROBES", uid=NOBODY)
    assert own == child == {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0, "NoNewPrivs": 1}


def test_a_root_without_capabilities_gets_none() -> None:
    need_root()
    code = f"from probes.base import Context\n{READ}\nconfine(FOR_PROBES, Context())\n"
    code += "print(open('/proc/self/status').read())"
    words = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "CapPrm:\t0000000000000000" in done.stdout
    assert "NoNewPrivs:\t1" in done.stdout


@pytest.mark.parametrize("caller", [{}, {"SUDO_UID": "65533", "SUDO_GID": "65533"}], ids=["root", "sudo"])
def test_modules_in_a_closed_folder_can_still_be_imported(tmp_path: Path, caller: dict[str, str]) -> None:
    """``sudo`` of a program in the home of a user, which root reads by a capability alone."""
    need_root()
    home = tmp_path / "home"
    shutil.copytree(ROOT / "probes", home / "probes", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    home.chmod(0o700)
    code = """
from probes.base import Context
from probes.system.linux.confinement import confine
confine((), Context())
import probes.bodies.traceroute
print(open("/proc/self/status").read())
"""
    own = {"PYTHONPATH": str(home), **caller}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=home, env=own)
    assert done.returncode == 0, done.stderr
    kept = next(line for line in done.stdout.splitlines() if line.startswith("CapPrm"))
    assert int(kept.split()[1], 16) & ~SCARCE == 1 << 2


@pytest.mark.parametrize(("numbers", "stays"), [("9500\t0\t10000", True), ("9000\t0\t10000", False), (None, True)])
def test_where_files_run_out_root_can_still_open_some(tmp_path: Path, numbers: str | None, stays: bool) -> None:
    """CAP_SYS_ADMIN is exempt from ``file-max``: a diagnosis of that very fault needs it."""
    need_root()
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/sys/fs").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_bytes(Path("/proc/self/status").read_bytes())
    if numbers:
        (tmp_path / "proc/sys/fs/file-nr").write_text(f"{numbers}\n", encoding="ascii")
    code = f"{READ}\nfrom pathlib import Path\nconfine((), Context(root=Path({str(tmp_path)!r})))\n"
    own = run(f"{code}\nresult = sets(open('/proc/self/status').read())")
    assert bool(own["CapEff"] & SCARCE) == stays


# -- the program -------------------------------------------------------------------------------------------------------


def status_of(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    words = dict(line.split(":\t", 1) for line in lines)
    return {name: int(words[name], 16) for name in ("CapPrm", "CapEff", "NoNewPrivs")} | {
        "user": int(words["Uid"].split()[1])
    }


@pytest.mark.lab
@pytest.mark.parametrize("caller", [0, NOBODY])
@pytest.mark.parametrize(("words", "left"), [(["10060", "192.0.2.1:9", "--timeout", "4"], LOOKING)])
def test_a_diagnosis_runs_without_the_rest(words: list[str], left: int, caller: int) -> None:
    """Looked at from outside while it waits for an answer, in every thread."""
    if caller:
        need_open_python()
    need_root()
    need_namespace()
    setup = "ip link set lo up; ip link add v type veth peer name w; ip link set v up; ip link set w up; "
    setup += 'ip addr add 192.0.2.9/24 dev v; exec "$@"'
    program = ["unshare", "--net", "sh", "-c", setup, "sh", sys.executable, "-m", "troubleshoot", *words]
    called = {**os.environ, "SUDO_UID": str(caller), "SUDO_GID": str(caller)}
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=called) as running:
        seen = []
        while running.poll() is None:
            for task in list(Path(f"/proc/{running.pid}/task").iterdir()):
                try:
                    seen.append(status_of(int(task.name)))
                except (OSError, KeyError):
                    continue
            time.sleep(0.02)
        assert running.returncode == 1, running.stdout and running.stdout.read()
    # no_new_privs is set first, by the only thread there is then: what is seen between the two calls is not the end
    confined_ones = [one for one in seen if one["NoNewPrivs"]]
    confined_ones = list(itertools.dropwhile(lambda one: one["CapPrm"] & ~SCARCE != left, confined_ones))
    assert len(confined_ones) > 10
    assert {one["CapPrm"] & ~SCARCE for one in confined_ones} == {left}
    assert {one["user"] for one in confined_ones} == {caller}
    # Raised for the calls that open a socket alone, which a look from outside hardly ever meets.
    assert sum(not one["CapEff"] & ~SCARCE for one in confined_ones) > 0.8 * len(confined_ones)


@pytest.fixture
def listener() -> Iterator[int]:
    """Hold a port as another user's process does."""
    need_root()
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); s.accept()"
    )
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "python3", "-c", code]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd="/", env={"PATH": "/usr/bin:/bin"}) as program:
        assert program.stdout
        yield int(program.stdout.readline())
        program.kill()


def test_root_still_sees_whose_a_port_is(listener: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", "10048", f"127.0.0.1:{listener}", "--json"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    report = json.loads(done.stdout)
    (sockets,) = [one for one in report["probes"] if one["probe"] == "sockets"]
    # a connection of somebody else's may rest in TIME_WAIT on the same port: it has no owner
    (entry,) = [one for one in sockets["result"]["entries"] if one["state"] == "listen"]
    assert (entry["owners"][0]["user"], entry["owner_hidden"]) == ("nobody", False)


def test_a_report_is_read_without_any_privilege(tmp_path: Path) -> None:
    """A report is given by a pipe that stays open: the program is looked at while it waits, then when it has read."""
    need_root()
    saved = next((ROOT / "tests/data/reports").glob("*.json"))
    code = (
        "import sys; from troubleshoot.cli.entry import main; import atexit; "
        "atexit.register(lambda: sys.stderr.write(open('/proc/self/status').read())); sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "replay", str(saved), "-q"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    words = dict(line.split(":\t", 1) for line in done.stderr.splitlines() if ":\t" in line)
    assert done.returncode in (0, 1, 3)
    assert int(words["CapPrm"], 16) & ~SCARCE in (0, 1 << 2)
    assert words["NoNewPrivs"] == "1"


# -- the example of a unit ---------------------------------------------------------------------------------------------

UNIT = ROOT / "docs/wsadiag.service"


def test_the_unit_is_one() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_units_capabilities_are_enough(listener: int) -> None:
    """An ordinary user with these and nothing else sends raw packets and sees whose a port is."""
    lines = UNIT.read_text(encoding="ascii").splitlines()
    (held,) = [line.partition("=")[2].split() for line in lines if line.startswith("AmbientCapabilities=")]
    (bounds,) = [line.partition("=")[2].split() for line in lines if line.startswith("CapabilityBoundingSet=")]
    assert held == bounds
    names = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in held)
    drop = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "--no-new-privs", f"--inh-caps={names}"]
    words = [f"--ambient-caps={names}", f"--bounding-set=-all,{names}"]
    program = [sys.executable, "-B", "-m", "troubleshoot", "10048", f"127.0.0.1:{listener}", "--json"]
    done = subprocess.run(
        [*drop, *words, *program], cwd=ROOT, capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    report = json.loads(done.stdout)
    (sockets,) = [one for one in report["probes"] if one["probe"] == "sockets"]
    assert report["vantage"]["privileged"]
    assert sockets["result"]["entries"][0]["owners"][0]["user"] == "nobody"
