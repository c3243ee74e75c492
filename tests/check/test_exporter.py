"""``wsadiag exporter`` as Prometheus meets it: over HTTP, by Prometheus itself, and by those who would misuse it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("uvicorn")
parser = pytest.importorskip("prometheus_client.parser")
PROGRAM = str(Path(sys.executable).with_name("wsadiag"))
FREE = {"failed_step", "hop"}  # bounded, but not by a short list


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextlib.contextmanager
def exporter(*words: str) -> Iterator[str]:
    command = [PROGRAM, "exporter", "--listen", "127.0.0.1:0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        found = re.search(r"http://\S+:\d+/", running.stdout.readline())
        try:
            assert found is not None, running.communicate(timeout=10)
            yield found[0]
        finally:
            running.terminate()
            running.wait(20)


def asked(url: str, query: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"{url}{query}", method=method, headers=headers)  # noqa: S310
    for _ in range(50):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except urllib.error.URLError:  # it listens, and does not accept yet
            time.sleep(0.2)
    raise AssertionError("no answer")


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_a_probe_tells_success_and_the_reason_of_a_failure() -> None:
    closed = free_port()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        with exporter("--allow", f"127.0.0.1:{port},{closed}") as url:
            status, text = asked(url, f"probe?target=127.0.0.1:{port}")
            assert (status, samples(text)["probe_success"]) == (200, [({}, 1.0)])
            assert "wsadiag_probe_failure" not in samples(text)
            status, text = asked(url, f"probe?target=127.0.0.1:{closed}&module=connect")
            found = samples(text)
            assert (status, found["probe_success"]) == (200, [({}, 0.0)])
            [(labels, one)] = found["wsadiag_probe_failure"]
            assert one == 1
            assert labels["cause"] == "no-listener"
            assert (labels["status"], labels["reading"]) == ("failed", "refused")
            assert labels["scope"]
            assert labels["failed_step"]
            status, text = asked(url, f"probe?target=127.0.0.1:{closed}&code=10061&module=diagnose")
            assert samples(text)["wsadiag_probe_failure"][0][0]["cause"] == "no-listener"
            assert asked(url, f"probe?target=127.0.0.1:{closed}&module=refused")[1].count("probe_success 1.0") == 1
            counts = samples(asked(url, "metrics")[1])
    assert {(labels["module"], labels["status"]): n for labels, n in counts["wsadiag_exporter_probes_total"]} == {
        ("connect", "passed"): 1, ("connect", "failed"): 1, ("diagnose", "failed"): 1, ("refused", "passed"): 1,
    }  # fmt: skip


def test_what_is_not_allowed_or_means_nothing_sends_no_packet() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        listener.settimeout(0.3)
        with exporter("--allow", "127.0.0.2:1", "--allow", ".example.com:80") as url:
            for status, query in (
                (403, f"target=127.0.0.1:{port}"),
                (403, f"target=localhost:{port}"),
                (403, f"target=user@127.0.0.1:{port}"),
                (403, f"target=http://a.example.com:80@127.0.0.1:{port}/"),
                (403, f"target=127.0.0.1:{port}&module=diagnose"),
                (403, f"target=:{port}&module=diagnose"),
                (400, "target=127.0.0.0/24"),
                (400, "target="),
                (400, ""),
                (400, f"target=127.0.0.1:{port}&target=127.0.0.2:1"),
                (400, "target=127.0.0.2:1&module=scan"),
                (400, "target=127.0.0.2:1&ports=1-100"),
                (400, "target=127.0.0.2:1&code=nonsense"),
                (400, "target=%ff"),
                (400, f"target={quote('127.0.0.2:1' + chr(10) + 'x 1')}"),
                (400, "target=" + "a" * 5000 + ":80"),
            ):
                assert asked(url, f"probe?{query}")[0] == status, query
            assert asked(url, "probe?target=127.0.0.2:1", "POST")[0] == 405
            assert asked(url, "elsewhere")[0] == 404
            said = samples(asked(url, "metrics")[1])
        with pytest.raises(TimeoutError):
            listener.accept()
    turned = {labels["reason"]: count for labels, count in said["wsadiag_exporter_turned_away_total"]}
    assert turned == {"bad-request": 10, "not-allowed": 6, "too-many": 0, "busy": 0}


def test_many_targets_add_no_series() -> None:
    """Neither requests nor the network can make the exporter's own series grow."""
    with exporter("--allow", "127.0.0.0/8", "--most-targets", "20") as url:
        with ThreadPoolExecutor(8) as pool:
            status = [code for code, _ in pool.map(lambda n: asked(url, f"probe?target=127.0.1.{n}:1"), range(1, 41))]
        assert (status.count(200), status.count(429)) == (20, 20)
        text = asked(url, "metrics")[1]
    assert "127.0.1." not in text
    assert len(samples(text)["wsadiag_exporter_probes_total"]) == 1


