"""The pages of a parity check: how far apart, where, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.collect import Asked
from eval.metrics.intervals import wilson
from eval.parity.differences import SEEN, UNITS, Apart
from eval.parity.hypotheses import STAGES, Hypothesis
from eval.parity.locate import Located
from eval.parity.probes import Probe, excluded
from eval.report.document import Cell, Gallery, Headline, Picture, Section, Table
from eval.report.pictures import photo, picture
from eval.target import Target, name_of
from models.decoding import decode
from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["Compared", "comparison", "conclusion", "skew"]

DRAWN, LISTED = 6, 10
ORANGE, MOST_SHOWN = (230, 159, 0), 12


@dataclass(frozen=True, slots=True)
class Compared:
    """Live answers against one other side.

    Attributes:
        side: what they are compared with.
        asked: pictures with their live answers.
        theirs: the other side's answers, one each.
        each: how far apart, one each.
        amount: over all of them.
    """

    side: str
    asked: Sequence[Asked]
    theirs: Sequence[Result]
    each: Sequence[Apart]
    amount: float

    @property
    def changed(self) -> int:
        return sum(one.changed for one in self.each)

    def worst(self, count: int) -> list[int]:
        """Places of the pictures that differ most; none that do not differ."""
        order = sorted(range(len(self.each)), key=lambda i: (-self.each[i].amount, i))
        return [i for i in order[:count] if self.each[i].amount > 0]


def comparison(compared: Compared, target: Target, tolerance: float) -> Section:
    """One side: the largest difference, how often a user would notice, the worst pictures."""
    count, n, labels = compared.changed, len(compared.each), target.labels
    note = f"{UNITS[target.task]}; at most {tolerance:g} is none"
    headlines = [
        Headline("largest difference", compared.amount, n, note=note),
        Headline("share of pictures whose answer differs", count / n if n else None, n, *wilson(count, n)),
    ]
    worst = compared.worst(LISTED)
    rows = [_row(compared, i, labels) for i in worst]
    items = [_drawn(compared, i, labels) for i in worst[:DRAWN] if compared.each[i].amount > tolerance]
    text = f"{n} pictures: what the live endpoint answers, and what {compared.side} does."
    tables = [Table(rows, "Pictures that differ most")] if rows else []
    galleries = [Gallery("Where they differ", items)] if items else []
    return Section(
        f"{name_of(target)} against {compared.side}", text, headlines, tables=tables, galleries=galleries
    )


def _row(compared: Compared, place: int, labels: Sequence[str]) -> Mapping[str, Cell]:
    asked = compared.asked[place]
    return {
        "picture": asked.sample.id,
        "difference": compared.each[place].amount,
        "live": _words(asked.answer, labels),
        compared.side: _words(compared.theirs[place], labels),
    }


def _words(answer: Result | None, labels: Sequence[str]) -> str:
    """An answer in a few words."""
    if isinstance(answer, Classification):
        return f"{_name(labels, answer.label)} ({answer.scores[answer.label]:.4f})"
    if isinstance(answer, Detections):
        shown = answer.labels[answer.scores >= SEEN].tolist()
        counts = [f"{shown.count(label)} {_name(labels, label)}" for label in sorted(set(shown))]
        return ", ".join(counts) or "nothing"
    if isinstance(answer, Segmentation):
        values, counts_of = np.unique(answer.labels, return_counts=True)
        order = np.argsort(-counts_of, kind="stable")[:3]
        shares = counts_of / answer.labels.size
        return ", ".join(f"{_name(labels, int(values[i]))} {shares[i]:.4f}" for i in order)
    return "no answer"


def _name(labels: Sequence[str], label: int) -> str:
    return labels[label] if 0 <= label < len(labels) else str(label)


def _drawn(compared: Compared, place: int, labels: Sequence[str]) -> list[Picture]:
    live, theirs = compared.asked[place].answer, compared.theirs[place]
    image = decode(compared.asked[place].sample.file)
    if isinstance(live, Detections) and isinstance(theirs, Detections):
        base = photo(image, f"live (solid), {compared.side} (dashed)")
        scale = base.width / image.shape[1]
        boxes = [*_boxes(theirs, labels, "expected", scale), *_boxes(live, labels, "predicted", scale)]
        return [replace(base, boxes=boxes)]
    if isinstance(live, Segmentation) and isinstance(theirs, Segmentation):
        return [photo(image, compared.asked[place].sample.id), _map_of_difference(image, live, theirs)]
    words = f"live {_words(live, labels)}, {compared.side} {_words(theirs, labels)}"
    return [photo(image, words)]


def _boxes(
    found: Detections, labels: Sequence[str], kind: str, scale: float
) -> list[tuple[float, float, float, float, str, str]]:
    shown = np.flatnonzero(found.scores >= SEEN).tolist()
    boxes = (found.boxes.astype(np.float64) * scale).tolist()
    texts = [f"{_name(labels, int(found.labels[i]))} {found.scores[i]:.3f}" for i in shown]
    return [(*boxes[i], text, kind) for i, text in zip(shown, texts, strict=True)]


def _map_of_difference(image: Array, live: Segmentation, theirs: Segmentation) -> Picture:
    if live.labels.shape != theirs.labels.shape or live.labels.shape != image.shape[:2]:
        return picture(image // 2, f"maps of {live.labels.shape} and {theirs.labels.shape} pixels")
    apart = live.labels != theirs.labels
    shown = np.where(apart[..., None], np.array(ORANGE, np.uint8), image // 2)
    return picture(shown, f"{int(apart.sum())} pixels differ (orange)")


def conclusion(located: Located, probes: Sequence[Probe], same: bool, tolerance: float) -> str:
    """What was found, in a sentence or two."""
    if same:
        return "Live and local answers are the same: no skew is there that these pictures could show."
    if len(located.causes) == 1:
        (cause,) = located.causes
        return (
            f"The skew is in {' and '.join(cause.stages)}: {cause.name}. With that change the local pipeline "
            f"gives the live answers to all pictures; {cause.left:.2g} is left."
        )
    if located.causes:
        names = "; ".join(cause.name for cause in located.causes)
        return f"Several skews explain the live answers and these pictures cannot tell them apart: {names}."
    out = excluded(probes)
    nearest = min((t for t in located.tried if t.left is not None), key=lambda t: t.left or 0.0, default=None)
    near = f" The nearest is {nearest.hypothesis.name}; {nearest.left:.2g} is left." if nearest else ""
    kept = [stage for stage in STAGES if stage not in out]
    stages = f" Excluded: {', '.join(out)}; it lies in {' or '.join(kept)}." if out else ""
    asked = f"none of {len(located.tried)} hypotheses nor of {located.pairs} pairs of them does"
    return f"No known skew explains the live answers: {asked}, within {tolerance:g}.{near}{stages}"


def skew(located: Located, probes: Sequence[Probe], same: bool, tolerance: float) -> Section:
    """Why they differ: what was found, every hypothesis, what the server gave away."""
    causes = {part.name for cause in located.causes for part in cause.parts}
    ranked = sorted(located.tried, key=lambda t: float("inf") if t.left is None else t.left)
    rows: list[Mapping[str, Cell]] = [
        {
            "hypothesis": t.hypothesis.name,
            "stage": t.hypothesis.stage,
            "difference left": t.left,
            "changes answers by": t.moved,
            "": "found" if t.hypothesis.name in causes else "",
        }
        for t in ranked
    ]
    looks: list[Mapping[str, Cell]] = [
        {"asked": p.name, "same": {True: "yes", False: "no", None: "-"}[p.same], "evidence": p.evidence}
        for p in probes
    ]
    note = (
        "Left: largest difference between the changed local pipeline and the live answers, on the pictures "
        "that differ most. What changes no answer cannot be seen with these pictures."
    )
    text = " ".join([conclusion(located, probes, same, tolerance), *_blind(located, tolerance)])
    tables = [Table(looks, "What the server gives away"), Table(rows, "Hypotheses", note)]
    title = "What a skew would have shown" if same else "Where the skew lies"
    tried = len(located.tried)
    visible = Headline("skews that these pictures can show", tried - len(located.unseen(tolerance)), tried)
    found = Headline("explanations of the live answers", len(located.causes), tried)
    return Section(title, text, [visible] if same else [found, visible], tables=tables)


def _blind(located: Located, tolerance: float) -> list[str]:
    unseen = located.unseen(tolerance)
    if not unseen:
        return []
    names = [hypothesis.name for hypothesis in unseen]
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    listed = "; ".join(names[:MOST_SHOWN])
    return [f"These pictures cannot show, so nothing is said of: {listed}{more}. {_advice(unseen)}".strip()]


ADVICE = {
    "channels": "coloured pictures",
    "colours": "coloured pictures",
    "filter": "pictures of another size than the input",
    "geometry": "pictures of another aspect than the input",
    "padding": "pictures of another aspect than the input",
    "coding": "photographs as a camera writes them, some held upright",
}


def _advice(unseen: Sequence[Hypothesis]) -> str:
    wanted = dict.fromkeys(ADVICE[h.part] for h in unseen if h.part in ADVICE)
    return f"They would take {', '.join(wanted)}." if wanted else ""
