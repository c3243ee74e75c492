"""Read the CODE of the command line: every way in which people meet a socket error.

Forms: Winsock numbers (``10061``), names of either world in any case (``WSAECONNREFUSED``, ``econnrefused``,
``EAI_NONAME``, ``HOST_NOT_FOUND``), hexadecimal (``0x274D``), the HRESULT of ``FACILITY_WIN32`` in hexadecimal
or as a signed or unsigned decimal (``0x8007274D``, ``-2147014835``, ``2147952461``), and any text that speaks for
one of them (:mod:`troubleshoot.intake.texts`).

A number below 200 is refused unless it is said whose it is, or it means the same everywhere (13, EACCES). Winsock has
a few constants there (6, 8, 87), but the same numbers are errors of other systems' ``errno`` or ``getaddrinfo``, and a
wrong guess would lead to the wrong checklist. Their names and their HRESULT forms (``0x80070006``) are unambiguous and
are taken.
"""

from __future__ import annotations

import re

from troubleshoot.knowledge.text import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.intake.texts import Reading
    from troubleshoot.knowledge.catalogue import Catalogue
    from troubleshoot.knowledge.kinds import System

SYSTEMS: tuple[System, ...] = ("linux", "macos", "windows")
SYSTEM_NAMES: dict[System, str] = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}

#: The greatest number that an ``errno`` or ``getaddrinfo`` error of the three systems can have, rounded up.
_POSIX_RANGE = 200
#: Characters of a text, as troubleshoot.intake.texts reads it.
_LONGEST = 1 << 16
#: Of several codes so many are shown, and so much of the line that each came from.
_MOST_SHOWN, _LINE_SHOWN = 4, 70
#: Digits of the longest form of 32 bits, its sign included; int() of a long word costs time.
_LONGEST_NUMBER = 12
#: No system's ``errno`` reaches as far: from here on a number is Windows' own (winerror.h, wininet.h, winhttp.h).
_LIBRARIES_FROM = 1200
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"), "-")
_SPEAKING = re.compile(r"[0-9]{4}|(?<![A-Z])E[A-Z]{4}(?<!ERROR)|WSA|[:=(]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9A-Fa-f]+|[0-9]+)")


def parse_code(word: str, catalogue: Catalogue, system: System | None = None) -> str:
    """Return the name of the entry that ``word`` means; ``system`` tells whose a small number is.

    Raises :class:`~troubleshoot.knowledge.text.Refusal` where it means nothing or more than one thing.
    """
    text = _plain(word)
    if not text:
        raise Refusal("usage.code-empty")
    if len(text) > _LONGEST:
        raise Refusal("usage.code-long", length=len(text))
    if _NUMBER.fullmatch(text):
        return _by_number(text, catalogue, system)
    if _NAME.fullmatch(text):
        name = by_name(text, catalogue)
        if name is not None:
            return name
    return _in_text(text, catalogue, system)


def is_plain(word: str, catalogue: Catalogue) -> bool:
    """Whether ``word`` is a code as it stands: a number, or a name that is known."""
    text = _plain(word)
    return bool(_NUMBER.fullmatch(text)) or (bool(_NAME.fullmatch(text)) and by_name(text, catalogue) is not None)


def by_name(text: str, catalogue: Catalogue) -> str | None:
    """Return the entry that a name of either world means, in any case; ``None`` for no such name."""
    name = text.upper()
    # A Winsock twin costs no file; only names such as EAI_NONAME need the table of POSIX names.
    for candidate in (name, f"WSA{name}"):
        if candidate in catalogue.numbers:
            return candidate
    twin = catalogue.posix.get(name)
    return twin.winsock if twin is not None and twin.winsock in catalogue.numbers else None


def _by_number(text: str, catalogue: Catalogue, system: System | None) -> str:
    digits = text.lstrip("+-")
    if len(digits) > _LONGEST_NUMBER:
        raise _unknown(text, catalogue)
    value = _value(text)
    winsock, certain = winsock_number(value)
    if system is not None and abs(value) < _POSIX_RANGE:
        return _of_system(text, value, catalogue, system)
    if abs(value) < _POSIX_RANGE and not certain:
        return _of_any_system(text, value, catalogue)
    names = catalogue.names_of(winsock) or of_library(winsock, catalogue)
    return names[0] if names else _in_text(text, catalogue, system)


