"""What no verdict may say beside which observation: a table that holds for any report, whatever network it came from.

Each entry reads the report as it is printed, not through the judge's own eyes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Record = Mapping[str, Any]


def results(report: Record, probe: str) -> Iterator[tuple[str, Record]]:
    """The subjects and results of every run of a probe that brought one."""
    for record in report["probes"]:
        if record["probe"] == probe and record.get("result") is not None:
            yield record["subject"], record["result"]


def connected(report: Record) -> bool:
    return any(r["outcome"] == "connected" for _, r in _attempts(report))


def _attempts(report: Record) -> Iterator[tuple[str, Record]]:
    port = report["target"]["port"]
    for subject, result in results(report, "connect"):
        if result["port"] == port and result["address"] in report["target"]["addresses"]:
            yield subject, result


def answered(report: Record, address: str | None) -> bool:
    """Whether the address itself answered anything."""
    pinged = any(r["received"] for s, r in results(report, "ping") if s.split(" ")[0] == address)
    traced = any(r["reached_ttl"] for s, r in results(report, "traceroute") if s == address)
    return pinged or traced


def speaks_for_another(report: Record, address: str | None) -> bool:
    """Whether the address itself reports that a host is not reached: it passes the port on to another machine."""
    errors = [a["icmp"] for _, r in _attempts(report) if r["address"] == address for a in r["attempts"]]
    errors += [hop["icmp"] for _, r in results(report, "tcp-path") if r["address"] == address for hop in r["hops"]]
    return any(error and error["sender"] == address for error in errors)


def met(report: Record) -> set[str | None]:
    """The errors that attempts at the target's addresses met, where none of them connected."""
    return {a["errno"] for _, r in _attempts(report) if r["outcome"] == "failed" for a in r["attempts"]}


def names_answered(report: Record) -> bool:
    silent = {"no-answer", "port-closed", "unreachable"}
    configured = [s for _, r in results(report, "resolve") for s in (r["configuration"] or {"servers": ()})["servers"]]
    answers = [a for _, r in results(report, "resolve") for a in r["answers"] if a["server"] in configured]
    return any(a["answer"] not in silent for a in answers)


def bound(report: Record) -> bool:
    """Whether the target's port was bound at every address where that was tried, and it was tried."""
    port = report["target"]["port"]
    tried = [r["attempts"][0]["failure"] for _, r in results(report, "bind") if r["port"] == port and r["attempts"]]
    return bool(tried) and not any(tried)


def looked_up(report: Record) -> bool | None:
    """Whether the system's own look-up found an address; ``None`` where it was not made or did not end."""
    ended = [r["system"] for _, r in results(report, "resolve") if r["system"] and r["system"]["finished"]]
    return bool(ended[0]["addresses"]) if ended else None


def _healthy_beside_its_code(report: Record) -> bool:
    return report["verdict"]["outcome"] == "healthy" and report["error"]["posix"] in met(report)


def _healthy_and_certain_beside_a_failure(report: Record) -> bool:
    verdict = report["verdict"]
    hung_up = {"resets", "closes", "tls-alert"}
    failed = bool(met(report)) or any(r["outcome"] in hung_up for _, r in results(report, "service"))
    return verdict["outcome"] == "healthy" and verdict["confidence"] == "certain" and failed


def _answers_although_never_asked(report: Record) -> bool:
    if report["reproduction"]["outcome"] != "not-attempted" or report["language"] != "en":
        return False
    return " answers now" in report["verdict"]["summary"]


def _named(*causes: str) -> Callable[[Record], bool]:
    return lambda report: report["verdict"]["cause"] in causes


def _at(report: Record) -> str | None:
    return (report["verdict"]["location"] or {}).get("address")


