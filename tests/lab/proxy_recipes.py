"""Recipes for proxies: Squid and Dante. Importing it enters them."""

from __future__ import annotations

from tests.lab.daemons import RECIPES, Kit, Recipe, Start


def _squid(kit: Kit) -> Start:
    access = {"denies": "http_access deny all", "login": "http_access allow known\nhttp_access deny all"}
    helper = "/usr/lib/squid/basic_ncsa_auth"
    users = kit.write("users", "guest:$apr1$wsadiag1$LjOZxB0UTzGkbNwdPnCWx1\n")
    known = f"auth_param basic program {helper} {users}\nauth_param basic realm lab\nacl known proxy_auth REQUIRED\n"
    names = " ".join(kit.lab.plan[name].near.address(4) for name in ("ns1", "ns2"))
    config = kit.write(
        "squid.conf",
        f"http_port {kit.port}\npid_filename none\ncache deny all\ncache_effective_user proxy\n"
        f"dns_nameservers {names}\nconnect_timeout 20 seconds\nvisible_hostname proxy.test\n"
        f"shutdown_lifetime 0 seconds\n"
        f"cache_log {kit.folder}/log\naccess_log none\ncoredump_dir /run\npinger_enable off\nnetdb_filename none\n"
        f"{known if kit.state == 'login' else ''}{access.get(kit.state, 'http_access allow all')}\n",
    )
    folders = ("/var/log/squid", "/run/squid")
    return Start(("/usr/sbin/squid", "-N", "-f", str(config)), folders, user="proxy", owns=(str(kit.folder),))


RECIPES["squid"] = Recipe(
    package="squid",
    program="/usr/sbin/squid",
    prepare=_squid,
    says=b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n",
    states={"well": rb"^HTTP/1\.1 503", "denies": rb"^HTTP/1\.1 403", "login": rb"^HTTP/1\.1 407"},
    bad=r"\b(ERROR|FATAL)\b",
)


def _dante(kit: Kit) -> Start:
    method = "username" if kit.state == "login" else "none"
    verdict = "block" if kit.state == "denies" else "pass"
    rules = "".join(
        f"client pass {{ from: {all_} to: {all_} }}\nsocks {verdict} {{ from: {all_} to: {all_} protocol: tcp }}\n"
        for all_ in ("0/0", "::/0")
    )
    config = kit.write(
        "danted.conf",
        f"logoutput: {kit.folder}/log\ninternal: e0 port = {kit.port}\nexternal: e0\nsocksmethod: {method}\n"
        f"clientmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n{rules}",
    )
    return Start(("/usr/sbin/danted", "-f", str(config), "-p", "/run/danted.pid"))


RECIPES["dante"] = Recipe(
    package="dante-server",
    program="/usr/sbin/danted",
    prepare=_dante,
    # a greeting without login, and a connection to a port where nobody listens
    says=b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x09",
    states={"well": rb"^\x05\x00\x05\x05", "denies": rb"^\x05\x00\x05\x02", "login": rb"^\x05\xff"},
    bad=r"\b(error|alert|critical):",
)
