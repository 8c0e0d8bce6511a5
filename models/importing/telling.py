"""What an import says on the command line: what was settled and why, and the first answer."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from models.importing.graph import Graph, shape_text
from models.importing.ledger import Reason
from models.results import Classification, Detections, Result, Segmentation

__all__ = ["answer_lines", "graph_lines", "reason_lines"]

_MARKS = {"given": " ", "read": " ", "guess": "?"}
_SHOWN = 5
_WIDTH = 110
_SAME = '"'  # under a reason that is the same again


def graph_lines(graph: Graph) -> list[str]:
    """The file, its input and its outputs."""
    ports = [("input", graph.input), *(("output", port) for port in graph.outputs)]
    wide = max(len(port.name) for _, port in ports)
    return [
        f"{graph.path.name}, {len(graph.data) / 1e6:.1f} MB",
        *(f"  {what:6}  {port.name:{wide}}  {port.dtype} {shape_text(port.shape)}" for what, port in ports),
    ]


def reason_lines(reasons: Sequence[Reason]) -> list[str]:
    """A line for each thing that was settled; `?` in front of what nothing in the graph proves."""
    wide = min(30, max(len(reason.value) for reason in reasons))
    lines: list[str] = []
    before = ""
    for reason in reasons:
        why = "as you said" if reason.how == "given" else reason.why
        head = f"{_MARKS[reason.how]} {reason.what:14} {reason.value:{wide}}  "
        rows = textwrap.wrap(_SAME if why and why == before else why, _WIDTH - len(head)) or [""]
        lines += [head + rows[0], *(" " * len(head) + row for row in rows[1:])]
        before = why
    guesses = sum(reason.how == "guess" for reason in reasons)
    if guesses:
        lines += [
            "",
            f"? {guesses} guesses. Check them against how the model was trained; each has an option.",
        ]
    return lines


def answer_lines(result: Result, labels: Sequence[str]) -> list[str]:
    """What the model answers, in a few lines."""
    match result:
        case Classification():
            return [f"  {result.scores[i]:.3f}  {labels[i]}" for i in result.top(_SHOWN)]
        case Detections():
            return _objects(result, labels)
        case Segmentation():
            counts = np.bincount(result.labels.ravel(), minlength=len(labels))
            best = np.argsort(-counts, kind="stable")[:_SHOWN]
            shares = counts / counts.sum()
            return [f"  {shares[i]:.3f}  {labels[i]}" for i in best.tolist() if counts[i]]


def _objects(found: Detections, labels: Sequence[str]) -> list[str]:
    best = np.argsort(-found.scores, kind="stable")[:_SHOWN].tolist()
    names = [labels[found.labels[i]] for i in best]
    wide = max(map(len, names), default=0)
    corners = [", ".join(f"{side:.0f}" for side in found.boxes[i].tolist()) for i in best]
    lines = [
        f"  {found.scores[i]:.3f}  {name:{wide}}  from {where}"
        for i, name, where in zip(best, names, corners, strict=True)
    ]
    more = len(found) - len(best)
    return [*lines, f"  and {more} more"] if more else lines or ["  nothing found"]
