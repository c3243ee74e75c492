"""Whether the catalogue loads, file by file."""

from __future__ import annotations

import functools
from pathlib import Path

from troubleshoot.knowledge.catalogue import Catalogue, CatalogueError
from troubleshoot.knowledge.files import Folder

FOLDER = Path(__file__).parents[1] / "catalogue"
#: Parts that come from a file of another name.
_PARTS = {"reproduced-wine": "wine"}


def files() -> list[str]:
    """Return every file of the catalogue by its path below the folder."""
    return sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.toml"))


def load(file: str, folder: Path = FOLDER) -> None:
    """Read what ``file`` holds, and what refers to it; raises ``CatalogueError`` for what is its own fault."""
    try:
        _load(file.removesuffix(".toml"), folder)
    except CatalogueError as error:
        if str(error).startswith(f"{Path(file).name}: "):
            raise


def _load(name: str, folder: Path) -> None:
    parts, known = Folder(str(folder)), Catalogue(folder)
    if name == "reproduce":
        for part in parts.names():
            if part.startswith(("reproduce", "claims/")):
                parts.part(part)
    elif name == "steps":
        parts.part(name)
        for code in known.numbers:  # to which steps are added
            known.checklist(code)
    elif name.startswith("codes/"):
        known.checklist(name.partition("-")[2])
    else:
        parts.part(_PARTS.get(name, name))


@functools.cache
def is_broken() -> bool:
    """Whether any file does not load."""
    try:
        for file in files():
            load(file)
    except CatalogueError:
        return True
    return False
