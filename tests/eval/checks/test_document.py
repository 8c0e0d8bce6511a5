"""docs/flags.md tells of every flag what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from eval.checks.endpoint import NAMES, endpoint_queries
from eval.checks.flag import FLAGS

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "flags.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", TEXT, re.M)


def test_the_document_and_the_table_agree() -> None:
    assert {name: tuple(words) for name, *words in ROWS} == {n: tuple(note) for n, note in FLAGS.items()}
    assert [name for name, *_ in ROWS] == list(FLAGS)


def test_flags_of_the_endpoint_are_told_first() -> None:
    first = TEXT.split("## Of the attacks")[0]
    assert [name for name, *_ in ROWS if f"| `{name}` |" in first] == list(NAMES)
    assert f"in {endpoint_queries(8)} queries" in first


def test_every_sentence_ends() -> None:
    for note in FLAGS.values():
        assert note.means.endswith(".")
        assert note.do.endswith(".")
        assert "|" not in "".join(note)
