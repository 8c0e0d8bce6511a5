"""What an audit is asked to do: a suite, and what was changed in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eval.attacks.base import Threat
from eval.attacks.goals.tables import goals_of
from eval.attacks.spatial import Spatial
from eval.attacks.tables import ATTACKS
from eval.attacks.transfer import ON_A_TWIN
from eval.auditing.cells import require_alexnets
from eval.auditing.cost import Cost, cost_of, shared_budget
from eval.auditing.on_twin import named_on_twin
from eval.auditing.suites import Norm, Suite, suite_of
from eval.corruptions.tables import CORRUPTIONS, SEVERITIES, spelled_out
from eval.errors import EvalError
from models.card import TaskName

__all__ = ["Audit", "Plan", "plan_of"]


@dataclass(frozen=True, slots=True)
class Audit:
    """What a user asks for; None leaves it to the suite.

    Attributes:
        suite: name in `SUITES`.
        epsilon: 8-bit levels, in the norm.
        norm: "linf" or "l2", within epsilon; or "spatial", within `degrees` of turn and `pixels` of shift.
        attacks: names, comma-separated, in `ATTACKS` and, with a twin, in `ON_A_TWIN`.
        goals: names as `goals_of` takes them, comma-separated.
        corruptions: names, comma-separated; empty for none.
        severities: of them, comma-separated.
        samples: the first so many images of the data.
        budget: queries of each image and attack.
        curve, stability: whether there is a security curve, an estimate of stability under noise.
        twin: folder of a version (model.onnx, card.json) that gradient attacks are made on.
        surrogate: the twin may be another model than the one that is served.
        mce: by whose errors mCE divides: `alexnet` or `version:N`.
        max_queries: of the whole audit; lowers the budget of every attack alike.
        authorised: hosts beside this machine whose owners agreed.
    """

    epsilon: float = 8
    norm: Norm = "linf"
    degrees: float = 30.0
    pixels: float = 3.0
    suite: str = "quick"
    attacks: str | None = None
    goals: str | None = None
    corruptions: str | None = None
    severities: str | None = None
    samples: int | None = None
    budget: int | None = None
    curve: bool | None = None
    stability: bool | None = None
    twin: Path | None = None
    surrogate: bool = False
    mce: str | None = None
    max_queries: int | None = None
    seed: int = 0
    authorised: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done, to the last number.

    Attributes:
        suite: as it was changed.
        asked: what was asked for.
    """

    suite: Suite
    asked: Audit

    @property
    def threat(self) -> Threat:
        """What no picture may go beyond."""
        if self.asked.norm == "spatial":
            return Spatial(self.asked.degrees, self.asked.pixels)
        return Threat(self.asked.norm, self.asked.epsilon)

    @property
    def levels(self) -> float | None:
        """Epsilon; None where levels are not what is limited."""
        return None if self.asked.norm == "spatial" else self.asked.epsilon

    @property
    def on_a_twin(self) -> tuple[str, ...]:
        """Names of the attacks that a twin makes."""
        return tuple(name for name in self.suite.attacks if name in ON_A_TWIN)

    @property
    def version(self) -> int | None:
        """The version by whose errors mCE divides."""
        mce = self.asked.mce
        if mce is None or mce == "alexnet":
            return None
        try:
            return int(mce.removeprefix("version:"))
        except ValueError:
            raise EvalError(f"--mce must be alexnet or version:N, got {mce!r}") from None

    def told(self) -> dict[str, Any]:
        """As JSON values: all that decides what comes of it."""
        asked = asdict(self.asked)
        for name in ("authorised", "max_queries"):
            del asked[name]
        asked["twin"] = None if self.asked.twin is None else str(self.asked.twin)
        return {**asked, "budget": self.suite.budget, "samples": self.suite.samples}

    def cost(self, suite: Suite, images: int, flags: int, rate: float | None = None) -> Cost:
        """What a suite costs here, with so many queries of flags."""
        versions = 1 if self.version is None else 2
        return cost_of(
            suite, epsilon=self.asked.epsilon, samples=images, flags=flags, rate=rate, versions=versions
        )

    def limited(self, images: int, flags: int) -> Plan:
        """The same within `max_queries`, for so many images, with so many queries of flags.

        Raises:
            BudgetExceeded: that leaves an attack under 3 queries an image.
        """
        suite = self.suite
        count = min(images, suite.samples)
        rest = replace(suite, attacks=())
        other = self.cost(rest, count, flags).most
        budget = shared_budget(
            suite.attacks, count, suite.budget, self.asked.max_queries, goals=len(suite.goals), other=other
        )
        return replace(self, suite=replace(suite, budget=budget))


