"""What no record may hold: secrets that other programs, or the user, wrote down."""

from __future__ import annotations

from msgspec.structs import replace

from probes.base import Context
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.secrets import masked
from troubleshoot.options import Options


def hiding_secrets(options: Options, catalogue: Catalogue, context: Context) -> Context:
    """Return the context with secrets masked where a record is made, so that no report ever holds them."""
    if options.show_secrets:
        return replace(context, masked=str, show_secrets=True)
    return replace(context, masked=lambda text: masked(text, catalogue))