#: What is contradicted, and whether a report does so.
CONTRADICTIONS: dict[str, Callable[[Record], bool]] = {
    "healthy, and the attempt met the very code": _healthy_beside_its_code,
    "healthy (certain), and something failed": _healthy_and_certain_beside_a_failure,
    "healthy (certain), and nothing was attempted": lambda r: (
        (r["verdict"]["outcome"], r["verdict"]["confidence"]) == ("healthy", "certain")
        and r["reproduction"]["outcome"] == "not-attempted"
    ),
    "answers, and was never asked": _answers_although_never_asked,
    "the host is down, and it answered": lambda r: (
        _named("host-down")(r) and answered(r, _at(r)) and not speaks_for_another(r, _at(r))
    ),
    "nothing gets through, and a connection was made": lambda r: (
        _named("interface-down", "no-route", "no-default-route", "router-down", "local-firewall", "host-down")(r)
        and connected(r)
    ),
    "the path is broken, and the target answered": lambda r: (
        _named("path-broken")(r) and any(answered(r, a) for a in r["target"]["addresses"])
    ),
    "no name server answers, and one did": lambda r: _named("nameserver-unreachable")(r) and names_answered(r),
    "the name does not exist, and an address was given": lambda r: (
        _named("name-does-not-exist")(r) and bool(r["target"]["addresses"])
    ),
    "nothing listens, and a connection was made": lambda r: (
        _named("no-listener")(r) and connected(r) and not list(results(r, "flows"))
    ),
    "no default route, and one is there": lambda r: (
        _named("no-default-route")(r)
        and all(any(d["gateway"] for d in route["defaults"]) for _, route in results(r, "route"))
        and any(True for _ in results(r, "route"))
    ),
    "certain, and a rival stands beside it": lambda r: (
        (r["verdict"]["outcome"], r["verdict"]["confidence"]) == ("fault", "certain")
        and any(other["relation"] == "rival" for other in r["verdict"]["alternatives"])
    ),
    "filtered, and every connection was made": lambda r: (
        _named("firewall-drop", "firewall-reset", "firewall-reject")(r)
        and connected(r)
        and not met(r)
        and not list(results(r, "flows"))
    ),
    "no packet gets out, and the target answered": lambda r: (
        _named("no-route", "no-default-route", "interface-down", "router-down")(r)
        and r["target"]["port"] is None
        and any(answered(r, a) for a in r["target"]["addresses"])
    ),
    "in use, and it can be bound": lambda r: _named("port-in-use", "port-in-time-wait")(r) and bound(r),
    "the look-up is slow, and ended soon": lambda r: _named("lookup-slow")(r) and looked_up(r) is True,
    "healthy, and the look-up failed": lambda r: r["verdict"]["outcome"] == "healthy" and looked_up(r) is False,
    "healthy, and everything was refused": lambda r: (
        r["verdict"]["outcome"] == "healthy" and bool(met(r)) and not connected(r) and r["target"]["port"] is not None
    ),
    "not attempted, and it was": lambda r: (
        r["reproduction"]["outcome"] == "not-attempted" and (connected(r) or bool(met(r) - {None}))
    ),
    "certain, and something that could tell was not seen": lambda r: (
        r["verdict"]["confidence"] == "certain"
        and any(
            line.endswith(("no whole answer", "완전한 응답이 없음")) for line in r["verdict"].get("not_checked", ())
        )
    ),
}


#: Those of them that are about a cause, whichever report names it.
_OF_A_CAUSE = (
    "the host is down, and it answered",
    "nothing gets through, and a connection was made",
    "the path is broken, and the target answered",
    "no name server answers, and one did",
    "the name does not exist, and an address was given",
    "nothing listens, and a connection was made",
    "no default route, and one is there",
    "filtered, and every connection was made",
    "no packet gets out, and the target answered",
    "in use, and it can be bound",
    "the look-up is slow, and ended soon",
)


def _excluded_rivals(report: Record) -> Iterator[str]:
    """What the report would say against its own record if it named one of the rivals that it lists.

    Where another device accepted the connections they say nothing of the host; and the filter that stands beside
    service-resets is one that cuts connections which were made.
    """
    verdict, addresses = report["verdict"], report["target"]["addresses"]
    if verdict["cause"] in ("connection-intercepted", "service-resets"):
        return
    for other in verdict["alternatives"]:
        if other["relation"] != "rival":
            continue
        place = {"address": addresses[0] if len(addresses) == 1 else None}
        named = verdict | {"outcome": "fault", "cause": other["cause"], "location": place, "alternatives": []}
        for name in _OF_A_CAUSE:
            if CONTRADICTIONS[name]({**report, "verdict": named}):
                yield f"{other['cause']} as a rival: {name}"


def contradictions(report: Record) -> list[str]:
    """Return what the report says against its own record, and which rivals it lists that its record excludes."""
    return [name for name, says in CONTRADICTIONS.items() if says(report)] + [*_excluded_rivals(report)]
