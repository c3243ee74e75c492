"""Which system a code comes from, as far as the form in which it was brought tells.

A Winsock number or name is met on Windows alone. A POSIX name is met everywhere (Node.js and Rust say
``ECONNREFUSED`` on Windows, too) and tells nothing. A text tells by its sentences, numbers, and paths of files.
"""

from __future__ import annotations

from troubleshoot.intake.codes import is_plain, is_winsock_form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.knowledge.catalogue import Catalogue
    from troubleshoot.knowledge.kinds import System


def caller_system(word: str, catalogue: Catalogue, system: System | None = None) -> System | None:
    """Return the system on which ``word``, a CODE or a text as it was brought, was met; ``None`` where it does not say.

    ``system`` is what ``--errno`` said, which nobody knows better.
    """
    if system is not None:
        return system
    if is_plain(word, catalogue):
        return "windows" if is_winsock_form(word, catalogue) else None
    from troubleshoot.intake.texts import read_text  # noqa: PLC0415 - a plain code costs none of it

    return read_text(word, catalogue).caller_system
