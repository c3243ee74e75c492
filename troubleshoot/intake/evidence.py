"""What in one line of a text speaks for a code: sentences of systems, names, numbers, words of programs.

A number counts only beside words that make it an error: ``error 10061``, ``[Errno 111]``, ``(110: …)``. A port, an
address, a duration and a number of a process are none. What each system says stands in ``catalogue/codes``, what
programs say in ``catalogue/texts.toml``; this module only looks for it. A line is looked at up to :data:`LONGEST_LINE`
characters, every repetition of a pattern is bounded.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

import msgspec

from troubleshoot.intake.codes import by_name, of_library, small_meanings, winsock_number
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.kinds import Sayer, Sureness, System
from troubleshoot.knowledge.model import TextEntry

#: Characters of a line that are looked at.
LONGEST_LINE = 4000
OPEN, MEANT, SAID, SURELY = 1, 2, 3, 4
_SURE: dict[Sureness, int] = {"open": OPEN, "meant": MEANT, "said": SAID, "surely": SURELY}
_SYSTEMS: dict[Sayer, System | None] = {
    **dict.fromkeys(("windows", "ko", "de", "fr", "es", "zh", "ja"), "windows"),
    "linux": "linux",
    "macos": "macos",
}
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4`"), "'")
#: From here on there are letters that are written without spaces between words (radicals, Han, Kana, Hangul).
_EAST_ASIAN = "\u2e80"

_NAME = re.compile(r"(?<![\w.])(?:WSA_?[A-Z_]{2,30}|E[A-Z][A-Z0-9_]{2,30}|e[a-z]{4,20})(?!\w)")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:0x[0-9a-f]{1,8}|8007[0-9a-f]{4}|[0-9]{1,10})(?![\w%]|[.,][0-9])")
# The words that make the number behind them an error, at their end.
_ERRNO_BEFORE = re.compile(
    r"(?:\berrno|\bos[ -]?error|\bsocket[ -]?error(?:[ -]code)?|\bsocketexception|\bsockets? err"
    r"|\bconnect(?:ion)?[ -]error|\b[a-z]{1,20}error|\bwinerror|\bsocket operation failed)"
    r"(?: ?\(?(?:code|number|no\.?|nr\.?))?[\s:=#(\['\"]{0,4}$"
)
_ERROR_BEFORE = re.compile(
    r"(?:\berr(?:or|no|code)?s?|code|fail(?:ed|ure)?(?: with)?|\bexception|\bhresult|\bhr|\brc|\bwsa|winsock|\(os"
    r"|fehler\w{0,8}|erreur|errore|código|오류|에러|错误|錯誤|エラー|ошибка)"
    r"(?: ?\(?(?:code|number|num|no\.?|nr\.?|id|코드|代码|代碼|コード))?[\s:=#(\['\"]{0,4}$"
)
_NO_ERROR_BEFORE = re.compile(
    r"(?:ssl\w{0,30}error\W{0,3}|curl|exit|status|http|return|response|zip|area)"
    r"[ -]?(?:error |code|status)?[ -]?(?:code)?\W{0,3}$"
)
_CALLED_BEFORE = re.compile(r"[a-z_]\($")
_FAILED_BEFORE = re.compile(
    r"(?:err\w{0,6}|fail\w{0,5}|refused|denied|reset|aborted|timed ?out|timeout|unreachable|use|host|network)\($"
)
_MEASURED_BEFORE = re.compile(
    r"(?:ports?|retries|retry|count|attempts?|timeout|pid|process|lines?:?|id|after|for|in|took|every|within|size|:|at|#)"
    r"[\s=:(]{0,3}$"
)
# What stands before a number of Winsock that nothing else makes an error: `gives a 10054`, but not `user 10061`.
_SPOKEN_BEFORE = re.compile(
    r"(?:^|[^\w.]|(?<!\bno)\.|\b(?:an?|the|this|that|and|or|with|by|is|was|are|of|to|gets?|got|getting|gives?|giving|gave|shows?|says?"
    r"|said|sees?|seeing|receives?|received|returns?|returned|throws?|threw|keeps?|always|only|just|windows|msg|message"
    r"|meldung|메시지|sockets?|win ?sock|tcp|ftp|winscp|win32|un|une|eine?n?|der|die)) $"
)
_CALL_BEFORE = re.compile(
    r"\b(?:wsa\w{1,30}|connect|accept|recv\w{0,4}|send\w{0,3}|select|socket|bind|gethostby\w{4,6}|getaddrinfo)"
    r"(?:\(\))?(?::? ?| ?= ?)$"
)
_ERROR_BEHIND = re.compile(r"[\s-]{0,2}(?:errors?\b|fehler|erreur|오류|에러|错误|錯誤|エラー)")
_TROUBLE = re.compile(
    r"err|fail|fehler|오류|에러|错误|錯誤|エラー|time(?:d |-)?out|refus|reset|abort|clos|disconn|unable|can(?:no|')t"
    r"|could ?n|denied|lost|drop|client|except|winsock|wsa|sql|dns|ftp|https?\b|ssh|smtp|imap|rdp|vpn|연결|접속|verbind"
    r"|connexion|conexión|连接|連接|接続"
)
_MEASURED_BEHIND = re.compile(
    r"\s{0,2}(?:ms|msec|s|sec|secs|seconds?|minutes?|min|hours?|bytes?|[kmg]i?b|times|items|packets|rows|clients?|connections?|users?|requests?"
    r"|messages|files|orders|hosts|records|초|秒|%)\b"
)
_NETWORK = re.compile(
    r"\b(?:sockets?|bind(?:ing)?|connect\w{0,6}|listen\w{0,4}|accept4?|sendto|sendmsg|send|recv\w{0,4}|[gs]etsockopt"
    r"|getpeername|tcp6?|udp6?|ports?|ipv[46]|network|servers?|address|dial|peer|remote|hosts?)\b|:[0-9]{1,5}\b"
)


class Line(msgspec.Struct, frozen=True):
    """One line of a text: as it came, in plain small letters, and the same without spaces.

    ``number`` counts the lines that are not empty from 0, ``place`` all of them from 1.
    """

    number: int
    text: str
    plain: str
    tight: str
    place: int = 1


class Found(msgspec.Struct, frozen=True):
    """``code`` is spoken for in line ``line``; ``start`` and ``end`` are places in its plain form.

    ``code`` is empty where words only tell the system, or that what stands there is no such error.
    """

    code: str
    sure: int
    line: int
    start: int
    end: int
    system: System | None = None


def line_of(number: int, text: str) -> Line:
    """Return a line ready to be looked at."""
    text = text[:LONGEST_LINE]
    plain = folded(text)
    return Line(number, text, plain, plain.replace(" ", ""))


def folded(text: str) -> str:
    """Return ``text`` in small letters, with plain apostrophes and single spaces."""
    plain = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    return " ".join(plain.split())


def in_line(line: Line, catalogue: Catalogue, system: System | None) -> list[Found]:
    """Return what in ``line`` speaks for a code; ``system`` tells whose a small number is."""
    words = [*_of_programs(line, catalogue, system)]
    others = [*_sentences(line, catalogue), *_names(line, catalogue), *_numbers(line, catalogue, system)]
    silencing = [one for one in words if not one.code]
    return [
        one
        for one in [*words, *_longest(others)]
        if not one.code or not any(no.start <= one.start < no.end for no in silencing)
    ]


def _longest(found: list[Found]) -> list[Found]:
    """Leave out what lies within longer words: ``host not found`` in ``host not found, try again``."""
    return [
        one
        for one in found
        if not any(
            other.start <= one.start and one.end <= other.end and other.end - other.start > one.end - one.start
            for other in found
        )
    ]


# -- sentences ------------------------------------------------------------------------------------------------------


@functools.cache
def _fragments(catalogue: Catalogue) -> tuple[tuple[str, bool, str, Sayer], ...]:
    """Return each sentence's plain form, whether spaces do not count in it, its code and who says it."""
    found: list[tuple[str, bool, str, Sayer]] = []
    for code, sayers in catalogue.sentences.items():
        for sayer, sentences in sayers.items():
            for sentence in map(folded, sentences):
                east = any(letter >= _EAST_ASIAN for letter in sentence)
                found.append((sentence.replace(" ", "") if east else sentence, east, code, sayer))
    return tuple(found)