def _of_any_system(text: str, value: int, catalogue: Catalogue) -> str:
    """Return what a small number means where it means the same on every system."""
    meanings = _meanings(value, catalogue)
    if not meanings:
        raise _unknown(text, catalogue)
    on = [_named_by(value, catalogue, system) for system in SYSTEMS]
    twins = {catalogue.posix[name].winsock for names in on for name in names} | set(catalogue.names_of(value))
    if len(twins) == 1 and all(on):
        return twins.pop()
    key = "usage.code-one-system" if len(twins) == 1 else "usage.code-whose"
    raise Refusal(key, word=text, meanings="; ".join(meanings))


def of_library(number: int, catalogue: Catalogue) -> list[str]:
    """Return the code behind an error that Windows, WinINet or WinHTTP numbers."""
    if number < _LIBRARIES_FROM:
        return []
    return [on.winsock for on in catalogue.posix.values() if on.windows == number]


def meant(word: str, name: str, catalogue: Catalogue) -> bool:
    """Tell whether ``word`` is no form of the code ``name`` itself, but another system's or library's error for it."""
    text = word.strip().upper()
    if _NUMBER.fullmatch(text) and len(text) <= _LONGEST_NUMBER:
        return winsock_number(_value(text))[0] != catalogue.numbers[name]
    return bool(_NAME.fullmatch(text)) and text in catalogue.posix and name not in (text, f"WSA{text}")


def is_winsock_form(word: str, catalogue: Catalogue) -> bool:
    """Tell whether ``word`` is a number or a name of Winsock, which only Windows gives: ``10061``, ``0x8007274D``."""
    text = _plain(word)
    if _NUMBER.fullmatch(text) and len(text) <= _LONGEST_NUMBER:
        number, certain = winsock_number(_value(text))
        return certain or (number >= _POSIX_RANGE and bool(catalogue.names_of(number) or of_library(number, catalogue)))
    return text.upper() in catalogue.numbers


def _plain(word: str) -> str:
    """Return ``word`` with compatibility forms made plain: full-width digits and letters, every kind of minus sign."""
    if not word.isascii():
        import unicodedata  # noqa: PLC0415 - a plain code costs none of it

        word = unicodedata.normalize("NFKC", word.translate(_DASHES)).translate(_DASHES)
    return word.strip().strip("'\"`").strip()


def _value(text: str) -> int:
    return int(text, 16 if "x" in text.lower() else 10)


def winsock_number(value: int) -> tuple[int, bool]:
    """Unwrap an HRESULT; the second half of the answer is whether there was one, which leaves no doubt."""
    bits = value & 0xFFFFFFFF
    if bits >> 16 == 0x8007 and -(1 << 31) <= value < 1 << 32:
        return bits & 0xFFFF, True
    return value, False


def _named_by(value: int, catalogue: Catalogue, system: System) -> list[str]:
    """Return the POSIX names that ``value`` has on ``system``; the kernel's ``-111`` counts as 111."""
    names = catalogue.posix
    exact = [name for name, on in names.items() if getattr(on, system) == value]
    # Kernels negate errno, never the numbers of getaddrinfo.
    return exact or [
        name
        for name, on in names.items()
        if value < 0 and not name.startswith("EAI_") and getattr(on, system) == -value
    ]


def small_meanings(number: int, catalogue: Catalogue, system: System | None) -> list[tuple[str, System | None]]:
    """Return the codes that an ``errno`` of a text may stand for, each with the system on which it does.

    Sockets of Windows report no number of its C runtime; negative ones are those of ``getaddrinfo``, or ``errno`` as
    kernels and libuv have it.
    """
    systems: list[System] = ["linux", "macos"] if system is None else [system]
    found: dict[str, set[System]] = {}
    for one in systems:
        for name in _named_by(number, catalogue, one):
            if number < 0 or not name.startswith("EAI_"):
                found.setdefault(catalogue.posix[name].winsock, set()).add(one)
    return [(code, next(iter(on)) if len(on) == 1 else None) for code, on in found.items()]


