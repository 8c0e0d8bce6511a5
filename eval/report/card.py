"""A model card of what was measured, in the sections of Mitchell et al., 2019, arXiv 1810.03993."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from eval.metrics.base import Score
from eval.report.document import Cell, Report, Section, Table
from eval.report.evaluation import KEY
from eval.report.markdown import shown, table_text, text_of
from eval.report.tables import MAIN, slice_tables
from models.card import ModelCard, TaskName

__all__ = ["model_card"]

NOT_STATED = "Not stated."
FEW = 100  # images; fewer are a caveat of their own
PIPELINES: Mapping[TaskName, str] = {
    "classification": "image-classification",
    "detection": "object-detection",
    "segmentation": "image-segmentation",
}


def model_card(
    report: Report, card: ModelCard | None = None, *, told: Mapping[str, str] | None = None
) -> str:
    """A Markdown model card with front matter, as model hubs read it.

    Args:
        card: the card of the served version, where there is one.
        told: what no measurement can say: `intended_use`, `out_of_scope`, `factors`, `ethics`,
            `training_data`. What is left out is "Not stated.".
    """
    told, manifest = told or {}, report.manifest
    name = str(manifest.get("model") or (f"{card.name}/{card.version}" if card else report.title))
    parts = [
        _front(report, card, name),
        f"# {text_of(name)}\n",
        "## Model details\n",
        table_text(_details(report, card)),
        "## Intended use\n",
        f"{text_of(told.get('intended_use') or NOT_STATED)}\n",
        f"Out of scope: {text_of(told.get('out_of_scope') or NOT_STATED)}\n",
        "## Factors\n",
        f"{text_of(told.get('factors') or _factors(report))}\n",
        "## Metrics\n",
        "Fractions, never percent. Intervals are at 95 %: Wilson for proportions, bootstrap over images for "
        "the rest.\n",
        *(_metrics(section) for section in report.sections if section.headlines),
        "## Evaluation data\n",
        table_text(_rows(manifest, ("data", "images", "data_digest", "url", "assay", "command"))),
        "## Training data\n",
        f"{text_of(told.get('training_data') or _training(card))}\n",
        "## Quantitative analyses\n",
        *_analyses(report),
        "## Ethical considerations\n",
        f"{text_of(told.get('ethics') or NOT_STATED)}\n",
        "## Caveats\n",
        *(f"- {text_of(line)}\n" for line in _caveats(report)),
    ]
    return "\n".join(parts)


def _task(report: Report, card: ModelCard | None) -> TaskName | None:
    """Of the card, or whichever task has such scores."""
    if card is not None:
        return card.task
    names = {score.name for section in report.sections for score in section.scores}
    return next((task for task in KEY if names & set(KEY[task][:1])), None)


def _front(report: Report, card: ModelCard | None, name: str) -> str:
    """YAML by way of JSON, which it contains: whatever a text holds, it stays a text."""
    task = _task(report, card)
    pipeline = PIPELINES[task] if task else None
    scores = [s for section in report.sections for s in section.scores if ".class." not in s.name]
    wanted = KEY[task] if task else ()
    metrics = [
        {"type": s.name, "name": s.name, "value": s.value}
        for s in scores
        if s.name in wanted and s.value is not None
    ]
    data = str(report.manifest.get("data") or "unknown")
    results = [
        {"task": {"type": pipeline or "other"}, "dataset": {"name": data, "type": data}, "metrics": metrics}
    ]
    front = {
        **({"license": card.licence} if card else {}),
        **({"pipeline_tag": pipeline} if pipeline else {}),
        "tags": ["vision", "onnx"],
        "model-index": [{"name": name, "results": results}],
    }
    lines = (f"{key}: {json.dumps(value, ensure_ascii=True)}" for key, value in front.items())
    return "\n".join(["---", *lines, "---", ""])


def _details(report: Report, card: ModelCard | None) -> list[Mapping[str, Cell]]:
    found = _rows(report.manifest, ("model", "sha256"))
    if card is None:
        return found
    size = f"{card.input.height} x {card.input.width} {card.input.channels}"
    facts: dict[str, Cell] = {
        "description": card.description or NOT_STATED,
        "task": card.task,
        "family": card.family,
        "input": size,
        "classes": len(card.labels),
        "licence": card.licence,
        "source": card.source or NOT_STATED,
    }
    return [*found, *_rows(facts, tuple(facts))]


def _rows(told: Mapping[str, Cell], names: Sequence[str]) -> list[Mapping[str, Cell]]:
    return [{"key": name, "value": shown(told[name])} for name in names if told.get(name) not in (None, "")]


def _factors(report: Report) -> str:
    columns = sorted({column for section in report.sections for column in section.slices})
    return f"Measured apart by {', '.join(columns)}; see below." if columns else NOT_STATED


def _training(card: ModelCard | None) -> str:
    if card is None or not card.training:
        return NOT_STATED
    return "; ".join(f"{key}: {value}" for key, value in card.training.items())


def _metrics(section: Section) -> str:
    known = {score.name: score for score in section.scores}
    rows: list[Mapping[str, Cell]] = [
        {
            "metric": h.title,
            "value": h.value,
            "95 % interval": None if h.low is None else f"{shown(h.low)} to {shown(h.high)}",
            "n": h.support,
            "definition": known[h.title].definition if h.title in known else "",
        }
        for h in section.headlines
    ]
    return table_text(rows)


def _analyses(report: Report) -> list[str]:
    tables: list[Table] = []
    for section in report.sections:
        tables += slice_tables(section.slices, section.scores)
    return [f"### {text_of(t.title)}\n\n{table_text(t.rows)}\n{text_of(t.note)}\n" for t in tables] or [
        "Not measured apart: there were no slices.\n"
    ]


def _caveats(report: Report) -> list[str]:
    """What a reader must know before believing a number."""
    manifest, lines = report.manifest, []
    if not report.valid:
        lines.append("This run is not valid: too many requests failed. Its numbers must not be used.")
    errors, images = manifest.get("errors"), manifest.get("images")
    if isinstance(errors, int) and errors:
        lines.append(f"{errors} of {shown(images)} images got no answer and are in no score.")
    if isinstance(images, int) and images < FEW:
        lines.append(f"Only {images} images were asked about: the intervals are wide.")
    lines += [line for section in report.sections for line in section.advice]
    lines += [f"{flag.evidence}. {flag.means}" for s in report.sections for flag in s.flags if flag.raised]
    lines += [_worse(section) for section in report.sections if _parts(section)]
    return lines or ["None that was measured. What holds for this data need not hold for other data."]


def _parts(section: Section) -> list[tuple[str, Score]]:
    """The parts of the data that are worse than the whole, by their intervals."""
    whole = {score.name: score.value for score in section.scores}
    main = next((name for name in MAIN if whole.get(name) is not None), "")
    overall = whole.get(main)
    return [
        (f"{column} = {value}", score)
        for column, parts in section.slices.items()
        for value, scores in parts.items()
        for score in scores
        if score.name == main and overall is not None and score.high is not None and score.high < overall
    ]


def _worse(section: Section) -> str:
    told = ", ".join(f"{name} ({s.name} {shown(s.value)}, n = {s.support})" for name, s in _parts(section))
    return f"Worse than the whole: {told}."
