"""A check behind a router: causes among the failures, told by a few diagnoses, while others want the processors."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="network namespaces need root"),
]
_PLACE = Path(__file__).parents[1] / "bench/targets.py"


@pytest.fixture(scope="module")
def bench() -> Any:
    """Return the module that measures a check of many targets."""
    found = importlib.util.spec_from_file_location("bench_targets", _PLACE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["bench_targets"] = module
    found.loader.exec_module(module)
    return module


@pytest.mark.timeout(240)
def test_every_target_has_its_cause_and_few_are_diagnosed(bench: Any) -> None:
    kinds = ("open", "closed", "dropped", "reset", "dead")
    aims = [aim for aim in bench.targets(120, causes=True) if aim[2] in kinds]
    with bench.Net() as net:
        words = net.command("s", sys.executable, "-c", bench._LISTENS, "20", ",".join(bench.HOSTS))
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "ready\n"
            try:
                with bench.busy(2):
                    report = json.loads(bench.wsadiag(net, aims).output)
            finally:
                listener.kill()
    good, wrong = bench.right(report, aims, readings=False)
    assert good >= 0.95 * len(aims), wrong
    # What could not be found out is said to be so: never a healthy target, nor somebody's firewall.
    guessed = {what for what in wrong if not re.search(r": None \(", what) or "(None, passed)" in what}
    assert guessed == set()
    assert "flaky" not in " ".join(wrong)
    assert len(report["groups"]) <= 12
    passed = [target for target in report["targets"] if target["status"] == "passed"]
    assert len(passed) == sum(kind == "open" for *_, kind in aims)
    bases = [target["basis"] for target in report["targets"]]
    assert bases.count(None) == len(passed)
    assert 0 < bases.count("diagnosed") < bases.count("asked")


@pytest.mark.timeout(240)
def test_what_is_inferred_of_neighbours_is_said_to_be(bench: Any, tmp_path: Path) -> None:
    """A router may report a few rejections a second: what stands between two of them is not asked."""
    host = bench.HOSTS[0]
    ports = {bench.REJECTED: "rejected", bench.DROPPED: "dropped"}
    aims = [(host, first + n, kind) for first, kind in ports.items() for n in range(20)]
    file = tmp_path / "check.txt"
    with bench.Net() as net:
        report = json.loads(bench.wsadiag(net, aims, "--format", f"text={file}").output)
    good, wrong = bench.right(report, aims, readings=False)
    assert good == len(aims), wrong
    inferred = [target for target in report["targets"] if target["basis"] == "inferred"]
    assert inferred
    assert {target["confidence"] for target in inferred} <= {"likely", "possible"}
    assert f"{len(inferred)} of 20 were not asked" in file.read_text()
