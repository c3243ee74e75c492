"""Carry out a call of the C library that may block for long without letting it hold up anything else."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import TypeVar

from probes.base import NotPermitted

T = TypeVar("T")


def in_thread(call: Callable[[], T], name: str, *, brief: bool = False) -> asyncio.Future[T]:
    """Start ``call`` in a daemon thread of its own and return a future of what it returns or raises.

    The executors of asyncio and of concurrent.futures join their threads when the loop or the process ends,
    so that one stuck call (glibc waits 5 s and more for a dead name server) would keep a finished program
    alive. Nobody waits for this thread: cancelling the future only drops its result. Must be called inside a
    running loop; the caller bounds the wait. Raises :class:`NotPermitted` where no thread can be started.

    ``brief`` says that the call ends soon by itself and waits for nobody: the process then stays for it. OpenSSL tidies
    up when the process ends, and a thread that still reads certificates meanwhile would bring it down.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, problem: BaseException | None) -> None:
        if future.done():
            return
        if problem is not None:
            future.set_exception(problem)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only where T allows it

    def work() -> None:
        result: T | None = None
        problem: BaseException | None = None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001 - handed to whoever awaits the future
            problem = caught
        try:
            loop.call_soon_threadsafe(deliver, result, problem)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody is interested any more

    # An exception that arrives in the very moment in which the waiter is cancelled is nobody's any more; looking
    # at it here keeps asyncio from complaining that it was never retrieved.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        threading.Thread(target=work, name=name, daemon=not brief).start()
    except RuntimeError:  # CPython's word for EAGAIN of clone(2)
        raise NotPermitted("reason.system-refuses", error="EAGAIN") from None
    return future


async def aside(call: Callable[..., T], *arguments: object) -> T:
    """Return what ``call`` returns, which takes some milliseconds: in a thread, or here where no thread can be had.

    Not by ``asyncio.to_thread``, whose executor starts one more thread only to end the others.
    """
    work = functools.partial(call, *arguments)
    try:
        future = in_thread(work, "aside")
    except NotPermitted:
        return work()
    return await future
