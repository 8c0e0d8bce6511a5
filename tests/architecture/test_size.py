"""Files and functions stay small. Docstrings, comments and blank lines are free."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [p for top in ("models", "service", "eval", "deploy") for p in sorted((ROOT / top).rglob("*.py"))]
FILE_LIMIT, FUNCTION_LIMIT = 200, 45
DEFINES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(source: str, first: int = 1, last: int | None = None) -> int:
    """Lines from `first` to `last` that carry code, docstrings not counted."""
    free: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DEFINES) and ast.get_docstring(node):
            free |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    used: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            used |= set(range(token.start[0], token.end[0] + 1))
    return len({line for line in used - free if first <= line <= (last or line)})


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_file_and_functions_are_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert code_lines(source) <= FILE_LIMIT
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = code_lines(source, node.lineno, node.end_lineno)
            assert length <= FUNCTION_LIMIT, f"{path.name}:{node.lineno} {node.name} has {length} lines"


def test_docstrings_and_comments_are_free() -> None:
    assert code_lines('"""Told."""\n\n# why\nx = 1  # what\n') == 1
