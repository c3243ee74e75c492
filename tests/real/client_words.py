"""How each client of ``run_clients`` is made to fail, and what it needs for that."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import trustme

SERVERS: Final = Path(__file__).with_name("failing_servers.py")
HOST: Final = "10.81.2.2"
#: Ports: nothing listens; the router drops; whoever is let in is reset; TLS with a certificate that nobody knows.
CLOSED, DROPPED, RESETS, TLS = 9001, 40_000, 7001, 8443
RULES: Final = f"tcp dport {DROPPED} drop;"
_HTTP = {"certificate": f"https://{HOST}:{TLS}/", "refuses": f"http://{HOST}:8080/"}
#: Where a client's service refuses, and where its own TLS is spoken.
_REFUSES = {"psql": 5432, "redis-cli": 6379, "ssh": 22, "mysql": 3306}
_CERTIFICATES = {"psql": 5433, "redis-cli": TLS, "ssh": 2222, "mysql": 3307}

_PYTHON = """
import socket, sys, urllib.request
where = sys.argv[1]
if "://" in where:
    urllib.request.urlopen(where, timeout=3)
host, _, port = where.rpartition(":")
with socket.create_connection((host, int(port)), 3) as opened:
    opened.sendall(b"hello\\r\\n")
    opened.recv(100)
"""
_NODE = """
const where = process.argv[1];
if (where.includes('://')) {
  require(where.split(':')[0]).get(where, (answer) => {
    if (answer.statusCode >= 400) throw new Error(`${where} answered ${answer.statusCode} ${answer.statusMessage}`);
  });
} else {
  const [host, port] = where.split(':');
  const opened = require('net').connect({host, port}, () => opened.write('hello\\r\\n'));
  opened.setTimeout(3000, () => { throw new Error(`connect ETIMEDOUT ${where}`); });
}
"""
_JAVA = """
import java.net.*;
public class Main {
  public static void main(String[] words) throws Exception {
    if (words[0].contains("://")) {
      new URL(words[0]).openConnection().getInputStream().read();
      return;
    }
    String[] where = words[0].split(":");
    Socket opened = new Socket();
    opened.connect(new InetSocketAddress(where[0], Integer.parseInt(where[1])), 3000);
    opened.getOutputStream().write("hello\\r\\n".getBytes());
    opened.getInputStream().read();
  }
}
"""
_GO = """
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	where := os.Args[1]
	if strings.Contains(where, "://") {
		answer, err := http.Get(where)
		fail(err)
		if answer.StatusCode >= 400 {
			fail(fmt.Errorf("GET %s: %s", where, answer.Status))
		}
		return
	}
	opened, err := net.DialTimeout("tcp", where, 3*time.Second)
	fail(err)
	opened.Write([]byte("hello\\r\\n"))
	_, err = opened.Read(make([]byte, 100))
	fail(err)
}
"""


def words(client: str, way: str, folder: Path) -> list[str]:
    """Return the command that fails so, within a few seconds."""
    host, port = ("absent.example" if way == "name" else HOST), _port(client, way)
    where = _HTTP.get(way, f"{host}:{port}")
    match client:
        case "curl":
            where = where if "://" in where else f"http://{where}/"
            return ["curl", "-sS", "-f", "--connect-timeout", "3", where]
        case "psql":
            tls = f"sslmode=verify-ca sslrootcert={folder}/other.pem" if way == "certificate" else "sslmode=prefer"
            return ["psql", "-w", f"host={host} port={port} connect_timeout=3 user=guest {tls}", "-c", "select 1"]
        case "redis-cli":
            tls = ["--tls", "--cacert", str(folder / "other.pem")] if way == "certificate" else []
            return ["redis-cli", "-e", "-h", host, "-p", str(port), *tls, "ping"]
        case "ssh":
            options = ("BatchMode=yes", "ConnectTimeout=3", "StrictHostKeyChecking=yes", "UserKnownHostsFile=/dev/null")
            return ["ssh", *(word for option in options for word in ("-o", option)), "-p", str(port), f"guest@{host}"]
        case "mysql":
            tls = [f"--ssl-ca={folder}/other.pem", "--ssl-verify-server-cert"] if way == "certificate" else []
            return ["mysql", "--connect-timeout=3", "-h", host, "-P", str(port), "-u", "guest", *tls, "-e", "select 1"]
        case "python":
            return [sys.executable, "-c", _PYTHON, where]
        case "node":
            return ["node", "-e", _NODE, where]
        case "java":
            return ["java", str(folder / "Main.java"), where]
        case _:
            return [str(_built(folder)), where]


def _port(client: str, way: str) -> int:
    special = {"refuses": _REFUSES, "certificate": _CERTIFICATES}.get(way, {})
    return special.get(client, {"dropped": DROPPED, "reset": RESETS, "name": 80}.get(way, CLOSED))


def prepare(folder: Path) -> None:
    """Write the programs, the certificates and the key of an SSH server."""
    (folder / "Main.java").write_text(_JAVA)
    (folder / "main.go").write_text(_GO.lstrip())
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    served = trustme.CA().issue_cert(HOST)
    served.private_key_and_cert_chain_pem.write_to_path(str(folder / "served.pem"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)


def _built(folder: Path) -> Path:
    program = folder / "goclient"
    if not program.exists():
        go = shutil.which("go") or "go"
        subprocess.run(
            [go, "build", "-o", str(program), str(folder / "main.go")],
            check=True,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "GO111MODULE": "off", "GOCACHE": str(folder / "cache")},
        )
    return program
