"""Which room may import what: the arrows of the house, read from the source of every module.

Data flow one way: catalogue and probes know nothing of what follows from them; plan, judge and steps see typed
observations only, so that a saved report judged again gives the same verdict; renderers return text.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(p for folder in ("probes", "troubleshoot") for p in (ROOT / folder).rglob("*.py"))

# What looks at the network, files, the clock or the process by itself.
TOUCHING = {
    "asyncio", "concurrent", "ctypes", "datetime", "fcntl", "glob", "http", "io", "multiprocessing", "os", "pathlib",
    "platform", "psutil", "random", "resource", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl",
    "subprocess", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
# The rooms of ``troubleshoot``, highest first, and whether what lives there is pure: same input, same output, nothing
# touched. A module may import its own room and those below it. README.md, *The house*, says what lives in each.
ROOMS = {
    "testing": False,
    "cli": False,
    "exporter": False,
    "render": True,
    "fleet": True,
    "check": False,
    "run": False,
    "steps": True,
    "judge": True,
    "asks": True,
    "facts": True,
    "reproduce": False,
    "doctor": False,
    "report": True,
    "readers": True,
    "intake": True,
    "options": True,
    "knowledge": False,
    "errors": True,
}
# Parts of a room that must be pure although the room is not.
PURE_PARTS = (
    "run/plan",
    "run/conclude",
    "run/compose",
    "run/way",
    "run/seen",
    "run/beside",
    "run/unnamed",
    "run/events",
    "doctor/checkup",
)
# What a pure part may still import of what touches the world, each with the reason.
ALLOWED = {
    "troubleshoot/facts/clock.py": {"datetime": "counts the days between two texts, and asks no clock"},
    "troubleshoot/fleet/matrix.py": {"datetime": "writes out the moments of reports, and asks no clock"},
    "troubleshoot/fleet/view.py": {"datetime": "reads the moment of a report, and asks no clock"},
    "troubleshoot/judge/certificate.py": {"datetime": "names the type of a moment, and asks no clock"},
    "troubleshoot/judge/holders.py": {"datetime": "writes out since when a process runs, and asks no clock"},
    "troubleshoot/render/live.py": {"time": "a view that moves tells how much time is left"},
    "troubleshoot/render/style.py": {"os": "asks how wide the terminal is that it is given"},
}
# Arrows that point up, each with the reason; none is left over.
UP: dict[str, dict[str, str]] = {}
# How many lines each may have, its documentation included; complexity is ruff's business (C901, PLR0915).
LONGEST = {"module": 400, "class": 200, "function": 50}
# What is longer, with the size that it must not exceed. The table only shrinks.
LONGER: dict[str, int] = {}
# Too slow to import for a command that does not need it.
HEAVY = ("asyncio", "typer", "click", "rich", "dns", "psutil", "icmplib", "msgspec", "probes", "socket")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Every module that the source names in an import, in functions and under TYPE_CHECKING too."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                inside = (ROOT / module.replace(".", "/") / alias.name).with_suffix("")
                is_module = inside.is_dir() or inside.with_suffix(".py").is_file()
                yield f"{module}.{alias.name}" if is_module else module


def of_package(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def place_of(path: Path) -> str:
    """Where below ``troubleshoot`` a module stands, without its ending."""
    return path.relative_to(ROOT / "troubleshoot").with_suffix("").as_posix()


def room_of(path: Path) -> str:
    return place_of(path).partition("/")[0]


OURS = [p for p in MODULES if p.is_relative_to(ROOT / "troubleshoot") and room_of(p) not in ("__init__", "__main__")]


def is_pure(path: Path) -> bool:
    return ROOMS[room_of(path)] or any(f"{place_of(path)}/".startswith(f"{part}/") for part in PURE_PARTS)


PURE = [p for p in OURS if is_pure(p)]


def test_every_module_stands_in_exactly_one_room() -> None:
    assert len(MODULES) > 60
    assert {room_of(p) for p in OURS} == set(ROOMS)
    assert [p for p in OURS if room_of(p) == "judge" and len(p.relative_to(ROOT).parts) > 1]


def paper_rooms() -> dict[str, bool]:
    """Return the rooms that the table of README.md names, in its order, and whether it calls them pure."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)(/|\.py)` \| (pure)? ?\| (\S.*) \|$", page, flags=re.MULTILINE)
    for name, ending, *_ in rows:
        assert (ROOT / "troubleshoot" / f"{name}{ending}").exists(), f"README.md: there is no {name}{ending}"
    return {name: bool(pure) for name, _, pure, _ in rows}


def test_the_paper_shows_the_rooms_as_they_are() -> None:
    # As pairs, for the order counts. A room that is new stands in three places: its folder, ROOMS, README.md.
    assert list(paper_rooms().items()) == list(ROOMS.items())


def test_every_room_says_what_lives_in_it() -> None:
    for path in MODULES:
        lines = (ast.get_docstring(tree_of(path)) or "").splitlines()
        assert lines, name_of(path)
        assert lines[0].endswith((".", "?", "!")), name_of(path)


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[len(ROOT.parts)] == "probes"], ids=name_of)
def test_a_probe_imports_no_other_probe_and_nothing_of_what_follows(path: Path) -> None:
    # Besides the standard library these five, and the few modules that all probes share.
    libraries = ("msgspec", "psutil", "icmplib", "dns", "h11")
    shared = ("probes.base", "probes.budget", "probes.failure", "probes.table", "probes.system")
    own = (
        f"probes.{path.stem}" if path.parent.name == "bodies" else "probes.base"
    )  # a body knows its request and result
    for module in imports(path):
        known = of_package(module, own, *shared, *libraries) or module.partition(".")[0] in sys.stdlib_module_names
        assert known, module


