"""wsadiag: from a socket error code to the step that failed.

The library's door: :func:`diagnose` with its :class:`Options` makes a report or raises :class:`UserError`,
:func:`to_json` and :func:`from_json` keep it, :func:`replay` judges it again. Everything else is reached through its
modules.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["Options", "UserError", "__version__", "diagnose", "from_json", "replay", "to_json"]

# Type checkers take the name for typing.TYPE_CHECKING; importing that module doubles the time of `--version`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.errors import UserError
    from troubleshoot.options import Options
    from troubleshoot.report import from_json, to_json
    from troubleshoot.run.engine import diagnose, replay

_WHERE = {
    "Options": "options",
    "UserError": "errors",
    "diagnose": "run.engine",
    "from_json": "report",
    "replay": "run.engine",
    "to_json": "report",
}


def __getattr__(name: str) -> object:
    # Imported when asked for: `wsadiag --version` must not pay for asyncio.
    if name not in _WHERE:
        raise AttributeError(name)
    import importlib  # noqa: PLC0415

    return getattr(importlib.import_module(f"troubleshoot.{_WHERE[name]}"), name)
