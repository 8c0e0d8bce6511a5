"""Whole parity checks against a service in this process: the verdict, the cause, the exit code, the page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from eval.collect import Asked
from eval.commands.parity import command
from eval.data.tables import open_data
from eval.errors import DatasetError, EndpointError, EvalError
from eval.parity import parity
from eval.parity.differences import apart, overall
from eval.parity.hypotheses import HYPOTHESES
from eval.parity.local import opened
from eval.parity.pipeline import Pipeline
from eval.parity.showing import Compared, comparison
from eval.report.html import to_html
from eval.target import Access, Target
from models.cli import ZOO
from models.decoding import decode, encode_png
from models.publish import npz
from models.results import Classification, Result, Segmentation
from models.scenes import scene
from tests.eval.parity.double import Double

IMAGES = 6


@cache
def plain(model: str) -> Pipeline:
    return opened(ZOO / model)


def skewed(model: str, name: str) -> Pipeline:
    changed = next(h for h in HYPOTHESES if h.name == name).applied(plain(model))
    assert changed is not None
    return changed


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Coloured pictures of several sizes, as a folder per class of cifar10."""
    root = tmp_path_factory.mktemp("pictures")
    for number in range(IMAGES):
        folder = root / ("cat", "dog")[number % 2]
        folder.mkdir(exist_ok=True)
        image = scene(number).image[: 90 + 9 * number, : 150 - 7 * number]
        (folder / f"{number}.png").write_bytes(encode_png(image))
    return f"folder:{root}"


def checked(double: Double, data: str, **options: Any) -> Any:
    with double.served() as url:
        return asyncio.run(parity(url, data, **options))


def test_a_sound_service_is_the_same(data: str) -> None:
    pipeline = plain("cifar10/1")
    report = checked(Double(pipeline.card, pipeline.answers), data, onnx=ZOO / "cifar10/1")
    assert report.manifest["verdict"] == "the same"
    assert report.manifest["cause"] is None
    assert report.valid
    # A picture alone and in a batch differ in the last digit at most.
    assert report.figures["parity.cifar10.1.onnx.max_abs_difference"] < 1e-6
    assert report.figures["parity.cifar10.1.onnx.changed"] == 0


@pytest.mark.parametrize(
    ("model", "data_name", "name", "stage"),
    [
        ("cifar10/1", None, "red and blue exchanged (BGR)", "normalise"),
        ("cifar10/1", None, "nearest (Pillow)", "resize"),
        ("scenes-detector/1", "scenes:test:6", "ImageNet's mean and std", "normalise"),
        ("scenes-detector/1", "scenes:test:6", "boxes in pixels of the input", "postprocess"),
        ("scenes-segmenter/1", "scenes:test:6", "nearest (Pillow)", "resize"),
    ],
)
def test_a_skew_is_named_and_drawn(
    data: str, model: str, data_name: str | None, name: str, stage: str
) -> None:
    pipeline = skewed(model, name)
    double = Double(pipeline.card, pipeline.answers, plain(model).runner.run)
    report = checked(double, data_name or data, onnx=ZOO / model, limit=IMAGES)
    assert (report.manifest["verdict"], report.manifest["cause"]) == ("not the same", name)
    assert report.manifest["stage"] == stage
    first, last = report.sections
    assert first.galleries
    assert first.tables[0].rows[0]["difference"] > 1e-4
    assert f"The skew is in {stage}: {name}" in last.text
    probes = {row["asked"]: row["same"] for row in last.tables[0].rows}
    assert probes["graph, given the tensor prepared here"] == "yes"
    page = to_html(report)
    assert name.replace("'", "&#x27;") in page or name in page


def recorded(path: Path, answers: Sequence[Result]) -> Path:
    scores = [answer.scores for answer in answers if isinstance(answer, Classification)]
    path.write_bytes(npz(probabilities=np.stack(scores)))
    return path


def test_against_a_record(data: str, tmp_path: Path) -> None:
    pipeline = plain("cifar10/1")
    files = [path.read_bytes() for path in sorted(Path(data.partition(":")[2]).rglob("*.png"))]
    reference = recorded(tmp_path / "reference.npz", pipeline.answers(files)[:4])
    double = Double(pipeline.card, pipeline.answers)
    report = checked(double, data, reference=reference)
    assert report.manifest["images"] == 4
    assert list(report.figures) == ["parity.cifar10.1.max_abs_difference"]
    assert report.figures["parity.cifar10.1.max_abs_difference"] < 1e-6
    other = Double(pipeline.card, skewed("cifar10/1", "mean left out").answers)
    assert checked(other, data, reference=reference).manifest["verdict"] == "not the same"


