"""What an audit shows: flags first, robust beside clean accuracy, effort, corruptions, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.attacks.base import Threat
from eval.attacks.results import AttackResult, worst_case
from eval.attacks.tables import ATTACKS
from eval.checks import Flag
from eval.corruptions.tables import SEVERITIES
from eval.metrics.intervals import wilson
from eval.report.document import Cell, Gallery, Headline, Plot, Section, Table
from eval.report.pictures import attacked
from models.results import Array

__all__ = ["audit_section", "corruption_section"]

EXAMPLES = 6


def audit_section(
    title: str,
    threat: Threat,
    results: Sequence[AttackResult],
    flags: Sequence[Flag],
    originals: Sequence[Array],
    labels: Sequence[str],
) -> Section:
    """All attacks of one audit on the same samples, in the same order."""
    standing, count = worst_case(results), len(originals)
    clean = results[0].clean_correct
    right, kept = int(clean.sum()), int(standing.sum())
    claimed, fooled = (sum(int(getattr(r, n).sum()) for r in results) for n in ("claimed", "fooled"))
    headlines = [
        _share("clean accuracy", right, count),
        _share("robust accuracy", kept, count, f"worst case of {len(results)} attacks"),
        _share("attack success rate", right - kept, right, "of those right when clean"),
        _share("successes asked again", fooled, claimed, "wrong again on the same bytes"),
    ]
    return Section(
        title,
        f"Threat: a picture may move by {threat}, at the "
        "resolution it is sent in, on whole levels. Robust accuracy is an upper bound: a stronger attack "
        "can only lower it.",
        headlines=headlines,
        flags=flags,
        tables=[_attacks(results)],
        plots=[_queries(results)],
        galleries=[_strongest(results, originals, labels)],
    )


def _share(title: str, part: int, whole: int, note: str = "") -> Headline:
    low, high = wilson(part, whole)
    return Headline(title, part / whole if whole else None, whole, low, high, note)


def _attacks(results: Sequence[AttackResult]) -> Table:
    rows: list[Mapping[str, Cell]] = [
        {
            "attack": r.attack,
            "robust accuracy": r.robust_accuracy,
            "attack success rate": r.attack_success_rate,
            "fooled": int(r.fooled.sum()),
            "claimed": int(r.claimed.sum()),
            "median queries": float(np.median(r.queries_to_fool[r.fooled])) if r.fooled.any() else None,
            "median smallest change": r.median_perturbation if _minimises(r) else None,
            "mean smallest change": r.mean_perturbation if _minimises(r) else None,
            "queries": int(r.queries.sum()),
            "repeats": int(r.cache_hits.sum()),
            "errors": int(r.errors.sum()),
        }
        for r in results
    ]
    known = [ATTACKS[r.attack] for r in results if r.attack in ATTACKS]
    tags = "; ".join(f"{attack.name} is {', '.join(attack.tags)}" for attack in known)
    return Table(
        rows,
        "Attacks",
        "Queries count images, the clean one and the last check included; the median is of successes. "
        "Smallest changes are in levels, of the samples right when clean, and of attacks that look for them, "
        "inside the threat or not; none where too few were ever fooled. Repeats were answered from memory. "
        "Claims that were right when asked again do not count as fooled. "
        f"{tags}.",
    )


def _minimises(result: AttackResult) -> bool:
    return result.attack in ATTACKS and ATTACKS[result.attack].minimises


def _queries(results: Sequence[AttackResult]) -> Plot:
    series = {r.attack: [(0.0, 0.0), *r.query_curve(), _end(r)] for r in results}
    return Plot("steps", "Fooled by queries spent", series, "queries for one image", "share of clean-correct")


def _end(result: AttackResult) -> tuple[float, float]:
    """The curve goes on, level, to the most that was spent on an image."""
    return float(result.queries.max(initial=0)), result.attack_success_rate or 0.0


def _strongest(results: Sequence[AttackResult], originals: Sequence[Array], labels: Sequence[str]) -> Gallery:
    """Successes that the endpoint is surest of."""
    found = [(float(r.best_margin[i]), r, int(i)) for r in results for i in np.flatnonzero(r.fooled)]
    found.sort(key=lambda item: item[0])
    items = [
        attacked(originals[i], r.images[i], labels[r.labels[i]], labels[r.predicted[i]], float(r.distance[i]))
        for _, r, i in found[:EXAMPLES]
    ]
    return Gallery(
        "Strongest examples", items, "The picture, what was sent in its place, and the change magnified."
    )


def corruption_section(
    title: str, accuracy: Mapping[str, Sequence[float | None]], clean: float | None, samples: int
) -> Section:
    """Accuracy under every corruption and severity.

    Args:
        accuracy: name -> one value for each severity.
    """
    values = [v for row in accuracy.values() for v in row if v is not None]
    mean = float(np.mean(values)) if values else None
    relative = mean / clean if mean is not None and clean else None
    rows: list[Mapping[str, Cell]] = [
        {"corruption": name, **{f"severity {s}": v for s, v in zip(SEVERITIES, row, strict=True)}}
        for name, row in accuracy.items()
    ]
    series = {name: list(zip(map(float, SEVERITIES), row, strict=True)) for name, row in accuracy.items()}
    asked = len(values) * samples
    return Section(
        title,
        "After ImageNet-C, drawn on the fly and seeded; not comparable with its published files.",
        headlines=[
            Headline("clean accuracy", clean, samples),
            Headline("mean corrupted accuracy", mean, asked, note="mPC over corruptions and severities"),
            Headline("relative corrupted accuracy", relative, asked, note="rPC = mPC / clean"),
        ],
        plots=[Plot("lines", "Accuracy by severity", series, "severity", "accuracy")],
        tables=[Table(rows, "Accuracy by corruption")],
    )
