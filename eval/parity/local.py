"""The local side: an ONNX version folder as a pipeline, its siblings as suspects, its twin in PyTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eval.errors import EvalError
from eval.parity.hypotheses import Hypothesis
from eval.parity.pipeline import Pipeline
from models.card import ModelCard
from models.tasks import Runner

__all__ = ["opened", "siblings", "twin_of"]


def opened(folder: Path) -> Pipeline:
    """A version folder (`<name>/<number>/{model.onnx, card.json}`) as its card says.

    Raises:
        EvalError: no version, or one that does not prove itself; or onnxruntime is not installed.
    """
    try:
        from models.repository import RepositoryError, open_version, read_version
    except ImportError as error:
        raise EvalError(
            f"a graph is run with onnxruntime, which is not installed ({error}): "
            "pip install onnxruntime, or compare with --reference alone"
        ) from error
    try:
        version = read_version(folder.resolve())
        return Pipeline.of(version.card, open_version(version).runner)
    except RepositoryError as error:
        raise EvalError(str(error)) from error


def siblings(folder: Path, card: ModelCard) -> list[Hypothesis]:
    """Every other version of the model that answers in the same classes: the one served may be stale."""
    numbers = sorted(
        int(path.name)
        for path in folder.resolve().parent.iterdir()
        if path.name.isascii() and path.name.isdecimal() and (path / "card.json").is_file()
    )
    return [_version(folder.resolve().parent / str(n), n) for n in numbers if n != card.version]


def _version(folder: Path, number: int) -> Hypothesis:
    kept: list[Pipeline | None] = []  # opened when first asked for, once

    def change(pipeline: Pipeline) -> Pipeline | None:
        if not kept:
            kept.append(_other(folder, pipeline.card))
        other = kept[0]
        if other is None:
            return None
        return replace(pipeline, card=other.card, reader=other.reader, runner=other.runner)

    return Hypothesis(f"version {number} in its place", "graph", "version", change)


def _other(folder: Path, card: ModelCard) -> Pipeline | None:
    """None where it cannot be opened, or answers something else."""
    try:
        other = opened(folder)
    except EvalError:
        return None
    same = (other.card.task, other.card.labels) == (card.task, card.labels)
    return other if same else None


def twin_of(folder: Path, card: ModelCard) -> Runner:
    """The graph as a PyTorch module.

    Raises:
        EvalError: PyTorch is not installed, or the graph has no twin.
    """
    try:
        from eval.whitebox.twin import Twin
    except ImportError as error:
        raise EvalError(f"--torch needs PyTorch and onnx: install assay[train] ({error})") from error
    model = (folder / "model.onnx").read_bytes()
    return Twin(model, input_name=card.input.name, outputs=card.outputs)
