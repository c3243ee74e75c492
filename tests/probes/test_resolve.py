"""The resolve probe against real name servers (dnsmasq, unbound) and against an odd one, in two namespaces.

The client's namespace has its own ``/etc/resolv.conf``, ``hosts`` and ``nsswitch.conf`` through
``/etc/netns/NAME``; the probe runs there in a child process, as root and as an ordinary user.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import odd_name_server
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.base import Context, NotApplicable, ProbeTarget
from probes.bodies.resolve import observe
from probes.resolve import PROBE, Answer, ResolverConfiguration, ResolveRequest, ResolveResult, ServerAnswer, Unfit
from probes.system.dns import names
from probes.system.dns.message import Question, Sent, load, read
from probes.system.dns.names import to_ascii
from probes.system.dns.resolv_conf import read_configuration

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

# --- without a network ---------------------------------------------------------------------------------------


def configured(root: Path, resolv: str | None, nsswitch: str | None = None) -> ResolverConfiguration:
    (root / "etc").mkdir(exist_ok=True)
    for name, text in (("resolv.conf", resolv), ("nsswitch.conf", nsswitch)):
        if text is not None:
            (root / "etc" / name).write_text(text)
    return read_configuration(Context(root=root))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCALDOMAIN", raising=False)
    monkeypatch.delenv("RES_OPTIONS", raising=False)


def test_configuration_as_the_c_library_reads_it(tmp_path: Path) -> None:
    got = configured(
        tmp_path,
        "# nameserver 10.0.0.9\n; nameserver 10.0.0.8\n nameserver 10.0.0.7\nnameserver\n"
        "nameserver 10.0.0.1 # trailing\nnameserver\tfe80::1%eth0\nnameserver dns.test\nnameserver 10.3\n"
        "nameserver 10.0.0.4\ndomain old.test\nsearch a.test b.test. bad..test \x1b[31m .\noptions ndots:3 edns0\n"
        "options ndots:99 rotate\nnameservers 10.0.0.5\n",
        "hosts:  files [!UNAVAIL=return] dns myhostname # mdns\n",
    )
    assert got == ResolverConfiguration(
        readable=True,
        configured=True,
        servers=("10.0.0.1", "fe80::1%eth0", "10.3"),
        ignored=("dns.test", "10.0.0.4"),
        search=("a.test", "b.test", "."),
        ndots=15,
        options=("ndots:3", "edns0", "ndots:99", "rotate"),
        nsswitch_hosts=("files", "[!UNAVAIL=return]", "dns", "myhostname"),
    )


@pytest.mark.parametrize(("resolv", "readable"), [(None, False), ("", True), ("nameserver nonsense\n", True)])
def test_without_a_name_server_this_machine_is_asked(tmp_path: Path, resolv: str | None, readable: bool) -> None:
    got = configured(tmp_path, resolv)
    assert (got.readable, got.configured, got.servers, got.ndots) == (readable, False, ("127.0.0.1",), 1)


def test_the_environment_changes_search_list_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALDOMAIN", "env.test")
    monkeypatch.setenv("RES_OPTIONS", "ndots:4")
    got = configured(tmp_path, "search a.test\noptions ndots:2\n")
    assert (got.search, got.ndots) == (("env.test",), 4)


@pytest.mark.parametrize(
    ("name", "resolv", "candidates"),
    [
        ("web", "search a.test b.test\n", ("web.a.test", "web.b.test", "web")),
        ("web.", "search a.test\n", ("web",)),
        ("www.web", "search a.test\n", ("www.web", "www.web.a.test")),
        ("www.web", "search a.test\noptions ndots:2\n", ("www.web.a.test", "www.web")),
        ("web", "search a.test\noptions ndots:0\n", ("web", "web.a.test")),
        ("web", "search .\n", ("web",)),
        ("web", "search a.test\noptions no-tld-query\n", ("web.a.test",)),
        ("web", "search a b c d e f g h\n", ("web.a", "web.b", "web.c", "web.d", "web.e", "web.f")),
        ("localhost", "search a.test\n", ()),
        ("a.LOCALHOST.", "search a.test\n", ()),
    ],
)
def test_candidates(tmp_path: Path, name: str, resolv: str, candidates: tuple[str, ...]) -> None:
    assert names.candidates(name, configured(tmp_path, resolv)) == candidates


def test_candidates_are_never_too_long(tmp_path: Path) -> None:
    name = ".".join(["a" * 60] * 4)
    assert names.candidates(name, configured(tmp_path, f"search {'b' * 60}.test\n")) == (name,)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Example.test", "Example.test"),
        ("example.test.", "example.test."),
        ("_sip._tcp.example.test", "_sip._tcp.example.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("Bücher。test。", "xn--bcher-kva.test."),
        ("한국.test", "xn--3e0b707e.test"),
    ],
)
def test_names_as_they_go_over_the_wire(name: str, written: str) -> None:
    assert to_ascii(name) == written


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("", "reason.name-empty"),
        (".", "reason.name-empty"),
        ("a..test", "reason.name-empty-label"),
        (".test", "reason.name-empty-label"),
        ("a" * 64, "reason.name-label-too-long"),
        ("a." * 128, "reason.name-too-long"),
        ("a b", "reason.name-malformed"),
        ("a\0b", "reason.name-malformed"),
        ("a\n", "reason.name-malformed"),
        ("\x1b[31m", "reason.name-malformed"),
        ("a\\.b", "reason.name-malformed"),
        ("a/b", "reason.name-malformed"),
        ("fe80::1%", "reason.name-malformed"),
        ("bücher\\.test", "reason.name-malformed"),
        ("ü b.test", "reason.name-malformed"),
        ("ü" * 64, "reason.name-not-idna"),
        ("ü\ud800", "reason.name-not-idna"),
        ("ü..test", "reason.name-not-idna"),
    ],
)
def test_what_is_no_host_name(tmp_path: Path, name: str, key: str) -> None:
    with pytest.raises(NotApplicable) as caught:
        asyncio.run(observe(ResolveRequest(name), Context(root=tmp_path), lambda _: None))
    # the package idna, where it is installed, objects to more characters than we do
    assert caught.value.reason.key == key or (not name.isascii() and caught.value.reason.key == "reason.name-not-idna")
    assert all(value.isprintable() for _, value in caught.value.reason.values)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
    ],
)
def test_a_literal_asks_nobody(name: str, address: str) -> None:
    context = Context()
    result = asyncio.run(observe(ResolveRequest(name), context, lambda _: pytest.fail("nothing to report")))
    assert result == ResolveResult(name, name, True, (address,), None, (), None)
    assert context.packets_sent == 0


def test_a_literal_of_the_other_family() -> None:
    assert asyncio.run(observe(ResolveRequest("::1", family=4), Context(), lambda _: None)).addresses == ()


def test_what_it_needs() -> None:
    assert PROBE.request_for(ProbeTarget(host="a.test", family=6)) == ResolveRequest("a.test", 6)
    with pytest.raises(NotApplicable) as caught:
        PROBE.request_for(ProbeTarget(port=1))
    assert caught.value.reason.key == "reason.no-host-given"


def test_the_light_path_does_not_import_dnspython() -> None:
    code = """
        import asyncio, sys
        from probes.base import Context
        from probes.resolve import ResolveRequest
        from probes.bodies.resolve import observe
        for name in ("127.0.0.1", "localhost"):
            asyncio.run(observe(ResolveRequest(name), Context(), lambda _: None))
        assert "dns" not in sys.modules
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], check=True, cwd=ROOT, timeout=30)


