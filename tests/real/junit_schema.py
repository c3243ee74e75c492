"""JUnit reports of real checks against Jenkins' own schema, which pytest's source distribution (MIT) holds a copy of.

    python tests/real/junit_schema.py [SCHEMA.xsd]

Fetches the schema with pip where none is given; CI holds reports to ``tests/data/junit.xsd``, which is as strict.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import xmlschema

PROGRAM = str(Path(sys.executable).with_name("wsadiag"))
OWN = Path(__file__).parents[1] / "data/junit.xsd"
#: Options of a check → what is checked: each status but plain success has another form.
CHECKS = {
    ("--retries", "2", "--backoff", "0.1", "--no-diagnosis"): ("127.0.0.1:1", "localhost:2"),
    ("--expect", "refused"): ("127.0.0.1:1",),
    (): ("127.0.0.1:1", "[::1]:1", "no-such-name.invalid:80"),
}


def fetched(folder: Path) -> Path:
    """Return the schema out of pytest's source distribution."""
    words = ["download", "-q", "--no-deps", "--no-binary", ":all:", "pytest==8.3.5", "-d", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.rglob("junit-10.xsd"))


def main() -> int:
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="junit-schema") as name:
        place = Path(sys.argv[1]) if len(sys.argv) > 1 else fetched(Path(name))
        schemas = {str(path): xmlschema.XMLSchema(path) for path in (place, OWN)}
        for options, targets in CHECKS.items():
            words = [PROGRAM, "check", *options, "--format", "junit", *targets]
            text = subprocess.run(words, capture_output=True, text=True, check=False, timeout=100).stdout
            for path, schema in schemas.items():
                errors = list(schema.iter_errors(text))
                wrong += len(errors)
                print(f"{len(errors)} errors by {Path(path).name}: {' '.join(targets)}")
                for error in errors:
                    print(f"  {error.path}: {error.reason}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
