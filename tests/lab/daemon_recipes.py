"""Recipes for services that greet and serve: OpenSSH, nginx, Exim, vsftpd, haproxy. Importing it enters them."""

from __future__ import annotations

import subprocess

from tests.lab import papers
from tests.lab.daemons import RECIPES, Kit, Recipe, Start

_GET = b"GET / HTTP/1.0\r\nHost: server\r\n\r\n"


# -- OpenSSH -------------------------------------------------------------------------------------------------------


def _openssh(kit: Kit) -> Start:
    key = kit.folder / "host_key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    key.chmod(0o600)
    limit = "1:100:1" if kit.state == "max-startups" else "10:30:100"
    config = kit.write(
        "sshd_config",
        f"Port {kit.port}\nHostKey {key}\nPidFile none\nUsePAM no\nLogLevel VERBOSE\nMaxStartups {limit}\n"
        "LoginGraceTime 110\nPasswordAuthentication no\nUseDNS no\n",
    )
    binds = kit.known()  # it looks up who asks
    if kit.state == "hosts-deny":
        binds["/etc/hosts.deny"] = kit.write("hosts.deny", "ALL: ALL\n")
        binds["/etc/hosts.allow"] = kit.write("hosts.allow", "")
    return Start(("/usr/sbin/sshd", "-D", "-e", "-f", str(config)), folders=("/run/sshd",), binds=binds)


RECIPES["openssh"] = Recipe(
    package="openssh-server",
    program="/usr/sbin/sshd",
    prepare=_openssh,
    states={"well": rb"^SSH-2\.0-", "max-startups": rb"^Exceeded MaxStartups", "hosts-deny": None},
    held={"max-startups": 1},
    # who goes away before it has said its name is no fault of the server
    harmless=r"kex_exchange_identification|Connection (closed|reset) by|Bad protocol version|banner exchange|refused",
)


# -- nginx -----------------------------------------------------------------------------------------------------------

_NGINX = {
    "well": "return 200 'hello';",
    "bad-gateway": "proxy_pass http://127.0.0.1:9;",
    "timeout": "proxy_connect_timeout 1s; proxy_pass http://192.0.2.1:9;",
    "unavailable": "return 503;",
    "busy": "return 429;",
    "hangs-up": "return 444;",
    "proxy-protocol": "return 200 'hello';",
    "forbidden": "return 403;",
}
_PAPERS = {f"tls-{defect}": defect for defect in papers.DEFECTS}


def _nginx(kit: Kit) -> Start:
    tls = kit.state.startswith("tls-")
    extra = " proxy_protocol" if kit.state == "proxy-protocol" else " ssl" if tls else ""
    lines = [f"listen {kit.port}{extra};", f"listen [::]:{kit.port}{extra};", "server_name server;"]
    if tls:
        names = [kit.lab.values["name"], *kit.addresses]
        chain, key, authority = papers.issue(kit.folder, names, _PAPERS.get(kit.state, "good"))
        kit.lab.values["authority"] = str(authority)
        lines += [f"ssl_certificate {chain};", f"ssl_certificate_key {key};"]
        if kit.state == "tls-old":
            # a server of old: no version that today's clients offer
            lines += ["ssl_protocols TLSv1;", "ssl_ciphers DEFAULT:@SECLEVEL=0;"]
        if kit.state == "tls-client":
            lines += [f"ssl_client_certificate {authority};", "ssl_verify_client on;"]
        if kit.state == "tls-names":
            lines += ["ssl_reject_handshake on;"]
    log, pid = kit.folder / "log", kit.folder / "pid"
    config = kit.write(
        "nginx.conf",
        f"daemon off; user www-data; worker_processes 1; pid {pid}; error_log {log} info;\n"
        "events { worker_connections 64; }\n"
        "http { access_log off; client_body_temp_path /run/b; proxy_temp_path /run/p; fastcgi_temp_path /run/f;\n"
        " uwsgi_temp_path /run/u; scgi_temp_path /run/s;\n"
        f" server {{ {' '.join(lines)} location / {{ {_NGINX.get(kit.state, _NGINX['well'])} }} }} }}\n",
    )
    return Start(("/usr/sbin/nginx", "-e", str(log), "-c", str(config)))


RECIPES["nginx"] = Recipe(
    package="nginx",
    program="/usr/sbin/nginx",
    prepare=_nginx,
    says=_GET,
    states={
        "well": rb"^HTTP/1\.1 200",
        "bad-gateway": rb"^HTTP/1\.1 502",
        "timeout": rb"^HTTP/1\.1 504",
        "unavailable": rb"^HTTP/1\.1 503",
        "busy": rb"^HTTP/1\.1 429",
        "forbidden": rb"^HTTP/1\.1 403",
        "hangs-up": None,
        "proxy-protocol": None,
        # plain words to a port for TLS: nginx says so itself, or refuses what is no handshake
        **dict.fromkeys((*_PAPERS, "tls-old", "tls-client", "tls-names"), rb"^HTTP/1\.1 400|^\x15\x03"),
    },
    bad=r"\[(error|crit|alert|emerg)\]",
)


