"""Ctrl-C waits while the program is loaded: an import that it breaks off leaves modules half made.

What they would then do is anybody's guess: it has been a syntax error and a crash of the interpreter.
"""

from __future__ import annotations

# What `signal` is made of: that module itself imports for milliseconds in which Ctrl-C would still break in.
from _signal import SIGINT, default_int_handler, getsignal, signal  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_heard = False


def _remember(_signal: int, _frame: FrameType | None) -> None:
    global _heard  # noqa: PLW0603 - a signal has nobody else to tell
    _heard = True


def hold() -> None:
    """Let Ctrl-C wait from here on; where it is ignored, or somebody else's, that stays."""
    if getsignal(SIGINT) is default_int_handler:
        try:
            signal(SIGINT, _remember)
        except ValueError:  # outside of the main thread it is never heard
            return


def let() -> None:
    """Let Ctrl-C end the program from here on; raises ``KeyboardInterrupt`` where it came meanwhile."""
    global _heard  # noqa: PLW0603 - as above
    if getsignal(SIGINT) is _remember:
        signal(SIGINT, default_int_handler)
    if _heard:
        _heard = False
        raise KeyboardInterrupt


def take(handler: Callable[[int, FrameType | None], None]) -> bool:
    """Have ``handler`` called by Ctrl-C instead, where that is heard at all; return whether it came meanwhile."""
    global _heard
    if getsignal(SIGINT) in (_remember, default_int_handler):
        try:
            signal(SIGINT, handler)
        except ValueError:  # outside of the main thread
            return False
    came, _heard = _heard, False
    return came
