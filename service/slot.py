"""What one slot does with one batch: load, run, interpret; a failure stays with its own item."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from models.results import Array, Result
from models.tasks import Predictor
from service.batcher import Item, Outcome, Rows, Stages
from service.errors import BadTensor, Expired, NotFinite

__all__ = ["run_batch"]


def run_batch(predictor: Predictor[Result], batch: Sequence[Item], now: float) -> list[Outcome | Exception]:
    """One outcome or error for each item, same order. Nothing is raised.

    Args:
        now: `time.monotonic()`; what nobody waits for any more, or no longer, is not run.
    """
    settled: list[Outcome | Exception] = [RuntimeError("not run")] * len(batch)
    loaded: list[tuple[int, Rows]] = []
    for i, item in enumerate(batch):
        if not item.wanted() or item.deadline <= now:
            settled[i] = Expired("nobody waits for the answer any more")
            continue
        try:
            loaded.append((i, item.load()))
        except Exception as error:  # whatever a picture does to its reader
            settled[i] = error
    groups = [loaded] if _alike([rows for _, rows in loaded]) else [[one] for one in loaded]
    for group in groups:
        if group:
            _run_group(predictor, batch, group, now, settled)
    return settled


def _alike(rows: Sequence[Rows]) -> bool:
    """Whether the tensors can share a run; a graph of any size may get several sizes at once."""
    return len({(r.tensor.shape[1:], r.tensor.dtype) for r in rows}) <= 1


def _run_group(
    predictor: Predictor[Result],
    batch: Sequence[Item],
    group: Sequence[tuple[int, Rows]],
    now: float,
    settled: list[Outcome | Exception],
) -> None:
    tensors = [rows.tensor for _, rows in group]
    tensor = tensors[0] if len(tensors) == 1 else np.concatenate(tensors)
    began = time.monotonic()
    try:
        outputs = predictor.runner.run(tensor)
    except Exception as error:
        if len(group) > 1:  # one of them broke it: each alone
            for one in group:
                _run_group(predictor, batch, [one], now, settled)
        else:
            i, rows = group[0]
            settled[i] = BadTensor(f"the model cannot run this tensor: {error}") if rows.foreign else error
        return
    infer_s = time.monotonic() - began
    start = 0
    for i, rows in group:
        stop = start + len(rows.tensor)
        own = [output[start:stop] for output in outputs]
        start = stop
        try:
            settled[i] = _interpreted(predictor, batch[i], rows, own, now, infer_s, len(tensor))
        except Exception as error:
            told = f"the model's outputs for this tensor cannot be read: {error}"
            settled[i] = BadTensor(told) if rows.foreign and isinstance(error, ValueError) else error


def _interpreted(
    predictor: Predictor[Result],
    item: Item,
    rows: Rows,
    outputs: list[Array],
    now: float,
    infer_s: float,
    images: int,
) -> Outcome:
    began = time.monotonic()
    answers: list[Result] = []
    if item.interpret:
        if not all(np.isfinite(o).all() for o in outputs if o.dtype.kind == "f"):
            raise NotFinite("the model made NaN or infinity of this input")
        answers = [
            predictor.task.interpret([output[k] for output in outputs], shape)
            for k, shape in enumerate(rows.shapes)
        ]
    ended = time.monotonic()
    stages = Stages(now - item.queued_at, rows.decode_s, rows.prepare_s, infer_s, ended - began, images)
    return Outcome(outputs, answers, stages)