@given(st.data())
@settings(max_examples=150, deadline=None, database=None)
def test_no_message_whatever_raises(data: st.DataObject) -> None:
    load()
    sent = Sent.of(Question(0, "a.test", "A"), edns=True)
    way = data.draw(st.sampled_from([odd_name_server.ugly_alias, odd_name_server.fine, odd_name_server.alias_loop]))
    wire = bytearray(next(way(sent.query)))
    for _ in range(data.draw(st.integers(0, 6))):
        wire[data.draw(st.integers(2, len(wire) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(12, len(wire)))
    answer = read(bytes(wire[:end]), sent, "10.0.0.1", "tcp", 1.0)
    if answer is not None:
        texts = (answer.rcode, answer.extended_error, *answer.addresses, *answer.aliases)
        assert all(text is None or text.isprintable() for text in texts)


@pytest.mark.lab
def test_a_process_without_descriptors_accuses_nobody(tmp_path: Path) -> None:
    code = """
        import asyncio, os, resource, socket
        from probes.base import Context, NotPermitted
        from probes.resolve import ResolveRequest
        from probes.bodies.resolve import observe
        from probes.system.dns.message import load

        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind(("127.0.0.1", 53))

        async def main(left):
            spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, max(spare) + 1))
            for one in spare[:left]:
                os.close(one)
            return await observe(ResolveRequest("a.test", wait_s=0.3), Context(root=ROOT), lambda partial: None)

        load()
        from pathlib import Path
        import sys
        ROOT = Path(sys.argv[1])
        try:
            result = asyncio.run(main(int(sys.argv[2])))
        except NotPermitted as caught:
            print(caught.reason.key)
        else:
            print(result.own_errors, {answer.answer.value for answer in result.answers})
    """
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    alone = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    said = []
    for left in (0, 1):
        python = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), str(left)]
        done = subprocess.run([*alone, *python], capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
        if "unshare" in done.stderr:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.strip())
    assert said[0] == "reason.own-limit-reached"
    assert said[1].startswith("('EMFILE',)")
    assert "unreachable" not in said[1]


# --- the lab -------------------------------------------------------------------------------------------------

