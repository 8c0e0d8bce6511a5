"""Auto-PGD: steps whose size the attack chooses itself, and its losses."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from eval.whitebox.attacks.base import Landscape, WhiteBox, uphill
from eval.whitebox.attacks.losses import Loss, cross_entropy, dlr, targeted_dlr

__all__ = ["ApgdCe", "ApgdDlr", "ApgdDlrT", "checkpoints"]

MOMENTUM = 0.75  # alpha of the paper
RISING = 0.75  # rho: of the steps between two checkpoints, to keep the step size


def checkpoints(steps: int) -> list[int]:
    """Iterations after which the step size is looked at: section 3.2 of the paper.

    p(0) = 0, p(1) = 0.22, p(j + 1) = p(j) + max(p(j) - p(j - 1) - 0.03, 0.06), each times the iterations,
    rounded up. In hundredths, because floats would round some of them up by one.
    """
    last, at, found = 0, 22, []
    while at <= 100:
        found.append(-(-at * steps // 100))
        last, at = at, at + max(at - last - 3, 6)
    return found


@dataclass(slots=True, eq=False)
class _Pace:
    """The step size of each picture, and what it is judged by."""

    size: Tensor  # (N,)
    kept: Tensor  # bool: not halved at the last checkpoint
    top: Tensor  # the highest loss at the last checkpoint
    risen: Tensor  # steps since then that rose
    last: int = 0

    def judge(self, at: int, top: Tensor) -> Tensor:
        """bool `(N,)`: halve and go back to the best point (conditions 1 and 2 of the paper)."""
        tired = (self.risen < RISING * (at - self.last)) | (self.kept & (self.top == top))
        self.size = torch.where(tired, self.size / 2, self.size)
        self.kept, self.top, self.last = ~tired, top.clone(), at
        self.risen = torch.zeros_like(self.risen)
        return tired


@dataclass(frozen=True)
class _Apgd(WhiteBox):
    """Croce and Hein 2020, arXiv 2003.01690, algorithm 1, one schedule for each picture.

    f_max at a checkpoint is read as the variable of the algorithm when the check is made. A point that was
    gone back to counts, with its loss, as the last one made.

    **Differences**: the direction is the sign of the gradient, or in L2 the gradient at length 1, as in
    the authors' code. An L2 point beyond the ball is shortened first and then clipped to 0..255.

    Attributes:
        steps: iterations, N_iter of the paper.
    """

    steps: int = 100

    @abstractmethod
    def loss(self, land: Landscape, attempt: int) -> Loss:
        """What is climbed."""

    def climb(self, land: Landscape, attempt: int) -> None:
        loss, checks = self.loss(land, attempt), set(checkpoints(self.steps))
        size = torch.full((len(land.origin), 1, 1, 1), 2.0 * land.radius)
        before = land.anywhere(attempt)
        start, slope = land.look(before, loss)
        point = land.inside(before + size * uphill(slope, land.norm))
        value, ahead = land.look(point, loss)
        higher = value > start
        top = torch.where(higher, value, start)
        best, best_slope = (
            torch.where(higher[:, None, None, None], new, old)
            for new, old in ((point, before), (ahead, slope))
        )
        slope = ahead
        kept = torch.ones_like(higher)
        pace = _Pace(size.flatten(), kept, top.clone(), higher.int())
        for k in range(1, self.steps):
            size = pace.size[:, None, None, None]
            step = land.inside(point + size * uphill(slope, land.norm))
            moved = land.inside(point + MOMENTUM * (step - point) + (1 - MOMENTUM) * (point - before))
            reached, slope = land.look(moved, loss)
            higher = (reached > top)[:, None, None, None]
            best, best_slope = torch.where(higher, moved, best), torch.where(higher, slope, best_slope)
            top = torch.maximum(top, reached)
            back = pace.judge(k, top) if k in checks else torch.zeros_like(kept)
            before, point = point, torch.where(back[:, None, None, None], best, moved)
            slope = torch.where(back[:, None, None, None], best_slope, slope)
            reached = torch.where(back, top, reached)
            pace.risen = pace.risen + (reached > value).int()
            value = reached


@dataclass(frozen=True)
class ApgdCe(_Apgd):
    """Auto-PGD on cross-entropy."""

    name: ClassVar[str] = "apgd_ce"
    attempts: int = 1

    def loss(self, land: Landscape, attempt: int) -> Loss:
        return cross_entropy


@dataclass(frozen=True)
class ApgdDlr(_Apgd):
    """Auto-PGD on the difference of logits ratio, in its targeted form where a class is wanted."""

    name: ClassVar[str] = "apgd_dlr"
    fewest: ClassVar[int] = 3
    attempts: int = 1

    def loss(self, land: Landscape, attempt: int) -> Loss:
        return dlr


@dataclass(frozen=True)
class ApgdDlrT(_Apgd):
    """Auto-PGD toward one class after the other, those that the twin finds likeliest first.

    Where a class is wanted, every attempt goes there, each from another point.

    Attributes:
        attempts: classes tried, 9 in AutoAttack; after the last one the first is tried again.
    """

    name: ClassVar[str] = "apgd_dlr_t"
    fewest: ClassVar[int] = 4
    attempts: int = 9

    def loss(self, land: Landscape, attempt: int) -> Loss:
        if land.aim.targets is not None:
            return dlr
        with torch.no_grad():
            logits = land.logits(land.origin)
        others = logits.scatter(1, land.aim.labels[:, None], -torch.inf).argsort(dim=1, descending=True)
        targets = others[:, attempt % (logits.shape[1] - 1)]
        return lambda told, aim: targeted_dlr(told, aim.labels, targets)
