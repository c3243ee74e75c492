"""The console script's door. Ctrl-C waits from its first line on, before anything else of ours is imported.

What comes before belongs to the interpreter (its start, ``site``) and to the script that an installer wrote.
"""

# ruff: noqa: E402 - the order is the point

from troubleshoot.cli.interrupt import hold

hold()

from troubleshoot.cli.entry import main

__all__ = ["main"]
