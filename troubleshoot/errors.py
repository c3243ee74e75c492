"""The exceptions for the user's trouble: bad words on the command line, unreadable files, unusable data."""

from __future__ import annotations


class UserError(Exception):
    """One clear line for the user: what is wrong and what would fit. The command line turns it into status 2."""


class CatalogueError(UserError):
    """A data file of the catalogue does not fit its schema."""
