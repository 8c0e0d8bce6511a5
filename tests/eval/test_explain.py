"""Explaining an endpoint: bounded, repeatable, written down, and right about what counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from eval import explain as room
from eval.cli import cli
from eval.errors import DatasetError, EvalError
from eval.explain import Plan, ask, explain, explain_picture
from eval.report.explain import Explained, explained_pictures, lines, picture_section, summary_section
from eval.report.html import to_html
from eval.target import Access
from eval.target import Target as Served
from models.decoding import encode_png
from models.results import Array, Classification, Detections, Result, Segmentation
from models.saliency import Rise
from models.saliency.targets import BoxTarget, ClassTarget

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
PATCH = (slice(6, 14), slice(22, 34))
LABELS = ("empty", "<b>thing</b>")


class Watching:
    """Sure of class 1 as far as one patch is as it was."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def answer(self, image: Array) -> Result:
        share = float((image[PATCH] == IMAGE[PATCH]).mean())
        return Classification(np.array([1 - share, share], np.float32))

    async def predict(self, images: Sequence[Array]) -> list[Result]:
        self.asked.append(len(images))
        return [self.answer(image) for image in images]

    async def __aenter__(self) -> Watching:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Blind(Watching):
    """Finds nothing."""

    def answer(self, image: Array) -> Result:
        return Detections.empty()


def found(plan: Plan, endpoint: Watching | None = None, **told: Any) -> Explained:
    return asyncio.run(explain_picture(endpoint or Watching(), "p", IMAGE, plan, **told))


@pytest.mark.parametrize("plan", [Plan("rise", 300), Plan("occlusion", 100)], ids=lambda p: p.method)
def test_the_patch_is_found_and_the_curves_say_so(plan: Plan) -> None:
    endpoint = Watching()
    one = found(plan, endpoint)
    assert one.saliency is not None
    inside = np.zeros(IMAGE.shape[:2], bool)
    inside[PATCH] = True
    assert one.saliency[inside].mean() > one.saliency[~inside].mean() + one.saliency[~inside].std()
    assert max(endpoint.asked) <= room.BATCH
    assert sum(endpoint.asked) == one.queries <= plan.queries + 1 + 2 * 17
    curves = [np.trapezoid([y for _, y in c], [x for x, _ in c]) for c in (one.deletion, one.insertion)]
    assert curves[0] < 0.4 < curves[1]


def test_the_same_seed_gives_the_same_map() -> None:
    maps = [np.asarray(found(Plan("rise", 60, seed)).saliency) for seed in (1, 1, 2)]
    assert maps[0].shape == IMAGE.shape[:2]
    assert maps[0].tobytes() == maps[1].tobytes()
    assert not np.array_equal(maps[0], maps[2])


def test_a_named_class_is_explained() -> None:
    one = found(Plan("occlusion", 49), label=0)
    assert one.target is not None
    assert (one.target.label, one.target.clean) == (0, 0.0)


def test_a_map_that_is_made_without_asking_costs_only_its_curves() -> None:
    endpoint = Watching()
    one = found(Plan("grad-cam"), endpoint, mapped=lambda image, _: image[..., 0].astype(np.float32))
    assert sum(endpoint.asked) == one.queries == 1 + 2 * 17


def test_nothing_found_is_said_and_not_drawn() -> None:
    one = found(Plan("rise", 50), Blind())
    assert (one.target, one.saliency, one.queries) == (None, None, 1)
    summary = summary_section("t", "rise", [one], LABELS)
    assert summary.headlines[0].value is None
    assert summary.headlines[0].support == 0
    assert not picture_section(one, LABELS).plots


def test_answers_come_back_in_order_whatever_the_concurrency() -> None:
    class Slow(Watching):
        async def predict(self, images: Sequence[Array]) -> list[Result]:
            for _ in range(int(images[0][0, 0, 0]) % 7):
                await asyncio.sleep(0)
            return await super().predict(images)

    def masked(endpoint: Watching) -> Array:
        dialogue = Rise(100).run(IMAGE, ClassTarget(1, 1.0), np.random.Generator(np.random.Philox(key=0)))
        return asyncio.run(ask(endpoint, dialogue))[0]

    assert masked(Slow()).tobytes() == masked(Watching()).tobytes()


# Reports


