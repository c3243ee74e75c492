"""What may be asked of a diagnosis beside the code and the target."""

from __future__ import annotations

import ipaddress

import msgspec

from troubleshoot.knowledge.kinds import Language, System
from troubleshoot.knowledge.text import Refusal

#: The least and the greatest time-out that makes sense, seconds.
TIMEOUT_S = (0.1, 600.0)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``timeout_s`` bounds the run, counted from the moment in which it may send its first packet.

    ``family`` is 4 or 6 to look at one address family only. ``local_host``, ``router`` and ``remote_neighbour`` are
    address literals for the steps that ping them; ``pid`` names the failing program's process.
    ``show_secrets`` leaves passwords and tokens in command lines of other programs, in URLs and in proxy settings as
    they are; a report then holds them. ``advice_for`` is the system whose commands advice names; without it
    that is concluded. ``place`` is what a report calls the place that its probes looked from, where that has a name.
    """

    timeout_s: float = 10.0
    family: int | None = None
    pid: int | None = None
    local_host: str | None = None
    router: str | None = None
    remote_neighbour: str | None = None
    language: Language = "en"
    advice_for: System | None = None
    show_secrets: bool = False
    place: str | None = None


def check(options: Options) -> None:
    """Refuse what means nothing, whoever wrote it; raises :class:`troubleshoot.errors.UserError`."""
    if not isinstance(options, Options):
        raise Refusal("usage.argument-kind", name="options", value=_brief(options), kind="Options()")
    timeout = options.timeout_s
    if not _number(timeout, float) or not TIMEOUT_S[0] <= timeout <= TIMEOUT_S[1]:  # NaN is within nothing
        raise Refusal("usage.option-timeout", value=_brief(timeout))
    if options.family is not None and (not _number(options.family) or options.family not in (4, 6)):
        raise Refusal("usage.option-family", value=_brief(options.family))
    if options.pid is not None and (not _number(options.pid) or not 0 < options.pid < 1 << 31):
        raise Refusal("usage.option-pid", value=_brief(options.pid))
    for name in ("local_host", "router", "remote_neighbour"):
        address = getattr(options, name)
        if address is not None and not _is_address(address):
            option = f"--{name.replace('_', '-')}"
            raise Refusal("usage.option-address", option=option, value=_brief(address))
    if options.language not in ("en", "ko"):
        raise Refusal("usage.option-lang", value=_brief(options.language))
    if not isinstance(options.show_secrets, bool):
        value = _brief(options.show_secrets)
        raise Refusal("usage.option-number", option="show_secrets", value=value, fits="True, False")
    if options.place is not None and not isinstance(options.place, str):
        raise Refusal("usage.argument-kind", name="place", value=_brief(options.place), kind="a text")
    if options.advice_for not in (None, "linux", "macos", "windows"):
        raise Refusal("usage.option-for", value=_brief(options.advice_for))


def _number(value: object, *kinds: type) -> bool:
    return isinstance(value, (int, *kinds)) and not isinstance(value, bool)


def _is_address(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(ipaddress.ip_address(text))  # a number would be an address, too
    except ValueError:
        return False


def _brief(value: object) -> str:
    """Return what somebody passed, in words that fit into a line."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)[:80] if isinstance(value, (str, int, float)) else type(value).__name__
