"""What no record may hold: secrets that other programs, or the user, wrote down."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from probes.base import Context
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.secrets import LONGEST, MASK, masked
from troubleshoot.options import Options
from troubleshoot.report import Report

#: No run's report holds more letters in long texts; beyond that they are hidden as a whole.
_MOST_LETTERS = 1 << 20
_LONG = 64


def hiding_secrets(options: Options, catalogue: Catalogue, context: Context) -> Context:
    """Return the context with secrets masked where a record is made, so that no report ever holds them."""
    if options.show_secrets:
        return replace(context, masked=str, show_secrets=True)
    return replace(context, masked=lambda text: masked(text, catalogue))


def without_secrets(report: Report, catalogue: Catalogue) -> Report:
    """Return a saved report with secrets masked: whoever made it may have asked for them, or have hidden none."""
    return msgspec.convert(_Hiding(catalogue).of(msgspec.to_builtins(report)), Report)


class _Hiding:
    """Masks the texts of a document, each of them once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.known: dict[str, str] = {}
        self.letters = 0

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.of(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(inner) for inner in value]
        return value

    def text(self, text: str) -> str:
        if text not in self.known:
            self.letters += len(text) if len(text) > _LONG else 0
            if len(text) > LONGEST and " " not in text:
                self.known[text] = text  # bytes in hexadecimal digits
            elif len(text) > _LONG and self.letters > _MOST_LETTERS:
                self.known[text] = MASK
            else:
                self.known[text] = masked(text, self.catalogue)
        return self.known[text]
