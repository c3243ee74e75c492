"""Places with a name: network namespaces, containers, pods, other users. Each is made for real.

The truth is what a program there would meet. Containers need podman and runc (or crun), which not every machine lets
run; the test of them then says why it is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_local_faults import cause, situation

#: A network namespace with a name of its own, where a service listens on loopback.
_NAMED = """
name = f"wplace{os.getpid()}"
subprocess.run(["ip", "netns", "add", name], check=True)
try:
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    inside = subprocess.Popen(
        ["ip", "netns", "exec", name, sys.executable, "-c",
         "import socket; s = socket.create_server(('127.0.0.1', 7777)); print(flush=True)\\n"
         "while True: s.accept()[0].sendall(b'220 hello\\\\r\\\\n')"],
        stdout=subprocess.PIPE,
    )
    inside.stdout.readline()
    {code}
finally:
    inside.kill()
    subprocess.run(["ip", "netns", "delete", name], check=True)
"""


def named(code: str) -> Any:
    return situation(_NAMED.replace("{code}", code))


def test_a_named_network_namespace_is_looked_from() -> None:
    there, by_pid, here = named(
        'result = [wsadiag(10061, "127.0.0.1:7777", *place) for place in '
        '(("--netns", name), ("--netns", str(inside.pid)), ())]'
    )
    assert there["verdict"]["outcome"] == by_pid["verdict"]["outcome"] == "healthy"
    assert there["vantage"]["place"].startswith("netns wplace")
    assert by_pid["vantage"]["place"].startswith("netns ")
    assert cause(here) == "no-listener"
    assert here["vantage"]["place"] is None


def test_a_user_in_a_namespace_is_both() -> None:
    report = named('result = wsadiag(10061, "127.0.0.1:7777", "--netns", name, "--as", "nobody")')
    assert report["verdict"]["outcome"] == "healthy"
    assert report["vantage"]["place"].endswith(", user nobody")


def test_a_user_in_the_namespace_of_a_process_with_other_files_has_these() -> None:
    # `ip netns exec` gives each process a mount namespace of its own; /etc is another one there.
    setup = (
        "mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work && "
        "mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work none /etc && "
        'echo "127.0.0.1 only-inside" > /etc/hosts && echo && exec sleep 300'
    )
    there, without = named(
        f"""other = subprocess.Popen(["ip", "netns", "exec", name, "sh", "-c", {setup!r}], stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        result = [wsadiag(11001, "only-inside:7777", "--netns", other.pid, *user) for user in (("--as", "nobody"), ())]
    finally:
        other.kill()"""
    )
    for report in (there, without):
        assert report["verdict"]["outcome"] == "healthy"
        assert report["target"]["addresses"] == ["127.0.0.1"]
    assert there["vantage"]["place"].endswith(", user nobody")


def test_names_are_those_of_the_files_beside_a_named_namespace() -> None:
    # As `ip netns exec` does it; /etc is one of our own for it.
    setup = (
        "mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work && "
        "mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work none /etc && "
        'mkdir -p "/etc/netns/$0" && echo "127.0.0.1 only-inside" > "/etc/netns/$0/hosts" && exec "$@"'
    )
    there, here = named(
        f"""wrap = ["unshare", "--mount", "sh", "-c", {setup!r}, name]
    result = [wsadiag(11001, "only-inside:7777", *place, wrap=wrap) for place in (("--netns", name), ())]"""
    )
    assert there["verdict"]["outcome"] == "healthy"
    assert there["target"]["addresses"] == ["127.0.0.1"]
    assert here["verdict"]["outcome"] != "healthy"


def test_what_another_user_may_not_do_is_met_as_that_user() -> None:
    as_nobody, as_root = situation(
        """
serve("127.0.0.1", 7777)
for words in ("add table inet t", "add chain inet t o { type filter hook output priority 0; }",
              "add rule inet t o meta skuid 65534 tcp dport 7777 reject"):
    subprocess.run(["nft", words], check=True)
result = [wsadiag(10061, "127.0.0.1:7777", *words) for words in (("--as", "nobody"), ())]
"""
    )
    assert as_nobody["verdict"]["outcome"] == "fault"
    assert as_nobody["vantage"]["place"] == "user nobody"
    assert as_root["verdict"]["outcome"] == "healthy"


def command(*words: str, nobody: bool = False, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if nobody else []
    return subprocess.run(
        [*before, sys.executable, "-B", "-m", "troubleshoot", *words, "10061", "127.0.0.1:7"],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--netns", "no-such"), "there is no network namespace of that name"),
        (("--as", "no-such"), "there is no such user"),
        (("--pod", "no-such"), "no process here belongs to a pod"),
        (("--pod", "x", "--netns", "y"), "give one of them"),
        (("--pid", "1", "--netns", "y"), "give one of them"),
    ],
)
def test_a_place_that_is_not_there_is_told_in_one_line(words: tuple[str, ...], told: str) -> None:
    done = command(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_no_network_namespace_is_told_at_once(tmp_path: Path) -> None:
    pipe, plain = tmp_path / "pipe", tmp_path / "plain"
    os.mkfifo(pipe)
    plain.touch()
    for file in (pipe, plain, tmp_path, "/proc/self/ns/mnt"):
        done = command("--netns", str(file))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"wsadiag: --netns {file}: {file} is no network namespace\n"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root to make a network namespace")
def test_a_name_that_leads_to_a_plain_file_is_told() -> None:
    # As `ip netns` leaves it where it was stopped in the middle; /run is one of our own for it.
    inner = (
        "mount -t tmpfs none /run && mkdir /run/netns && touch /run/netns/left && "
        f'exec {sys.executable} -m troubleshoot "$@"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inner, "sh", "--netns", "left", "10061", "127.0.0.1:7"],
        capture_output=True, check=False, timeout=120, encoding="utf-8",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2, "wsadiag: --netns left: /run/netns/left is no network namespace\n",
    )  # fmt: skip


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="is about root without capabilities")
def test_root_without_the_right_is_not_told_to_become_root() -> None:
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    done = subprocess.run(
        [*bare, sys.executable, "-m", "troubleshoot", "--as", "daemon", "10061", "127.0.0.1:7"],
        capture_output=True, check=False, timeout=120, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "not even root" in done.stderr
    assert "sudo" not in done.stderr


def test_a_child_that_does_not_stand_in_time_is_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    script = """
import os, sys, time
from probes.system.linux.shoes import Shoes
from troubleshoot.options import Options
from troubleshoot.run import stand_in
stand_in._STEPPING_S = 1.0
assert stand_in._start(Shoes(network=sys.argv[1]), "x", Options()) is None  # to open a pipe takes a writer
until = time.monotonic() + 30
while time.monotonic() < until:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        break
    time.sleep(0.05)
else:
    sys.exit("a child is left")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "pipe")],
        capture_output=True,
        check=False,
        timeout=120,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_container_of_another_machine_is_not_looked_for_here(tmp_path: Path) -> None:
    # What an engine tells where DOCKER_HOST or a context leads to another machine: the number of a process there.
    told = [{"Id": "5e" * 32, "State": {"Running": True, "Status": "running", "Pid": os.getpid()}}]
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho '{json.dumps(told)}'\n")
    (tmp_path / "docker").chmod(0o755)
    done = command("--docker", "web", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "that container does not run on this machine" in done.stderr


def test_an_engine_that_is_not_there_is_told(tmp_path: Path) -> None:
    for engine in ("docker", "podman"):
        done = command(f"--{engine}", "web", env={"PATH": str(tmp_path)})
        assert (done.returncode, done.stderr) == (2, f"wsadiag: --{engine} web: {engine} is not installed here\n")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root to be somebody else")
def test_without_the_right_the_command_that_works_is_told() -> None:
    for place in (("--netns", str(os.getpid())), ("--as", "daemon")):
        done = command(*place, nobody=True)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert f"sudo {sys.executable} -m troubleshoot {' '.join(place)} 10061 127.0.0.1:7" in done.stderr


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Run podman on storage of its own, from a root directory with busybox in it."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a container's storage of its own")
    busybox, engine, runtime = (shutil.which(word) for word in ("busybox", "podman", "runc"))
    if busybox is None or engine is None or runtime is None:
        pytest.skip("needs podman, runc and busybox (busybox-static)")
    root = tmp_path / "root"
    for folder in ("bin", "etc", "proc", "sys", "dev", "run", "tmp"):
        (root / folder).mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    wrapper = tmp_path / "path" / "podman"
    wrapper.parent.mkdir()
    run = Path(tempfile.mkdtemp(prefix="wsadiag-"))  # podman wants a short path
    store = f"--root {tmp_path}/store --runroot {run}/r --tmpdir {run}/t"
    wrapper.write_text(
        f'#!/bin/sh\nexec {engine} {store} --cgroup-manager=cgroupfs --storage-driver=vfs --runtime=runc "$@"\n'
    )
    wrapper.chmod(0o755)
    (wrapper.parent / "docker").symlink_to("podman")  # the packages podman-docker and docker-ce speak alike here

    def call(*words: str) -> str:
        done = subprocess.run([wrapper, *words], capture_output=True, encoding="utf-8", timeout=90, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[-1:])
        return done.stdout

    def start(name: str, *words: str) -> str:
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=512:512")
        inside = ("--network", "none", "--rootfs", str(root), "/bin/busybox", *words)
        try:
            return call("run", "-d", "--name", name, *limits, *inside)
        except RuntimeError as error:
            pytest.skip(f"podman starts no container here: {error}")

    start.path = f"{wrapper.parent}:{os.environ['PATH']}"  # type: ignore[attr-defined]
    start.call = call  # type: ignore[attr-defined]
    yield start
    for name in ("web",):
        subprocess.run([wrapper, "rm", "-f", "-t", "0", name], capture_output=True, timeout=90, check=False)
    shutil.rmtree(run, ignore_errors=True)


def test_a_container_is_looked_from_by_its_name(podman: Any) -> None:
    podman("web", "httpd", "-f", "-p", "127.0.0.1:7")
    env = {"PATH": podman.path}
    for engine in ("podman", "docker"):
        report = json.loads(command("--json", f"--{engine}", "web", env=env).stdout)
        assert report["verdict"]["outcome"] == "healthy"
        assert report["vantage"]["place"] == f"{engine} web"
    assert cause(json.loads(command("--json", env=env).stdout)) == "no-listener"
    podman.call("stop", "-t", "0", "web")
    done = command("--podman", "web", env=env)
    assert done.returncode == 2
    assert "`podman start web` starts it" in done.stderr
    assert "tells of no such container" in command("--podman", "other", env=env).stderr
