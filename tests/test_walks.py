"""The walks of CONTRIBUTING.md are played: an example of each is built in a copy of the project, file by file.

A folder of ``walks`` holds one. Its ``walk.toml`` lists every file that is made or changed, in the order of the walk,
and the test that is ``red`` while it is missing; ``needs`` names a walk that comes before. A new file stands in the
folder under the path that it gets. Of an existing file ``walk.toml`` holds what is changed: ``old`` stands in it
exactly once and becomes ``new``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "walks"
#: What holds catalogue and code to each other; the lab and the engine come after it and take minutes.
REGISTRY = ("tests/test_registry.py", "tests/test_catalogue_rest.py", "tests/test_catalogue_codes.py")
#: At most so many files are made or changed.
MOST = {"code": 2, "probe": 6, "cause": 6}

pytestmark = pytest.mark.timeout(400)


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an existing file holds, exactly once, and what stands there instead."""

    old: str
    new: str


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a walk, its path from the project's root; one without changes is new."""

    path: str
    red: str
    change: tuple[Change, ...] = ()


class Walk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files of a walk, and the walk whose files are there before."""

    file: tuple[File, ...]
    needs: str | None = None


WALKS = {
    path.parent.name: msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Walk)
    for path in sorted(FOLDER.glob("*/walk.toml"))
}


def apply(walk: str, copy: Path, missing: File | None = None) -> None:
    """Make every file of a walk in the copy but the one that is ``missing``."""
    for file in WALKS[walk].file:
        path = copy / file.path
        if file is missing:
            continue
        if not file.change:
            assert not path.exists(), f"{file.path} is there already: the walk needs another example"
            path.parent.mkdir(exist_ok=True)
            shutil.copy(FOLDER / walk / file.path, path)
            continue
        text = path.read_text(encoding="utf-8")
        for change in file.change:
            assert text.count(change.old) == 1, f"{walk}/walk.toml, {file.path}: once it should hold {change.old}"
            text = text.replace(change.old, change.new)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what the tests of the registry look at."""
    place = tmp_path / "project"
    place.mkdir()
    for folder in ("catalogue", "probes", "troubleshoot", "tests"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "report.schema.json"):
        shutil.copy(ROOT / file, place)
    return place


def run(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests],
        cwd=copy,
        # As for a release: nothing may lack, not even the Korean of a draft.
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_CACHE_HOME": str(copy.parent / "cache"),
            "WSADIAG_RELEASE": "1",
        },
        capture_output=True,
        encoding="utf-8",
        timeout=380,
        check=False,
    )


def in_turn() -> list[str]:
    """Return the walks, each behind the one that it needs."""
    return sorted(WALKS, key=lambda walk: WALKS[walk].needs is not None)


def test_all_walks_end_green(copy: Path) -> None:
    for walk in in_turn():
        apply(walk, copy)
    files = [file for walk in WALKS.values() for file in walk.file]
    brought = [file.path for file in files if re.search(r"/test_\w+\.py$", file.path)]
    done = run(copy, *dict.fromkeys([*REGISTRY, *brought, *(file.red.partition("::")[0] for file in files)]))
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize(
    ("walk", "missing"),
    [pytest.param(name, file, id=f"{name}-{file.path}") for name, walk in WALKS.items() for file in walk.file],
)
def test_a_walk_is_red_while_one_of_its_files_is_missing(walk: str, missing: File, copy: Path) -> None:
    if (before := WALKS[walk].needs) is not None:
        apply(before, copy)
    apply(walk, copy, missing)
    done = run(copy, missing.red)
    assert done.returncode == 1, done.stdout[-4000:]
    assert re.search(rf"^(FAILED|ERROR) {re.escape(missing.red.partition('[')[0])}", done.stdout, re.MULTILINE)


def listed() -> dict[str, list[tuple[str, str]]]:
    """Return the files that each walk of CONTRIBUTING.md lists, with the test that is red without each."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    parts = re.findall(r"^### An? ([a-z]+)[^\n]*\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    row = re.compile(r"^\| \d \| `([^`]+)` \|.*\| `([a-z_]+)` \|$", re.MULTILINE)
    return {name: row.findall(part) for name, part in parts}


def test_contributing_lists_the_files_of_each_walk_and_what_is_red_without_them() -> None:
    played = {
        name: [(file.path, file.red.partition("::")[2].partition("[")[0]) for file in walk.file]
        for name, walk in WALKS.items()
    }
    assert listed() == played
    assert {walk: len(files) for walk, files in played.items() if len(files) > MOST[walk]} == {}
