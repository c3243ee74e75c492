"""The script that judges saved reports again says what changed, and that nothing did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.lab.replay import differences
from troubleshoot.report import from_json, to_json
from troubleshoot.run.engine import replay

ROOT = Path(__file__).resolve().parents[2]
SAVED = ROOT / "tests" / "data" / "reports" / "no-listener.nobody.json"


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "tests/lab/replay.py", *map(str, words)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_changed_verdict_is_named(tmp_path: Path) -> None:
    saved, written = tmp_path / "no-listener.json", tmp_path / "before" / "all.json"
    # With today's words, so that nothing differs at first.
    saved.write_text(to_json(replay(from_json(SAVED.read_bytes()), "en")), encoding="utf-8")
    written.parent.mkdir()
    same = run(tmp_path, "--write", written)
    assert (same.returncode, same.stdout) == (0, "1 reports judged again, 0 differ, 0 could not be judged\n")

    before = json.loads(written.read_text(encoding="utf-8"))
    confidence = before["no-listener"]["verdict"]["confidence"]
    before["no-listener"]["verdict"]["confidence"] = "possible"
    written.write_text(json.dumps(before), encoding="utf-8")
    other = run(tmp_path, "--against", written)
    assert other.returncode == 1
    assert f'no-listener: verdict.confidence: "possible" -> "{confidence}"' in other.stdout


def test_what_cannot_be_judged_and_what_is_missing_are_differences(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{}", encoding="utf-8")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "broken: error" in done.stdout
    assert list(differences({"gone": {"verdict": 1}}.get("gone"), None)) == [': {"verdict": 1} -> null']