def test_only_a_run_loads_the_body_of_a_probe() -> None:
    bodies = {f"probes.bodies.{p.stem}" for p in MODULES if p.parent.name == "bodies" and p.stem != "__init__"}
    assert bodies
    late = {
        p.stem for p in MODULES if p.parent.name == "probes" and "body_of(__name__)" in p.read_text(encoding="utf-8")
    }
    assert {f"probes.bodies.{stem}" for stem in late} == bodies
    code = "import sys, troubleshoot.run.engine; print([m for m in sys.modules if m.startswith('probes.bodies')])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_what_is_pure_touches_nothing(path: Path) -> None:
    allowed = ALLOWED.get(name_of(path), {})
    assert {m for m in imports(path) if m.partition(".")[0] in TOUCHING - allowed.keys()} == set()
    # Types of observations only: no way to run a probe.
    assert not {m for m in imports(path) if of_package(m, "probes.system")}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "input", "print", "exec", "eval", "__import__"}
        if isinstance(node, ast.ImportFrom) and node.module and of_package(node.module, "probes"):
            assert not {alias.name for alias in node.names} & {"PROBE", "observe"}


def ups(path: Path) -> set[str]:
    """The rooms above its own that a module imports."""
    order = list(ROOMS)
    below = {*order[order.index(room_of(path)) :], "__init__"}
    rooms = {
        m.partition(".")[2].partition(".")[0] or "__init__" for m in imports(path) if of_package(m, "troubleshoot")
    }
    return rooms - below


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_arrows_only_point_down(path: Path) -> None:
    assert ups(path) == set(UP.get(name_of(path), {}))


@pytest.mark.parametrize("path", [p for p in OURS if room_of(p) == "render"], ids=name_of)
def test_a_renderer_reads_the_report_and_not_how_it_came_about(path: Path) -> None:
    judging = ("troubleshoot.judge", "troubleshoot.steps", "troubleshoot.facts", "troubleshoot.run.engine")
    assert not {m for m in imports(path) if of_package(m, *judging)}
    assert not {m for m in imports(path) if of_package(m, "probes") and m != "probes.base"}


@pytest.mark.parametrize("path", [p for p in MODULES if "system" not in p.parts], ids=name_of)
def test_only_the_system_seam_asks_on_which_system_we_run(path: Path) -> None:
    asked = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    } & {"sys.platform", "os.name"}
    asked |= {m for m in imports(path) if m == "platform"}  # platform.system() and its kin
    assert asked == set()


def lengths(path: Path) -> Iterator[tuple[str, str, int]]:
    """What a module is made of, itself included: kind, name and number of lines."""
    yield "module", name_of(path), len(path.read_text(encoding="utf-8").splitlines())
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield kind, f"{name_of(path)} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_grows_too_long_to_be_read(path: Path) -> None:
    for kind, name, lines in lengths(path):
        assert lines <= LONGER.get(name, LONGEST[kind]), f"{name} has {lines} lines: split it by what it is about"


def test_what_is_too_long_only_shrinks() -> None:
    longer = {name for path in MODULES for kind, name, lines in lengths(path) if lines > LONGEST[kind]}
    assert LONGER.keys() <= longer, "short enough, or gone: take it out of LONGER"


def test_no_exception_is_left_over() -> None:
    for name, modules in ALLOWED.items():
        assert modules.keys() <= {m.partition(".")[0] for m in imports(ROOT / name)}
    assert all((ROOT / name).is_file() for name in UP)


def test_the_catalogue_is_data() -> None:
    files = [p for p in (ROOT / "catalogue").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert len(files) > 100
    assert {p.suffix for p in files} <= {".toml", ".md"}


def test_a_start_imports_nothing_heavy() -> None:
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import troubleshoot.cli.start"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    loaded = [line.rpartition("|")[2].strip() for line in found.stderr.splitlines() if "|" in line]
    assert "troubleshoot.cli.entry" in loaded
    assert [m for m in loaded if of_package(m, *HEAVY)] == []


def test_a_diagnosis_loads_no_tls_and_no_dns_library() -> None:
    code = """
import sys
from troubleshoot.cli.entry import main
sys.argv = ["wsadiag", "10061", "127.0.0.1:9", "--quiet"]
main()
print(*sys.modules)
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = found.stdout.split()
    assert "probes.connect" in loaded
    # ctypes, 3 ms of CPU, is what privileges are given up with.
    assert [m for m in loaded if of_package(m, "ssl", "dns", "psutil", "icmplib", "secrets")] == []


def test_no_file_names_the_place_where_it_was_written() -> None:
    # Spelled so that this file does not.
    place = re.compile(r"(?<!\w)[/]work\b|[.][.][/]shared\b")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if listed.returncode != 0:
        pytest.skip("not a git work tree: which files belong to the project is not known")
    named = [
        name
        for name in filter(None, listed.stdout.split("\0"))
        if (ROOT / name).is_file() and place.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert named == []