CHILD = """
import asyncio, json, os, pickle, sys, time
sys.path.insert(0, {root!r})
from probes.base import Context
from probes.resolve import ResolveRequest
from probes.bodies.resolve import observe

asked = json.loads(sys.argv[1])
cancel_after_s = asked.pop("cancel_after_s", None)
partials = []
opened = []

class Watched(Context):
    # Remembers its sockets: those of the C library in its thread are none of the probe's.
    def socket(self, family, kind, protocol=0):
        opened.append(super().socket(family, kind, protocol))
        return opened[-1]

def progress(partial):
    partials.append((time.monotonic(), partial))

async def main():
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 10  # a busy machine is no finding
    context = Watched()
    started = time.monotonic()
    task = asyncio.create_task(observe(ResolveRequest(**asked), context, progress))
    if cancel_after_s is not None:
        await asyncio.sleep(cancel_after_s)
        task.cancel()
    try:
        result = await task
    except asyncio.CancelledError:
        result = None
    took_s = time.monotonic() - started
    leaked = [repr(one) for one in opened if one.fileno() != -1]
    tasks = len(asyncio.all_tasks()) - 1
    return dict(result=result, partials=[(at - started, p) for at, p in partials], took_s=took_s,
                leaked=leaked, tasks=tasks, packets=context.packets_sent, uid=os.geteuid())

answer = asyncio.run(main())
sys.stdout.buffer.write(pickle.dumps(answer))
"""

ODD = {
    "10.78.0.31": "wrong_id",
    "10.78.0.32": "wrong_question",
    "10.78.0.33": "garbage",
    "10.78.0.34": "junk_then_good",
    "10.78.0.35": "flood",
    "10.78.0.36": "huge",
    "10.78.0.37": "ugly_alias",
    "10.78.0.38": "alias_loop",
    "10.78.0.39": "no_edns",
    "10.78.0.40": "edns_eater",
    "10.78.0.41": "no_aaaa",
    "10.78.0.42": "cut_short",
    "10.78.0.43": "notimp",
    "10.78.0.44": "notauth",
    "10.78.0.45": "nothing",
    "10.78.0.46": "elsewhere",
    "10.78.0.47": "sent_back",
    "fe80::2%ve": "fine",
}
GOOD, OTHER, UNBOUND, FORWARDER, CLOSED, SILENT, TCP_ONLY = (f"10.78.0.{n}" for n in (2, 3, 4, 5, 6, 7, 8))
UNROUTED, REJECTED = "10.99.0.1", "10.79.0.1"


@dataclass(frozen=True)
class Run:
    """What a child said of one observation; ``wall_s`` includes its start and its end."""

    result: ResolveResult
    partials: list[tuple[float, ResolveResult]]
    took_s: float
    leaked: list[str]
    tasks: int
    packets: int
    uid: int
    wall_s: float = 0.0

    def of(self, server: str, record_type: str = "A", transport: str = "udp") -> ServerAnswer:
        """Return the answer to one question about the last candidate asked for."""
        return [
            answer
            for answer in self.result.answers
            if (answer.server, answer.record_type, answer.transport) == (server, record_type, transport)
            and (record_type not in ("A", "AAAA") or not answer.other_name)
        ][-1]

    def kinds(self, server: str) -> dict[str, str]:
        """Every answer of a server, as ``NAME TYPE TRANSPORT`` and its kind."""
        return {
            f"{answer.name} {answer.record_type} {answer.transport}": answer.answer.value
            for answer in self.result.answers
            if answer.server == server
        }


@dataclass
class Lab:
    client: str
    server: str
    scratch: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def configure(
        self, resolv: str, hosts: str = "127.0.0.1 localhost\n", nsswitch: str = "hosts: files dns\n"
    ) -> None:
        etc = Path("/etc/netns") / self.client
        for name, text in (("resolv.conf", resolv), ("hosts", hosts), ("nsswitch.conf", nsswitch)):
            (etc / name).write_text(text)

    def inside(self, *command: str, uid: int | None = None) -> list[str]:
        drop = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"] if uid else []
        return ["ip", "netns", "exec", self.client, *drop, *command]

    def ask(self, name: str, *servers: str, options: str = "", uid: int | None = None, **request: Any) -> Run:
        if uid is not None and (reason := why_not_as(uid)):
            pytest.skip(reason)
        if servers:
            self.configure("".join(f"nameserver {server}\n" for server in servers) + options)
        request = {"name": name, "wait_s": 1.0, "system_wait_s": 1.5, **request}
        code = CHILD.format(root=str(ROOT))
        python = [sys.executable, "-X", "dev", "-W", "error", "-c", code, json.dumps(request)]
        started = time.monotonic()
        done = subprocess.run(self.inside(*python, uid=uid), capture_output=True, timeout=60, check=False)
        wall_s = time.monotonic() - started
        assert done.returncode == 0, done.stderr.decode()
        assert done.stderr == b""
        run = Run(**pickle.loads(done.stdout), wall_s=wall_s)  # noqa: S301 - our own child's
        assert (run.leaked, run.tasks) == ([], 0)
        assert run.uid == (uid or 0)
        return run

    def log(self) -> list[str]:
        return (self.scratch / "questions").read_text().splitlines()

    def spawn(self, *command: str) -> None:
        log = (self.scratch / f"{Path(command[0]).name}-{len(self.processes)}.log").open("wb")
        with log:
            self.processes.append(
                subprocess.Popen(["ip", "netns", "exec", self.server, *command], stdout=log, stderr=log)
            )