def plan_of(asked: Audit, task: TaskName, labels: Sequence[str]) -> Plan:
    """The plan for a model of a task, whose classes are these.

    Raises:
        EvalError: a name is not there, or does not go with the rest.
    """
    if asked.norm == "linf" and asked.epsilon > 255:
        raise EvalError(f"epsilon must be at most 255 levels in linf, got {asked.epsilon:g}")
    suite = suite_of(asked.suite, task, asked.norm)
    if (asked.curve and suite.curve is None) or (asked.stability and suite.noise is None):
        part = "--curve" if asked.curve and suite.curve is None else "--stability"
        raise EvalError(
            f"{part} is not part of the suite {suite.name} for {task} in {asked.norm}; "
            "take another --suite or --norm"
        )
    suite = replace(
        suite,
        attacks=_attacks(asked, suite),
        goals=suite.goals if asked.goals is None else _split(asked.goals),
        corruptions=_corruptions(asked, suite),
        severities=_severities(asked, suite),
        samples=asked.samples or suite.samples,
        budget=asked.budget or suite.budget,
        curve=None if asked.curve is False else suite.curve,
        noise=None if asked.stability is False else suite.noise,
    )
    for goal in suite.goals:
        goals_of(goal, task, (), labels, seed=0, ids=())
        unable = [name for name in suite.attacks if name in ATTACKS and not ATTACKS[name].targeted]
        if goal.partition(":")[0] == "targeted" and unable:
            able = ",".join(name for name in suite.attacks if name not in unable)
            hint = f": --attacks {able}" if able else " with --attacks"
            raise EvalError(f"{unable[0]} cannot be sent toward a class; name others{hint}")
    plan = Plan(suite, asked)
    if plan.version is None and asked.mce is not None:
        require_alexnets("the model", task, len(labels), suite.corruptions, suite.severities)
    return plan


def _attacks(asked: Audit, suite: Suite) -> tuple[str, ...]:
    """Those named, else the suite's and, with a twin, all that it can make."""
    if asked.attacks is None:
        if asked.twin is None:
            return suite.attacks
        _classifier(suite)
        named_on_twin(ON_A_TWIN, asked.norm)
        return (*suite.attacks, *ON_A_TWIN)
    names = _known(_split(asked.attacks), (*ATTACKS, *ON_A_TWIN), "attack")
    if not names:
        raise EvalError(f"name at least one attack of {', '.join(ATTACKS)}")
    able = [name for name, attack in ATTACKS.items() if asked.norm in attack.norms]
    if unable := [name for name in names if name in ATTACKS and name not in able]:
        raise EvalError(f"attacks must keep to {asked.norm}: one of {', '.join(able)}, got {unable[0]!r}")
    if made := [name for name in names if name in ON_A_TWIN]:
        if asked.twin is None:
            raise EvalError(f"{made[0]} is made on a twin: give the folder of the version with --twin")
        _classifier(suite)
        named_on_twin(made, asked.norm)
    return names


def _classifier(suite: Suite) -> None:
    if suite.task != "classification":
        raise EvalError(f"attacks on a twin need a classifier, this model does {suite.task}")


def _corruptions(asked: Audit, suite: Suite) -> tuple[str, ...]:
    if asked.corruptions is None:
        return suite.corruptions
    return _known(_split(spelled_out(asked.corruptions)), CORRUPTIONS, "corruption")


def _severities(asked: Audit, suite: Suite) -> tuple[int, ...]:
    if asked.severities is None:
        return suite.severities
    told = _known(_split(asked.severities), tuple(map(str, SEVERITIES)), "severity")
    if not told:
        raise EvalError(f"name at least one severity of {', '.join(map(str, SEVERITIES))}")
    return tuple(sorted(map(int, told)))


def _split(told: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in told.split(",") if name.strip()))


def _known(names: tuple[str, ...], known: Iterable[str], kind: str) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            raise EvalError(f"{kind} must be one of {', '.join(known)}, got {name!r}")
    return names
