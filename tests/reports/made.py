"""Reports made by hand: what a diagnosis might have found, without running one."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from troubleshoot.report import (
    Alternative,
    ErrorCode,
    Evidence,
    Location,
    Report,
    Reproduction,
    Step,
    TargetInfo,
    Tool,
    Vantage,
    Verdict,
)


def step(name: str, title: str, status: Any, summary: str, **more: Any) -> Step:
    values: dict[str, Any] = {"why": "", "observations": {}, "duration_ms": 1.0, **more}
    return Step(id=name, title=title, status=status, summary=summary, **values)


def fault() -> Report:
    return Report(
        tool=Tool(name="wsadiag", version="0.1.0"),
        started="2026-03-04T05:06:07.890Z",
        duration_ms=412.0,
        vantage=Vantage(hostname="helpdesk-7", platform="linux", privileged=False),
        error=ErrorCode(
            input="10061", number=10061, name="WSAECONNREFUSED", posix="ECONNREFUSED", title="Connection refused"
        ),
        target=TargetInfo(
            input="ftp://files.example.org",
            host="files.example.org",
            port=21,
            transport="tcp",
            addresses=("192.0.2.21", "2001:db8::21"),
        ),
        reproduction=Reproduction(outcome="same", observed=10061),
        verdict=Verdict(
            outcome="fault",
            cause="no-listener",
            failed_step="connect",
            location=Location(scope="remote-host", hop=4, address="192.0.2.21"),
            confidence="likely",
            summary="192.0.2.21 refuses port 21 itself: nothing listens there.",
            actions=(
                "Start the FTP service on files.example.org, or find out on which port it listens now.",
                "Run `ss -ltn` on files.example.org and look for port 21.",
            ),
            evidence=(
                Evidence(step="connect", fact="a reset came 1.2 ms after the SYN, and no ICMP error with it"),
                Evidence(step="traceroute", fact="192.0.2.21 answers as device 4"),
            ),
            alternatives=(
                Alternative(
                    cause="firewall-reset",
                    confidence="possible",
                    why="the host's own filter would send the same reset",
                ),
            ),
            title="Nothing listens on the port",
        ),
        steps=(
            step("address-valid", "Valid address", "passed", "192.0.2.21 can be connected to"),
            step("resolve-name", "Name resolution", "passed", "files.example.org has 2 addresses, after 12 ms"),
            step("hosts-file", "Hosts file", "warning", "an entry for files.example.org that the name service lacks"),
            step(
                "listeners",
                "Listening sockets",
                "unavailable",
                "has to be done on files.example.org",
                why="the list of sockets of another machine cannot be read from here",
                by_hand={"linux": "ss -ltn 'sport = :21'", "windows": "netstat -an", "macos": "netstat -an -p tcp"},
            ),
            step("ping-remote", "Ping the target", "passed", "3 of 3 answered, 1.1 ms", origin="WSAECONNABORTED"),
            step(
                "connect",
                "TCP connection",
                "failed",
                "192.0.2.21:21 refused after 1.2 ms, 2001:db8::21 refused after 1.3 ms, and both did so each time",
                added=True,
                why="shows whether the error is there now",
                observations={"connect 192.0.2.21": {"outcome": "failed", "attempts": [{"errno": "ECONNREFUSED"}]}},
            ),
            step("traceroute", "Traceroute", "skipped", "not needed: the target answered", added=True),
        ),
        packets=57,
    )


def healthy() -> Report:
    made = fault()
    return replace(
        made,
        reproduction=Reproduction(outcome="not-reproduced", observed=None),
        verdict=Verdict(
            outcome="healthy",
            cause=None,
            failed_step=None,
            location=None,
            confidence="certain",
            summary="files.example.org answers on port 21 now.",
            actions=("Try the program again.",),
            evidence=(Evidence(step="connect", fact="connected after 1.2 ms"),),
            alternatives=(),
        ),
        steps=(
            step("resolve-name", "Name resolution", "passed", "2 addresses, after 12 ms"),
            step("connect", "TCP connection", "passed", "192.0.2.21:21 connected after 1.2 ms", added=True),
        ),
    )


def inconclusive() -> Report:
    made = fault()
    return replace(
        made,
        reproduction=Reproduction(outcome="different", observed=10060),
        verdict=replace(
            made.verdict,
            outcome="inconclusive",
            cause=None,
            title=None,
            location=None,
            confidence="possible",
            summary="Port 21 stays silent, and so does everything behind 203.0.113.9.",
            alternatives=(
                Alternative(cause="firewall-drop", confidence="possible", why="only this port may be dropped"),
                Alternative(cause="host-down", confidence="possible", why="the host may be off"),
            ),
        ),
        interrupted=True,
    )


def korean() -> Report:
    made = fault()
    return replace(
        made,
        language="ko",
        error=replace(made.error, title="연결이 거부됨"),
        verdict=replace(
            made.verdict,
            title="포트에서 듣는 프로그램이 없음",
            summary="192.0.2.21이 포트 21을 스스로 거절합니다. 그 포트에서 듣는 프로그램이 없습니다.",
            actions=("files.example.org에서 FTP 서비스를 시작하거나, 지금 어느 포트에서 듣는지 확인하십시오.",),
            evidence=(Evidence(step="connect", fact="SYN을 보내고 1.2 ms 뒤에 RST가 왔고 ICMP 오류는 없었습니다"),),
            alternatives=(
                Alternative(
                    cause="firewall-reset", confidence="possible", why="호스트 자신의 필터도 같은 RST를 보냅니다"
                ),
            ),
        ),
        steps=(
            step("resolve-name", "이름 해석", "passed", "files.example.org의 주소는 2개, 12 ms 뒤"),
            step(
                "connect",
                "TCP 연결",
                "failed",
                "192.0.2.21:21이 1.2 ms 뒤에 거절했고, 2001:db8::21도 1.3 ms 뒤에 거절했으며, 매번 같았습니다",
                added=True,
            ),
        ),
    )


def hostile(text: str) -> Report:
    """Return a report every free string of which is ``text``."""
    made = fault()
    return replace(
        made,
        vantage=replace(made.vantage, hostname=text),
        error=replace(made.error, input=text, title=text),
        target=replace(made.target, input=text, host=text, addresses=(text,), service=text),
        verdict=replace(
            made.verdict,
            summary=text,
            title=text,
            explanation=text,
            actions=(text,),
            evidence=(Evidence(step=text, fact=text),),
            alternatives=(Alternative(cause=text, confidence="possible", why=text),),
            location=Location(scope="path", hop=1, address=text),
        ),
        steps=(
            step(
                "connect",
                text,
                "unavailable",
                text,
                why=f"{text}!",
                observations={text: [{text: text}]},
                origin=text,
                by_hand={"linux": text},
            ),
        ),
    )
