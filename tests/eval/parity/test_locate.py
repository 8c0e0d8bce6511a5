"""What is planted is found again or said to be out of sight; pairs too; the unknown is admitted."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from eval.parity.differences import TOLERANCE
from eval.parity.hypotheses import HYPOTHESES, STAGES, Hypothesis
from eval.parity.local import opened, siblings, twin_of
from eval.parity.locate import Located, locate
from eval.parity.pipeline import Pipeline
from eval.parity.probes import Probe, excluded, probe
from eval.parity.showing import conclusion
from eval.remote.access import target_of
from models.cli import ZOO
from models.decoding import encode_png
from models.results import Array, Result
from models.scenes import scene
from tests.eval.parity.double import Double

MODELS = ("cifar10/1", "scenes-detector/1", "scenes-segmenter/1")


@cache
def plain(model: str) -> Pipeline:
    return opened(ZOO / model)


@cache
def pictures() -> tuple[bytes, ...]:
    """Coloured, of several sizes and aspects."""
    images = [scene(number).image for number in range(5)]
    return tuple(encode_png(image[: 90 + 9 * i, : 150 - 7 * i]) for i, image in enumerate(images))


@cache
def local(model: str) -> tuple[Result, ...]:
    return tuple(plain(model).answers(pictures()))


def suspects(model: str) -> list[Hypothesis]:
    return [*HYPOTHESES, *siblings(ZOO / model, plain(model).card)]


def located(model: str, live: Sequence[Result], among: Sequence[Hypothesis] | None = None) -> Located:
    asked = suspects(model) if among is None else among
    return locate(plain(model), asked, pictures(), live, local(model), tolerance=TOLERANCE)


EVERYWHERE = (
    "red and blue exchanged (BGR)",
    "ImageNet's mean and std",
    "nearest (Pillow)",
    "version 2 in its place",
    "cropped to the middle",
)
QUICK = (  # on the model that takes no time
    "mean left out",
    "grey in place of colour",
    "area (OpenCV)",
    "saved again as JPEG, quality 75",
    "rows taken for columns",
    "1/255 applied twice",
    "black and white exchanged",
    "softmax applied twice",
)
PLANTED = [
    *((model, name) for model in MODELS for name in EVERYWHERE),
    *(("cifar10/1", name) for name in QUICK),
]


@pytest.mark.parametrize(("model", "name"), PLANTED)
def test_what_is_planted_is_named(model: str, name: str) -> None:
    (planted,) = [h for h in suspects(model) if h.name == name]
    changed = planted.applied(plain(model))
    assert changed is not None
    found = located(model, changed.answers(pictures()))
    names = [cause.name for cause in found.causes]
    assert names == [name]
    assert found.causes[0].stages == (planted.stage,)
    assert found.causes[0].left <= TOLERANCE


def test_what_cannot_be_told_apart_is_told_together() -> None:
    """Enlarged to twice the size, the nearest pixel is the same by either rule."""
    pipeline = plain("cifar10/1")
    small = [encode_png(np.ascontiguousarray(scene(i).image[40:56, 40:56])) for i in range(4)]
    names = {"nearest (Pillow)", "nearest, corners (OpenCV, PyTorch)"}
    changed = next(h for h in HYPOTHESES if h.name in names).applied(pipeline)
    assert changed is not None
    live, own = changed.answers(small), pipeline.answers(small)
    found = locate(pipeline, HYPOTHESES, small, live, own, tolerance=TOLERANCE)
    assert {cause.name for cause in found.causes} == names
    assert "cannot tell them apart" in conclusion(found, [], False, TOLERANCE)


def test_two_skews_together_are_named() -> None:
    one, other = (
        next(h for h in HYPOTHESES if h.name == name)
        for name in ("nearest (Pillow)", "red and blue exchanged (BGR)")
    )
    half = one.applied(plain("cifar10/1"))
    both = other.applied(half) if half else None
    assert both is not None
    few = [h for h in HYPOTHESES if h.part in ("filter", "channels", "geometry")]
    found = located("cifar10/1", both.answers(pictures()), few)
    assert [set(cause.parts) for cause in found.causes] == [{one, other}]
    assert found.pairs > 10
    assert found.causes[0].name == "nearest (Pillow) and red and blue exchanged (BGR)"


@pytest.mark.parametrize(
    ("model", "mean", "std", "told"),
    [
        ("cifar10/1", (99.0, 140.0, 80.0), (51.0, 77.0, 90.0), "(99, 140, 80) and (51, 77, 90)"),
        ("scenes-detector/1", (110.0,) * 3, (64.0,) * 3, "(110, 110, 110) and (64, 64, 64)"),
    ],
)
def test_a_mean_and_std_that_nobody_thought_of_are_fitted(
    model: str, mean: tuple[float, ...], std: tuple[float, ...], told: str
) -> None:
    strange = plain(model).with_input(mean=mean, std=std)
    found = located(model, strange.answers(pictures()), [h for h in HYPOTHESES if h.part == "scale"])
    assert [cause.name for cause in found.causes] == [f"another mean and std: about {told}"]
    assert found.causes[0].stages == ("normalise",)


def test_the_unknown_is_not_named() -> None:
    def darker(pixels: Array) -> Array:
        return (255 * (pixels / 255) ** 2.2).astype(np.uint8)

    strange = dataclasses.replace(plain("cifar10/1"), paint=darker)
    few = [h for h in HYPOTHESES if h.part in ("scale", "channels")]
    found = located("cifar10/1", strange.answers(pictures()), few)
    assert found.causes == []
    assert found.pairs > 0
    told = conclusion(found, [Probe("graph", True, "", ("graph",))], False, TOLERANCE)
    assert "No known skew explains" in told
    assert "Excluded: graph; it lies in decode or resize or normalise or postprocess" in told


def test_the_same_needs_no_cause_and_tells_what_cannot_be_seen() -> None:
    found = located("cifar10/1", local("cifar10/1"))
    unseen = {h.name for h in found.unseen(TOLERANCE)}
    assert found.causes == []
    assert "EXIF orientation ignored" in unseen  # a PNG has none
    assert "red and blue exchanged (BGR)" not in unseen


def test_grey_pictures_cannot_show_exchanged_channels() -> None:
    grey = [encode_png(np.repeat(scene(i).image[..., :1], 3, axis=2)) for i in range(3)]
    pipeline = plain("scenes-segmenter/1")
    answers = pipeline.answers(grey)
    found = locate(pipeline, HYPOTHESES, grey, answers, answers, tolerance=TOLERANCE)
    unseen = {h.name for h in found.unseen(TOLERANCE)}
    assert {"red and blue exchanged (BGR)", "grey in place of colour"} <= unseen
    assert "nearest (Pillow)" not in unseen


def test_one_thing_under_two_names_is_tried_once() -> None:
    digits = opened(ZOO / "digits/1")  # its mean is 0: leaving it out changes nothing
    file = encode_png(np.zeros((28, 28, 3), np.uint8))
    answers = digits.answers([file])
    found = locate(digits, HYPOTHESES, [file], answers, answers, tolerance=TOLERANCE)
    names = [t.hypothesis.name for t in found.tried]
    assert "mean left out" not in names
    assert "levels as they are: no mean, no std" in names
    assert "1/255 left out" not in names


def test_names_and_parts_are_unambiguous() -> None:
    assert len({h.name for h in HYPOTHESES}) == len(HYPOTHESES)
    stages: dict[str, str] = {}
    for h in HYPOTHESES:
        assert h.stage in STAGES
        assert stages.setdefault(h.part, h.stage) == h.stage


@pytest.mark.torch
def test_pytorch_runs_the_same_graph() -> None:
    pytest.importorskip("torch")
    pipeline = plain("cifar10/1")
    twin = dataclasses.replace(pipeline, runner=twin_of(ZOO / "cifar10/1", pipeline.card))
    pairs = zip(twin.answers(pictures()), local("cifar10/1"), strict=True)
    assert all(np.allclose(a.scores, b.scores, atol=1e-5) for a, b in pairs)  # type: ignore[union-attr]


Graph = Callable[[np.ndarray], list[np.ndarray]]


@pytest.mark.parametrize(
    ("graph", "same", "out"),
    [
        (lambda batch: plain("cifar10/1").runner.run(batch), True, ["graph"]),
        (lambda batch: opened(Path(ZOO) / "cifar10/2").runner.run(batch), False, []),
        (None, None, []),
    ],
)
def test_the_tensor_prepared_here_tells_the_graph_from_what_is_before_it(
    graph: Graph | None, same: bool | None, out: list[str]
) -> None:
    pipeline = plain("cifar10/1")
    double = Double(pipeline.card, pipeline.answers, graph)

    async def look(url: str) -> tuple[bool | None, list[str]]:
        target = await target_of(url, None, None)
        probes = await probe(target, pipeline, pictures()[:3], TOLERANCE)
        assert probes[0].same is True  # the digest
        assert probes[2].same is None  # the double takes no pictures there
        return probes[1].same, [*excluded(probes)]

    with double.served() as url:
        assert asyncio.run(look(url)) == (same, out)