def test_a_silent_target_is_told_within_the_scrapes_time() -> None:
    """A listener whose queue is full drops what comes next."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as held:
        port = full.getsockname()[1]
        for _ in range(3):
            filling = held.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(("127.0.0.1", port))
        with exporter("--allow", f"127.0.0.1:{port}") as url:
            asked(url, "metrics")
            began = time.monotonic()
            header = {"X-Prometheus-Scrape-Timeout-Seconds": "3"}
            status, text = asked(url, f"probe?target=127.0.0.1:{port}", **header)
            took = time.monotonic() - began
    assert (status, samples(text)["probe_success"][0][1]) == (200, 0)
    assert samples(text)["wsadiag_probe_failure"][0][0]["reading"] == "silent"
    assert took < 3


def test_openmetrics_where_it_is_asked_for() -> None:
    openmetrics = pytest.importorskip("prometheus_client.openmetrics.parser")
    with exporter("--allow", "127.0.0.1:1") as url:
        _, text = asked(url, "probe?target=127.0.0.1:1", Accept="application/openmetrics-text;version=1.0.0")
    assert text.endswith("# EOF\n")
    assert {family.name for family in openmetrics.text_string_to_metric_families(text)} == {
        "probe_success", "probe_duration_seconds", "wsadiag_probe_failure",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--allow"),
        (["--allow", "0.0.0.0/0"], "too wide"),
        (["--allow", "*"], "--allow *"),
        (["--allow", "a.example", "--listen", "nowhere"], "--listen"),
        (["--allow", "a.example", "--listen", "203.0.113.1:1"], "203.0.113.1:1"),
        (["--allow", "a.example", "--at-once", "0"], "--at-once"),
    ],
)
def test_bad_usage_is_one_line_and_2(words: list[str], said: str) -> None:
    ended = subprocess.run([PROGRAM, "exporter", *words], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert said in ended.stderr


_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: wsadiag
    metrics_path: /probe
    params: {{module: [connect]}}
    scrape_timeout: 900ms
    static_configs: [{{targets: ["127.0.0.1:{open}", "127.0.0.1:{closed}"]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "{exporter}"}}
  - job_name: itself
    static_configs: [{{targets: ["{exporter}"]}}]
"""


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_prometheus_scrapes_it_and_promtool_has_no_complaint(tmp_path: Path) -> None:
    closed, own = free_port(), free_port()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        port = listener.getsockname()[1]
        with exporter("--allow", f"127.0.0.1:{port},{closed}") as url:
            for query in ("metrics", f"probe?target=127.0.0.1:{closed}"):
                checked = subprocess.run(
                    ["promtool", "check", "metrics"],
                    input=asked(url, query)[1],
                    capture_output=True,
                    text=True,
                    timeout=30,
                    check=False,
                )
                assert (checked.returncode, checked.stderr, checked.stdout) == (0, "", "")
            place = url.removeprefix("http://").rstrip("/")
            config = tmp_path / "prometheus.yml"
            config.write_text(_CONFIG.format(open=port, closed=closed, exporter=place))
            words = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data", "--log.level=error"]
            scraping = subprocess.Popen(["prometheus", f"--web.listen-address=127.0.0.1:{own}", *words])
            try:
                failures = _series(own, "wsadiag_probe_failure")
                up = {each["metric"]["instance"]: each["value"][1] for each in _series(own, "up", 3)}
                success = {each["metric"]["instance"]: each["value"][1] for each in _series(own, "probe_success", 2)}
            finally:
                scraping.terminate()
                scraping.wait(30)
    assert [(each["metric"]["instance"], each["metric"]["cause"]) for each in failures] == [
        (f"127.0.0.1:{closed}", "no-listener")
    ]
    assert success == {f"127.0.0.1:{port}": "1", f"127.0.0.1:{closed}": "0"}
    assert up == {f"127.0.0.1:{port}": "1", f"127.0.0.1:{closed}": "1", place: "1"}


def _series(port: int, query: str, least: int = 1) -> list[dict[str, dict[str, str]]]:
    """Ask Prometheus until it has so many series."""
    found: list[dict[str, dict[str, str]]] = []
    for _ in range(150):
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={query}", timeout=10) as answer,
        ):
            found = json.load(answer)["data"]["result"]
            if len(found) >= least:
                return found
        time.sleep(0.3)
    raise AssertionError(f"{query}: {found} ({os.getloadavg()})")