# -- Exim ------------------------------------------------------------------------------------------------------------


def _exim(kit: Kit) -> Start:
    refuse = "deny message = 554 5.7.1 Your address is on our list" if kit.state == "blocked" else "accept"
    logs = kit.folder / "logs"
    logs.mkdir()
    limit = "smtp_accept_max = 1\n" if kit.state == "crowded" else ""
    config = kit.write(
        "exim.conf",
        f"primary_hostname = mail.server.test\ndaemon_smtp_ports = {kit.port}\nlocal_interfaces = <; 0.0.0.0 ; ::0\n"
        f"spool_directory = /run/exim\nlog_file_path = {logs}/%slog\nhost_lookup =\nrfc1413_query_timeout = 0s\n"
        f"{limit}acl_smtp_connect = at_connect\nacl_smtp_rcpt = nobody\nkeep_environment =\ntls_advertise_hosts =\n"
        f"pid_file_path = /run/exim/pid\nbegin acl\nat_connect:\n  {refuse}\nnobody:\n  deny\n",
    )
    return Start(
        ("/usr/sbin/exim4", "-bdf", "-C", str(config)),
        folders=("/run/exim", "/run/exim4"),
        user="Debian-exim",
        owns=(str(logs),),
    )


RECIPES["exim"] = Recipe(
    package="exim4-daemon-light",
    program="/usr/sbin/exim4",
    prepare=_exim,
    states={"well": rb"^220 mail\.server\.test", "blocked": rb"^554 ", "crowded": rb"^421 .*[Tt]oo many"},
    held={"crowded": 1},
    log="logs/mainlog",
    harmless=r"lost connection|unexpected disconnection|SMTP protocol (synchronization )?error|refused",
)


# -- vsftpd ----------------------------------------------------------------------------------------------------------


def _vsftpd(kit: Kit) -> Start:
    limit = "max_clients=1\n" if kit.state == "crowded" else ""
    config = kit.write(
        "vsftpd.conf",
        f"listen=NO\nlisten_ipv6=YES\nbackground=NO\nlisten_port={kit.port}\nanonymous_enable=YES\n"
        f"secure_chroot_dir=/run/vsftpd/empty\nanon_root=/run/vsftpd/empty\nseccomp_sandbox=NO\n"
        f"dual_log_enable=YES\nvsftpd_log_file={kit.folder}/log\nlog_ftp_protocol=YES\nxferlog_enable=YES\n{limit}",
    )
    return Start(("/usr/sbin/vsftpd", str(config)), folders=("/run/vsftpd/empty",))


RECIPES["vsftpd"] = Recipe(
    package="vsftpd",
    program="/usr/sbin/vsftpd",
    prepare=_vsftpd,
    states={"well": rb"^220 ", "crowded": rb"^421 "},
    held={"crowded": 1},
    bad=r"(?i)\b(error|fatal|OOPS)\b",
)


# -- haproxy ---------------------------------------------------------------------------------------------------------


def _haproxy(kit: Kit) -> Start:
    backend = kit.port + 1
    mode = "tcp" if kit.state.startswith("tcp-") else "http"
    alive = f"  server one 127.0.0.1:{backend}\n"
    servers = alive if kit.state == "well" else "" if kit.state == "no-server" else "  server one 127.0.0.1:9 check\n"
    text = (
        f"global\n  log stderr format raw local0\n  user haproxy\n  group haproxy\n"
        f"defaults\n  mode {mode}\n  log global\n  timeout connect 1s\n  timeout client 20s\n  timeout server 20s\n"
        f"frontend in\n  bind 0.0.0.0:{kit.port}\n  bind [::]:{kit.port} v6only\n  default_backend out\n"
        f"backend out\n{servers}"
        f"frontend behind\n  mode http\n  bind 127.0.0.1:{backend}\n"
        "  http-request return status 200 content-type text/plain string hello\n"
    )
    return Start(("/usr/sbin/haproxy", "-db", "-f", str(kit.write("haproxy.cfg", text))), ports=(kit.port,))


RECIPES["haproxy"] = Recipe(
    package="haproxy",
    program="/usr/sbin/haproxy",
    prepare=_haproxy,
    says=_GET,
    states={
        "well": rb"^HTTP/1\.1 200",
        "no-server": rb"^HTTP/1\.[01] 503",
        "server-down": rb"^HTTP/1\.[01] 503",
        "tcp-server-down": None,
    },
    bad=r"\[(ALERT|EMERG)\]",
)
