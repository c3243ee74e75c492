"""Write what the catalogue claims about reproductions as a page in Markdown.

python tests/engine/reproduced.py > tests/engine/REPRODUCED.md
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from troubleshoot.reproduce.claims import (
    SUCCESS,
    claims,
    codes,
    impossible,
    measured_on,
    measured_under_wine,
    windows_claims,
)


def page() -> str:
    """Return the catalogue's claims as a page in Markdown: code, claim, what Linux returns, what Winsock has."""
    wine = measured_under_wine()
    lines = [
        "# What can be reproduced",
        "",
        f"Generated from `catalogue/reproduce.toml`; every line held on {measured_on()}, and a test holds it to the",
        "kernel that it runs on. `wsadiag reproduce CODE` shows the calls. *Winsock has* is what Microsoft documents.",
        f"The last column is what {wine.measured_on} returned (`catalogue/reproduced-wine.toml`):",
        "wine puts Winsock on top of Linux, so that where the two columns differ it is no proof of what Windows does.",
        "",
        "| code | call | where | Linux returns | Winsock has | under wine |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for code in codes():
        for claim in claims(code):
            note = f"<br>{claim.note}" if claim.note else ""
            seen = "no error" if claim.errno == SUCCESS else f"`{claim.errno}`"
            winsock = f"`{claim.winsock}`" if claim.winsock else "no such error"
            there = _measured(wine.observed.get(code, {}).get(claim.id))
            lines.append(f"| `{code}` | `{claim.function}` | {claim.state}{note} | {seen} | {winsock} | {there} |")
        for claim in windows_claims(code):
            there = _measured(wine.observed.get(code, {}).get(claim.id))
            lines.append(f"| `{code}` | `{claim.function}` | {claim.state} | no such call | `{code}` | {there} |")
    lines += ["", "## What nothing on a modern Linux returns", "", "| code | reason |", "| --- | --- |"]
    lines += [f"| `{code}` | {reason} |" for code in codes() if (reason := impossible(code))]
    return "\n".join(lines) + "\n"


def _measured(found: str | None) -> str:
    """Return an observed error, ``no error``, or why there is none, as a cell of a table."""
    if found is None:
        return "not tried"
    return "no error" if found == SUCCESS else f"`{found}`" if found.startswith("WSA") else found


if __name__ == "__main__":
    sys.stdout.write(page())
