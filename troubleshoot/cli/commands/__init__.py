"""One module for each command; its ``run`` takes the command's values by name and returns the exit status.

What is heavy is imported by ``run``, after the words of the command line have been found good.
"""

from __future__ import annotations

import importlib

from troubleshoot.cli.options import check_language

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from troubleshoot.cli.session import Session


def loaded() -> None:
    """Let garbage be collected from here on: what was imported and read so far stays until the end."""
    import gc  # noqa: PLC0415

    gc.freeze()
    gc.enable()


def carry_out(command: str, session: Session, values: Mapping[str, Any]) -> int:
    """Carry out ``command`` with its ``values`` and return the exit status."""
    check_language(values["lang"])
    given = {name: value for name, value in values.items() if name not in ("lang", "help")}
    status: int = importlib.import_module(f"{__name__}.{command}").run(session, **given)
    return status
