"""Run inside of wine: the three shapes of one refusal, the probes in asyncio's two loops, and every module's import."""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
import socket
import sys
from typing import Any

REFUSED = ("127.0.0.1", 1)


def shape(error: OSError) -> dict[str, Any]:
    from probes.failure import classify, errno_name, number_of

    number = number_of(error)
    return {
        "class": type(error).__name__,
        "winerror": getattr(error, "winerror", None),
        "errno": error.errno,
        "failure": str(classify(number)),
        "name": errno_name(number),
    }


def plainly() -> dict[str, Any]:
    try:
        socket.create_connection(REFUSED)
    except OSError as error:
        return shape(error)
    raise AssertionError


async def in_loop() -> dict[str, Any]:
    with socket.socket() as opened:
        opened.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(opened, REFUSED)
        except OSError as error:
            return shape(error)
    raise AssertionError


async def probes() -> dict[str, Any]:
    """Return what probes see that watch sockets: a refusal, a connection, and a stack that works."""
    from probes.base import Context, load

    async def look(name: str, **request: Any) -> Any:
        probe = load(name)
        return await asyncio.wait_for(probe.observe(probe.request(**request), Context(), lambda _: None), 20)

    with socket.create_server(("127.0.0.1", 0)) as server:
        refused = await look("connect", address="127.0.0.1", port=1)
        connected = await look("connect", address="127.0.0.1", port=server.getsockname()[1])
        stack = await look("network-subsystem")
        held = await look("sockets", port=server.getsockname()[1])
    return {
        "refused": [refused.outcome, refused.attempts[0].failure, refused.attempts[0].errno],
        "connected": connected.outcome,
        "exchanges": [one.errno for one in stack.exchanges],
        "listening": [(one.state, one.local_address) for one in held.entries],
    }


def imports() -> dict[str, str]:
    """Import every module; return those that cannot be, and why."""
    import probes as one
    import troubleshoot as other

    failed = {}
    for package in (one, other):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            try:
                importlib.import_module(module.name)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test names it
                failed[module.name] = f"{type(error).__name__}: {error}"
    return failed


def selecting(work: Any) -> Any:
    from probes.system import loop

    return loop.run(work)


print(
    json.dumps(
        {
            "platform": sys.platform,
            "plain": plainly(),
            "proactor": asyncio.run(in_loop()),
            "selector": selecting(in_loop()),
            "probes": {"proactor": asyncio.run(probes()), "selector": selecting(probes())},
            "imports": imports(),
        }
    )
)
