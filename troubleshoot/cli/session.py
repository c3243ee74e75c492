"""What every command of one run of the program needs."""

from __future__ import annotations

from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.knowledge.text import fill, read_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.knowledge.catalogue import Catalogue
    from troubleshoot.knowledge.kinds import Language


class Session:
    """The language to speak, and the catalogue."""

    def __init__(self, language: Language) -> None:
        self.language = language

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of this process."""
        return catalogue()

    @property
    def wording(self) -> dict[str, str]:
        """The catalogue's sentences in this language."""
        return self.catalogue.wording(self.language)

    def translated(self, text: str) -> str:
        """Return an English complaint of the parser or of a file in this language, as it is where it is a new one."""
        if self.language == "en":
            return text
        known = {k: s for k, s in self.catalogue.wording("en").items() if ".other-" in k}
        for key in sorted(known, key=lambda key: -len(known[key])):  # the one that says more than another's place
            values = read_back(text, known[key])
            if values is not None:
                return fill(self.wording[key], values)
        return text
