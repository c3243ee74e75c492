"""The rules for Prometheus: what its own tool says of them, and that they read series which the exporter writes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docker" / "prometheus"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (package prometheus)")
@pytest.mark.parametrize("words", [("check", "wsadiag.rules.yml"), ("test", "wsadiag.rules.test.yml")])
def test_promtool_finds_nothing(words: tuple[str, str]) -> None:
    command, file = words
    done = subprocess.run(
        ["promtool", command, "rules", file], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (package prometheus)")
def test_rules_that_are_wrong_are_found(tmp_path: Path) -> None:
    rules = (FOLDER / "wsadiag.rules.yml").read_text(encoding="utf-8")
    (tmp_path / "wsadiag.rules.yml").write_text(rules.replace("== bool 0", "== bool 1"), encoding="utf-8")
    shutil.copy(FOLDER / "wsadiag.rules.test.yml", tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", "wsadiag.rules.test.yml"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 1


def test_the_rules_read_what_the_exporter_writes() -> None:
    rules = (FOLDER / "wsadiag.rules.yml").read_text(encoding="utf-8")
    metrics = (ROOT / "troubleshoot/exporter/metrics.py").read_text(encoding="utf-8")
    read = set(re.findall(r"\bprobe_success\b|\bwsadiag_probe_failure\b", rules))
    assert read == {"probe_success", "wsadiag_probe_failure"}
    assert all(f'Gauge("{name}"' in metrics for name in read)
