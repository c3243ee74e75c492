"""Run every reproducer that Windows can run, under wine, and print what came of it as TOML.

    python tests/windows/record.py > catalogue/reproduced-wine.toml
    python tests/engine/reproduced.py > tests/engine/REPRODUCED.md

Inside wine the same file runs the reproducers, one after the other in one process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

#: The kernel's own time limits are below this, seconds.
_PATIENCE_S = 10
_HEADER = """\
# What Windows' own Python met under wine, for the claims of reproduce.toml: Winsock's name of the error, OK, or why
# there is none. Written by tests/windows/record.py. Wine carries Winsock's calls out on Linux: it is no proof of what
# Windows does.
"""


def inside() -> dict[str, dict[str, str]]:
    """Carry out all reproducers in this process of Windows; those that give up Winsock itself go last."""
    from troubleshoot.reproduce import windows
    from troubleshoot.reproduce.claims import SUCCESS
    from troubleshoot.reproduce.records import Trace
    from troubleshoot.reproduce.table import TABLE

    found: dict[str, dict[str, str]] = {}
    for code, claim in (*TABLE, *windows.WINDOWS_TABLE):
        traces: list[Trace] = []

        def work(code: str = code, claim: str = claim, traces: list[Trace] = traces) -> None:
            traces.append(windows.perform(code, claim))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(_PATIENCE_S)
        if not traces:
            came = "it did not end" if thread.is_alive() else "it failed"
        else:
            came = traces[0].reason or traces[0].calls[-1].errno or SUCCESS
        found.setdefault(code, {})[claim] = came
    return found


def observed() -> tuple[str, dict[str, dict[str, str]]]:
    """Return on what the reproducers ran, and what came of each, by code and claim."""
    import wine

    version = subprocess.run(["wine", "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
    with wine.windows() as windows:
        script = f"Z:{Path(__file__).resolve()}".replace("/", "\\")
        done = windows.run(script, "--inside", timeout_s=120)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    answer = json.loads(done.stdout)
    return f"Windows CPython {answer['python']} under {version.replace('-', ' ')}", answer["observed"]


def main() -> None:
    """Print the file, or inside of wine what it is made of."""
    if "--inside" in sys.argv:
        python = ".".join(map(str, sys.version_info[:3]))
        json.dump({"python": python, "observed": inside()}, sys.stdout)
        return
    measured_on, found = observed()
    lines = [_HEADER, f'measured_on = "{measured_on}"']
    for code, claims in found.items():
        lines += ["", f"[observed.{code}]", *(f'{claim} = "{came}"' for claim, came in claims.items())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
