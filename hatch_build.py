"""The wheel's build: the catalogue goes into it compiled, as one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledCatalogue(BuildHookInterface):  # type: ignore[type-arg]
    """Compile ``catalogue/`` into ``troubleshoot/_catalogue``; an editable install reads the folder itself."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to the wheel."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        try:
            from troubleshoot.knowledge.catalogue import COMPILED  # noqa: PLC0415
            from troubleshoot.knowledge.files import Folder  # noqa: PLC0415
            from troubleshoot.knowledge.parts import written  # noqa: PLC0415
        finally:
            sys.path.remove(self.root)
        files = Folder(str(Path(self.root) / "catalogue"))
        compiled = Path(self.directory) / "catalogue.compiled"
        compiled.parent.mkdir(parents=True, exist_ok=True)
        compiled.write_bytes(written({name: files.part(name) for name in files.names()}))
        build_data["force_include"][str(compiled)] = f"troubleshoot/{COMPILED}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was only made for the wheel."""
        del version, build_data, artifact_path
        (Path(self.directory) / "catalogue.compiled").unlink(missing_ok=True)
