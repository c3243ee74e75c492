"""Real services of Debian's packages on a machine of the lab, each well or broken in one of its typical ways.

A recipe (the modules ``*_recipes.py``) writes a configuration into a folder of its own and
says how the program is started. It runs in the machine's network namespace, with a process and a mount namespace of its
own (its /run and /var/log are empty folders in memory): nothing of it is left on this machine, and the packages' own
services are never started. What a recipe needs and this machine lacks is said by :func:`missing`.
"""

from __future__ import annotations

import re
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.faults import fault, listeners, require
from tests.lab.topology import Lab, LabError

#: How long a program may take until it listens, seconds: a data base makes its files first, on a busy machine.
STARTS_WITHIN_S = 40.0
#: What refuses by TCP wrappers hangs up after five seconds (clean_exit() of libwrap).
HANGS_UP_WITHIN_S = 7.0
#: The same until it shows the state that was asked for.
SHOWS_WITHIN_S = 15.0


@dataclass(frozen=True)
class Kit:
    """What a recipe works with. ``folder`` is world-readable, and a path that the program sees as well."""

    lab: Lab
    node: str
    folder: Path
    port: int
    state: str

    @property
    def addresses(self) -> tuple[str, str]:
        """The machine's IPv4 and its IPv6 address."""
        near = self.lab.plan[self.node].near
        return near.address(4), near.address(6)

    def known(self) -> dict[str, Path]:
        """Return the files by which the program knows the client and the server's neighbour, and asks nobody else."""
        near = [(name, self.lab.plan[name].near) for name in ("client", "mate")]
        lines = [f"{port.address(family)} {name}.test" for name, port in near for family in (4, 6)]
        lines += [f"::ffff:{port.address(4)} {name}.test" for name, port in near]
        hosts = self.write("hosts", "\n".join(("127.0.0.1 localhost", *lines)) + "\n")
        order = "".join(f"{what}: files\n" for what in ("passwd", "group", "shadow", "hosts", "services"))
        return {"/etc/hosts": hosts, "/etc/nsswitch.conf": self.write("nsswitch.conf", order)}

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Write a file of the configuration."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path


@dataclass(frozen=True)
class Start:
    """How a program is started: ``argv``, below which ``folders`` it wants to find (made beneath /run, /var/log …).

    ``user`` owns these folders and those of ``owns``, and runs the program where ``as_user``. ``binds`` puts files
    over those of this machine, for the program alone.
    """

    argv: tuple[str, ...]
    folders: tuple[str, ...] = ()
    user: str | None = None
    owns: tuple[str, ...] = ()
    as_user: bool = False
    binds: Mapping[str, Path] = field(default_factory=dict)
    ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """``program`` is the path of what ``package`` installs; ``prepare`` writes the configuration.

    ``states`` maps a state to what a client that says ``says`` is shown, a regular expression over bytes (``None``
    where the far end hangs up without a word). ``held`` names states in which so many other connections are kept open
    first. ``log`` is the file's name in the folder (standard error where none is named), ``bad`` a line there that is
    worse than a client that went away. ``by_hand``: the tests do not install it, ``run.py`` plays it where it is.
    """

    package: str
    program: str
    prepare: Callable[[Kit], Start]
    states: Mapping[str, bytes | None]
    says: bytes = b""
    held: Mapping[str, int] = field(default_factory=dict)
    log: str = "log"
    bad: str = r"(?i)\b(error|fatal|crit|panic|emerg|alert)\b"
    harmless: str = r"(?!)"
    settle: Callable[[Kit], None] = lambda _: None
    by_hand: bool = False


RECIPES: dict[str, Recipe] = {}


def missing(daemon: str) -> str | None:
    """Return why a daemon cannot be started here: its package; ``None`` where it can."""
    recipe = RECIPES[daemon]
    if not Path(recipe.program).exists():
        return f"no {recipe.program}: apt-get install {recipe.package}"
    return None