def _of_system(text: str, value: int, catalogue: Catalogue, system: System) -> str:
    names = _named_by(value, catalogue, system)
    twins = {catalogue.posix[name].winsock for name in names}
    if not names and system == "windows":
        # Not one of the C runtime's numbers, but Windows has its own small ones.
        twins = set(catalogue.names_of(value)[:1])
    if len(twins) == 1:
        return twins.pop()
    if twins:
        raise Refusal("usage.code-two-names", word=text, system=SYSTEM_NAMES[system], names=", ".join(sorted(names)))
    meanings = _meanings(value, catalogue)
    key = "usage.code-other-system" if meanings else "usage.code-no-system"
    raise Refusal(key, word=text, system=SYSTEM_NAMES[system], meanings="; ".join(meanings))


def _meanings(value: int, catalogue: Catalogue) -> list[str]:
    """Return ``Linux ECONNREFUSED``-like meanings of a bare number, Winsock's own last."""
    found: dict[str, list[str]] = {}
    for system in SYSTEMS:
        names = "/".join(_named_by(value, catalogue, system))
        if names:
            found.setdefault(names, []).append(SYSTEM_NAMES[system])
    meanings = [f"{', '.join(systems)}: {names}" for names, systems in found.items()]
    return meanings + [f"Winsock: {'/'.join(names)}" for names in [catalogue.names_of(value)] if names]


def _in_text(text: str, catalogue: Catalogue, system: System | None) -> str:
    """Return the one code that a text speaks for."""
    if not may_speak(text, catalogue):
        raise _unknown(text, catalogue)
    from troubleshoot.intake.texts import read_text  # noqa: PLC0415 - a plain code costs none of it

    reading = read_text(text, catalogue, system)
    if reading.code is None:
        raise _unknown(text, catalogue)
    if not reading.clear:
        raise several(reading, catalogue)
    return reading.code


def may_speak(text: str, catalogue: Catalogue) -> bool:
    """Whether it is worth it to read ``text``: a misspelt name of one word is refused sooner without."""
    if not text.isascii() or " " in text or "\n" in text or _SPEAKING.search(text):
        return True
    small = text.lower()
    return any(word in small for entry in catalogue.texts.values() for word in entry.has)


def several(reading: Reading, catalogue: Catalogue) -> Refusal:
    """Return the complaint about a text that may mean more than one code: each with the line that it came from."""
    shown = [f"{catalogue.numbers[one.code]} {one.code}" for one in reading.candidates[:_MOST_SHOWN]]
    lines = dict.fromkeys(one.line[:_LINE_SHOWN] for one in reading.candidates[:_MOST_SHOWN])
    return Refusal("usage.code-several", names="; ".join(shown), lines=" / ".join(lines))


def _unknown(text: str, catalogue: Catalogue) -> Refusal:
    near = nearest(text, catalogue)
    word = text if len(text) <= 60 else f"{text[:57]}..."
    if " " in text:
        return Refusal("usage.text-no-code", word=word)
    if near:
        return Refusal("usage.code-unknown-near", word=word, near=", ".join(near))
    return Refusal("usage.code-unknown", word=word)


def nearest(word: str, catalogue: Catalogue, count: int = 3) -> list[str]:
    """Return the codes most like ``word``: names by their letters (without ``WSAE``), numbers by their digits."""
    import difflib  # noqa: PLC0415 - only where something was misspelt

    stem = word.upper()[:40].replace(" ", "")
    if stem.lstrip("+-").isdecimal():
        # A mistyped number has one wrong digit, or two neighbours exchanged.
        digits = stem.lstrip("+-")
        wrong = {
            name: sum(a != b for a, b in zip(digits, str(number), strict=True))
            for name, number in catalogue.numbers.items()
            if len(str(number)) == len(digits)
        }
        close = sorted((name for name in wrong if wrong[name] <= 2), key=lambda n: (wrong[n], catalogue.numbers[n]))
        return [f"{catalogue.numbers[name]} {name}" for name in close[:count]]
    stems = {_stem(name): name for name in [*catalogue.posix, *catalogue.numbers]}
    return [stems[found] for found in difflib.get_close_matches(_stem(stem), stems, count, 0.7)]


def _stem(name: str) -> str:
    return re.sub(r"^(WSA_?)?(EAI_|E(?=[A-Z]))?", "", name) or name
