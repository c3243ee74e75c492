"""Judge every saved report of a folder again and name every point in which a verdict changed.

    python tests/lab/replay.py FOLDER [--against FILE] [--write FILE] [--language en|ko] [--jobs N]

FOLDER is what ``tests/lab/run.py --save FOLDER`` left. Without ``--against`` each report is compared with what it said
when it was saved, with it with what an earlier ``--write`` wrote (before a change to the code, say). Compared are
outcome, cause, confidence, failed step, location, every sentence, the alternatives and the steps. Exit status 1 where
anything differs, where a report cannot be judged, and where one stands on one side only. Touches no network.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402

from troubleshoot.report import Report, from_json  # noqa: E402
from troubleshoot.run.engine import replay  # noqa: E402


def said(report: Report) -> dict[str, Any]:
    """Return what a report says, without when and how long, as plain data."""
    steps = {one.id: {"status": one.status, "summary": one.summary, "why": one.why} for one in report.steps}
    parts = {"verdict": report.verdict, "reproduction": report.reproduction, "steps": steps}
    found: dict[str, Any] = json.loads(msgspec.json.encode(parts))  # as a file holds it: lists, and no tuples
    return found


def judged(path: Path, language: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a saved report said, and what it says now; what is raised stands under ``error``."""
    try:
        saved = from_json(path.read_bytes())
    except Exception as error:  # noqa: BLE001 - one unreadable file must not hide the others
        return {}, {"error": f"{type(error).__name__}: {error}"}
    try:
        return said(saved), said(replay(saved, language))  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - neither must one that breaks a rule
        return said(saved), {"error": f"{type(error).__name__}: {error}"}


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Name every leaf in which two pieces of plain data differ."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif before != after:
        yield f"{place}: {json.dumps(before, ensure_ascii=False)} -> {json.dumps(after, ensure_ascii=False)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", type=Path, metavar="FILE")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--language", choices=("en", "ko"), default="en")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.json"))
    if not paths:
        raise SystemExit(f"{options.folder} holds no saved report")
    with ProcessPoolExecutor(options.jobs) as pool:
        results = list(pool.map(judged, paths, [options.language] * len(paths), chunksize=8))
    before = {path.stem: old for path, (old, _) in zip(paths, results, strict=True)}
    after = {path.stem: new for path, (_, new) in zip(paths, results, strict=True)}
    if options.against:
        before = json.loads(options.against.read_text(encoding="utf-8"))
    if options.write:
        options.write.write_text(json.dumps(after, indent=1, ensure_ascii=False), encoding="utf-8")
    changed = 0
    for name in sorted(before.keys() | after.keys()):
        found = list(differences(before.get(name), after.get(name)))
        changed += bool(found)
        for one in found:
            print(f"{name}: {one}")
    broken = [name for name, new in after.items() if "error" in new]
    print(f"{len(after)} reports judged again, {changed} differ, {len(broken)} could not be judged")
    return 1 if changed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
