"""What may be asked of a diagnosis beside the code and the target."""

from __future__ import annotations

import msgspec

from troubleshoot.knowledge.kinds import Language


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``timeout_s`` bounds the whole run. ``family`` is 4 or 6 to look at one address family only.

    ``local_host``, ``router`` and ``remote_neighbour`` are address literals for the steps that ping them;
    ``pid`` names the failing program's process.
    """

    timeout_s: float = 10.0
    family: int | None = None
    pid: int | None = None
    local_host: str | None = None
    router: str | None = None
    remote_neighbour: str | None = None
    language: Language = "en"
