"""Names and free text in other words: the same word always becomes the same one, and nothing leads back to it."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable

from troubleshoot.run.redact.addresses import IPV4, IPV6, Addresses, read

#: Names that say nothing of anybody, and the last parts of names that everybody knows.
_ANYBODY = frozenset({"localhost", "localdomain", "ip6-localhost", "ip6-loopback", "version.bind", "*", ""})
_SUFFIXES = frozenset(
    """
    com net org edu gov mil int info biz arpa in-addr ip6 local localhost internal lan home test example invalid
    onion io dev app cloud
    """.split()  # noqa: SIM905 - more readable than quotes around each
)
#: Parts of paths that are the same on every machine.
_FOLDERS = frozenset(
    """
    etc usr bin sbin lib lib64 home var run proc opt tmp dev sys net log share local Users Windows System32
    drivers C: hosts services resolv.conf nsswitch.conf . ..
    """.split()  # noqa: SIM905 - more readable than quotes around each
)
#: Words of protocols, and of what is said of them: without these a greeting could not be told from another.
_SPOKEN = frozenset(
    """
    a an and are at bad by cannot closed connection could denied error failed for from ftp esmtp get goodbye has
    host http https imap imap4rev1 in internal invalid is it login mail maximum message mysql not of ok on or
    password please pop3 port protocol query quit ready received refused reject rejected request response server
    service smtp ssh sorry ssl starttls terminated the this time timeout tls to too many unavailable unexpected
    unknown user users version was welcome with you your certificate verify expired self signed issuer hostname
    mismatch cn o ou c alert handshake failure wrong number eof record layer reason code unable local socks4
    socks5 http_proxy https_proxy all_proxy no_proxy connect forbidden authentication required gateway found moved
    permanently gmt mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec rfb version.bind
    """.split()  # noqa: SIM905 - more readable than quotes around each
)
MAC = re.compile(r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])")
_WORD = re.compile(r"[^\W\d_](?:[\w-]*\w)?|\d{6,}")
_DOTTED = re.compile(r"(?<![\w.-])(?:[\w*-]+\.)+[^\W\d_](?:[^\W_]|-)*(?<!-)\.?(?![\w-])")
_DEVICE = re.compile(
    r"(?:lo|eth|en[ops]?|wlan|wl[op]?|tun|tap|wg|ppp|br|bond|docker|veth|virbr|usb|e)\d*(?:[ps]\d+)*(?:\.\d+)?"
)
_LETTERS = "bcdfghjklmnprstvwz"
_VOWELS = "aeiou"


class Words:
    """The words of one report under those that ``key`` gives them.

    ``kept`` are those by which protocols are told apart, which stay wherever they are spoken.
    """

    def __init__(self, key: bytes, addresses: Addresses, kept: frozenset[str] = frozenset()) -> None:
        self.key = key
        self.addresses = addresses
        self.kept = kept
        self.made: dict[str, str] = {}
        self.taken: set[str] = set()

    def know(self, names: Iterable[str]) -> None:
        """Learn names of this report, which are replaced wherever they stand, though they be common words."""
        for name in names:
            if name.casefold() not in _ANYBODY and read(name) is None:
                self.name(name)

    def word(self, text: str) -> str:
        """Return what stands for a word."""
        small = _ascii(text.casefold())
        for turn in range(100):
            if small in self.made:
                break
            digest = hashlib.blake2b(f"{turn} {small}".encode("utf-8", "replace"), key=self.key, digest_size=8).digest()
            made = "".join((_LETTERS, _VOWELS)[n % 2][b % (18, 5)[n % 2]] for n, b in enumerate(digest))
            if made not in self.taken and made != small:
                self.taken.add(made)
                self.made[small] = made
        return self.made[small]

    def name(self, text: str) -> str:
        """Return what stands for a host's name, part by part; a suffix that everybody knows stays."""
        if text.casefold() in _ANYBODY or text == ".":
            return text
        reverse = _reverse(text)
        if reverse is not None:
            made = self.addresses.put(reverse).reverse_pointer
            return made + "." if text.endswith(".") else made
        parts = text.split(".")
        last = max((n for n, part in enumerate(parts) if part), default=0)
        return ".".join(self._part(part, known=n == last and last > 0) for n, part in enumerate(parts))

    def _part(self, part: str, *, known: bool) -> str:
        small = part.casefold()
        if small in _ANYBODY or part.startswith("_") or part.isdigit():
            return part
        if known and (small in _SUFFIXES or (len(small) == 2 and small.isascii())):
            return small
        return self.word(part)

    def address(self, text: str) -> str:
        """Return what stands for an address with its zone; a text that is none is read as a name."""
        found = read(text)
        if found is None:
            return self.text(text)
        _, sign, zone = text.partition("%")
        return f"{self.addresses.put(found)}{sign}{self.device(zone)}"

    def device(self, text: str) -> str:
        """Return what stands for an interface: one that a kernel names so stays."""
        return text if not text or _DEVICE.fullmatch(text) else self.word(text)

    def mac(self, text: str) -> str:
        """Return what stands for a hardware address: its two bits that say what it is stay (IEEE 802)."""
        sign = text[2]
        first = int(text[:2], 16)
        if text.replace(sign, "").strip("0") == "" or first & 1:
            return text
        digest = hashlib.blake2b(text.casefold().replace("-", ":").encode(), key=self.key, digest_size=6).digest()
        return sign.join(f"{b:02x}" for b in (digest[0] & 0xFC | first & 3, *digest[1:]))

    def path(self, text: str) -> str:
        """Return what stands for a path, part by part."""
        return "".join(
            part if part in _FOLDERS or not part or part in "/\\" else self.word(part)
            for part in re.split(r"([/\\])", text)
        )

    def command(self, text: str) -> str:
        """Return what stands for a command line: the program, and that there was more."""
        first, _, rest = text.partition(" ")
        return self.word(first.rsplit("/", 1)[-1]) + (" …" if rest else "")

    def tokens(self, text: str) -> str:
        """Return a text of ours with the addresses, MACs and names in it replaced."""
        text = MAC.sub(lambda found: self.mac(found[0]), text)
        text = IPV4.sub(self._address_in, text)
        text = IPV6.sub(self._address_in, text)
        return _DOTTED.sub(lambda found: self.name(found[0]) if read(found[0]) is None else found[0], text)

    def text(self, text: str) -> str:
        """Return a text of a stranger's with every word replaced that is none of a protocol's."""
        return _WORD.sub(self._word_in, self.tokens(text)) if text else text

    def _word_in(self, found: re.Match[str]) -> str:
        if found[0].casefold() in self.made:
            return self._spoken(found[0])
        return "-".join(
            self._spoken(part) if not part.isdigit() or len(part) > 5 else part for part in found[0].split("-")
        )

    def _spoken(self, word: str) -> str:
        small = word.casefold()
        if small in self.kept or small in self.taken:
            return word
        common = small in _SPOKEN or small in _SUFFIXES
        return word if common and small not in self.made else self.word(word)

    def _address_in(self, found: re.Match[str]) -> str:
        address = read(found[1])
        if address is None:
            return found[0]
        if found[2] is None:
            return str(self.addresses.put(address))
        try:
            network = ipaddress.ip_network(found[0], strict=False)
        except ValueError:
            return found[0]
        edge = network.network_address == address
        return str(self.addresses.network(network)) if edge else f"{self.addresses.put(address)}/{found[2]}"


def _ascii(label: str) -> str:
    """Return a label as it goes over the wire, so that both its forms become the same word."""
    if label.isascii():
        return label
    try:
        return label.encode("idna").decode()
    except UnicodeError:
        return label


def _reverse(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a name of ``in-addr.arpa`` or ``ip6.arpa`` asks for."""
    parts = name.casefold().rstrip(".").split(".")
    if parts[-2:] == ["in-addr", "arpa"] and len(parts) == 6:
        return read(".".join(parts[3::-1]))
    if parts[-2:] == ["ip6", "arpa"] and len(parts) == 34:
        digits = "".join(reversed(parts[:-2]))
        return read(":".join(digits[n : n + 4] for n in range(0, 32, 4)))
    return None
