"""What the options and the target hold, checked: each complaint says what would fit."""

from __future__ import annotations

from troubleshoot.intake.codes import SYSTEMS
from troubleshoot.knowledge.text import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session
    from troubleshoot.intake.target import Target
    from troubleshoot.knowledge.catalogue import Catalogue
    from troubleshoot.knowledge.kinds import System
    from troubleshoot.options import Options
    from troubleshoot.run.place import Place

_DIGITS = frozenset("0123456789")


def check_language(lang: str | None) -> None:
    """``--lang`` was heard before all else; here it is checked."""
    if lang not in (None, "en", "ko"):
        raise Refusal("usage.option-lang", value=lang)


def system_of(errno: str | None) -> System | None:
    """Return the system of ``--errno``."""
    if errno is None:
        return None
    for system in SYSTEMS:
        if system == errno.lower():
            return system
    raise Refusal("usage.option-errno", value=errno)


def advice_for(name: str | None) -> System | None:
    """Return the system of ``--for``."""
    if name is None:
        return None
    for system in SYSTEMS:
        if system == name.lower():
            return system
    raise Refusal("usage.option-for", value=name)


def options_of(
    session: Session,
    *,
    timeout: str,
    ipv4: bool,
    ipv6: bool,
    pid: str | None,
    place: Place | None = None,
    local_host: str | None = None,
    router: str | None = None,
    remote_neighbour: str | None = None,
    show_secrets: bool = False,
    system: System | None = None,
) -> Options:
    """Return the options of a diagnosis."""
    from troubleshoot.options import Options, check  # noqa: PLC0415

    if ipv4 and ipv6:
        raise Refusal("usage.option-families")
    seconds = _seconds(timeout)
    if seconds is None:
        raise Refusal("usage.option-timeout", value=timeout)
    process = _whole(pid) if pid is not None else place.pid if place is not None else None
    if pid is not None and process is None:
        raise Refusal("usage.option-pid", value=pid)
    options = Options(
        timeout_s=seconds,
        family=4 if ipv4 else 6 if ipv6 else None,
        pid=process,
        place=place.name if place is not None else None,
        local_host=_bare(local_host),
        router=_bare(router),
        remote_neighbour=_bare(remote_neighbour),
        language=session.language,
        show_secrets=show_secrets,
        advice_for=system,
    )
    check(options)
    return options


def _whole(text: str) -> int | None:
    """Return a plain decimal number, else ``None``: no sign and no foreign digits."""
    return int(text) if 1 <= len(text) <= 10 and _DIGITS.issuperset(text) else None


def _seconds(text: str) -> float | None:
    """Return a plain decimal number, else ``None``: no exponents, no ``inf``."""
    whole, point, part = text.partition(".")
    if _whole(whole) is None or (point and (_whole(part) is None or len(part) > 6)):
        return None
    return float(text)


def _bare(address: str | None) -> str | None:
    """Return an address without the brackets that IPv6 has in front of a port."""
    return address.removeprefix("[").removesuffix("]") if address and address.startswith("[") else address


def target_of(word: str, catalogue: Catalogue, code: str | None = None) -> Target:
    """Return the target; a service name that nobody knows is refused before the run begins.

    Not so for a ``code`` that says just that: an unknown service name.
    """
    from troubleshoot.intake.target import parse_target  # noqa: PLC0415

    target = parse_target(word, catalogue)
    told = code is not None and "service-name" in catalogue.code(code).about
    if target.service is not None and not told:
        _known_service(target.service, target.transport, catalogue)
    return target


def _known_service(service: str, transport: str, catalogue: Catalogue) -> None:
    import socket  # noqa: PLC0415

    try:
        socket.getservbyname(service, transport)
    except OSError:
        pass
    else:
        return
    if catalogue.service(service, transport) is not None:
        return
    from troubleshoot.intake.target import near_service  # noqa: PLC0415

    near = near_service(service, catalogue) or ""
    key = "usage.target-service-near" if near else "usage.target-service"
    raise Refusal(key, service=service, transport=transport, near=near)
