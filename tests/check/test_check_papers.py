"""The examples of docs/check.md, each read by a schema or a parser of its own kind."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("wsadiag")
PAGE = (Path(__file__).parents[2] / "docs/check.md").read_text(encoding="utf-8")


def examples(title: str, language: str) -> list[str]:
    """Return the blocks of a language that stand behind a line that begins so, up to the next such line."""
    _, found, rest = PAGE.partition(f"\n{title}")
    assert found, title
    section = re.split(r"\n(?=[A-Z#][^\n]*:\n|## )", rest.partition("\n")[2])[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize(
    ("title", "schema", "words"),
    [("GitHub Actions", "vendor.github-workflows", "push"), ("GitLab CI", "vendor.gitlab-ci", "script")],
)
def test_pipelines_fit_the_schemas_of_their_systems(title: str, schema: str, words: str, tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    [text] = examples(title, "yaml")
    for broken in (False, True):
        file = tmp_path / f"{broken}.yml"
        file.write_text(text.replace(words, "scrpt") if broken else text)
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert (ended.returncode != 0) is broken, ended.stdout + ended.stderr


def test_the_cron_job_fits_kubernetes_schema() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    yaml = pytest.importorskip("ruamel.yaml")
    [text] = examples("A Kubernetes CronJob", "yaml")
    job = yaml.YAML(typ="safe").load(text)
    assert validate.validate(job, validate.latest_version(), strict=True) is not None
    del job["spec"]["schedule"]
    with pytest.raises(validate.ValidationError):
        validate.validate(job, validate.latest_version(), strict=True)


def test_the_pipeline_of_jenkins_is_groovy() -> None:
    language = pytest.importorskip("tree_sitter_groovy")
    tree_sitter = pytest.importorskip("tree_sitter")
    parser = tree_sitter.Parser(tree_sitter.Language(language.language()))
    [text] = examples("Jenkins", "groovy")
    assert not parser.parse(text.encode()).root_node.has_error
    assert parser.parse(text.replace("}", "", 1).encode()).root_node.has_error


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_service_and_its_timer(tmp_path: Path) -> None:
    service, timer = examples("A systemd service", "ini")
    service = service.replace("/usr/local/bin/wsadiag", str(PROGRAM))
    (tmp_path / "reachable.service").write_text(service)
    (tmp_path / "reachable.timer").write_text(timer)
    units = [str(tmp_path / "reachable.service"), str(tmp_path / "reachable.timer")]
    ended = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60, check=False
    )
    said = [line for line in ended.stderr.splitlines() if "reachable" in line]
    assert (ended.returncode, said) == (0, [])
    (tmp_path / "reachable.timer").write_text(timer.replace("OnCalendar", "OnCalender"))
    ended = subprocess.run(
        ["systemd-analyze", "verify", units[1]], capture_output=True, text=True, timeout=60, check=False
    )
    assert "OnCalender" in ended.stderr


def test_the_health_check_is_a_dockerfile() -> None:
    dockerfile = pytest.importorskip("dockerfile")
    [text] = examples("A Docker health check", "dockerfile")
    [command] = dockerfile.parse_string(f"FROM scratch\n{text}")[1:]
    assert (command.cmd.lower(), command.flags) == ("healthcheck", ("--interval=30s",))
    assert command.value[0] == "CMD"
    assert "wsadiag" in command.value[1]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="prometheus is not installed")
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    [text] = examples("Prometheus' own file", "yaml")
    (tmp_path / "prometheus.yml").write_text(text)
    words = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


def test_pages_commands_are_taken(tmp_path: Path) -> None:
    """The file of the page is read whole: nothing but the tag is found wanting."""
    [text] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "checks.toml").write_text(text)
    words = [str(PROGRAM), "check", str(tmp_path / "checks.toml"), "--tag", "nothing", "--format", "json"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "wsadiag: no target has the tag nothing\n"


def test_the_figure_is_an_image_and_the_table_stays_within_what_is_promised() -> None:
    picture = ET.parse(Path(__file__).parents[2] / "docs/targets.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    table = PAGE.partition("<!-- curve -->")[2].partition("<!-- /curve -->")[0]
    rows = [[cell.strip().replace(",", "") for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    rows = [row for row in rows if row and row[0].isdecimal()]
    assert int(rows[0][0]) <= 10
    assert int(rows[-1][0]) >= 10_000
    assert all(int(row[index].removesuffix(" MiB")) < 300 for row in rows for index in (3, 6))
    assert all(row[7] == row[0] for row in rows), "a target without its cause"
    counts = [float(row[0]) for row in rows]
    for column, unit in ((1, " s"), (4, " s"), (6, " MiB")):
        figures = [float(row[column].removesuffix(unit)) for row in rows]
        assert statistics.correlation(counts, figures) ** 2 > 0.9, "no straight line"
    assert table.count("for every 1,000 targets, r² = 0.9") + table.count("r² = 1.0") == 3
