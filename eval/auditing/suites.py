"""What an audit does, by name: `quick` for minutes, `standard` for a release, `thorough` for a night.

How long one takes is the endpoint's to say: see `eval.auditing.cost`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from eval.attacks.base import Threat
from eval.auditing.stability import Smoothing
from eval.corruptions.tables import COMMON, EXTRA, QUICK, SEVERITIES
from eval.errors import EvalError
from models.card import TaskName

__all__ = ["SUITES", "Curve", "Norm", "Suite", "suite_of"]

Norm: TypeAlias = Literal["linf", "l2", "spatial"]


@dataclass(frozen=True, slots=True)
class Curve:
    """Robust accuracy as epsilon grows, on some of the samples, by Square Attack.

    Attributes:
        multiples: of the audit's epsilon.
        samples: the first so many.
        budget: of each image and epsilon.
        check: levels in L-infinity at which nothing can be left standing: any picture can be made grey.
    """

    multiples: tuple[float, ...]
    samples: int
    budget: int
    check: float = 128

    def steps(self, norm: Norm, epsilon: float) -> tuple[tuple[str, Threat], ...]:
        """(attack, threat) for every point, nearest first; the last one is the check, in L-infinity always.

        L-infinity points are whole levels, at least 1 and below the check, none twice. No points for
        spatial threats, which have no epsilon.
        """
        if norm == "spatial":
            return ()
        last = ("square", Threat("linf", self.check))
        if norm == "l2":
            return (*(("square_l2", Threat("l2", m * epsilon)) for m in sorted(self.multiples)), last)
        levels = sorted({float(max(1, math.floor(m * epsilon))) for m in self.multiples})
        return (*(("square", Threat("linf", level)) for level in levels if level < self.check), last)


@dataclass(frozen=True, slots=True)
class Suite:
    """Everything an audit does but for epsilon, seed and pace. `dataclasses.replace` changes a part of it.

    Attributes:
        attacks: names in `ATTACKS`, cheapest first; all can keep to the norm.
        goals: names of what each attack is after; every attack runs once for each.
        budget: queries of one image, attack and goal; some attacks need fewer (`Attack.most`).
        corruptions: names in `CORRUPTIONS`; each at every severity, on all samples.
        curve: None for no security curve.
        noise: None for no estimate of stability under noise.
        noise_samples: the first so many get one.
    """

    name: str
    task: TaskName
    norm: Norm
    samples: int
    attacks: tuple[str, ...]
    goals: tuple[str, ...]
    budget: int
    corruptions: tuple[str, ...] = ()
    severities: tuple[int, ...] = SEVERITIES
    curve: Curve | None = None
    noise: Smoothing | None = None
    noise_samples: int = 0


@dataclass(frozen=True, slots=True)
class _Size:
    """How much of everything; the same for all tasks and norms, but for samples: scenes are large."""

    samples: int
    scenes: int
    budget: int
    corruptions: tuple[str, ...]
    curve: Curve
    noise: Smoothing | None
    noise_samples: int


_FIVE = (0.25, 0.5, 1, 2, 4)
_SIZES: Mapping[str, _Size] = {
    "quick": _Size(100, 20, 300, QUICK, Curve((0.5, 1, 2), 10, 100), None, 0),
    "standard": _Size(200, 100, 1000, COMMON, Curve(_FIVE, 50, 500), Smoothing(16, 64, 500), 50),
    # 5,000 queries are AutoAttack's for Square (Croce and Hein 2020, arXiv 2003.01690).
    "thorough": _Size(1000, 500, 5000, COMMON + EXTRA, Curve(_FIVE, 200, 1000), Smoothing(16), 200),
}
SUITES = tuple(_SIZES)

# Noise, one search by scores, and one by labels alone at the least: a model may hide its scores or its
# gradients, seldom both (Carlini et al. 2019, arXiv 1902.06705).
_CLASSIFIERS: Mapping[Norm, Mapping[str, tuple[str, ...]]] = {
    "linf": {
        "quick": ("uniform_noise", "square", "rays"),
        "standard": ("uniform_noise", "simba", "square", "rays", "hopskipjump"),
        "thorough": (
            "uniform_noise",
            "gaussian_noise",
            "simba",
            "simba_dct",
            "square",
            "rays",
            "hopskipjump",
        ),
    },
    "l2": {
        "quick": ("uniform_noise", "square_l2", "hopskipjump"),
        "standard": ("uniform_noise", "simba", "square_l2", "hopskipjump"),
        "thorough": ("uniform_noise", "gaussian_noise", "simba", "simba_dct", "square_l2", "hopskipjump"),
    },
    "spatial": dict.fromkeys(SUITES, ("spatial_grid",)),
}
# Answers with boxes or maps have no one label to walk back from, and their pictures too many single values.
# When a picture turns, its boxes and maps do too: nothing here for spatial threats.
_SCENES: Mapping[Norm, Mapping[str, tuple[str, ...]]] = {
    "linf": {
        "quick": ("uniform_noise", "square"),
        "standard": ("uniform_noise", "simba_dct", "square"),
        "thorough": ("uniform_noise", "gaussian_noise", "simba_dct", "square"),
    },
    "l2": {
        "quick": ("uniform_noise", "square_l2"),
        "standard": ("uniform_noise", "simba_dct", "square_l2"),
        "thorough": ("uniform_noise", "gaussian_noise", "simba_dct", "square_l2"),
    },
}
_GOALS: Mapping[TaskName, Mapping[str, tuple[str, ...]]] = {
    "classification": dict.fromkeys(SUITES, ("untargeted",)),
    "detection": {
        "quick": ("vanish",),
        "standard": ("vanish", "fabricate"),
        "thorough": ("vanish", "fabricate", "mislabel"),
    },
    "segmentation": {"quick": ("pixels",), "standard": ("pixels",), "thorough": ("pixels", "erase")},
}


def suite_of(name: str, task: TaskName, norm: Norm = "linf") -> Suite:
    """The suite of this name.

    Raises:
        EvalError: there is none, or none of the task can keep to the norm.
    """
    if name not in _SIZES:
        raise EvalError(f"suite must be one of {', '.join(SUITES)}, got {name!r}")
    size, sorts = _SIZES[name], task == "classification"
    attacks = _CLASSIFIERS if sorts else _SCENES
    if norm not in attacks:
        raise EvalError(f"norm must be one of {', '.join(attacks)} for {task}, got {norm!r}")
    ball = norm != "spatial"  # no ball, no radius
    return Suite(
        name,
        task,
        norm,
        samples=size.samples if sorts else size.scenes,
        attacks=attacks[norm][name],
        goals=_GOALS[task][name],
        budget=size.budget,
        corruptions=size.corruptions,
        curve=size.curve if ball else None,
        noise=size.noise if sorts and ball else None,
        noise_samples=size.noise_samples if sorts and ball else 0,
    )
