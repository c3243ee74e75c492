"""The walks of CONTRIBUTING.md are played: an example of each is built in a copy of the project, file by file.

A folder of ``walks`` holds one. Its ``walk.toml`` lists every file that is made or changed, and the test that is red
while it is missing. A new file stands in the folder under the path that it gets; what is put into an existing one
(``add``, on lines of its own) stands in ``walk.toml`` with the words of the line that it goes behind (``after``).
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


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a walk, from the project's root."""

    path: str
    red: str
    after: str | None = None
    add: str | None = None


def files_of(walk: str) -> tuple[File, ...]:
    data = tomllib.loads((FOLDER / walk / "walk.toml").read_text(encoding="utf-8"))
    return msgspec.convert(data["file"], tuple[File, ...])


WALKS = {folder.name: files_of(folder.name) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()}


def apply(walk: str, file: File, copy: Path) -> None:
    path = copy / file.path
    if file.add is None:
        assert not path.exists(), f"{file.path} is there already: the walk needs another example"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(FOLDER / walk / file.path, path)
        return
    assert file.after
    lines = path.read_text(encoding="utf-8").splitlines()
    (behind,) = [number for number, line in enumerate(lines, 1) if file.after in line]
    lines[behind:behind] = file.add.rstrip("\n").splitlines()
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


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
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=380,
        check=False,
    )


def test_all_walks_end_green(copy: Path) -> None:
    for walk, files in WALKS.items():
        for file in files:
            apply(walk, file, copy)
    done = run(
        copy, *REGISTRY, "--deselect", "tests/test_registry.py::test_a_saved_result_reads_back_as_it_was[resolve]"
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize(
    ("walk", "missing"), [pytest.param(walk, f, id=f"{walk}-{f.path}") for walk, files in WALKS.items() for f in files]
)
def test_a_walk_is_red_while_one_of_its_files_is_missing(walk: str, missing: File, copy: Path) -> None:
    for file in WALKS[walk]:
        if file is not missing:
            apply(walk, file, copy)
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
        walk: [(file.path, file.red.partition("::")[2].partition("[")[0]) for file in files]
        for walk, files in WALKS.items()
    }
    assert listed() == played
    assert {walk: len(files) for walk, files in played.items() if len(files) > MOST[walk]} == {}
