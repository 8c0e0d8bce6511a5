"""From a graph, and what a person said of it, to the facts of a card, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.card import InputSpec, Postprocess
from models.contract import listed
from models.families.tables import FAMILIES
from models.imaging import fit
from models.importing.customs import Customs, customs
from models.importing.evidence import is_share
from models.importing.fields import filled
from models.importing.fitting import Fit, Question, find_family
from models.importing.graph import Graph, Run
from models.importing.inputs import plain_input, prepared_input
from models.importing.ledger import Ledger, Reason
from models.importing.notes import Notes, read_notes
from models.importing.wishes import Wishes
from models.repository import RepositoryError
from models.results import Array

__all__ = ["Guess", "guess"]

UNKNOWN = "unknown"
_BATCH = 16
_NO_CLASS = ("background", "__background__", "n/a")
_PICKED = ("torchvision", "maskrcnn", "ssd", "yolov10")  # they number their labels themselves


@dataclass(frozen=True, slots=True)
class Guess:
    """Fields of a card but name, version, digest and golden pair, and why they are what they are.

    Attributes:
        tolerance: what the raw outputs may differ by on another machine.
    """

    facts: Mapping[str, Any]
    reasons: tuple[Reason, ...]
    tolerance: float


def guess(graph: Graph, wishes: Wishes, image: Array) -> Guess:
    """Everything that `models.publish.publish` wants to know about a graph.

    Args:
        image: uint8 RGB `(H, W, 3)`; the graph is run on it.

    Raises:
        RepositoryError: the graph takes no pictures, does not run, or its outputs are of no family.
    """
    ledger, notes = Ledger(), read_notes(graph.notes)
    plain = plain_input(graph, wishes, notes, ledger)
    run = graph.run(fit(image, plain))
    found = _family(graph, wishes, notes, run, plain, ledger)
    labels = _labels(wishes, notes, found, ledger)
    whole = not plain.dtype.startswith("float")
    side, last = min(plain.height, plain.width), plain.layout == "NHWC"
    usual = customs(found.task, found.family, side, whole=whole, channels_last=last)
    facts = {
        "task": found.task,
        "family": found.family,
        "outputs": found.names,
        "input": prepared_input(plain, wishes, usual, ledger),
        "labels": labels,
        "postprocess": _rules(found, wishes, run, usual, labels, ledger),
        "max_batch": _max_batch(found, wishes, run, ledger),
        "description": wishes.description or notes.description,
        "licence": _licence(wishes, notes, ledger),
        "source": wishes.source or graph.path.name,
    }
    return Guess(facts, tuple(ledger.reasons), _tolerance([run.outputs[name] for name in found.names]))


def _tolerance(outputs: Sequence[Array]) -> float:
    """Two levels where all are whole numbers; else a hundredth, or a ten-thousandth of the largest value."""
    if all(output.dtype.kind != "f" for output in outputs):
        return 2.0
    largest = max(float(np.abs(output.astype(np.float64)).max(initial=0.0)) for output in outputs)
    return max(1e-2, 1e-4 * largest)


def _family(graph: Graph, wishes: Wishes, notes: Notes, run: Run, spec: InputSpec, ledger: Ledger) -> Fit:
    asked = Question(
        spec,
        wishes.task or (notes.task if wishes.family is None else None),
        wishes.family,
        wishes.outputs,
        len(wishes.labels or notes.labels) or None,
        f"{graph.path.stem} {notes.description}",
    )
    found = find_family(run, asked)
    if graph.alone and FAMILIES[found.task][found.family].batched:
        raise RepositoryError(
            f"{graph.input.name} must have a batch axis, as the outputs of {found.family} have"
        )
    if found.doubt:
        ledger.reasons.append(
            Reason("beware", found.family, "guess", f"{found.doubt}: is it another family?")
        )
    ledger.settle("task", wishes.task, found.task, "read", "of the family")
    ledger.settle("family", wishes.family, found.family, "read", found.why)
    if len(run.ports) > 1:
        why = f"{', '.join(found.instead)} would do as well" if found.instead else "as the family reads them"
        ledger.settle("outputs", wishes.outputs, found.names, "guess" if found.instead else "read", why)
    return found


def _labels(wishes: Wishes, notes: Notes, found: Fit, ledger: Ledger) -> tuple[str, ...]:
    if said := wishes.labels or notes.labels:
        text = listed(said, 3)
        ledger.settle(
            "labels", wishes.labels and text, text, "read", f"the graph's note `{notes.labels_key}`"
        )
        return said
    if found.family.startswith("binary"):
        names: tuple[str, ...] = ("background", "foreground")
    elif found.classes is not None:
        names = tuple(f"class {number}" for number in range(found.classes))
    else:
        raise RepositoryError(
            f"outputs of the family {found.family} do not tell how many classes there are: "
            "name them with --labels"
        )
    why = "name them with --labels FILE"
    if found.classes == 1001:
        why += "; 1,001 are ImageNet's behind a background class"
    ledger.settle("labels", None, names, "guess", why, f"{len(names)}, numbered")
    return names


def _rules(
    found: Fit, wishes: Wishes, run: Run, usual: Customs, labels: tuple[str, ...], ledger: Ledger
) -> Postprocess:
    """Thresholds, and what families of detectors leave open."""
    if found.task != "detection":
        if wishes.rules:
            raise RepositoryError(
                f"--{next(iter(wishes.rules)).replace('_', '-')} has a meaning for detection only"
            )
        return Postprocess()
    told = dict(wishes.rules)
    if "iou_threshold" not in told:
        told["iou_threshold"] = usual.iou_threshold
    first = run.outputs[found.names[0]]
    if found.family in ("centernet", "rtdetr"):
        share = is_share(first)
        why = f"the scores of a picture are {'' if share else 'not '}all from 0 to 1"
        told["activated"] = ledger.settle("activated", told.get("activated"), share, "read", why)
    if found.family == "ssd":
        order = "yxyx" if found.names[0].startswith("detection_boxes") else "xyxy"
        why = "TensorFlow's names" if order == "yxyx" else "unlike TensorFlow, whose names differ"
        told["box_order"] = ledger.settle("box order", told.get("box_order"), order, "guess", why)
    if found.family in _PICKED:
        from_one = found.family != "yolov10" and labels[0].casefold() not in _NO_CLASS
        why = (
            "it counts a background, the labels do not"
            if from_one
            else "the labels begin where the graph does"
        )
        told["first_label"] = ledger.settle(
            "first label", told.get("first_label"), int(from_one), "guess", why
        )
    return filled(Postprocess, told)


def _max_batch(found: Fit, wishes: Wishes, run: Run, ledger: Ledger) -> int:
    free, why = run.free_batch, run.why
    if not FAMILIES[found.task][found.family].batched:
        free, why = False, "the outputs have no batch axis"
    if wishes.max_batch is not None and wishes.max_batch > 1 and not free:
        raise RepositoryError(f"--max-batch must be 1: {why}")
    return ledger.settle("max batch", wishes.max_batch, _BATCH if free else 1, "read", why)


def _licence(wishes: Wishes, notes: Notes, ledger: Ledger) -> str:
    if notes.licence:
        return ledger.settle("licence", wishes.licence, notes.licence, "read", "the graph's note `license`")
    return ledger.settle(
        "licence", wishes.licence, UNKNOWN, "guess", "find it out before you ship: --licence"
    )