@functools.cache
def why_not_as(uid: int) -> str | None:
    command = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import probes.base, dns.message"
    done = subprocess.run([*command, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"another user cannot run this Python here: {done.stderr.strip()[-200:]}"


def sh(command: str) -> str:
    return subprocess.run(["sh", "-ec", command], check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    missing = [tool for tool in ("ip", "nft", "dnsmasq", "unbound", "setpriv", "ss") if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and the tools {', '.join(missing) or 'of the lab'}")
    prefix = f"wn{os.getpid()}"
    built = Lab(f"{prefix}c", f"{prefix}s", tmp_path_factory.mktemp("names"))
    etc = Path("/etc/netns") / built.client
    had_netns_folder = etc.parent.exists()
    try:
        probe = subprocess.run(["ip", "netns", "add", built.client], capture_output=True, text=True, check=False)
        if probe.returncode != 0:
            pytest.skip(f"no network namespaces here: {probe.stderr.strip()}")
        etc.mkdir(parents=True)
        build(built)
        yield built
    finally:
        for process in built.processes:
            process.terminate()
        for process in built.processes:
            process.wait(10)
        for namespace in (built.client, built.server):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        shutil.rmtree(etc, ignore_errors=True)
        if not had_netns_folder:
            with contextlib.suppress(OSError):  # another lab may use it by now
                etc.parent.rmdir()


def build(lab: Lab) -> None:
    c, s = lab.client, lab.server
    served = [GOOD, OTHER, UNBOUND, FORWARDER, CLOSED, SILENT, TCP_ONLY, *(a for a in ODD if ":" not in a)]
    lines = [f"ip netns add {s}"]
    for namespace in (c, s):
        lines += [
            f"ip netns exec {namespace} sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0",
            f"ip -n {namespace} link set lo up",
        ]
    lines += [
        f"ip -n {c} link add ve type veth peer name ve netns {s}",
        f"ip -n {c} link set ve up; ip -n {s} link set ve up",
        f"ip -n {c} addr add 10.78.0.1/24 dev ve; ip -n {c} addr add fd78::1/64 dev ve nodad",
        *(f"ip -n {s} addr add {address}/64 dev ve nodad" for address in ("fd78::2", "fd78::4", "fe80::2")),
        *(f"ip -n {s} addr add {address}/24 dev ve" for address in served),
        # a router that refuses; an unreachable route would answer just once a second (route.error_cost)
        f"ip -n {c} route add 10.79.0.0/24 via {GOOD}; ip -n {s} route add 10.79.0.0/24 dev ve",
        f"ip netns exec {s} sysctl -qw net.ipv4.ip_forward=1",
        f"ip netns exec {s} sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.ve.send_redirects=0",
        # many probes in a row must not meet the limits on ICMP errors
        f"ip netns exec {s} sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0",
    ]
    sh("\n".join(lines))
    rules = f"""table inet t {{
        chain i {{ type filter hook input priority 0;
            ip daddr {SILENT} drop
            ip daddr {TCP_ONLY} udp dport 53 drop
            udp dport 5399 drop
        }}
        chain f {{ type filter hook forward priority 0;
            ip daddr 10.79.0.0/24 reject with icmp host-unreachable
        }}
    }}"""
    subprocess.run(["ip", "netns", "exec", s, "nft", rules], check=True, timeout=30)

    def dnsmasq(address: str, *more: str) -> None:
        listen = [f"--listen-address={one}" for one in address.split(",")]
        common = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file="]
        lab.spawn("dnsmasq", *common, "--user=root", "--group=root", "--bind-interfaces", *listen, *more)

    dnsmasq(
        f"{GOOD},fd78::2",
        "--local=/test/",
        "--host-record=good.test,10.78.0.2,fd78::2,300",
        "--host-record=v4only.test,10.78.0.2",
        "--host-record=web.corp.test,10.78.0.2",
        "--host-record=xn--bcher-kva.test,10.78.0.2",
        "--host-record=split.test,10.78.0.2",
        "--cname=alias.test,good.test,60",
    )
    dnsmasq(OTHER, "--local=/test/", "--host-record=split.test,10.78.0.3")
    dnsmasq(TCP_ONLY, "--local=/test/", "--host-record=good.test,10.78.0.2,fd78::2")
    dnsmasq(FORWARDER, f"--server={GOOD}#5399")
    many = "\n".join(f'  local-data: "big.test. A 10.1.{n // 200}.{n % 200}"' for n in range(300))
    (lab.scratch / "unbound.conf").write_text(f"""
server:
  chroot: ""
  username: ""
  directory: "{lab.scratch}"
  pidfile: ""
  use-syslog: no
  interface: {UNBOUND}
  interface: fd78::4
  access-control: 0.0.0.0/0 allow
  access-control: fd78::/64 refuse
  module-config: "iterator"
  ede: yes
  local-zone: "refused.test." refuse
  local-zone: "mute.test." deny
  local-zone: "big.test." static
{many}
forward-zone:
  name: "."
  forward-addr: {UNROUTED}
remote-control:
  control-enable: no
""")
    lab.spawn("unbound", "-d", "-c", str(lab.scratch / "unbound.conf"))
    odd = str(Path(__file__).with_name("odd_name_server.py"))
    lab.spawn(sys.executable, odd, str(lab.scratch / "questions"), *(f"{a}={way}" for a, way in ODD.items()))
    expected = 2 + 1 + 1 + 1 + 2 + len(ODD)
    for _ in range(100):
        listening = sh(f"ip netns exec {s} ss -Hlnu sport = :53").splitlines()
        if len(listening) >= expected:
            return
        dead = [process.args for process in lab.processes if process.poll() is not None]
        assert not dead, f"{dead} in {lab.scratch}"
        time.sleep(0.05)
    pytest.fail(f"the lab's name servers did not come up:\n{listening}")


@pytest.mark.lab
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_addresses_with_everything_about_them(lab: Lab, uid: int | None) -> None:
    run = lab.ask("Good.test", GOOD, uid=uid)
    result = run.result
    a, aaaa = run.of(GOOD), run.of(GOOD, "AAAA")
    assert (a.answer, a.addresses, a.ttl_s, a.rcode) == (Answer.ADDRESSES, ("10.78.0.2",), 300, "NOERROR")
    assert (aaaa.answer, aaaa.addresses, aaaa.ttl_s) == (Answer.ADDRESSES, ("fd78::2",), 300)
    assert a.authoritative
    assert a.edns
    assert a.rtt_ms is not None
    assert 0 < a.rtt_ms < 1000
    assert (a.transmissions, a.port, a.truncated, a.other_name) == (1, 53, False, False)
    assert result.system is not None
    assert result.system.eai is None
    assert sorted(result.system.addresses) == ["10.78.0.2", "fd78::2"]
    assert result.addresses == result.system.addresses
    assert result.candidates == ("Good.test",)
    assert result.search_matched == "Good.test"
    assert run.packets == 4  # A, AAAA, the root's servers, and a name that nobody has
    assert run.partials[-1][1] == result
    # dig sees the same
    dug = subprocess.run(
        lab.inside("dig", "+noall", "+answer", "@" + GOOD, "good.test"), capture_output=True, text=True, check=True
    ).stdout.split()
    assert dug[1:] == ["300", "IN", "A", "10.78.0.2"]


@pytest.mark.lab
def test_an_alias(lab: Lab) -> None:
    run = lab.ask("alias.test", GOOD)
    assert run.of(GOOD).aliases == ("good.test",)
    assert run.of(GOOD).addresses == ("10.78.0.2",)


@pytest.mark.lab
def test_one_family_only(lab: Lab) -> None:
    run = lab.ask("good.test", GOOD, family=6)
    assert run.kinds(GOOD) == {
        "good.test AAAA udp": "addresses",
        ". NS udp": "refused",
        "no-such-host.invalid AAAA udp": "refused",
    }
    assert run.result.addresses == ("fd78::2",)


@pytest.mark.lab
def test_no_such_name_and_no_address_of_that_family(lab: Lab) -> None:
    run = lab.ask("missing.test", GOOD)
    assert (run.of(GOOD).answer, run.of(GOOD).rcode) == (Answer.NXDOMAIN, "NXDOMAIN")
    assert run.result.system is not None
    assert run.result.system.eai == "EAI_NONAME"
    assert run.result.addresses == ()
    run = lab.ask("v4only.test", GOOD)
    assert (run.of(GOOD).answer, run.of(GOOD, "AAAA").answer) == (Answer.ADDRESSES, Answer.NO_DATA)
    run = lab.ask("v4only.test", GOOD, family=6)
    assert run.result.system is not None
    assert run.result.system.eai in ("EAI_NODATA", "EAI_NONAME", "EAI_ADDRFAMILY")


@pytest.mark.lab
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_servfail_and_refused_of_unbound(lab: Lab, uid: int | None) -> None:
    run = lab.ask("www.elsewhere.example", UNBOUND, uid=uid, wait_s=2.5, system_wait_s=2.5)
    assert run.of(UNBOUND).answer is Answer.SERVFAIL
    assert run.of(UNBOUND, "NS").answer is Answer.SERVFAIL
    assert run.of(UNBOUND, "NS").other_name
    assert run.result.system is not None
    assert run.result.system.eai == "EAI_AGAIN"
    run = lab.ask("www.refused.test", UNBOUND, "fd78::4", uid=uid)
    assert (run.of(UNBOUND).answer, run.of(UNBOUND).extended_error) == (Answer.REFUSED, None)
    # this one refuses everybody on the client's network, and says so
    assert (run.of("fd78::4").answer, run.of("fd78::4").extended_error) == (Answer.REFUSED, "18 prohibited")


@pytest.mark.lab
def test_a_long_answer_comes_over_tcp(lab: Lab) -> None:
    run = lab.ask("big.test", UNBOUND)
    a = run.of(UNBOUND, transport="tcp")
    assert (a.answer, a.truncated, a.connected) == (Answer.ADDRESSES, True, True)
    assert len(a.addresses) == 256  # of 300: the list is bounded
    assert "big.test A udp" not in run.kinds(UNBOUND)
    assert run.result.system is not None
    assert len(run.result.system.addresses) == 300


@pytest.mark.lab
def test_truncated_and_no_tcp(lab: Lab) -> None:
    run = lab.ask("a.test", "10.78.0.42")
    assert run.kinds("10.78.0.42") == dict.fromkeys(("a.test A tcp", "a.test AAAA tcp", ". NS tcp"), "port-closed")
    assert run.of("10.78.0.42", transport="tcp").truncated


@pytest.mark.lab
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_a_closed_port_shows_at_once(lab: Lab, uid: int | None) -> None:
    run = lab.ask("good.test", CLOSED, uid=uid)
    assert set(run.kinds(CLOSED).values()) == {"port-closed"}
    assert (run.of(CLOSED).errno, run.of(CLOSED).icmp_sender) == ("ECONNREFUSED", CLOSED)
    assert run.of(CLOSED).transmissions == 1  # known before a second one was due
    assert "good.test A tcp" not in run.kinds(CLOSED)


@pytest.mark.lab
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_unreachable_networks(lab: Lab, uid: int | None) -> None:
    run = lab.ask("good.test", UNROUTED, REJECTED, "fd99::1", uid=uid)
    assert (run.of(UNROUTED).answer, run.of(UNROUTED).errno) == (Answer.UNREACHABLE, "ENETUNREACH")
    assert run.of(UNROUTED).transmissions == 0
    rejected = run.of(REJECTED)
    assert (rejected.answer, rejected.errno, rejected.icmp_sender) == (Answer.UNREACHABLE, "EHOSTUNREACH", GOOD)
    assert run.of("fd99::1").answer is Answer.UNREACHABLE


@pytest.mark.lab
def test_a_silent_server_is_asked_over_tcp_once(lab: Lab) -> None:
    run = lab.ask("good.test", SILENT, wait_s=0.4, system_wait_s=0.5)
    kinds = run.kinds(SILENT)
    assert set(kinds.values()) == {"no-answer"}
    over_tcp = [answer for answer in run.result.answers if answer.transport == "tcp"]
    assert [answer.connected for answer in over_tcp] == [False]
    assert run.of(SILENT).transmissions == 2
    assert run.of(SILENT, "TXT").other_name
    assert run.result.system is not None
    assert not run.result.system.finished
    assert run.result.system.eai is None
    assert run.took_s < 4
    # glibc sticks to its wait of 5 s, twice: neither loop nor process may wait for it
    assert run.wall_s < 8


@pytest.mark.lab
def test_a_silent_server_is_told_of_long_before_its_time_is_over(lab: Lab) -> None:
    run = lab.ask("good.test", SILENT, CLOSED, wait_s=1.5, system_wait_s=2.0)
    told = [at for at, partial in run.partials if partial.awaited == (SILENT,)]
    first = next(at for at, partial in run.partials if any(a.server == SILENT for a in partial.answers))
    assert 0.4 <= told[0] < first - 0.5
    assert not any(CLOSED in partial.awaited for _, partial in run.partials)
    assert run.result.awaited == ()


@pytest.mark.lab
def test_a_server_that_answers_is_never_told_of_as_silent(lab: Lab) -> None:
    run = lab.ask("good.test", GOOD, SILENT)
    assert not any(GOOD in partial.awaited for _, partial in run.partials)


@pytest.mark.lab
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_udp_filtered_and_tcp_works(lab: Lab, uid: int | None) -> None:
    run = lab.ask("good.test", TCP_ONLY, uid=uid)
    kinds = run.kinds(TCP_ONLY)
    assert kinds["good.test A udp"] == kinds["good.test AAAA udp"] == kinds[". NS udp"] == "no-answer"
    assert kinds["good.test A tcp"] == kinds["good.test AAAA tcp"] == "addresses"
    assert kinds[". NS tcp"] == "refused"
    assert set(run.result.addresses) == {"10.78.0.2", "fd78::2"}


@pytest.mark.lab
def test_a_forwarder_whose_upstream_is_dead_shows_signs_of_life(lab: Lab) -> None:
    run = lab.ask("good.test", FORWARDER)
    assert run.of(FORWARDER).answer is Answer.NO_ANSWER
    assert run.of(FORWARDER, "NS").answer is Answer.NO_ANSWER
    assert (run.of(FORWARDER, "TXT").name, run.of(FORWARDER, "TXT").rcode) == ("version.bind", "NOERROR")
    tried = [answer for answer in run.result.answers if answer.transport == "tcp"]
    assert [answer.connected for answer in tried] == [True]


@pytest.mark.lab
def test_a_name_that_is_dropped_by_a_server_that_works(lab: Lab) -> None:
    run = lab.ask("www.mute.test", UNBOUND, "10.78.0.41", wait_s=0.8)
    assert run.of(UNBOUND).answer is Answer.NO_ANSWER
    run = lab.ask("a.test", "10.78.0.41")
    assert (run.of("10.78.0.41").answer, run.of("10.78.0.41", "AAAA").answer) == (Answer.ADDRESSES, Answer.NO_ANSWER)
    # a consumer is told of the IPv4 address long before the silence of the other question is over
    known = next(at for at, partial in run.partials if partial.addresses == ("10.78.0.99",))
    gave_up = next(at for at, partial in run.partials if len(partial.answers) > 2)
    assert known < gave_up


@pytest.mark.lab
def test_servers_that_disagree_and_more_than_three(lab: Lab) -> None:
    run = lab.ask("split.test", GOOD, OTHER, CLOSED, SILENT)
    assert run.of(GOOD).addresses == ("10.78.0.2",)
    assert run.of(OTHER).addresses == ("10.78.0.3",)
    assert run.of(CLOSED).answer is Answer.PORT_CLOSED
    assert run.result.configuration is not None
    assert run.result.configuration.ignored == (SILENT,)
    assert SILENT not in {answer.server for answer in run.result.answers}
    assert run.result.addresses == ("10.78.0.2",)


@pytest.mark.lab
def test_a_dead_first_server_does_not_hold_up_the_second(lab: Lab) -> None:
    run = lab.ask("good.test", SILENT, GOOD, wait_s=1.0, system_wait_s=1.5)
    assert set(run.result.addresses) == {"10.78.0.2", "fd78::2"}
    known = next(at for at, partial in run.partials if partial.addresses)
    given_up = next(at for at, partial in run.partials if any(a.server == SILENT for a in partial.answers))
    assert known < given_up
    assert run.result.system is not None
    assert not run.result.system.finished


@pytest.mark.lab
def test_search_list(lab: Lab) -> None:
    run = lab.ask("web", GOOD, options="search nowhere.test corp.test\n")
    assert run.result.candidates == ("web.nowhere.test", "web.corp.test", "web")
    assert run.result.search_matched == "web.corp.test"
    asked = {answer.name: answer.answer for answer in run.result.answers if answer.record_type == "A"}
    assert asked == {
        "web.nowhere.test": Answer.NXDOMAIN,
        "web.corp.test": Answer.ADDRESSES,
        "no-such-host.invalid": Answer.REFUSED,
        "no-such-host.invalid.corp.test": Answer.NXDOMAIN,  # no wildcard
    }
    assert run.result.system is not None
    assert run.result.addresses == run.result.system.addresses == ("10.78.0.2",)


@pytest.mark.lab
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("web", "search a.test b.test\n"),
        ("web", ""),
        ("www.web", "search a.test\n"),
        ("www.web", "search a.test\noptions ndots:2\n"),
        ("www.web", "domain d.test\nsearch a.test b.test.\noptions ndots:5\n"),
        ("web.", "search a.test\n"),
        ("web", "search . a.test\n"),
        ("web", "search a.test\noptions ndots:0\n"),
        ("web", "search a.test\noptions no-tld-query\n"),
    ],
)
def test_candidates_are_those_of_the_c_library(lab: Lab, name: str, options: str) -> None:
    """The odd server writes down what getent asks, which is getaddrinfo and nothing else."""
    lab.configure("nameserver 10.78.0.45\n" + options)
    before = len(lab.log())
    subprocess.run(lab.inside("getent", "ahostsv4", name), capture_output=True, check=False, timeout=30)
    theirs = list(dict.fromkeys(line.split()[1] for line in lab.log()[before:]))
    run = lab.ask(name)
    assert list(run.result.candidates) == theirs
    ours = list(dict.fromkeys(answer.name for answer in run.result.answers if not answer.other_name))
    assert ours == theirs


@pytest.mark.lab
@pytest.mark.parametrize("server", [CLOSED, SILENT])
def test_the_hosts_file_works_without_any_name_server(lab: Lab, server: str) -> None:
    lab.configure(f"nameserver {server}\n", hosts="10.1.2.3 Here.test other\nfd78::9 here.test\n")
    run = lab.ask("here.test", wait_s=0.3)
    assert sorted(run.result.addresses) == ["10.1.2.3", "fd78::9"]
    assert run.partials[0][1].addresses == run.result.addresses


@pytest.mark.lab
def test_localhost_asks_no_name_server(lab: Lab) -> None:
    run = lab.ask("localhost", SILENT)
    assert run.result.addresses == ("127.0.0.1",)
    assert (run.result.answers, run.packets) == ((), 0)


@pytest.mark.lab
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_an_internationalised_name(lab: Lab, uid: int | None) -> None:
    run = lab.ask("Bücher.test", GOOD, uid=uid)
    assert (run.result.name, run.result.ascii_name) == ("Bücher.test", "xn--bcher-kva.test")
    assert run.result.addresses == ("10.78.0.2",)


@pytest.mark.lab
def test_no_name_server_line(lab: Lab) -> None:
    lab.configure("# nothing here\n")
    run = lab.ask("good.test")
    assert run.result.configuration is not None
    assert not run.result.configuration.configured
    assert run.of("127.0.0.1").answer is Answer.PORT_CLOSED
    assert run.of("127.0.0.1").icmp_sender == "127.0.0.1"


@pytest.mark.lab
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_ipv6_servers_with_and_without_scope(lab: Lab, uid: int | None) -> None:
    run = lab.ask("good.test", "fd78::2", "fe80::2%ve", "fe80::2%none", uid=uid)
    assert run.of("fd78::2").addresses == ("10.78.0.2",)
    assert run.of("fe80::2%ve").addresses == ("10.78.0.99",)
    assert (run.of("fe80::2%none").answer, run.of("fe80::2%none").errno) == (Answer.UNREACHABLE, "ENODEV")


@pytest.mark.lab
def test_a_local_firewall_shows_as_such(lab: Lab) -> None:
    rules = (
        f"table inet out {{ chain o {{ type filter hook output priority 0; ip daddr {GOOD} udp dport 53 drop; }}; }}"
    )
    subprocess.run(lab.inside("nft", rules), check=True, timeout=30)
    try:
        run = lab.ask("good.test", GOOD)
    finally:
        subprocess.run(lab.inside("nft", "delete table inet out"), check=True, timeout=30)
    assert (run.of(GOOD).answer, run.of(GOOD).errno) == (Answer.UNREACHABLE, "EPERM")
    assert run.of(GOOD).icmp_sender is None


@pytest.mark.lab
@pytest.mark.parametrize(
    ("way", "expected", "why"),
    [
        ("wrong_id", Answer.MALFORMED, Unfit.NUMBER),
        ("wrong_question", Answer.MALFORMED, Unfit.QUESTION),
        ("sent_back", Answer.MALFORMED, Unfit.NO_RESPONSE),
        ("garbage", Answer.MALFORMED, Unfit.UNREADABLE),
        ("flood", Answer.MALFORMED, Unfit.NUMBER),
        ("alias_loop", Answer.MALFORMED, Unfit.UNREADABLE),
        ("junk_then_good", Answer.ADDRESSES, None),
        ("notauth", Answer.OTHER_RCODE, None),
        ("notimp", Answer.NOTIMP, None),
        ("nothing", Answer.NXDOMAIN, None),
        ("elsewhere", Answer.NO_ANSWER, None),
    ],
)
def test_hostile_and_broken_servers(lab: Lab, way: str, expected: Answer, why: Unfit | None) -> None:
    server = next(address for address, odd in ODD.items() if odd == way)
    run = lab.ask("a.test", server, wait_s=0.4)
    assert (run.of(server).answer, run.of(server).unfit) == (expected, why)
    assert run.took_s < 4


@pytest.mark.lab
def test_a_huge_datagram_is_bounded(lab: Lab) -> None:
    run = lab.ask("a.test", "10.78.0.36", wait_s=1.5)
    assert run.of("10.78.0.36").answer is Answer.ADDRESSES
    assert len(run.of("10.78.0.36").addresses) == 256


@pytest.mark.lab
@pytest.mark.parametrize("uid", [None, NOBODY])
def test_control_characters_do_not_get_out(lab: Lab, uid: int | None) -> None:
    answer = lab.ask("a.test", "10.78.0.37", uid=uid).of("10.78.0.37")
    assert answer.addresses == ("10.78.0.99",)
    assert answer.ttl_s == 5
    assert answer.aliases == (r"\027[31m\010red\032\255.test",)
    assert answer.extended_error is not None
    assert answer.extended_error.startswith("22 no reachable authority (no")
    assert answer.extended_error.isprintable()


@pytest.mark.lab
@pytest.mark.parametrize(("server", "transmissions"), [("10.78.0.39", 2), ("10.78.0.40", 2)])
def test_servers_that_do_not_know_edns(lab: Lab, server: str, transmissions: int) -> None:
    answer = lab.ask("a.test", server).of(server)
    assert (answer.answer, answer.edns, answer.transmissions) == (Answer.ADDRESSES, False, transmissions)


@pytest.mark.lab
@pytest.mark.parametrize("server", [GOOD, SILENT, FORWARDER])
@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.3, 0.9])
def test_cancelled_at_any_time_it_leaves_nothing_behind(lab: Lab, server: str, after_s: float) -> None:
    run = lab.ask("good.test", server, cancel_after_s=after_s)
    if server == SILENT:
        assert run.result is None
    assert run.wall_s < 8


@pytest.mark.lab
def test_a_recorded_tree_is_not_mixed_with_this_machine(lab: Lab, tmp_path: Path) -> None:
    """Below another root only name servers are asked: the C library would read this machine's files."""
    lab.configure(f"nameserver {SILENT}\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text(f"nameserver {GOOD}\n")
    code = f"""
        import asyncio, pickle, sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from probes.base import Context
        from probes.resolve import ResolveRequest
        from probes.bodies.resolve import observe
        context = Context(root=Path({str(tmp_path)!r}))
        result = asyncio.run(observe(ResolveRequest("good.test"), context, lambda partial: None))
        sys.stdout.buffer.write(pickle.dumps(result))
    """
    command = lab.inside(sys.executable, "-W", "error", "-c", textwrap.dedent(code))
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    result: ResolveResult = pickle.loads(done.stdout)  # noqa: S301 - our own child's
    assert result.system is None
    assert result.addresses == ("10.78.0.2", "fd78::2")