def _sentences(line: Line, catalogue: Catalogue) -> Iterator[Found]:
    east_asian = not line.plain.isascii()
    for words, east, code, sayer in _fragments(catalogue):
        if east and not east_asian:
            continue
        text = line.tight if east else line.plain
        at = text.find(words)
        while at >= 0:
            if east or _is_whole(text, at, len(words)):
                start = _spread(line.plain, at) if east else at
                sure = SAID if sayer != "vague" or _NETWORK.search(line.plain) else OPEN
                yield Found(code, sure, line.number, start, start + len(words), _SYSTEMS.get(sayer))
                break
            at = text.find(words, at + 1)


def _is_whole(text: str, at: int, length: int) -> bool:
    before, behind = text[at - 1 : at] if at else "", text[at + length : at + length + 1]
    return not (before.isalnum() and before.isascii()) and not (behind.isalnum() and behind.isascii())


def _spread(plain: str, tight_at: int) -> int:
    """Return where in ``plain`` the character stands that is number ``tight_at`` without the spaces."""
    seen = -1
    for index, letter in enumerate(plain):
        seen += letter != " "
        if seen == tight_at:
            return index
    return len(plain)


# -- names and numbers ----------------------------------------------------------------------------------------------


def _names(line: Line, catalogue: Catalogue) -> Iterator[Found]:
    for found in _NAME.finditer(" ".join(unicodedata.normalize("NFKC", line.text).split())):
        name = by_name(found[0], catalogue)
        if name is not None:
            system: System | None = "windows" if found[0].startswith("WSA") else None
            yield Found(name, SAID, line.number, found.start(), found.end(), system)


