"""wsadiag: from a socket error code to the step that failed.

The library's door is :func:`diagnose`; everything else is reached through its modules.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__", "diagnose"]

# Type checkers take the name for typing.TYPE_CHECKING; importing that module doubles the time of `--version`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.run.engine import diagnose


def __getattr__(name: str) -> object:
    # Imported when asked for: `wsadiag --version` must not pay for asyncio.
    if name == "diagnose":
        from troubleshoot.run.engine import diagnose  # noqa: PLC0415

        return diagnose
    raise AttributeError(name)
