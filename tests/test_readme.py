"""README.md and the pages of docs/ say what is so: commands, options, statuses, fields and examples are played.

After a change that is meant, ``WSADIAG_UPDATE_SCREENS=1 pytest tests/test_readme.py`` writes README's example anew.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.lab.play import afflict
from tests.lab.scenario import load
from tests.lab.topology import Lab, unavailable
from troubleshoot import report
from troubleshoot.cli import output

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z0-9][a-z-]*")


def blocks(kind: str) -> list[str]:
    """Return the fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    """Return a page of docs/."""
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def commands(block: str) -> list[str]:
    return [line for line in block.splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def help_page() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "troubleshoot", "--help"],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": "100"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Hold a port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_two_commands_come_first_and_ci_runs_the_second() -> None:
    first, second = (commands(block) for block in blocks("sh")[:2])
    assert len(first) == len(second) == 1
    assert first[0].endswith(".venv/bin/wsadiag 10061 localhost:21")
    assert second[0] in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


# -- the first command -----------------------------------------------------------------------------------------
# Run for real where Debian's Python is, by an ordinary user; only apt-get, which would change this machine, is a script
# that keeps its words and puts back what the case hid.

NOBODY = 65534
SYSTEM = "/usr/bin:/bin"
DEBIAN = Path("/usr/bin/python3")
SHELLS = {
    "sh": ["sh", "-c"],
    "bash": ["bash", "-c"],
    "bash with an alias of sudo": ["bash", "-O", "expand_aliases", "-c"],
    "fish": ["fish", "--no-config", "-c"],
}


def first_command() -> tuple[str, str]:
    """Return the part that makes .venv, and what follows it."""
    (line,) = commands(blocks("sh")[0])
    makes, joint, rest = line.partition(" && .venv/bin/pip ")
    assert joint
    return makes, f".venv/bin/pip {rest}"


