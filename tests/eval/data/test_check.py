"""`assay data check` finds what was planted, and nothing in clean data."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from eval.commands.data import command
from eval.data.check import Checked, check
from eval.data.dataset import Dataset, Expected, Sample
from eval.data.faults import KINDS
from eval.data.tables import open_data
from eval.metrics.truth import Objects
from models.card import TaskName
from models.decoding import encode_png
from models.results import Array
from models.scenes import scene

REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))


def picture(seed: int, shape: tuple[int, int] = (40, 60)) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8))


def data(task: TaskName, *samples: tuple[bytes, Expected]) -> Dataset:
    ids = [f"{i}.png" for i in range(len(samples))]
    return Dataset("some", task, ("cat", "dog"), ids, lambda i: Sample(ids[i], *samples[i]))


def told(found: Checked) -> dict[str, tuple[int, int]]:
    return {f.kind: (f.count, len(f.pictures)) for f in found.found}


def boxes(*rows: list[float], masks: Array | None = None) -> Objects:
    return Objects(np.array(rows, float).reshape(-1, 4), np.arange(len(rows)) % 2, masks=masks)


def test_clean_data_of_every_task() -> None:
    for found in (
        check(data("classification", (picture(0), 0), (picture(1), 1))),
        check(data("detection", (picture(0), boxes([0, 0, 60, 40], [-1, 3, 9, 41])))),
        check(data("segmentation", (picture(0), np.arange(2400).reshape(40, 60) % 2))),
    ):
        assert (found.found, found.broken) == ([], False)


def test_every_fault_of_a_box_is_found() -> None:
    found = check(
        data(
            "detection",
            (picture(0), boxes([5, 5, 5, 9], [9, 5, 3, 9], [60, 0, 70, 5], [-9, 0, 0, 5], [0, 0, 61.5, 9])),
            (picture(1), boxes([1, 1, 2, 2])),
            (picture(2), boxes([1, 1, 2, 2], masks=np.ones((1, 60, 40), bool))),
            (picture(3), boxes()),
        )
    )
    assert told(found) == {
        "box_empty": (2, 1), "box_outside": (2, 1), "mask_size": (1, 1), "box_over_edge": (1, 1),
        "nothing_labelled": (1, 1),
    }  # fmt: skip
    assert found.broken
    assert found.found[0].examples == [
        "0.png: [5.0, 5.0, 5.0, 9.0] in 60 x 40", "0.png: [9.0, 5.0, 3.0, 9.0] in 60 x 40"
    ]  # fmt: skip
    assert found.classes == [("cat", 3, 5), ("dog", 1, 2)]


def test_every_fault_of_a_map_is_found() -> None:
    clean = np.zeros((40, 60), np.uint8)
    strange = clean.copy()
    strange[3, 4], strange[0, 0] = 7, 255
    found = check(
        data(
            "segmentation", (picture(0), clean), (picture(1), clean.T), (picture(2), strange),
            (picture(3), np.full_like(clean, 255)),
        )
    )  # fmt: skip
    assert told(found) == {
        "mask_size": (1, 1), "mask_values": (1, 1), "nothing_labelled": (1, 1),
        "class_without_pictures": (1, 0),
    }  # fmt: skip
    assert found.found[1].examples == ["2.png: no class has the number [7]"]
    assert found.classes[0] == ("cat", 3, 2400 + 2400 + 2398)


def test_broken_pictures_do_not_stop_it() -> None:
    jpeg = io.BytesIO()
    Image.fromarray(scene(0).image).save(jpeg, "JPEG")
    found = check(
        data("classification", (b"x", 0), (picture(0)[:500], 0), (jpeg.getvalue()[:-400], 1), (picture(1), 1))
    )
    assert told(found) == {"unreadable": (3, 3)}
    assert [e.partition(":")[0] for e in found.found[0].examples] == ["0.png", "1.png", "2.png"]


def test_the_same_picture_twice_and_with_other_labels() -> None:
    soft = Image.fromarray(scene(3).image)
    files = []
    for quality in (95, 80):
        buffer = io.BytesIO()
        soft.save(buffer, "JPEG", quality=quality)
        files.append(buffer.getvalue())
    found = check(
        data("classification", (files[0], 0), (picture(0), 0), (files[0], 0), (files[1], 1), (files[0], 1))
    )
    assert told(found) == {"contradiction": (1, 2), "duplicate": (2, 3), "near_duplicate": (1, 2)}
    assert found.broken
    assert found.found[0].examples == ["4.png is 0.png, with the labels cat and dog"]
    assert found.found[1].examples == ["2.png is 0.png", "4.png is 0.png"]
    assert found.found[2].examples[0].startswith("0.png and 3.png, ")


def test_pictures_of_other_data_are_found_in_it() -> None:
    small, large = (np.asarray(Image.fromarray(scene(i).image).resize((90, 60))) for i in (1, 2))
    mine = data("classification", (picture(0), 0), (encode_png(small), 1), (picture(5), 0), (picture(0), 0))
    theirs = data(
        "classification",
        (picture(9), 1),
        (picture(0), 1),
        (encode_png(small // 2 * 2), 0),
        (encode_png(large), 0),
    )
    found = check(mine, against=theirs)
    assert found.broken
    assert told(found) == {"leak": (1, 1), "duplicate": (1, 2), "near_leak": (1, 1)}
    examples = {f.kind: f.examples for f in found.found}
    assert examples["leak"] == ["0.png is 1.png of some"]
    assert examples["near_leak"] == ["1.png and 2.png of some"]
    assert not check(mine, against=data("classification", (picture(9), 1))).broken


def test_the_result_does_not_depend_on_threads() -> None:
    scenes = open_data("scenes:test:40", "detection")
    one, many = check(scenes, threads=1), check(scenes, threads=5)
    assert one.to_json() == many.to_json()
    assert sum(one.sizes.values()) == 40


def test_the_command_says_it_all_and_ends_as_it_should(tmp_path: Path) -> None:
    for name, seed in (("cat/a.png", 0), ("dog/b.png", 1), ("dog/c.png", 1)):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(picture(seed))
    asked = ["check", f"folder:{tmp_path / 'set'}", "--task", "classification", "--json", str(tmp_path / "j")]
    clean = CliRunner().invoke(command, asked)
    assert (clean.exit_code, "images/s" in clean.output, "duplicate" in clean.output) == (0, True, True)
    (tmp_path / "set" / "cat" / "d.png").write_bytes(b"[bold]")
    broken = CliRunner().invoke(command, asked)
    assert broken.exit_code == 1
    body = json.loads((tmp_path / "j").read_text())
    assert body["broken"]
    assert [(f["kind"], f["severity"], f["count"]) for f in body["found"]] == [
        ("unreadable", "broken", 1), ("duplicate", "warning", 1)
    ]  # fmt: skip
    assert body["sizes"] == [{"width": 60, "height": 40, "images": 3}]
    assert not CliRunner().invoke(command, [*asked, "--limit", "1"]).exit_code
    (tmp_path / "m.txt").write_text("dog: null\n")
    assert "dog" not in CliRunner().invoke(command, [*asked, "--map", str(tmp_path / "m.txt")]).output
    wrong = CliRunner().invoke(command, ["check", "folder:/nowhere", "--task", "detection"])
    assert (wrong.exit_code, wrong.output.count("\n")) == (1, 1)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "task", "images", "want"),
    [
        ("voc:{}/bccd/BCCD", "detection", 292, {"near_duplicate": (1, 2), "left_out": (2, 0)}),
        ("masks:{}/camvid/val,{}/camvid/valannot", "segmentation", 51, {"near_duplicate": (61, 47)}),
        ("tar:{}/cifar10_jpeg/test_a.tar.gz", "classification", 5000, {"near_duplicate": (3, 6)}),
        ("csv:{}/imagenet_samples/labels.csv", "classification", 50, {}),
        (
            "yolo:{0}/images/train2017,{0}/object_detection/labels/train2017,{0}/object_detection/config.yaml",
            "detection", 100,
            {"nothing_labelled": (2, 2), "class_without_pictures": (11, 0), "left_out": (1, 0)},
        ),
    ],
    ids=["bccd", "camvid", "cifar10", "imagenet", "coco100"],
)  # fmt: skip
def test_real_sets_are_whole(
    name: str, task: TaskName, images: int, want: dict[str, tuple[int, int]]
) -> None:
    root = REAL / "coco100_train2017" if "{0}" in name else REAL
    if not root.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no such data")
    found = check(open_data(name.replace("{0}", "{}").replace("{}", str(root)), task))
    assert (len(KINDS), found.images, told(found), found.broken) == (14, images, want, False)


@pytest.mark.data
def test_real_neighbours_were_split() -> None:
    """Of two pictures of one field of view, one is for training and one for validation."""
    root = REAL / "bccd" / "BCCD"
    if not root.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no bccd")
    val, train = (open_data(f"voc:{root},{name}", "detection") for name in ("val", "train"))
    found = check(val, against=train)
    (leak,) = [f for f in found.found if f.kind == "near_leak"]
    assert leak.examples == ["BloodImage_00037.jpg and BloodImage_00038.jpg of voc:BCCD,train"]
