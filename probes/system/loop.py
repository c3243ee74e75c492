"""The event loop that probes run in, and Ctrl-C inside of it, on every system alike."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
#: How late Ctrl-C may be heard where it does not wake the loop by itself, seconds.
_TICK_S: Final = 0.1


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in a new event loop that can watch sockets, and return what it returns.

    On Windows that is not the usual one: the proactor completes calls and watches nothing. The loop that selects
    watches up to 512 sockets there, and cannot start child processes.
    """
    if sys.platform == "win32":
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(work)
    return asyncio.run(work)


def on_first_interrupt(call: Callable[[], object]) -> None:
    """Have the first Ctrl-C call ``call`` in the running loop; a second one ends the program.

    Does nothing where signals cannot be had: outside of the main thread.
    """
    loop = asyncio.get_running_loop()

    def once() -> None:
        call()
        loop.remove_signal_handler(signal.SIGINT)

    def heard(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if loop.is_closed():
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(call)

    def tick() -> None:
        loop.call_later(_TICK_S, tick)

    with contextlib.suppress(ValueError, RuntimeError):
        try:
            loop.add_signal_handler(signal.SIGINT, once)
        except NotImplementedError:
            signal.signal(signal.SIGINT, heard)
            # Windows: it runs between two instructions of Python, and select() is one for as long as it waits.
            tick()