@pytest.fixture
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give an ordinary user's empty folder, with an apt-get before the machine's own."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("unshare"):
        pytest.skip("needs root, setpriv and unshare, to become another user and to hide a package of Python")
    looked = subprocess.run([DEBIAN, "-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"], check=False)
    if not DEBIAN.exists() or looked.returncode != 0:
        pytest.skip(f"{DEBIAN} 3.11 or later with its venv package is not here")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        (home / "bin").mkdir()
        script = home / "bin/apt-get"
        script.write_text(
            f'#!/bin/sh\necho "$(id -u) $*" >>{home}/asked\n[ "$1" = update ] || exec umount -l "$HIDDEN"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)
        (home / "asked").touch()
        for path in (home, home / "asked"):
            os.chown(path, NOBODY, NOBODY)
        yield home


def in_shell(
    home: Path, shell: list[str], command: str, *, uid: int, hidden: tuple[Path, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody types it, below ``home``; folders and programs that are ``hidden`` are not there."""
    if not shutil.which(shell[0]):
        pytest.skip(f"{shell[0]} is not installed")
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    argv = [*(user if uid else ()), *shell, command]
    hide = "".join(
        f"mount {'-t tmpfs none' if path.is_dir() else '--bind /dev/null'} {shlex.quote(str(path))} && "
        for path in hidden
    )
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{hide}exec "$@"', "sh", *argv],
        cwd=home,
        env={name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        | {
            "HOME": str(home),
            "PATH": f"{home}/bin:{SYSTEM}",
            "HIDDEN": str(hidden[0] if hidden else ""),
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=200,
        check=False,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_a_machine_that_lacks_nothing_needs_no_apt(stranger: Path, shell: str) -> None:
    makes, _ = first_command()
    alias = "alias sudo='sudo '\n" if "alias" in shell else ""
    done = in_shell(stranger, SHELLS[shell], alias + makes, uid=NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    assert (stranger / ".venv/bin/pip").exists()
    assert (stranger / "asked").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    ("shell", "sudo"), [("sh", False), ("bash with an alias of sudo", True), ("fish", True), ("fish", False)]
)
def test_apt_brings_venv_where_it_is_missing(stranger: Path, shell: str, sudo: bool) -> None:
    """Root needs no sudo; where there is one it is used, whatever alias the shell has for it."""
    makes, _ = first_command()
    real = shutil.which("sudo", path=SYSTEM)
    if sudo:
        (stranger / "bin/sudo").write_text('#!/bin/sh\necho by sudo >>"$HOME/asked"\nexec "$@"\n', encoding="utf-8")
        (stranger / "bin/sudo").chmod(0o755)
    found = subprocess.run(
        [DEBIAN, "-c", "import ensurepip; print(ensurepip.__path__[0])"], capture_output=True, text=True, check=True
    )
    hidden = (Path(found.stdout.strip()), *([Path(real)] if real else []))
    alias = "alias sudo='sudo '\n" if "alias" in shell else ""
    done = in_shell(stranger, SHELLS[shell], alias + makes, uid=0, hidden=hidden)
    asked = ["0 update", "0 install -y python3-venv"]
    if sudo:
        asked = [word for call in asked for word in ("by sudo", call)]
    assert (done.returncode, (stranger / "asked").read_text(encoding="utf-8").splitlines()) == (0, asked), done.stderr
    assert (stranger / ".venv/bin/pip").exists()


@pytest.mark.timeout(240)
def test_the_first_command_as_an_ordinary_user_of_fish(stranger: Path) -> None:
    """All of it, in a clone."""
    try:
        socket.create_connection(("pypi.org", 443), timeout=5).close()
    except OSError:
        pytest.skip("PyPI cannot be reached")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "catalogue", "probes", "troubleshoot"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, stranger / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, stranger / name)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", stranger], check=True)
    makes, rest = first_command()
    done = in_shell(stranger, SHELLS["fish"], f"{makes} && {rest}", uid=NOBODY)
    assert (done.returncode, done.stderr) == (1, "")
    assert "10061 WSAECONNREFUSED" in done.stdout
    assert (stranger / "asked").read_text(encoding="utf-8") == ""


def test_options_are_those_of_the_help(help_page: str) -> None:
    options = help_page.partition("Options:")[2].partition("Commands:")[0]
    heads = [line[:29] for line in options.splitlines() if line.startswith("  -")]
    table = [line.partition("|")[2].partition("|")[0] for line in page("use").splitlines() if line.startswith("| `-")]
    assert set(OPTION.findall(" ".join(table))) == set(OPTION.findall(" ".join(heads)))


def test_exit_statuses() -> None:
    told = {int(number) for number in re.findall(r"^\| (\d+) \|", page("verdict"), re.MULTILINE)}
    assert told == {
        *report.EXIT_STATUS.values(),
        2,
        output.INTERRUPTED,
        output.CRASHED,
        output.NOT_WRITTEN,
        output.STARVED,
        output.PIPE_CLOSED,
    }


def test_every_field_of_the_report_is_named() -> None:
    named = set(re.findall(r"`([a-z_]+)(?:\[\])?`", page("json")))
    parts = (report.Report, report.Verdict, report.Step, report.ErrorCode, report.TargetInfo, report.Reproduction)
    fields = {field.name for part in parts for field in msgspec.structs.fields(part)} - {"schema"}
    assert fields <= named


def test_library_example_runs_and_prints_what_is_said(closed_port: int, tmp_path: Path) -> None:
    parts = re.findall(r"^```python\n(.*?)^```\n\n^```text\n(.*?)^```$", page("library"), re.MULTILINE | re.DOTALL)
    ((code, said),) = parts
    script = tmp_path / "example.py"
    script.write_text(code.replace(":21", f":{closed_port}"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == said.replace(":21", f":{closed_port}")


def test_files_that_are_named_exist() -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", TEXT) + re.findall(
        r"`((?:tests|probes|troubleshoot|catalogue)/[\w./-]*)`", TEXT
    ):
        if "NUMBER" not in name and "ID." not in name:
            assert (ROOT / name).exists(), name


def test_the_first_screen_is_short() -> None:
    """What it is, where to run it, how to get it, what comes out; then the recipes, and where the rest is."""
    first = TEXT.partition("\n## ")[0].splitlines()
    assert TEXT.index("git clone") < TEXT.index("```sh") < TEXT.index("$ wsadiag 10061 example.com:21")
    assert len(first) <= 75
    assert len(TEXT.partition("\n## The house")[0].splitlines()) <= 120


def test_every_page_of_docs_can_be_reached() -> None:
    named = set(re.findall(r"\]\(docs/([a-z.]+)\)", TEXT))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= named


# -- the example and the recipes, in a lab ---------------------------------------------------------------------------

#: What differs from one run to the next.
CHANGES = ((r"\(\d+(\.\d+)? ms\)", "(4.12 ms)"), (r"^\S+, \d{4}-.*\n?.*$", "FOOT"), (r"seen from \S+", "seen from vm"))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The lab in which example.com answers and its FTP port refuses."""
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    (scenario,) = load(ROOT / "tests/scenarios/no-listener-example.toml")
    with scenario.lab() as made:
        afflict(scenario, made)
        yield made


def in_lab(lab: Lab, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of README on the lab's client, as an ordinary user; where it ends in ``> FILE`` that is written."""
    command, _, file = line.partition(" > ")
    _, *words = shlex.split(command, comments=True)
    done = subprocess.run(
        lab.command("client", [sys.executable, "-B", "-m", "troubleshoot", *words], unprivileged=True),
        cwd=folder,
        env={name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
        | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )
    if file:
        (folder / file).write_text(done.stdout, encoding="utf-8")
    return done


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may read and write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def alike(text: str) -> str:
    for pattern, word in CHANGES:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return " ".join(text.split())


def test_the_example_is_what_a_run_prints(lab: Lab, open_folder: Path) -> None:
    (said,) = re.findall(r"^```text\n\$ wsadiag 10061 example\.com:21\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert said
    for _ in range(3):  # a busy machine loses a step now and then
        done = in_lab(lab, "wsadiag 10061 example.com:21", open_folder)
        if os.environ.get("WSADIAG_UPDATE_SCREENS"):
            (ROOT / "README.md").write_text(TEXT.replace(said, done.stdout), encoding="utf-8")
            said = done.stdout
        if alike(done.stdout) == alike(said):
            break
    assert (done.returncode, done.stderr) == (1, "")
    assert alike(done.stdout) == alike(said)


@pytest.mark.timeout(240)
def test_the_recipes_run(lab: Lab, open_folder: Path) -> None:
    """Every line ends with a status of a verdict; services that never come are waited for a second."""
    (open_folder / "message.txt").write_text("connect to example.com port 21: Connection refused", encoding="utf-8")
    shutil.copy(ROOT / "tests/data/pasted/windows-ping.txt", open_folder / "session.txt")
    (open_folder / "targets.toml").write_text('[[check]]\ntarget = "localhost:1"\n', encoding="utf-8")
    (open_folder / "reports").mkdir()
    shutil.copy(ROOT / "tests/data/reports/healthy-name.nobody.json", open_folder / "reports")
    for line in (line for block in blocks("sh")[2:5] for line in commands(block)):
        command = line.replace("files.example.org", "example.com").replace("--wait 30", "--wait 1")
        if "curl" in command and not shutil.which("curl"):
            continue
        done = in_lab(lab, command, open_folder)
        own = {0, 1, 3, 5} if " run " not in line else {7, 28, 60}  # curl's, which `run` passes on
        assert done.returncode in own, (line, done.stdout, done.stderr)
        assert done.stdout or any(word in line for word in ("junit=", " run ", " --to ")), line
    assert (open_folder / "services.xml").exists()


def test_the_recipes_hold_what_exists(help_page: str) -> None:
    """Each command of the three recipes has words that the program knows: those that need no network are run."""
    recipes = [commands(block) for block in blocks("sh")[2:5]]
    assert all(0 < len(block) <= 10 for block in recipes)
    for line in (line for block in recipes for line in block):
        words = shlex.split(line, comments=True)
        assert words[0] == "wsadiag"
        named = re.search(rf"^  {words[1]} ", help_page, re.MULTILINE)
        page = help_page
        if named:
            page = subprocess.run(
                [sys.executable, "-m", "troubleshoot", words[1], "--help"],
                cwd=ROOT,
                capture_output=True,
                encoding="utf-8",
                timeout=60,
                check=True,
            ).stdout
        for word in words:
            if word.startswith("-"):
                assert word in page, line
