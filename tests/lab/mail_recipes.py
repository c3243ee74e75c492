"""Recipes for what people read and write with: Dovecot (IMAP, POP3, Sieve), Leafnode (NNTP), telnetd, xrdp, TigerVNC.

Importing it enters them. Some ask for packages that the tests do not install; ``run.py`` plays them where they are.
"""

from __future__ import annotations

from tests.lab.daemons import RECIPES, Kit, Recipe, Start, per_connection

# -- Dovecot -------------------------------------------------------------------------------------------------------

#: Protocols, and how each of them greets.
_GREETINGS = {"imap": rb"^\* OK ", "pop3": rb"^\+OK ", "sieve": rb'^"IMPLEMENTATION" "Dovecot'}


def _dovecot(kit: Kit, protocol: str) -> Start:
    login = "managesieve-login" if protocol == "sieve" else f"{protocol}-login"
    further = f"inet_listener {protocol}s {{\n port = 0\n }}\n" if protocol != "sieve" else ""
    config = kit.write(
        "dovecot.conf",
        f"base_dir = /run/dovecot\nprotocols = {protocol}\nlisten = *, ::\nssl = no\nlog_path = {kit.folder}/log\n"
        f"service {login} {{\n inet_listener {protocol} {{\n port = {kit.port}\n }}\n{further}}}\n"
        "passdb {\n driver = static\n args = password=x\n}\n"
        "userdb {\n driver = static\n args = uid=nobody gid=nogroup\n}\n",
    )
    return Start(("/usr/sbin/dovecot", "-F", "-c", str(config)), folders=("/run/dovecot",))


for _protocol, _greeting in _GREETINGS.items():
    RECIPES[f"dovecot-{_protocol}"] = Recipe(
        by_hand=True,
        package={"imap": "dovecot-imapd", "pop3": "dovecot-pop3d", "sieve": "dovecot-managesieved"}[_protocol],
        program=f"/usr/lib/dovecot/{'managesieve' if _protocol == 'sieve' else _protocol}-login",
        prepare=lambda kit, protocol=_protocol: _dovecot(kit, protocol),
        states={"well": _greeting},
        bad=r"\b(Error|Fatal|Panic):",
    )


# -- news ------------------------------------------------------------------------------------------------------------


def _leafnode(kit: Kit) -> Start:
    """Leafnode serves nobody under a name that others might have: those of RFC 2606 are such, ``.internal`` is none.

    Those who are not of its own network it lets wait without a word, unless told otherwise.
    """
    own = "localhost.localdomain" if kit.state == "nameless" else "news.lab.internal"
    further = "" if kit.state == "strangers" else "allowSTRANGERS = 42\n"
    config = kit.write("config", f"server = localhost\nexpire = 20\nhostname = {own}\n{further}")
    spool = kit.folder / "spool"
    for name in ("failed.postings", "interesting.groups", "leaf.node", "message.id", "out.going", "temp.files"):
        (spool / name).mkdir(parents=True)
    for number in range(1000):
        (spool / "message.id" / f"{number:03}").mkdir()
    drop = ("setpriv", "--reuid=news", "--regid=news", "--init-groups")
    binds = {"/etc/news/leafnode/config": config, "/var/spool/news": spool, **kit.known()}  # it looks up who asks
    return Start(per_connection(kit, *drop, "/usr/sbin/leafnode"), user="news", owns=(str(spool),), binds=binds)


_NEWS = rb"^200 Leafnode NNTP Daemon"
RECIPES["leafnode"] = Recipe(
    by_hand=True,
    package="leafnode",
    program="/usr/sbin/leafnode",
    prepare=_leafnode,
    states={"well": _NEWS, "strangers": _NEWS, "nameless": rb"^503 Leafnode must have a unique"},
    log="stderr",
)


# -- what is looked at from afar -------------------------------------------------------------------------------------


def _telnetd(kit: Kit) -> Start:
    return Start(per_connection(kit, "/usr/sbin/telnetd", "-h"), binds=kit.known())  # it looks up who asks


RECIPES["telnetd"] = Recipe(
    by_hand=True,
    package="inetutils-telnetd",
    program="/usr/sbin/telnetd",
    prepare=_telnetd,
    states={"well": rb"^\xff[\xfb-\xfe]"},
    log="stderr",
)


def _xrdp(kit: Kit) -> Start:
    config = kit.write(
        "xrdp.ini",
        f"[Globals]\nport={kit.port}\nfork=true\nsecurity_layer=negotiate\ncertificate=/etc/xrdp/cert.pem\n"
        f"key_file=/etc/xrdp/key.pem\nmax_bpp=32\n[Logging]\nLogFile={kit.folder}/log\nLogLevel=INFO\nEnableSyslog=false\n",
    )
    return Start(("/usr/sbin/xrdp", "--nodaemon", "--config", str(config)), folders=("/run/xrdp",))


RECIPES["xrdp"] = Recipe(
    by_hand=True,
    package="xrdp",
    program="/usr/sbin/xrdp",
    prepare=_xrdp,
    # X.224, connection request with a negotiation for TLS
    says=bytes.fromhex("030000130ee000000000000100080003000000"),
    states={"well": rb"^\x03\x00..[\x05-\x40]\xd0"},
    bad=r"\[(ERROR|CORE )\]",
    # a client that goes away instead of shaking hands, told anew by each of its layers; nothing else may stand there
    harmless=r"unexpected eof|SSL_accept|ssl_tls_accept|trans_set_tls_mode failed|(libxrdp|xrdp)_\w+: .*(failed|error)"
    r"|\[ITU[- ](T )?(X\.224|T\.125)\]|trans_write_copy_s",
)


def _tigervnc(kit: Kit) -> Start:
    words = ("-rfbport", str(kit.port), "-SecurityTypes", "None", "-localhost=0", "-nolock", "-geometry", "320x200")
    quiet = ("-nolisten", "unix", "-nolisten", "local", "-listen", "tcp")
    return Start(("/usr/bin/Xtigervnc", ":77", *words, *quiet))


RECIPES["tigervnc"] = Recipe(
    by_hand=True,
    package="tigervnc-standalone-server",
    program="/usr/bin/Xtigervnc",
    prepare=_tigervnc,
    states={"well": rb"^RFB 003\.008\n"},
    log="stderr",
)
