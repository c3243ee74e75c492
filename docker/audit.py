"""Are vulnerabilities known of what is locked? ``python docker/audit.py``: 0 none, 1 some, 3 it cannot be told here.

``pip-audit`` is installed into a folder of its own, which is gone at the end, and asked about both locks. It asks the
package index about every package: where that cannot answer, each is listed as skipped, and that is no all-clear.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-build.lock")
NONE, SOME, UNKNOWN = 0, 1, 3


def main() -> int:
    """Print what is known, a line a package that is not clear, and return the status."""
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        quiet = ("--quiet", "--disable-pip-version-check")
        if subprocess.run([python, "-m", "pip", "install", *quiet, "pip-audit>=2.7"], check=False).returncode:
            sys.stdout.write("not audited: pip-audit cannot be installed here\n")
            return UNKNOWN
        return max(_audit(python, lock) for lock in LOCKS)


def _audit(python: Path, lock: str) -> int:
    words = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", "15")
    done = subprocess.run(
        [python, "-m", "pip_audit", *words, "--requirement", ROOT / lock], capture_output=True, text=True, check=False
    )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        sys.stdout.write(f"{lock}: not audited: {last[0][:200]}\n")
        return UNKNOWN
    status = NONE
    for one in found:
        for known in one.get("vulns", ()):
            sys.stdout.write(f"{lock}: {one['name']} {one['version']}: {known['id']}\n")
            status = SOME
    skipped = [one["name"] for one in found if "skip_reason" in one]
    if skipped:
        sys.stdout.write(f"{lock}: not audited, for the index tells nothing of them: {', '.join(skipped)}\n")
        return status or UNKNOWN
    sys.stdout.write(f"{lock}: {len(found)} packages, {'see above' if status else 'nothing known'}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
