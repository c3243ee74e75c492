"""The event loop that probes run in, and Ctrl-C inside of it, on every system alike."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import selectors
import signal
import socket
import sys
from asyncio.log import logger
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
#: How late Ctrl-C may be heard where it does not wake the loop by itself, seconds.
_TICK_S: Final = 0.1
#: A thread or a signal wakes the loop by a byte in a socket; where the system refuses that byte, asyncio drops it
#: silently, and the loop would sleep on although there is something to do. It sleeps no longer than this, seconds.
_LONGEST_SLEEP_S: Final = 1.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in a new event loop that can watch sockets, and return what it returns.

    On Windows that is not the usual one: the proactor completes calls and watches nothing. The loop that selects
    watches up to 512 sockets there, and cannot start child processes. Raises ``OSError`` where this process may not
    open the three descriptors that a loop needs.
    """
    quiet = _without_echo(work)
    try:
        _try_descriptors()
        if sys.platform == "win32":
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                return runner.run(quiet)
        return asyncio.run(quiet)
    finally:
        quiet.close()
        work.close()  # where it never began, Python would complain of that


async def _without_echo(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``; a call of the loop's own that is refused is not told on standard error, and hangs nothing.

    Nor is a child that was waited for already: asyncio warns of that where starting it was broken off.
    """

    def pass_over(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), OSError):
            loop.default_exception_handler(context)

    running = asyncio.get_running_loop()
    running.set_exception_handler(pass_over)

    def turn() -> None:
        running.call_later(_LONGEST_SLEEP_S, turn)

    turn()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return await work
    finally:
        logger.setLevel(level)


def _try_descriptors() -> None:
    """Open and close what a loop opens: one that fails half-way is taken apart with a traceback on standard error."""
    with selectors.DefaultSelector():
        near, far = socket.socketpair()
        near.close()
        far.close()


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
