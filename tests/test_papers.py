"""The papers beside the code: what they name exists, and CI runs what a person runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAPERS = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / ".github").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]+\]\(([^)#:]+)(?:#[^)]*)?\)")
#: A path of this project in backticks: it begins with one of our folders, and holds no place that a reader fills in.
NAMED = re.compile(r"`((?:catalogue|docs|probes|tests|troubleshoot)/[a-z0-9_./-]*)`")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_files_that_are_named_exist(paper: Path) -> None:
    text = paper.read_text(encoding="utf-8")
    places = (ROOT, *(ROOT / "tests" / "walks").iterdir())
    assert [name for name in NAMED.findall(text) if not any((place / name).exists() for place in places)] == []
    assert [name for name in LINK.findall(text) if not (paper.parent / name).exists()] == []


def test_every_test_that_is_named_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_[a-z_]+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = LINK.findall((folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(p.name for p in folder.glob("0*.md"))
    for number, name in enumerate(listed, 1):
        text = (folder / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_ci_runs_what_a_person_runs_with_the_oldest_python() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert re.search(r"run: .*\bbash tests/run$", workflow, re.MULTILINE)
    pythons = re.findall(r'"(3\.\d+)"', workflow)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert pythons[0] == project["requires-python"].removeprefix(">=")
    assert {f"Programming Language :: Python :: {python}" for python in pythons} <= set(project["classifiers"])


def test_hooks_are_the_checks_of_the_test_run() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    run = (ROOT / "tests" / "run").read_text(encoding="utf-8")
    for tool in re.findall(r'^"\$python" -m (ruff \w+|mypy)', run, re.MULTILINE):
        assert f"entry: .venv/bin/{tool}" in hooks, tool
