"""The exceptions for the user's trouble: bad words on the command line, unreadable files, unusable data."""

from __future__ import annotations


class UserError(Exception):
    """One clear line for the user: what is wrong and what would fit. The command line turns it into status 2."""


class CatalogueError(UserError):
    """A data file of the catalogue does not fit its schema."""


def bug_text(bug: BaseException) -> str:
    """Return in one line what went wrong in a part of ours, and in which module and line."""
    import traceback  # noqa: PLC0415 - only where something is broken

    frames = traceback.extract_tb(bug.__traceback__)
    text = f"{type(bug).__name__}: {bug}"
    if not frames:
        return text
    module = frames[-1].filename.replace("\\", "/").rpartition("/")[2]
    return f"{text} ({module}:{frames[-1].lineno})"
