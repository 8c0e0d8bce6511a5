"""Who may import whom. These tables are the architecture; this file keeps them true."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {"models": {"models"}, "service": {"service", "models"}, "eval": {"eval", "models"}}
OURS = {*MAY_IMPORT, "tests", "deploy"}
HEAVY = {
    "torch": ("models/export/", "eval/whitebox/"),
    "onnx": ("models/export/", "models/optimise/", "models/recipes/", "eval/whitebox/"),
    "bentoml": ("service/", "eval/app.py"),
    "_bentoml_sdk": ("service/", "eval/app.py"),
    "onnxruntime": ("models/runtime.py", "models/optimise/"),
    "aiohttp": ("eval/remote/",),
    "starlette": ("service/", "eval/app.py", "eval/jobs/routes.py"),
    "simplejpeg": ("models/decoding.py",),
    "PIL": (
        "models/decoding.py",
        "models/drawing.py",
        "models/imaging.py",
        "models/scenes.py",
        "eval/corruptions/",
        "eval/report/",
    ),
}
ROOMS = {"models.export": "models/export/", "eval.whitebox": "eval/whitebox/"}  # they pull in torch
SOURCES = [p for top in MAY_IMPORT for p in sorted((ROOT / top).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def imported(source: str) -> list[tuple[str, int, bool]]:
    """(dotted name, line, inside a function or block) for every import in a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [(name, node.lineno, node.col_offset > 0) for name in names]
    return found


def trespasses(where: str, source: str) -> list[str]:
    """What a file at `where` imports that it may not."""
    here = where.split("/")[0]
    wrong = []
    for name, line, nested in imported(source):
        top = name.split(".")[0]
        if top in OURS and top not in MAY_IMPORT[here]:
            wrong.append(f"{where}:{line} may not import {top}")
        if top in HEAVY and not where.startswith(HEAVY[top]):
            wrong.append(f"{where}:{line} imports {top} outside {HEAVY[top]}")
        for room, folder in ROOMS.items():
            inside = where.startswith(folder)
            if f"{name}.".startswith(f"{room}.") and not inside and not (nested and top == here):
                wrong.append(f"{where}:{line} must import {room} inside a function of {room.split('.')[0]}")
    return wrong


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_file_keeps_to_its_place(path: Path) -> None:
    assert trespasses(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("service/app.py", "import torch"),
        ("service/app.py", "def f():\n    import torch"),
        ("service/app.py", "from eval.runs import evaluate"),
        ("eval/runs.py", "from service.app import VisionService"),
        ("eval/runs.py", "import onnxruntime"),
        ("eval/cli.py", "import aiohttp"),
        ("models/tasks/base.py", "from models.export.train import train"),
        ("models/card.py", "from eval.runs import evaluate"),
    ],
)
def test_a_planted_trespass_is_found(where: str, source: str) -> None:
    assert trespasses(where, source) != []


def test_nobody_binds_the_name_eval() -> None:
    """`import eval` hides the builtin; `from eval.x import y` does not."""
    for path in SOURCES + TESTS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not any((a.asname or a.name.split(".")[0]) == "eval" for a in node.names), path


def test_nothing_at_the_root_shadows_a_package() -> None:
    assert not [p for p in ROOT.glob("*.py") if p.stem in {"models", "service", "eval"}]


def test_every_test_folder_is_a_package() -> None:
    """Without `__init__.py` everywhere, `tests/models` would shadow `models`."""
    assert [p.parent for p in TESTS if not (p.parent / "__init__.py").is_file()] == []


LIGHT = [p for p in SOURCES if p.name != "__main__.py" and not p.is_relative_to(ROOT / "models" / "export")]


@pytest.mark.parametrize("path", LIGHT, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_all_names_what_is_there(path: Path) -> None:
    """Every module says what it offers; ruff keeps the lists sorted (RUF022)."""
    if not path.read_text(encoding="utf-8").strip():
        return
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    module = importlib.import_module(dotted.removesuffix(".__init__"))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
