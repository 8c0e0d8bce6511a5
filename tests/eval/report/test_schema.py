"""The published schema: it is the one of the types, and every kind of report keeps to it."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.report.document import SCHEMA, Report, merged
from eval.report.latency import latency_section
from eval.report.schema import main, schema
from tests.eval.report.test_evaluation import TASKS, section_of
from tests.eval.report.test_report import full

DOCS = Path(__file__).resolve().parents[3] / "docs"
jsonschema: Any = importlib.import_module("jsonschema")

MADE: dict[str, Callable[[], Report]] = {
    "full": full,
    "empty": lambda: Report("nothing", {}),
    "merged": lambda: merged("two", {"seed": 0, "quick": True}, [full(), Report("b", {}, valid=False)]),
    "latency": lambda: Report("l", {}, [latency_section([0.1, 0.2])]),
    **{task: lambda task=task: Report(task, {}, [section_of(task)]) for task in TASKS},  # type: ignore[misc]
}


def told(report: Report) -> Any:
    return json.loads(report.to_json())


def check(document: Any) -> None:
    published = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(published).validate(document)


def test_what_is_published_is_what_the_types_say(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    written = capsys.readouterr().out
    assert written == (DOCS / "report.schema.json").read_text(encoding="utf-8"), (
        "python -m eval.report.schema"
    )
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", MADE)
def test_every_report_keeps_to_it(name: str) -> None:
    check(told(MADE[name]()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema"], SCHEMA + 1),
        (["valid"], "yes"),
        (["figures", "a.b"], "0.5"),
        (["manifest", "url"], {}),
        (["sections", 0, "scores", 0, "low"], "0.2"),
        (["sections", 0, "headlines", 0, "support"], None),
        (["sections", 0, "plots", 0, "series"], []),
    ],
)
def test_another_form_is_refused(path: list[Any], value: object) -> None:
    document = copy.deepcopy(told(full()))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check(document)


@pytest.mark.parametrize("field", ["schema", "title", "manifest", "sections", "figures", "valid"])
def test_nothing_may_be_missing(field: str) -> None:
    document = told(full())
    del document[field]
    with pytest.raises(jsonschema.ValidationError):
        check(document)


def test_readers_may_not_mind_new_fields() -> None:
    document = told(full())
    document["new"] = document["sections"][0]["new"] = 1
    check(document)
    assert Report.from_json(json.dumps(document)).title == full().title


def test_every_field_is_told_in_the_manual() -> None:
    manual = (DOCS / "report.md").read_text(encoding="utf-8")
    kinds = [schema(), *(schema()["$defs"][name] for name in ("Section", "Score"))]
    for name in {field for kind in kinds for field in kind["properties"]}:
        assert f"`{name}`" in manual, name
    assert f"version **{SCHEMA}**" in manual
