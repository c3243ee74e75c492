"""Recipes for data bases: MariaDB, PostgreSQL, Redis. Importing it enters them."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import suppress

from tests.lab.daemons import RECIPES, Kit, Recipe, Start

_POSTGRES = "/usr/lib/postgresql/15/bin"


# -- MariaDB ----------------------------------------------------------------------------------------------------


def _mariadb(kit: Kit) -> Start:
    data = kit.folder / "data"
    made = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    for attempt in (1, 2):  # a script with a data base started in it: on a busy machine it may fail
        done = subprocess.run([*made, "--skip-test-db", "--user=root"], check=attempt == 2, capture_output=True)
        if done.returncode == 0:
            break
        shutil.rmtree(data, ignore_errors=True)
    orders = ["DELETE FROM mysql.global_priv WHERE User='';", "FLUSH PRIVILEGES;"]
    if kit.state != "not-allowed":
        orders.append("CREATE USER guest@'%' IDENTIFIED BY 'x';")
    first = kit.write("first.sql", "\n".join(orders) + "\n")
    argv = [
        "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", f"--port={kit.port}", "--bind-address=*",
        "--socket=/run/m.sock", "--pid-file=/run/m.pid", "--user=root", "--skip-name-resolve", f"--init-file={first}",
        f"--log-error={kit.folder}/log.err", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M",
        "--performance-schema=OFF", "--log-warnings=2",
    ]  # fmt: skip
    if kit.state == "crowded":
        argv.append("--max-connections=10")  # the fewest that it takes
    if kit.state == "blocked":
        argv[argv.index("--skip-name-resolve")] = "--skip-name-resolve=0"
        argv.append("--max-connect-errors=1")
    return Start(tuple(argv), binds=kit.known())  # it counts the errors of those whose names it finds


def _errors(kit: Kit) -> None:
    """Break connections off from everywhere until the server blocks whoever does so."""
    if kit.state != "blocked":
        return
    for node in ("client", "mate"):
        for address in kit.addresses:
            for _ in range(3):
                with kit.lab.inside(node), suppress(OSError), socket.create_connection((address, kit.port), 3) as one:
                    one.recv(200)
                    one.sendall(b"\x05\x00\x00\x01nonsense")
                    one.recv(200)


RECIPES["mariadb"] = Recipe(
    package="mariadb-server-core",
    program="/usr/sbin/mariadbd",
    prepare=_mariadb,
    states={
        "well": rb"^...\x00\x0a[0-9.]+",
        "crowded": rb"\xff\x10\x04",  # 1040
        "blocked": rb"\xff\x69\x04",  # 1129
        "not-allowed": rb"\xff\x6a\x04",  # 1130
    },
    held={"crowded": 11},
    settle=_errors,
    log="log.err",
    bad=r"\[ERROR\]",
)


# -- PostgreSQL ----------------------------------------------------------------------------------------------------

#: A client of version 3 that wants to be `guest` (Message Formats, StartupMessage).
_STARTUP = b"\x00\x00\x00\x23\x00\x03\x00\x00user\x00guest\x00database\x00guest\x00\x00"


def _postgresql(kit: Kit) -> Start:
    data = kit.folder / "data"
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    data.mkdir()
    subprocess.run(["chown", "postgres:", str(data)], check=True)
    made = [f"{_POSTGRES}/initdb", "-D", str(data), "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run([*as_postgres, *made], check=True, capture_output=True, cwd="/")
    everybody = "" if kit.state == "no-hba" else "host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n"
    (data / "pg_hba.conf").write_text(f"local all all trust\n{everybody}", encoding="ascii")
    argv = [
        f"{_POSTGRES}/postgres", "-D", str(data), "-p", str(kit.port), "-c", "listen_addresses=*",
        "-c", "unix_socket_directories=/run/pg", "-c", "shared_buffers=4MB", "-c", "fsync=off",
        "-c", "max_connections=12", "-c", "log_connections=on",
    ]  # fmt: skip
    if kit.state == "starting":
        (data / "standby.signal").touch()
        argv += ["-c", "restore_command=sleep 600; false", "-c", "hot_standby=on"]
    return Start(tuple(argv), folders=("/run/pg",), user="postgres", as_user=True)


RECIPES["postgresql"] = Recipe(
    package="postgresql-15",
    program=f"{_POSTGRES}/postgres",
    prepare=_postgresql,
    says=_STARTUP,
    states={
        "well": rb'^R\x00|database "guest" does not exist|role "guest" does not exist',
        "no-hba": rb"no pg_hba\.conf entry",
        "starting": rb"C57P03",
    },
    log="stderr",
    bad=r"\b(ERROR|FATAL|PANIC):",
    # an opening without a login names nobody who is known here
    harmless=r'(role|database) "\w+" does not exist|incomplete startup packet|no PostgreSQL user name',
)


# -- Redis ----------------------------------------------------------------------------------------------------


def _redis(kit: Kit) -> Start:
    lines = [
        f"port {kit.port}",
        "bind * -::*",
        "daemonize no",
        'save ""',
        f"dir {kit.folder}",
        f"logfile {kit.folder}/log",
    ]
    lines.append("protected-mode yes" if kit.state == "protected" else "protected-mode no")
    if kit.state == "password":
        lines.append("requirepass secret")
    if kit.state == "crowded":
        lines.append("maxclients 1")
    return Start(("/usr/bin/redis-server", str(kit.write("redis.conf", "\n".join(lines) + "\n"))))


RECIPES["redis"] = Recipe(
    package="redis-server",
    program="/usr/bin/redis-server",
    prepare=_redis,
    says=b"PING\r\n",
    states={
        "well": rb"^\+PONG",
        "protected": rb"^-DENIED",
        "password": rb"^-NOAUTH",
        "crowded": rb"^-ERR max number of clients",
    },
    held={"crowded": 1},
    bad=r"(?i)\b(fatal|panic|error|crash)\b",
)
