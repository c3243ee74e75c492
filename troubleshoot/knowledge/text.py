"""Turn notes into sentences, and find out in which language to say them.

A sentence of the catalogue holds named places, ``{port}``, and nothing else of Python's format language: values
come from the network, and neither an attribute nor a format width may be reached through them.
"""

from __future__ import annotations

import re
import sys

from troubleshoot.errors import UserError
from troubleshoot.knowledge.letters import cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from troubleshoot.knowledge.kinds import Language

    class Sayable(Protocol):
        """What :func:`say` takes: :class:`probes.base.Note`, or a :class:`Refusal`."""

        @property
        def key(self) -> str:
            """``table.name`` of the sentence."""
            ...

        @property
        def values(self) -> tuple[tuple[str, str], ...]:
            """The values that fill its places."""
            ...


#: Both forms as a sentence writes them → the one after a consonant, the one after a vowel.
_PARTICLES = {
    "을(를)": ("을", "를"),
    "이(가)": ("이", "가"),
    "은(는)": ("은", "는"),
    "와(과)": ("과", "와"),
    "(으)로": ("으로", "로"),
}
_PLACE = re.compile(rf"\{{\{{|\}}\}}|\{{([a-z][a-z0-9_]*)\}}({'|'.join(map(re.escape, _PARTICLES))})?")
#: The final consonant of each digit's Korean name (영 일 이 삼 사 오 육 칠 팔 구), "" for none.
_DIGIT_FINALS = ("ㅇ", "ㄹ", "", "ㅁ", "", "", "ㄱ", "ㄹ", "ㄹ", "")
#: As a number's last word 10 to 10^11 all end in a consonant other than ㄹ (십 백 천 만 억), 10^12 (조) in a vowel.
_MANY_ZEROS = 12
_RIEUL = 8  # the place of ㄹ among the 27 finals of a syllable (Unicode, section 3.12)


class Refusal(UserError):  # noqa: N818 - a sentence for the user, not a failure of ours
    """Words of the command line that mean nothing: which, and what would fit, as a sentence of the catalogue."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = tuple((name, cut(str(value))) for name, value in values.items())

    def __str__(self) -> str:
        from troubleshoot.knowledge.catalogue import catalogue  # noqa: PLC0415 - only where somebody reads it

        return say(self, catalogue().wording("en"))


def fill(sentence: str, values: Mapping[str, str]) -> str:
    """Put ``values`` into the places of ``sentence``; a place without a value stays visible as ``<name>``.

    Of a pair of Korean particles right behind a place the one that fits the value is kept. Both stay where it is
    not known how the value is read: it ends in Latin letters, in a bracket, or in a digit that belongs to letters.
    """

    def place(found: re.Match[str]) -> str:
        name, pair = found[1], found[2]
        if name is None:
            return found[0][0]
        value = values.get(name, f"<{name}>")
        return value if pair is None else value + _particle(pair, value)

    return _PLACE.sub(place, sentence)


def _particle(pair: str, word: str) -> str:
    """Return the form of ``pair`` that fits behind ``word``, ``pair`` itself where that cannot be told."""
    final = _final(word)
    if final is None:
        return pair
    after_consonant, after_vowel = _PARTICLES[pair]
    # After ㄹ the particle (으)로 drops its vowel as after none.
    return after_vowel if not final or (final == "ㄹ" and pair == "(으)로") else after_consonant


def _final(word: str) -> str | None:
    """Return the consonant in which ``word`` ends when it is read aloud, "" for a vowel, ``None`` if unknown.

    Consonants other than ㄹ are not told apart. A digit that follows a Latin letter (``eth0``, ``IPv6``) is as often
    read in English.
    """
    last = word[-1:]
    if _is_hangul(last):
        place = (ord(last) - ord("가")) % 28
        return "ㄹ" if place == _RIEUL else "ㅇ" if place else ""
    number = re.search(r"(?<![0-9])[0-9]+\Z", word)
    if number is None:
        return None
    before = word[: number.start()][-1:]
    if before.isalpha() and not _is_hangul(before):
        return None
    if len(number[0]) - len(number[0].rstrip("0")) >= _MANY_ZEROS:
        return None
    return _DIGIT_FINALS[int(last)]


def _is_hangul(letter: str) -> bool:
    return "가" <= letter <= "힣"


def places(sentence: str) -> frozenset[str]:
    """Return the names of the places in ``sentence``."""
    return frozenset(name for name, _ in _PLACE.findall(sentence) if name)


def say(note: Sayable, wording: Mapping[str, str]) -> str:
    """Return the sentence that ``note`` stands for; a key that ``wording`` lacks stays visible as ``<key>``."""
    sentence = wording.get(note.key)
    return f"<{note.key}>" if sentence is None else fill(sentence, worded(dict(note.values), wording))


def worded(values: dict[str, str], wording: Mapping[str, str]) -> dict[str, str]:
    """Return ``values`` with an address's ``kind`` in the language of ``wording``; other values are names."""
    kind = values.get("kind")
    if kind is None:
        return values
    return {**values, "kind": wording.get(f"ui.address-{re.sub('[^a-z0-9]+', '-', kind)}", kind)}


def read_back(text: str, sentence: str) -> dict[str, str] | None:
    """Return the values with which ``sentence`` comes to ``text``; ``None`` where it cannot."""
    parts = re.split(r"\{([a-z][a-z0-9_]*)\}", sentence)
    pattern = "".join(f"(?P<{part}>.+)" if n % 2 else re.escape(part) for n, part in enumerate(parts))
    found = re.fullmatch(pattern, text, re.DOTALL)
    return found and found.groupdict()


def preferred_language(environment: Mapping[str, str]) -> Language:
    """Return the language that the environment's locale asks for (POSIX.1-2024, 8.2: LC_ALL, LC_MESSAGES, LANG).

    Before it comes LANGUAGE, a list of languages, best first, unless the locale is C (gettext manual, 2.3.3).
    """
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "C")
    wanted = [] if re.match(r"(c|posix)([_.@-]|$)", locale.lower()) else environment.get("LANGUAGE", "").split(":")
    for name in (*wanted, locale):
        found = re.match(r"(ko|en)([_.@-]|$)", name.lower())
        if found:
            return "ko" if found[1] == "ko" else "en"
    return "en"


def can_show(text: str, encoding: str | None = None) -> bool:
    """Whether ``text`` can be written in ``encoding`` (standard output's where none is given)."""
    try:
        text.encode(encoding or getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
