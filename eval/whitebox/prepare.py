"""From the picture as uploaded to the graph's input, with gradients: `models.imaging.fit` in PyTorch.

Put in front of a twin, so that a perturbation lives at the resolution of the upload and in its levels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eval.whitebox.node import Unsupported
from eval.whitebox.twin import NoTwin
from models.card import InputSpec
from models.imaging import fit, place
from models.results import Array, Shape

__all__ = ["Preparation", "weights"]

FIXED = 1 << 22  # Pillow's weights are whole multiples of 1 / FIXED
GREY = (19595 / 65536, 38470 / 65536, 7471 / 65536)  # Pillow's, of ITU-R 601-2
FEW_PIXELS = 1 << 12  # below it, one picture of noise might come out alike by chance
MOST_SCALED = 1 << 24  # pixels; `fit` goes another way beyond


class _Level(torch.autograd.Function):
    """Whole levels, half upwards; the gradient goes through as it is."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return (x + 0.5).floor()

    @staticmethod
    def backward(_: Any, slope: Tensor) -> Tensor:
        return slope


class Preparation(nn.Module):
    """Resize, crop or letterbox, normalise and lay out pictures of one size, as `models.imaging.fit` does.

    Pillow filters along one side, rounds to whole levels, filters along the other and rounds again. So does
    this: on whole levels it gives `fit`'s values. Which side comes first has changed between Pillow's
    versions and depends on the sizes; it is found out by trying. The gradient is the filters' own: rounding
    is passed by as if it were not there (Bengio et al. 2013, arXiv 1308.3432), clipping at 0 and 255 is not.

    Args:
        shape: (H, W) of the pictures.
        rounded: False leaves the rounding out, in the forward pass too: piecewise linear, with the
            same gradient.

    Raises:
        Unsupported: the picture is so thin that its scaled form would take gigabytes.
        NoTwin: neither order gives what `fit` gives.
    """

    def __init__(self, shape: Shape, spec: InputSpec, *, rounded: bool = True) -> None:
        super().__init__()
        self.spec, self.rounded = spec, True
        placement = place(shape, spec)
        height, width = round(placement.scale_y * shape[0]), round(placement.scale_x * shape[1])
        if height * width > MOST_SCALED:
            raise Unsupported(
                f"a picture of {shape} would be scaled to {height} x {width}; send a smaller one"
            )
        self._filters: list[tuple[int, Tensor]] = []
        for axis, size, wanted in ((2, shape[1], width), (1, shape[0], height)):
            if size != wanted:
                table = torch.from_numpy(weights(size, wanted, spec.interpolation))
                self._filters.append((axis, table if table.ndim == 1 else table.to_sparse()))
        left, top = round(placement.offset_x), round(placement.offset_y)
        if spec.resize == "stretch":
            left = top = 0
        self._pad = (left, spec.width - width - left, top, spec.height - height - top)
        self._mean, self._std = torch.tensor(spec.mean), torch.tensor(spec.std)
        self._find_order(shape)
        self.rounded = rounded

    def _find_order(self, shape: Shape) -> None:
        pixels = shape[0] * shape[1]
        rng = np.random.Generator(np.random.Philox(0))
        probes = rng.integers(0, 256, (1 if pixels > FEW_PIXELS else 16, *shape, 3), dtype=np.uint8)
        wanted = np.stack([fit(probe, self.spec) for probe in probes]).astype(np.float64)
        for filters in (self._filters, self._filters[::-1]):
            self._filters = filters
            with torch.no_grad():
                got = self(torch.from_numpy(probes).float()).double().numpy()
            if got.shape == wanted.shape and np.allclose(got, wanted, rtol=1e-5, atol=1e-5):
                return
        raise NoTwin(f"pictures of {shape} are not prepared as the service prepares them; use another Pillow")

    def forward(self, pictures: Tensor) -> Tensor:
        """Levels `(N, H, W, 3)`, or `(N, H, W, 1)` of grey pictures -> the graph's input for them.

        Inputs of whole numbers are given as floats that hold them, as `Twin` takes them.
        """
        x = self._channels(pictures)
        if self._filters:
            x = self._resized(x)
        if any(self._pad):
            x = nn.functional.pad(x, (0, 0, *self._pad), value=float(self.spec.fill))
        if self.spec.channels == "BGR":
            x = x.flip(-1)
        kind = torch.float64 if pictures.dtype == torch.float64 else torch.float32
        if self.spec.dtype.startswith("float"):
            x = (x.to(kind) - self._mean.to(kind)) / self._std.to(kind)
            kind = kind if kind == torch.float64 else getattr(torch, self.spec.dtype)
        laid = x if self.spec.layout == "NHWC" else x.movedim(-1, 1)
        return laid.to(kind).contiguous()

    def _channels(self, x: Tensor) -> Tensor:
        if self.spec.channels != "L":
            return x.expand(*x.shape[:3], 3)
        if x.shape[-1] == 1:
            return x
        grey = x.double() @ torch.tensor(GREY, dtype=torch.float64)[:, None]
        return self._level(grey)

    def _resized(self, x: Tensor) -> Tensor:
        if self.spec.interpolation == "nearest":
            for axis, taken in self._filters:
                x = x.index_select(axis, taken)
            return x
        x = x.double()  # sums of whole levels by Pillow's weights are exact in it
        for axis, filters in self._filters:
            lines = x.movedim(axis, 0)
            summed = torch.sparse.mm(filters, lines.reshape(len(lines), -1))  # a few weights in each row
            x = self._level(summed).clamp(0, 255).reshape(len(summed), *lines.shape[1:]).movedim(0, axis)
        return x

    def _level(self, x: Tensor) -> Tensor:
        if not self.rounded:
            return x
        levels: Tensor = _Level.apply(x)  # type: ignore[no-untyped-call]  # torch's
        return levels


def weights(size: int, wanted: int, interpolation: str) -> Array:
    """How Pillow makes `wanted` pixels of `size` along one side.

    Returns:
        float64 `(wanted, size)`, rows of sum 1 but for Pillow's fixed point; for `nearest` int64
        `(wanted,)`, the pixel that each one is.
    """
    scale = size / wanted
    if interpolation == "nearest":
        centres = np.cumsum(np.r_[scale * 0.5, np.full(wanted - 1, scale)])  # Pillow adds them up, too
        taken: Array = np.floor(centres).astype(np.int64).clip(0, size - 1)
        return taken
    stretch = max(scale, 1.0)  # a shrinking filter is wider: antialiasing
    reach = (1.0 if interpolation == "bilinear" else 2.0) * stretch
    table = np.zeros((wanted, size))
    for row in range(wanted):
        centre = (row + 0.5) * scale
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), size)
        at = np.abs((np.arange(first, last) - centre + 0.5) * (1 / stretch))
        taps = np.maximum(1 - at, 0.0) if interpolation == "bilinear" else _cubic(at)
        taps = taps / math.fsum(taps)
        table[row, first:last] = np.trunc(taps * FIXED + np.copysign(0.5, taps)) / FIXED
    return table


def _cubic(at: Array) -> Array:
    """Keys 1981 with a = -0.5, of distances."""
    near = (1.5 * at - 2.5) * at * at + 1
    far = (((at - 5) * at + 8) * at - 4) * -0.5
    found: Array = np.where(at < 1, near, np.where(at < 2, far, 0.0))
    return found
