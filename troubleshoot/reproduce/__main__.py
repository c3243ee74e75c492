"""``python -m troubleshoot.reproduce CODE [--json]``: reproduce one code, or all with ``--all``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable

import msgspec

from troubleshoot.errors import UserError
from troubleshoot.render.reproduce import page, render
from troubleshoot.reproduce.claims import codes, impossible
from troubleshoot.reproduce.records import Reproduction
from troubleshoot.reproduce.run import MAX_CHILDREN, reproduce


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line: 0 where every claim held, 1 where one did not, 2 for bad usage."""
    parser = argparse.ArgumentParser(prog="python -m troubleshoot.reproduce", description=__doc__)
    parser.add_argument("code", nargs="?", help="a Winsock name, for instance WSAENOTCONN")
    parser.add_argument("--all", action="store_true", help="every code of the catalogue")
    parser.add_argument("--page", action="store_true", help="print all claims as a page in Markdown, and run nothing")
    parser.add_argument("--json", action="store_true", help="print records instead of text")
    options = parser.parse_args(arguments)
    if options.page:
        sys.stdout.write(page())
        return 0
    if bool(options.code) == options.all:
        parser.error("give a code or --all")
    wanted = codes() if options.all else (options.code.upper(),)
    try:
        found = asyncio.run(_all(wanted))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.json:
        sys.stdout.buffer.write(msgspec.json.encode([one for group in found for one in group]) + b"\n")
    else:
        for code, group in zip(wanted, found, strict=True):
            reason = impossible(code)
            sys.stdout.write((f"{code}: {reason}" if reason else render(group)) + "\n\n")
    held = all(one.matches or one.observed is None for group in found for one in group)
    return 0 if held else 1


async def _all(wanted: Iterable[str]) -> list[tuple[Reproduction, ...]]:
    places = asyncio.Semaphore(MAX_CHILDREN)
    return await asyncio.gather(*(reproduce(code, places) for code in wanted))


if __name__ == "__main__":
    sys.exit(main())