def _numbers(line: Line, catalogue: Catalogue, system: System | None) -> Iterator[Found]:
    for found in _NUMBER.finditer(line.plain):
        before, behind = line.plain[max(0, found.start() - 40) : found.start()], line.plain[found.end() :]
        for code, sure, whose in _meant_by(found[0], before, behind, catalogue, system):
            yield Found(code, sure, line.number, found.start(), found.end(), whose)


def _meant_by(
    word: str, before: str, behind: str, catalogue: Catalogue, system: System | None
) -> list[tuple[str, int, System | None]]:
    """Return the codes that a number stands for there, how surely, and on which system."""
    value = int(word, 16) if "x" in word or word.startswith("8007") else int(word)
    number, wrapped = winsock_number(value)
    if wrapped or number >= 1000:
        names = catalogue.names_of(number) or of_library(number, catalogue)
        sure = SAID if wrapped or "x" in word else _standing(before, behind)
        return [(name, sure, "windows") for name in names[:1] if sure]
    if "x" in word or number == 0 or _NO_ERROR_BEFORE.search(before):
        return []
    if before.rstrip(" =:#'\"(").endswith("winerror"):
        return _of_win32(number, catalogue)
    if not _ERRNO_BEFORE.search(before) and (number == -1 or not _is_listed(before, behind)):
        return []  # -1 in brackets is what a call returned
    meanings = small_meanings(number, catalogue, system)
    sure = SAID if len({code for code, _ in meanings}) == 1 else OPEN
    return [(code, sure, whose) for code, whose in meanings]


