"""One module for each command; its ``run`` takes the command's values by name and returns the exit status.

What is heavy is imported by ``run``, after the words of the command line have been found good.
"""

from __future__ import annotations

import sys

from troubleshoot.cli.options import check_language

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from probes.base import Context
    from troubleshoot.cli.session import Session
    from troubleshoot.options import Options
    from troubleshoot.run.place import Place
    from troubleshoot.run.stand_in import StandIns


def spare_tls() -> None:
    """Import asyncio as an interpreter built without OpenSSL does: a start is a twentieth lighter.

    The loop's own TLS is not used: the one probe that shakes hands imports ``ssl`` when it comes to that, and moves the
    bytes itself. For the command line alone, whose process holds nobody else's code; a library must not do this.
    """
    if "ssl" in sys.modules or "asyncio" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # importing it raises ImportError, which asyncio expects
    try:
        import asyncio  # noqa: F401, PLC0415
    finally:
        del sys.modules["ssl"]


def loaded() -> None:
    """Let garbage be collected from here on: what was imported and read so far stays until the end. Ctrl-C is heard."""
    import gc  # noqa: PLC0415

    from troubleshoot.cli.interrupt import let  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    let()


def carry_out(command: str, session: Session, values: Mapping[str, Any]) -> int:
    """Carry out ``command`` with its ``values`` and return the exit status."""
    check_language(values["lang"])
    given = {name: value for name, value in values.items() if name not in ("lang", "help")}
    module = f"{__name__}.{command}"
    __import__(module)  # importlib costs what a sixth of `explain` does
    status: int = sys.modules[module].run(session, **given)
    return status


def confined(*, for_probes: bool, writes: bool = False) -> Context:
    """Give up for good what this command does not need: all privileges, but for those that probes look with.

    One that ``writes`` files stays the user who it is. Returns what probes may reach.
    """
    from probes.base import Context  # noqa: PLC0415
    from probes.budget import Budget  # noqa: PLC0415
    from probes.system import on_linux  # noqa: PLC0415

    context = Context(Budget())
    if on_linux():
        from probes.system.linux.confinement import FOR_PROBES, confine  # noqa: PLC0415

        confine(FOR_PROBES if for_probes else (), context, as_caller=not writes)
    return context


def placed(given: dict[str, Any]) -> Place | None:
    """Take the options that name a place to look from out of ``given``; raises :class:`Refusal`."""
    named = {name: given.pop(name) for name in ("netns", "docker", "podman", "pod", "as_user")}
    if not any(value is not None for value in named.values()):
        return None
    from probes.system import on_linux  # noqa: PLC0415
    from troubleshoot.knowledge.text import Refusal  # noqa: PLC0415

    if not on_linux():
        raise Refusal("usage.place-system")
    if given["pid"] is not None:
        raise Refusal("usage.option-places")
    from troubleshoot.run.place import place_of  # noqa: PLC0415 - most runs look from here

    return place_of(**named)


def standing_in(options: Options, place: Place | None = None) -> StandIns | None:
    """Start the children that stand where the failing program does, while this process may still have them do so."""
    from probes.system import on_linux  # noqa: PLC0415

    if (options.pid is None and place is None) or not on_linux():
        return None
    from troubleshoot.run import stand_in  # noqa: PLC0415

    return stand_in.of_process(options) if place is None else stand_in.of_place(place, options)
