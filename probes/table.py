"""Which probes there are and what each does, without importing any of them.

Light on purpose: who only lists the probes loads neither an event loop nor a type.
"""

from __future__ import annotations

import importlib.util
import os

_HERE = os.path.dirname(__file__)  # noqa: PTH120 - pathlib costs a quarter of an empty interpreter
#: Modules of this folder that all probes share.
_SHARED = {"__init__", "base", "budget", "failure", "table"}
#: Every probe and the module that holds it as ``PROBE``, imported when first used: a module of this folder is a probe.
TABLE: dict[str, str] = {
    stem.replace("_", "-"): f"probes.{stem}"
    for stem, ending in map(os.path.splitext, sorted(os.listdir(_HERE)))  # noqa: PTH208
    if ending == ".py" and stem not in _SHARED
}


def about(name: str) -> str:
    """Return in one sentence what the probe called ``name`` does: the first line of its module, read from the source.

    Empty where the sources are not there. Raises ``KeyError`` for an unknown name.
    """
    spec = importlib.util.find_spec(TABLE[name])
    source = getattr(spec and spec.loader, "get_source", lambda _: None)(TABLE[name]) or ""
    return str(source).removeprefix('"""').partition("\n")[0].removesuffix('"""').strip()
