"""Shuffled batches of pictures, each seen through a window of its own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.card import InputSpec
from models.export.augment import Augment, Window, coloured, moved, window_of
from models.export.settings import Settings

__all__ = ["shuffled"]


def shuffled(
    pictures: Tensor, spec: InputSpec, augment: Augment, settings: Settings, epoch: int
) -> Iterator[tuple[list[int], Tensor, list[Window]]]:
    """Rows, their augmented and normalised images and their windows; the same for an epoch.

    Args:
        pictures: uint8 `(N, 3, H, W)`.
    """
    generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (spec.mean, spec.std))
    order = torch.randperm(len(pictures), generator=generator).tolist()
    shape = (spec.height, spec.width)
    for start in range(0, len(order) - settings.batch + 1, settings.batch):
        rows = order[start : start + settings.batch]
        windows = [window_of(shape, augment, generator) for _ in rows]
        seen = [
            moved(pictures[row], window, smooth=True, fill=float(spec.fill))
            for row, window in zip(rows, windows, strict=True)
        ]
        levels = torch.stack(seen)
        if augment.shuffle:
            levels = levels[:, torch.randperm(3, generator=generator)]
        if augment.colour:
            levels = coloured(levels, augment.colour, generator)
        layout = torch.channels_last if settings.bfloat16 else torch.contiguous_format
        yield rows, ((levels - mean) / std).contiguous(memory_format=layout), windows
