"""``report.schema.json`` is made from the report's types: run this file to write it anew.

``python tests/test_schema.py`` after a change of ``troubleshoot/report.py``. The schema is for others' programs; ours
reads reports by the types themselves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastjsonschema
import msgspec
import pytest

from troubleshoot.report import SCHEMA, Report, from_json, to_json

ROOT = Path(__file__).parents[1]
FILE = ROOT / "report.schema.json"
SAVED = sorted((ROOT / "tests" / "data" / "reports").glob("*.json"))


def plain(data: Any) -> Any:
    """Return a schema with the docstrings in it as running text."""
    if isinstance(data, dict):
        return {
            key: " ".join(value.replace("``", "`").split()) if key == "description" and isinstance(value, str)
            else plain(value)
            for key, value in data.items()
        }  # fmt: skip
    return [plain(item) for item in data] if isinstance(data, list) else data


def generated() -> str:
    (reference,), definitions = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    definitions["Report"]["properties"]["schema"] = {"const": SCHEMA}
    definitions["Report"]["required"] = ["schema", *definitions["Report"]["required"]]
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "report.schema.json",
        "title": SCHEMA,
        **reference,
        "$defs": definitions,
    }
    return json.dumps(plain(whole), ensure_ascii=False, indent=2) + "\n"


def validate(document: Any) -> None:
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    # The validator knows the drafts up to 7; nothing else of the newer one is used.
    fastjsonschema.validate({**schema, "$schema": "http://json-schema.org/draft-07/schema#"}, document)


def test_the_file_is_what_the_types_give() -> None:
    assert FILE.read_text(encoding="utf-8") == generated(), "python tests/test_schema.py writes it anew"


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_a_saved_report_fits_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    validate(json.loads(text))
    validate(json.loads(to_json(from_json(text))))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema",), "wsadiag/report/2"),
        (("verdict", "outcome"), "broken"),
        (("verdict", "location"), {"scope": 1}),
        (("steps", 0, "status"), "ok"),
        (("target", "port"), "21"),
        (("duration_ms",), None),
    ],
)
def test_what_is_no_report_does_not_fit(place: tuple[str | int, ...], value: object) -> None:
    document = json.loads(SAVED[0].read_text(encoding="utf-8"))
    inside = document
    for key in place[:-1]:
        inside = inside[key]
    assert inside[place[-1]] != value
    inside[place[-1]] = value
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validate(document)


if __name__ == "__main__":
    FILE.write_text(generated(), encoding="utf-8")
