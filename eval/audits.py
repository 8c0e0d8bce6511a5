"""A whole audit, from a URL and a data set to a report on how the model stands up to attack."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from eval.attacks.base import Threat
from eval.attacks.results import AttackResult, worst_case
from eval.attacks.spatial import Spatial
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, Progress, attack_all
from eval.checks import Flag, attack_flags, endpoint_flags
from eval.corruptions.tables import CORRUPTIONS, SEVERITIES, corrupt, spelled_out
from eval.data.dataset import Sample
from eval.data.tables import open_data
from eval.endpoint import Endpoint
from eval.errors import EndpointError, EvalError
from eval.remote.access import endpoint_of, target_of
from eval.report.audit import audit_section, corruption_section
from eval.report.document import Report, Section
from eval.runs import clock, manifest
from eval.target import authorise, name_of
from models.decoding import decode
from models.results import Array, Classification

__all__ = ["Audit", "audit", "plan_of"]

FLAG_IMAGES = 8  # asked several times each, before the attacks


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit does.

    Attributes:
        epsilon: 8-bit levels, in the norm.
        attacks: names in `ATTACKS`; each runs on every sample.
        corruptions: names in `CORRUPTIONS`; five severities each.
        samples: the first so many images of the data.
        limits: of each attack.
        authorised: hosts beside this machine whose owners agreed.
        norm: "linf" or "l2", within epsilon; or "spatial", within `degrees` of turn and `pixels` of shift.
    """

    epsilon: float
    attacks: Sequence[str]
    corruptions: Sequence[str]
    samples: int
    seed: int
    limits: Limits
    authorised: Sequence[str] = ()
    norm: Literal["linf", "l2", "spatial"] = "linf"
    degrees: float = 30.0
    pixels: float = 3.0

    @property
    def threat(self) -> Threat:
        """What no picture may go beyond."""
        if self.norm == "spatial":
            return Spatial(self.degrees, self.pixels)
        return Threat(self.norm, self.epsilon)

    @property
    def levels(self) -> float | None:
        """Epsilon; None where levels are not what is limited."""
        return None if self.norm == "spatial" else self.epsilon