def test_what_got_no_answer_is_left_out_and_makes_it_invalid(data: str) -> None:
    pipeline = plain("cifar10/1")

    sizes = sorted(path.stat().st_size for path in Path(data.partition(":")[2]).rglob("*.png"))
    small = 2

    def answer(files: list[bytes]) -> list[Result]:
        if len(files) > 1 or len(files[0]) < sizes[small]:
            raise ValueError("too small for me")
        return pipeline.answers(files)

    report = checked(Double(pipeline.card, answer), data, onnx=ZOO / "cifar10/1")
    assert not report.valid
    assert report.manifest["errors"] == small
    assert report.sections[0].headlines[0].support == IMAGES - small


def test_what_cannot_be_done(data: str, tmp_path: Path) -> None:
    pipeline = plain("cifar10/1")
    double = Double(pipeline.card, pipeline.answers)
    with pytest.raises(DatasetError, match="--onnx VERSION_FOLDER, --reference"):
        checked(double, data)
    with pytest.raises(DatasetError, match="name the version with --onnx"):
        checked(double, data, reference=tmp_path / "no.npz", torch=True)
    with pytest.raises(EvalError, match=r"card\.json cannot be read"):
        checked(double, data, onnx=tmp_path / "name" / "1")

    def refuse(_: list[bytes]) -> list[Result]:
        raise ValueError("never")

    with pytest.raises(EndpointError, match=r"no image was answered: .*never"):
        checked(Double(pipeline.card, refuse), data, onnx=ZOO / "cifar10/1")


def test_equal_answers_give_equal_bytes(data: str) -> None:
    double = Double(plain("cifar10/1").card, skewed("cifar10/1", "mean left out").answers)
    with double.served() as url:
        one, other = (asyncio.run(parity(url, data, onnx=ZOO / "cifar10/1", batch=b)) for b in (2, 2))
    assert one.to_json() == other.to_json()


def test_a_map_of_another_size_is_as_different_as_can_be() -> None:
    """A server that ignores how a picture was held answers lying maps."""
    sample = next(iter(open_data("scenes:test:1", "segmentation")))
    lying = Segmentation(np.zeros(decode(sample.file).shape[:2][::-1], int))
    upright = Segmentation(lying.labels.T)
    each = [apart(lying, upright)]
    compared = Compared("here", [Asked(sample, lying)], [upright], each, overall(each))
    url = "http://127.0.0.1:1"
    target = Target(url, "scenes", 1, "segmentation", ("a",), "", {}, Access(url))
    section = comparison(compared, target, 1e-4)
    assert section.title == "scenes/1 against here"
    assert section.headlines[0].value == 1
    assert "maps of" in section.galleries[0].items[0][1].caption


@pytest.mark.parametrize(("name", "code"), [("", 0), ("red and blue exchanged (BGR)", 1)])
def test_exit_codes(data: str, tmp_path: Path, name: str, code: int) -> None:
    pipeline = skewed("cifar10/1", name) if name else plain("cifar10/1")
    with Double(pipeline.card, pipeline.answers).served() as url:
        options = ["--data", data, "--onnx", str(ZOO / "cifar10/1"), "--out", str(tmp_path), "--quiet"]
        told = CliRunner().invoke(command, [url, *options])
    assert told.exit_code == code, told.output
    assert f"verdict: {'not ' if code else ''}the same" in told.output
    assert name in told.output
    assert (tmp_path / "report.html").is_file()


def test_an_invalid_run_ends_with_three(data: str) -> None:
    pipeline = plain("cifar10/1")
    files: list[bytes] = []

    def answer(asked: list[bytes]) -> list[Result]:
        files.extend(asked)
        if len(asked) > 1 or asked[0] == files[0]:
            raise ValueError("not this one")
        return pipeline.answers(asked)

    with Double(pipeline.card, answer).served() as url:
        told = CliRunner().invoke(command, [url, "--data", data, "--onnx", str(ZOO / "cifar10/1"), "--quiet"])
    assert told.exit_code == 3, told.output


def test_the_double_is_what_it_says() -> None:
    """`with_input` goes both ways: a skew in the card moves the way in and the way out."""
    pipeline = plain("scenes-detector/1").with_input(resize="stretch")
    assert pipeline.card.input.resize == pipeline.reader.input.resize == "stretch"
    assert replace(pipeline, lay=None) == pipeline