SERVED = Served(
    "http://127.0.0.1:1", "spot", 3, "classification", LABELS, "0" * 64, {}, Access("http://127.0.0.1:1")
)


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, and a service that watches the patch in place of a live one."""

    async def target_of(*_: object) -> Served:
        return SERVED

    monkeypatch.setattr(room, "target_of", target_of)
    monkeypatch.setattr(room, "endpoint_of", lambda _: Watching())
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(IMAGE))
    return path


def test_the_report_has_it_all(picture: Path) -> None:
    report = asyncio.run(explain("u", [picture, picture], Plan("rise", 200)))
    assert report.valid
    assert len(report.sections) == 3
    page = to_html(report)
    assert page.count("<img ") == 4
    assert "<b>thing" not in page
    assert "Is the map right?" in page
    assert report.figures["explain.spot.3.queries"] == 2 * (1 + 200 + 34)
    assert 0 < (report.figures["explain.spot.3.deletion_auc"] or 0) < 0.5
    told = json.loads(report.to_json())
    assert told["manifest"]["seed"] == 0
    assert lines(report)[0].startswith("photo.png: <b>thing</b> 1.000, deletion 0.")


def test_the_command_prints_a_line_a_picture_and_writes_the_report(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["explain", "u", str(picture), "--method", "occlusion", "--queries", "36", "--out", str(out)]
    done = CliRunner().invoke(cli, [*command, "--class", LABELS[1]])
    assert done.exit_code == 0, done.output
    assert "photo.png: <b>thing</b>" in done.output
    assert {p.name for p in out.iterdir()} == {"clock.json", "report.html", "report.json", "report.md"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--class", "cat"], "no class 'cat'"),
        (["--method", "grad-cam"], "--twin"),
        (["--method", "grad-cam", "--twin", "."], "must be the folder of a version"),
    ],
)
def test_what_cannot_be_done_is_one_line(picture: Path, options: list[str], words: str) -> None:
    done = CliRunner().invoke(cli, ["explain", "u", str(picture), *options])
    assert done.exit_code == 1
    assert words in done.output
    assert done.output.count("\n") == 1


def test_a_file_that_is_no_picture_is_named(picture: Path) -> None:
    picture.write_bytes(b"text")
    with pytest.raises(DatasetError, match=r"photo\.png must be a picture"):
        asyncio.run(explain("u", [picture], Plan("rise", 10)))


@pytest.mark.torch
def test_grad_cam_needs_the_very_graph_that_is_served(picture: Path, repository: Path) -> None:
    with pytest.raises(EvalError, match="another graph"):
        asyncio.run(explain("u", [picture], Plan("grad-cam", twin=repository / "lamp" / "1")))


def test_a_large_picture_is_asked_about_and_shown_smaller() -> None:
    large = np.zeros((1200, 900, 3), np.uint8)
    shown = explained_pictures(large, large[..., 0], "c")
    assert all(p.width * p.height <= 1 << 17 for p in shown)


def test_an_explained_object_has_its_box_on_the_small_picture() -> None:
    large = np.zeros((800, 800, 3), np.uint8)
    target = BoxTarget(0, 0.5, np.array([80, 160, 400, 800], np.float32))
    for shown in explained_pictures(large, large[..., 0], "c", target):
        x1, y1, x2, y2 = shown.boxes[0][:4]
        assert [x1 / shown.width, y1 / shown.height, x2 / shown.width, y2 / shown.height] == pytest.approx(
            [0.1, 0.2, 0.5, 1.0], abs=1e-3
        )


@pytest.mark.parametrize(
    ("answer", "column", "top"),
    [
        (Classification(np.array([0.25, 0.75], np.float32)), "score", 0.75),
        (Detections(np.zeros((2, 4), np.float32), np.array([0.5, 0.7]), np.array([0, 1])), "score", 0.7),
        (Segmentation(np.array([[1, 1, 1, 0]])), "share of the pixels", 0.75),
    ],
)
def test_what_the_answer_says_most_comes_first(answer: Result, column: str, top: float) -> None:
    one = Explained("p", IMAGE, answer, None, None, (), (), 1)
    (table,) = picture_section(one, LABELS).tables
    assert table.rows[0]["class"] == LABELS[1]
    assert table.rows[0][column] == pytest.approx(top)