@fault("daemon")
@dataclass(frozen=True)
class Daemon:
    """``daemon`` (a recipe) runs on ``node`` in ``state``, on both families."""

    daemon: str
    state: str = "well"
    node: str = "server"
    port: str = "{closed_port}"

    @property
    def recipe(self) -> Recipe:
        return RECIPES[self.daemon]

    def __post_init__(self) -> None:
        if self.state not in self.recipe.states:
            raise ValueError(f"{self.daemon} cannot be {self.state!r}: {', '.join(self.recipe.states)}")

    def inject(self, lab: Lab) -> None:
        why = missing(self.daemon)
        if why:
            raise LabError(why)
        port = int(lab.fill(self.port))
        folder = lab.keep_folder(Path(tempfile.mkdtemp(prefix=f"{lab.tag}-{self.daemon}-")))
        folder.chmod(0o755)
        kit = Kit(lab, self.node, folder, port, self.state)
        started = self.recipe.prepare(kit)
        child = lab.spawn(self.node, _wrapped(started, folder))
        end = time.monotonic() + STARTS_WITHIN_S
        for one in started.ports or (port,):
            while not listeners(lab, self.node, str(one)):
                if child.poll() is not None or time.monotonic() > end:
                    raise LabError(f"{self.daemon} did not start: {log_of(folder, self.recipe)[-1500:]}")
                time.sleep(0.05)
        self.recipe.settle(kit)
        for _ in range(self.recipe.held.get(self.state, 0)):
            lab.hold(_connected(lab, self.node, port))

    def verify(self, lab: Lab) -> None:
        """Say what a client says, from the server's neighbour, and hold the answer to what the state shows."""
        wanted, port, got = self.recipe.states[self.state], int(lab.fill(self.port)), b""
        require(bool(listeners(lab, self.node, str(port))), f"{self}: ss shows no listener")
        end = time.monotonic() + SHOWS_WITHIN_S
        while time.monotonic() < end:
            got, ended = _answer(
                lab, self.node, port, self.recipe.says, 1.5 if wanted is not None else HANGS_UP_WITHIN_S
            )
            if (wanted is None and not got and ended) or (wanted is not None and re.search(wanted, got, re.DOTALL)):
                return
            time.sleep(0.3)
        require(False, f"{self}: {got[:300]!r} {[log_of(f, self.recipe)[-800:] for f in lab.folders]}")


def per_connection(kit: Kit, *argv: str) -> tuple[str, ...]:
    """Return the command that takes connections for a program which is started for each of them, as inetd does.

    The program's connections are all of IPv6, those of IPv4 clients mapped.
    """
    return ("systemd-socket-activate", "--inetd", "--accept", "-l", f"[::]:{kit.port}", *argv)


def complaints(lab: Lab, daemon: str) -> list[str]:
    """Return the lines of a daemon's log that are worse than a client that went away."""
    recipe = RECIPES[daemon]
    folder = next(f for f in lab.folders if f.name.startswith(f"{lab.tag}-{daemon}-"))
    bad, harmless = re.compile(recipe.bad), re.compile(recipe.harmless)
    return [line for line in log_of(folder, recipe).splitlines() if bad.search(line) and not harmless.search(line)]


def log_of(folder: Path, recipe: Recipe) -> str:
    """Return what the program has written so far."""
    found = ""
    for name in dict.fromkeys((recipe.log, "stderr")):
        with suppress(OSError):
            found += (folder / name).read_text(encoding="utf-8", errors="replace")
    return found


def _wrapped(started: Start, folder: Path) -> list[str]:
    """Return the command that gives a program its namespaces and empty folders, and ends all of it with its parent."""
    lines = ["set -e", "umask 022", *(f"mount -t tmpfs -o mode=755 tmpfs {path}" for path in ("/run", "/var/log"))]
    lines += [f"mkdir -p {path}" for path in started.folders]
    if started.user:
        lines.append(f"chown -R {started.user}: {' '.join((*started.folders, *started.owns))}")
    lines += [f"mount --bind {path} {there}" for there, path in started.binds.items()]
    # the shell stays: some programs, as the first of their namespace, end when orphans of theirs do
    lines.append(f'"$@" >>{folder}/stderr 2>&1 & wait $!')
    drop = ["setpriv", f"--reuid={started.user}", f"--regid={started.user}", "--init-groups"] if started.as_user else []
    inside = ["sh", "-c", "\n".join(lines), "sh", *drop, *started.argv]
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", *inside]


def _connected(lab: Lab, node: str, port: int) -> socket.socket:
    with lab.inside("mate"):
        return socket.create_connection((lab.plan[node].near.address(4), port), 5.0)


def _answer(lab: Lab, node: str, port: int, says: bytes, wait_s: float) -> tuple[bytes, bool]:
    """Return what comes back until the far end is quiet for a moment, and whether it hangs up."""
    got = b""
    there = (lab.plan[node].near.address(4), port)
    with lab.inside("mate"), socket.create_connection(there, 3.0) as asking:
        asking.settimeout(wait_s)
        try:
            asking.sendall(says)
            while data := asking.recv(4096):
                got += data
                asking.settimeout(0.3)
        except TimeoutError:
            return got, False
        except OSError:
            return got, True
    return got, True