def _of_win32(number: int, catalogue: Catalogue) -> list[tuple[str, int, System | None]]:
    """Return what a small error number of Windows means; it has nothing to do with any ``errno``."""
    found = [on.winsock for name, on in catalogue.posix.items() if name.startswith("ERROR_") and on.windows == number]
    return [(code, OPEN, "windows") for code in found]


def _standing(before: str, behind: str) -> int:
    """Tell how surely a number in Winsock's range is an error where it stands: 0 for not at all."""
    if _ERROR_BEFORE.search(before) or _ERRNO_BEFORE.search(before):
        return SAID
    if _MEASURED_BEHIND.match(behind):
        return 0
    if before[-1:] in tuple("([/") and behind[:1] in tuple(")]"):
        return 0 if re.search(r"port\W{0,3}$", before) else SAID
    if (before.endswith(" : ") and behind.startswith(" : ")) or (before[-1:] == "(" and behind[:2] == ' "'):
        return SAID
    if before[-1:] in tuple("(,") and behind[:1] == ",":
        return MEANT
    if _CALL_BEFORE.search(before) or _ERROR_BEHIND.match(behind):
        return MEANT
    if _MEASURED_BEFORE.search(before) and not (behind[:1] == ":" and before.endswith(": ")):
        return 0
    if behind[:2] == ": " and not re.search(r"\w $", before):
        return SAID
    return _spoken(before, behind)


def _spoken(before: str, behind: str) -> int:
    """Tell how surely a number stands for an error in a sentence of somebody's own: ``it gives a 10054``."""
    if before and before[-1] != " ":
        return 0
    troubled = (
        _TROUBLE.search(before + behind) or _NETWORK.search(before + behind) or not (before + behind).strip(" .?!")
    )
    return MEANT if troubled and (not before or _SPOKEN_BEFORE.search(before)) else OPEN


def _is_listed(before: str, behind: str) -> bool:
    """Whether a small number stands as ``(111: Connection refused)``, ``(13)Permission denied``, or ``(111)`` alone."""
    if before[-1:] != "(" or _NO_ERROR_BEFORE.search(before):
        return False
    if _CALLED_BEFORE.search(before) and not _FAILED_BEFORE.search(before):
        return False  # `Map(1)` counts, `connect(2)` is a page of a manual
    return bool(re.match(r": ?[a-z]|\)[a-z]|\)[.,;)\"']*(?: |$)", behind)) and not re.search(r"pid ?\($", before)


# -- words of programs ----------------------------------------------------------------------------------------------


def _of_programs(line: Line, catalogue: Catalogue, system: System | None) -> Iterator[Found]:
    for entry in catalogue.texts.values():
        first = next((word for word in entry.has if word in line.plain), None)
        if first is None:
            continue
        if not entry.pattern:
            at = line.plain.find(first)
            yield from _said_by(entry, line.number, at, at + len(first))
            continue
        found = _compiled(entry.pattern).search(line.plain)
        if found is None:
            continue
        groups = found.groupdict()
        if groups.get("errno") or groups.get("winsock"):
            yield from _numbered(found, line.number, catalogue, system)
        else:
            yield from _said_by(entry, line.number, found.start(), found.end())


def _numbered(found: re.Match[str], line: int, catalogue: Catalogue, system: System | None) -> Iterator[Found]:
    groups = found.groupdict()
    if groups.get("winsock"):
        for name in catalogue.names_of(int(groups["winsock"]))[:1]:
            yield Found(name, SAID, line, found.start(), found.end(), "windows")
        return
    meanings = small_meanings(abs(int(groups["errno"])), catalogue, system)
    sure = SAID if len({code for code, _ in meanings}) == 1 else OPEN
    for code, whose in meanings:
        yield Found(code, sure, line, found.start(), found.end(), whose)


def _said_by(entry: TextEntry, line: int, start: int, end: int) -> Iterator[Found]:
    yield Found(entry.code or "", _SURE[entry.sure] if entry.code else 0, line, start, end, entry.system)
    for code in entry.also:
        yield Found(code, OPEN, line, start, end, entry.system)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
