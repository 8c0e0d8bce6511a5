"""The model card: its sections, its front matter, and what it admits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from eval.checks.flag import Flag
from eval.metrics.base import Score
from eval.report.card import model_card
from eval.report.document import Headline, Report, Section
from models.card import ModelCard

ROOT = Path(__file__).resolve().parents[3]
EVIL = 'x\n---\n"<script>alert(1)</script>: [a](http://b)'
OVERALL = Score("accuracy", 0.9, 50, "sklearn/accuracy_score", 0.8, 0.95)
SECTION = Section(
    "s",
    headlines=[Headline("accuracy", 0.9, 50, 0.8, 0.95)],
    scores=[OVERALL, Score("f1.class.a", 0.5, 3), Score("kappa", 0.4, 3)],
    slices={"light": {"dark": [replace(OVERALL, value=0.3, low=0.1, high=0.5)], "day": [OVERALL]}},
)
REPORT = Report("r", {"model": "digits/1", "data": "digits:test", "images": 50, "errors": 2}, [SECTION])
SECTIONS = [
    "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
    "Quantitative analyses", "Ethical considerations", "Caveats",
]  # fmt: skip


def front(text: str) -> dict[str, Any]:
    start, body, _ = text.split("---\n", 2)
    assert start == ""
    told: dict[str, Any] = yaml.safe_load(body)
    return told


def test_it_has_the_sections_of_a_model_card() -> None:
    told = model_card(REPORT)
    assert [line[3:] for line in told.splitlines() if line.startswith("## ")] == SECTIONS
    assert "Not stated." in told.split("## Intended use")[1].split("##")[0]
    assert "| accuracy | 0.9000 | 0.8000 to 0.9500 | 50 | sklearn/accuracy_score |" in told
    assert "▼ worse" in told.split("## Quantitative analyses")[1]
    assert "Measured apart by light" in told


def test_the_front_matter_is_what_hubs_read() -> None:
    (index,) = front(model_card(REPORT))["model-index"]
    (result,) = index["results"]
    assert index["name"] == "digits/1"
    assert result["task"] == {"type": "image-classification"}
    assert result["dataset"] == {"name": "digits:test", "type": "digits:test"}
    assert result["metrics"] == [{"type": "accuracy", "name": "accuracy", "value": 0.9}]


def test_the_card_of_the_version_is_told() -> None:
    card = ModelCard.read(ROOT / "models" / "zoo" / "digits" / "1" / "card.json")
    told = model_card(REPORT, card, told={"intended_use": "reading digits"})
    assert front(told)["license"] == card.licence
    assert "reading digits" in told
    assert f"| classes | {len(card.labels)} |" in told
    seed = f"seed: {card.training['seed']}"
    assert seed in told.split("## Training data")[1].split("##")[0]


@pytest.mark.parametrize(("high", "worse"), [(0.85, True), (0.9, False), (0.95, False)])
def test_a_part_is_worse_only_where_its_interval_says_so(high: float, worse: bool) -> None:
    part = replace(OVERALL, value=0.8, low=0.7, high=high)
    report = Report("r", {}, [replace(SECTION, slices={"light": {"dark": [part]}})])
    assert ("Worse than the whole" in model_card(report)) is worse


def test_caveats_are_admitted() -> None:
    flag = Flag("rounded", True, "scores are rounded", "Searches are blind.", "do")
    report = replace(REPORT, valid=False, sections=[replace(SECTION, flags=[flag], advice=["ask 400 more"])])
    caveats = model_card(report).split("## Caveats")[1]
    for words in (
        "not valid", "2 of 50 images got no answer", "Only 50 images", "ask 400 more", "scores are rounded",
        "Worse than the whole: light = dark (accuracy 0.3000, n = 50)",
    ):  # fmt: skip
        assert words in caveats
    assert "None that was measured" in model_card(Report("r", {}, [Section("s", scores=[OVERALL])]))


@pytest.mark.parametrize("field", ["model", "data", "sha256"])
def test_other_peoples_words_stay_words(field: str) -> None:
    told = model_card(replace(REPORT, manifest={**REPORT.manifest, field: EVIL}))
    assert [line[3:] for line in told.splitlines() if line.startswith("## ")] == SECTIONS
    index = front(told)["model-index"][0]
    named = {"model": index["name"], "data": index["results"][0]["dataset"]["name"]}
    assert named.get(field, EVIL) == EVIL
    assert "<script>" not in told.split("---\n", 2)[2]
