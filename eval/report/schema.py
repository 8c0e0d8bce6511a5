"""The JSON Schema (2020-12) of report.json, from the types that write it; run it as a module."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from pydantic import TypeAdapter

from eval.report.document import SCHEMA, Report

__all__ = ["main", "schema"]

LEFT_OUT = {"Report": ("clock", "timing"), "Section": ("galleries",)}
UNUSED = ("Gallery", "Picture")
FIELD = re.compile(r"^    (\w+(?:, \w+)*): (.+(?:\n {8,}.+)*)", re.MULTILINE)  # of a docstring's list


def schema() -> dict[str, Any]:
    """The schema of version `SCHEMA`. Fields may be added within a version, so unknown ones are allowed."""
    told: dict[str, Any] = TypeAdapter(Report).json_schema(mode="serialization")
    kinds: dict[str, Any] = told.pop("$defs")
    for name in UNUSED:
        del kinds[name]
    for name, kind in [("Report", told), *kinds.items()]:
        _plain(kind, LEFT_OUT.get(name, ()))
    told["properties"] = {"schema": {"const": SCHEMA}, **told["properties"]}
    told["required"] = sorted(told["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Assay report, version {SCHEMA}",
        **told,
        "$defs": dict(sorted(kinds.items())),
    }


def _plain(kind: dict[str, Any], left_out: tuple[str, ...]) -> None:
    """One type: what is written of it, all of it required, described in the words of its docstring."""
    text: str = kind.pop("description", "")
    kind.pop("title", None)
    kind["description"] = text.split("\n\nAttributes:")[0]
    said = {
        name: " ".join(words.split()) for names, words in FIELD.findall(text) for name in names.split(", ")
    }
    for field in left_out:
        del kind["properties"][field]
    for name, field in kind["properties"].items():
        field.pop("title", None)
        field.pop("default", None)
        if name in said:
            field["description"] = said[name]
    kind["required"] = sorted(kind["properties"])  # what has a default is written too


def main() -> None:
    """Write it to the standard output."""
    sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