async def audit(
    url: str,
    data_name: str,
    plan: Audit,
    *,
    model: str | None = None,
    number: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """How one classifier stands up to attack and corruption, asked over HTTP.

    Raises:
        EvalError: as `evaluate`; NotAuthorised for a host that is not ours to attack.
    """
    authorise(url, plan.authorised)
    target, started = await target_of(url, model, number), time.time()
    if target.task != "classification":
        raise EvalError(f"an audit needs a classifier for now; {name_of(target)} does {target.task}")
    data = open_data(data_name, target.task).in_classes_of(target.labels).first(plan.samples)
    samples = list(data)
    images, truth = [decode(s.file) for s in samples], [_label(s) for s in samples]
    run_id = f"audit-{target.model}-{target.version}-{plan.seed}"
    async with endpoint_of(target, run_id) as endpoint:
        flags = await endpoint_flags(endpoint, images[:FLAG_IMAGES])
        ask = partial(attack_all, endpoint=endpoint, images=images, labels=truth, threat=plan.threat)
        results = [
            await ask(ATTACKS[a], limits=plan.limits, seed=plan.seed, samples=data.ids, progress=progress)
            for a in plan.attacks
        ]
        worn = await _corrupted(endpoint, images, truth, data.ids, plan)
    flags += attack_flags(results)
    limit = plan.threat if plan.levels is None else f"epsilon {plan.levels:g}"
    title = f"Audit of {name_of(target)} at {limit}"
    sections: list[Section] = [audit_section(title, plan.threat, results, flags, images, data.labels)]
    if worn:
        clean, subject = results[0].clean_accuracy, f"Corruptions of {name_of(target)}"
        sections.append(corruption_section(subject, worn, clean, len(images)))
    figures = _figures(f"audit.{target.model}.{target.version}", results, flags, sections)
    told = manifest(
        target,
        data,
        norm=plan.norm,
        epsilon_levels=plan.levels,
        attacks=", ".join(plan.attacks),
        budget=plan.limits.budget,
        seed=plan.seed,
        run=run_id,
    )
    valid = all(r.valid for r in results)
    return Report(title, told, sections, figures, valid, clock(started))


def _figures(
    prefix: str, results: Sequence[AttackResult], flags: Sequence[Flag], sections: Sequence[Section]
) -> dict[str, float | None]:
    claimed, fooled = (sum(int(getattr(r, n).sum()) for r in results) for n in ("claimed", "fooled"))
    return {
        f"{prefix}.clean_accuracy": results[0].clean_accuracy,
        f"{prefix}.robust_accuracy": float(worst_case(results).mean()),
        f"{prefix}.queries": sum(int(r.queries.sum()) for r in results),
        f"{prefix}.claimed": claimed,
        f"{prefix}.fooled": fooled,
        f"{prefix}.reverify_rate": fooled / claimed if claimed else None,
        f"{prefix}.flags_raised": sum(flag.raised is True for flag in flags),
        **{f"{prefix}.{r.attack}.robust_accuracy": r.robust_accuracy for r in results},
        **{f"{prefix}.{h.title.replace(' ', '_')}": h.value for s in sections[1:] for h in s.headlines[1:]},
    }


def _label(sample: Sample) -> int:
    if not isinstance(sample.expected, int):
        raise TypeError(f"a classification sample must have one class, got {type(sample.expected).__name__}")
    return sample.expected


async def _corrupted(
    endpoint: Endpoint[Classification],
    images: Sequence[Array],
    truth: Sequence[int],
    ids: Sequence[str],
    plan: Audit,
) -> dict[str, list[float | None]]:
    """Accuracy by corruption and severity; None where the endpoint failed."""
    accuracy: dict[str, list[float | None]] = {}
    for name in plan.corruptions:
        accuracy[name] = []
        for severity in SEVERITIES:
            worn = [
                corrupt(i, name, severity, seed=plan.seed, sample=s) for i, s in zip(images, ids, strict=True)
            ]
            try:
                starts = range(0, len(worn), plan.limits.batch)
                answers = [a for s in starts for a in await endpoint.predict(worn[s : s + plan.limits.batch])]
            except EndpointError:
                accuracy[name].append(None)
                continue
            right = [answer.label == label for answer, label in zip(answers, truth, strict=True)]
            accuracy[name].append(float(np.mean(right)))
    return accuracy


def plan_of(
    *,
    epsilon: float,
    attacks: str,
    corruptions: str,
    samples: int,
    seed: int,
    budget: int,
    batch: int,
    in_flight: int,
    max_queries: int | None,
    max_qps: float | None,
    authorised: Sequence[str],
    norm: Literal["linf", "l2", "spatial"] = "linf",
    degrees: float = 30.0,
    pixels: float = 3.0,
) -> Audit:
    """The plan that command-line options ask for.

    Raises:
        EvalError: a name is not there, or an attack cannot keep to the norm.
    """
    named = _names(attacks, ATTACKS, "attack")
    worn = _names(spelled_out(corruptions), CORRUPTIONS, "corruption")
    if not named:
        raise EvalError(f"name at least one attack of {', '.join(ATTACKS)}")
    able = [name for name, attack in ATTACKS.items() if norm in attack.norms]
    if unable := [name for name in named if name not in able]:
        raise EvalError(f"attacks must keep to {norm}: one of {', '.join(able)}, got {unable[0]!r}")
    if norm == "linf" and epsilon > 255:
        raise EvalError(f"epsilon must be at most 255 levels in linf, got {epsilon:g}")
    limits = Limits(budget, batch, in_flight, max_queries, max_qps)
    return Audit(epsilon, named, worn, samples, seed, limits, authorised, norm, degrees, pixels)


def _names(told: str, known: Iterable[str], kind: str) -> list[str]:
    names = [name.strip() for name in told.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise EvalError(f"{kind} must be one of {', '.join(known)}, got {name!r}")
    return names
