"""What the twin can do, by ONNX's names. A new operator is one function and one line of a table."""

from __future__ import annotations

from collections.abc import Mapping

from eval.whitebox.node import Op
from eval.whitebox.ops import arithmetic, quantised, resize, shapes, windows

__all__ = ["OPS"]

OPS: Mapping[str, Op] = {
    **arithmetic.OPS,
    **windows.OPS,
    **shapes.OPS,
    **resize.OPS,
    **quantised.OPS,
}
