"""Which probes there are and what each does, without importing any of them.

Light on purpose: who only lists the probes loads neither an event loop nor a type.
"""

from __future__ import annotations

import importlib.util
import os
import pkgutil

_HERE = os.path.dirname(__file__)  # noqa: PTH120 - pathlib costs a quarter of an empty interpreter
#: Modules of this folder that all probes share.
_SHARED = {"base", "budget", "failure", "table"}
#: Every probe and the module that holds it as ``PROBE``, imported when first used: a module of this folder is a probe.
#: ``pkgutil`` sees them in a zip as well.
TABLE: dict[str, str] = {
    module.name.replace("_", "-"): f"probes.{module.name}"
    for module in sorted(pkgutil.iter_modules([_HERE]), key=lambda module: module.name)
    if not module.ispkg and module.name not in _SHARED
}


def about(name: str) -> str:
    """Return in one sentence what the probe called ``name`` does: the first line of its module, read from the source.

    Empty where the sources are not there. Raises ``KeyError`` for an unknown name.
    """
    spec = importlib.util.find_spec(TABLE[name])
    source = getattr(spec and spec.loader, "get_source", lambda _: None)(TABLE[name]) or ""
    return str(source).removeprefix('"""').partition("\n")[0].removesuffix('"""').strip()
