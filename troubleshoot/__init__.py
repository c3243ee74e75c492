"""wsadiag: from a socket error code to the step that failed.

The library's door is :func:`diagnose`; everything else is reached through its modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "diagnose"]

if TYPE_CHECKING:
    from troubleshoot.engine import diagnose


def __getattr__(name: str) -> Any:
    # Imported when asked for: `wsadiag --version` must not pay for asyncio.
    if name == "diagnose":
        from troubleshoot.engine import diagnose  # noqa: PLC0415

        return diagnose
    raise AttributeError(name)
