"""Recipes for what is shared and passed on: files, directories, caches, messages. Importing it enters them.

Debian has no MongoDB: FerretDB is an independent server of its protocol. Some ask for packages that the tests do not
install, two for what ``tests/lab/fetch.sh`` brings; ``run.py`` plays them where they are.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.lab.daemons import RECIPES, Kit, Recipe, Start

#: Where fetch.sh leaves what it builds and fetches.
BINARIES = Path(__file__).resolve().parents[2] / ".venv" / "lab"


# -- files -----------------------------------------------------------------------------------------------------------


def _rsync(kit: Kit) -> Start:
    config = kit.write(
        "rsyncd.conf",
        f"log file = {kit.folder}/log\nuse chroot = no\nreverse lookup = no\n[pub]\n path = {kit.folder}\n",
    )
    return Start(("/usr/bin/rsync", "--daemon", "--no-detach", f"--config={config}", f"--port={kit.port}"))


RECIPES["rsync"] = Recipe(
    by_hand=True,
    package="rsync",
    program="/usr/bin/rsync",
    prepare=_rsync,
    says=b"@RSYNCD: 31.0\n",
    states={"well": rb"^@RSYNCD: \d"},
    harmless=r"\(code 12\) at io\.c",  # the client went away
)


def _samba(kit: Kit) -> Start:
    own = "".join(f"{name} = /run/smb\n" for name in ("lock directory", "state directory", "cache directory"))
    config = kit.write(
        "smb.conf",
        f"[global]\nserver role = standalone server\nsmb ports = {kit.port}\nlog file = {kit.folder}/log\n{own}"
        "private dir = /run/smb\npid directory = /run/smb\nncalrpc dir = /run/smb/rpc\nmap to guest = Never\n"
        "load printers = no\nprinting = bsd\ndisable spoolss = yes\nserver min protocol = SMB2_02\n",
    )
    argv = ("/usr/sbin/smbd", "--foreground", "--no-process-group", f"--configfile={config}")
    return Start(argv, folders=("/run/smb", "/run/samba", "/var/log/samba"))


RECIPES["samba"] = Recipe(
    by_hand=True,
    package="samba",
    program="/usr/sbin/smbd",
    prepare=_samba,
    # SMB2 NEGOTIATE for the dialects 2.0.2 and 2.1
    says=bytes.fromhex(
        "00000068fe534d42400000000000000000000100"
        + "00" * 48
        + "24000200010000000000000000000000000000000000000000000000000000000000000002021002"
    ),
    states={"well": rb"^\x00...\xfeSMB"},
    bad=r"(?i)\b(panic|fatal|internal error)\b",
)


def _svnserve(kit: Kit) -> Start:
    subprocess.run(["svnadmin", "create", str(kit.folder / "repo")], check=True, capture_output=True)
    where = ("--listen-host", "::", "--listen-port", str(kit.port), "-r", str(kit.folder))
    return Start(("/usr/bin/svnserve", "-d", "--foreground", "--log-file", f"{kit.folder}/log", *where))


RECIPES["svnserve"] = Recipe(
    by_hand=True,
    package="subversion",
    program="/usr/bin/svnserve",
    prepare=_svnserve,
    states={"well": rb"^\( success \( 2 2 "},
    bad=r"\bERR\b",
    harmless=r"Network connection closed unexpectedly|Connection reset",
)


# -- directories and caches ------------------------------------------------------------------------------------------


def _slapd(kit: Kit) -> Start:
    config = kit.write(
        "slapd.conf", "include /etc/ldap/schema/core.schema\npidfile /run/slapd/pid\nargsfile /run/slapd/a\n"
    )
    urls = f"ldap://0.0.0.0:{kit.port}/ ldap://[::]:{kit.port}/"
    return Start(("/usr/sbin/slapd", "-d", "256", "-f", str(config), "-h", urls), folders=("/run/slapd",))


RECIPES["slapd"] = Recipe(
    by_hand=True,
    package="slapd",
    program="/usr/sbin/slapd",
    prepare=_slapd,
    says=bytes.fromhex(
        "303b020101633604000a01000a0100020101020105010100870b6f626a656374436c6173733016041473757070"
        "6f727465644c44415056657273696f6e"
    ),
    states={"well": rb"^0.\x02\x01\x01[\x64\x65]"},
    log="stderr",
    bad=r"(?i)\b(error|fatal|failed)\b|err=(?!0\b)\d+",
)


def _memcached(kit: Kit) -> Start:
    argv = ("/usr/bin/memcached", "-p", str(kit.port), "-l", "0.0.0.0,::", "-u", "nobody", "-v", "-m", "8")
    if kit.state == "crowded":
        argv += ("-c", "1", "-o", "maxconns_fast")
    return Start(argv)


RECIPES["memcached"] = Recipe(
    by_hand=True,
    package="memcached",
    program="/usr/bin/memcached",
    prepare=_memcached,
    says=b"version\r\n",
    states={"well": rb"^VERSION \d", "crowded": rb"^ERROR Too many open connections"},
    held={"crowded": 1},
    log="stderr",
)


def _ferretdb(kit: Kit) -> Start:
    own = kit.folder / "own"
    own.mkdir()
    words = (f"--listen-addr=[::]:{kit.port}", "--handler=sqlite", f"--sqlite-url=file:{own}/", f"--state-dir={own}")
    return Start((str(BINARIES / "ferretdb"), *words, "--telemetry=disable", "--debug-addr=-", "--log-level=info"))


RECIPES["ferretdb"] = Recipe(
    by_hand=True,
    package="golang && bash tests/lab/fetch.sh",
    program=str(BINARIES / "ferretdb"),
    prepare=_ferretdb,
    # OP_MSG {hello: 1, $db: "admin"}
    says=bytes.fromhex(
        "340000000100000000000000dd07000000000000001f0000001068656c6c6f000100000002246462000600000061646d696e0000"
    ),
    states={"well": rb"^.{8}\x01\x00\x00\x00\xdd\x07"},
    log="stderr",
    harmless=r"Connection (stopped|closed)|read: connection reset by peer|expected 16, read 0",
)


# -- queues ----------------------------------------------------------------------------------------------------------


def _mosquitto(kit: Kit) -> Start:
    anybody = "false" if kit.state == "login" else "true"
    lines = f"listener {kit.port}\nallow_anonymous {anybody}\nuser root\nlog_dest file {kit.folder}/log\nlog_type all\n"
    return Start(("/usr/sbin/mosquitto", "-c", str(kit.write("mosquitto.conf", lines))))


#: CONNECT of MQTT 3.1.1 with a name that no other client has.
_CONNECT = bytes.fromhex("100f00044d5154540402003c00036c6162")
RECIPES["mosquitto"] = Recipe(
    by_hand=True,
    package="mosquitto",
    program="/usr/sbin/mosquitto",
    prepare=_mosquitto,
    says=_CONNECT,
    states={"well": rb"^\x20\x02\x00\x00", "login": rb"^\x20\x02\x00\x05"},
    harmless=r"Client \S+ (disconnected|closed its connection)|protocol error|socket error",
)


def _rabbitmq(kit: Kit) -> Start:
    own = kit.folder / "own"
    own.mkdir()
    variables = {
        "HOME": own, "RABBITMQ_MNESIA_BASE": own, "RABBITMQ_LOG_BASE": own, "RABBITMQ_LOGS": own / "log",
        "RABBITMQ_NODENAME": "lab@localhost", "RABBITMQ_NODE_PORT": kit.port,
        "RABBITMQ_ENABLED_PLUGINS_FILE": own / "p",
        "RABBITMQ_CONFIG_FILE": kit.write("rabbitmq.conf", "disk_free_limit.absolute = 1MB\nlog.file.level = info\n"),
        "RABBITMQ_PID_FILE": own / "pid", "LANG": "C.UTF-8",
    }  # fmt: skip
    argv = ("env", *(f"{name}={text}" for name, text in variables.items()), "/usr/lib/rabbitmq/bin/rabbitmq-server")
    return Start(argv, user="rabbitmq", owns=(str(own),), as_user=True, binds=kit.known())


RECIPES["rabbitmq"] = Recipe(
    by_hand=True,
    package="rabbitmq-server",
    program="/usr/lib/rabbitmq/bin/rabbitmq-server",
    prepare=_rabbitmq,
    says=b"AMQP\x00\x00\x09\x01",
    states={"well": rb"^\x01\x00\x00.{4}\x00\x0a\x00\x0a"},
    log="own/log",
    bad=r"\[(error|critical|alert|emergency)\]",
    # a client that was slow to be answered says something else next
    harmless=r"closing AMQP connection|bad_header",
)


def _nats(kit: Kit) -> Start:
    return Start(("/usr/sbin/nats-server", "-a", "::", "-p", str(kit.port), "-l", f"{kit.folder}/log"))


RECIPES["nats"] = Recipe(
    by_hand=True,
    package="nats-server",
    program="/usr/sbin/nats-server",
    prepare=_nats,
    states={"well": rb"^INFO \{"},
    bad=r"\[(ERR|FTL)\]",
)


def _kafka(kit: Kit) -> Start:
    config = kit.write(
        "server.properties",
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:19093\n"
        f"listeners=PLAINTEXT://[::]:{kit.port},CONTROLLER://127.0.0.1:19093\nlog.dirs={kit.folder}/data\n"
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{kit.port}\ncontroller.listener.names=CONTROLLER\n",
    )
    run = f"java -Xmx256m -XX:+UseSerialGC -cp '{BINARIES}/kafka/*'"
    made = f"{run} kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c {config}"
    return Start(("sh", "-c", f"{made} && exec {run} kafka.Kafka {config}"))


RECIPES["kafka"] = Recipe(
    by_hand=True,
    package="openjdk-17-jre-headless maven && bash tests/lab/fetch.sh",
    program=f"{BINARIES}/kafka",
    prepare=_kafka,
    # ApiVersions, version 0, correlation 1
    says=bytes.fromhex("000000110012000000000001000777736164696167"),
    states={"well": rb"^....\x00\x00\x00\x01\x00\x00"},
    log="stderr",
    bad=r"\b(ERROR|FATAL)\b",
)
