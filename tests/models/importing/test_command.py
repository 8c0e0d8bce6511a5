"""`assay-models import`: says what it guessed and why, and writes all of a version or nothing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from models.cli import main
from models.decoding import encode_png
from models.repository import newest, open_version, versions
from models.results import Classification
from models.runtime import OnnxRunner
from models.scenes import scene
from tests.models.importing.graphs import saved
from tests.models.importing.test_guess import CELLS, WORDS, normal, pixels, shares

DATA_YAML = "names:\n  0: cat\n  1: dog\n  2: cow\n"


def run(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str, str]:
    code = main(["--repository", str(root), *words])
    told = capsys.readouterr()
    return code, told.out, told.err


def files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*"))


def test_a_new_user_needs_one_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, {"y": shares(CELLS, 8)}, "YOLOX Nano.onnx")
    root = tmp_path / "new" / "repository"
    code, out, err = run(capsys, root, "import", str(path))
    assert (code, err) == (0, "")
    assert files(root) == ["yolox-nano", "yolox-nano/1"] + [
        f"yolox-nano/1/{name}" for name in ("card.json", "golden.npz", "model.onnx")
    ]
    card = newest(versions(root), "yolox-nano").card
    assert (card.task, card.family, card.licence, card.source) == (
        "detection",
        "yolox",
        "unknown",
        "YOLOX Nano.onnx",
    )
    lines = out.splitlines()
    assert lines[0].startswith("YOLOX Nano.onnx, ")
    assert lines[1:3] == [
        "  input   images  float32 [any, 3, 64, 64]",
        "  output  y       float32 [any, 84, 8]",
    ]
    assert any(line.startswith("? labels ") and "3, numbered" in line for line in lines)
    assert any(
        line.startswith("? channels ") and "usual for YOLOX; nothing in the graph tells" in line
        for line in lines
    )
    assert any(line.startswith("  layout ") and "the input is [any, 3, 64, 64]" in line for line in lines)
    assert "  picture       any size, 8-bit RGB" in lines
    assert "first answer, on a drawn scene:" in lines
    assert lines[-2] == f"yolox-nano/1 is proven and lies in {root / 'yolox-nano' / '1'}"
    assert max(map(len, out.split("\n  picture")[0].splitlines())) <= 110


def test_the_next_import_is_the_next_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, {"y": normal(3)})
    for number in (1, 2):
        assert run(capsys, tmp_path / "r", "import", str(path))[0] == 0
        assert newest(versions(tmp_path / "r"), "model").card.version == number
    code, _, err = run(capsys, tmp_path / "r", "import", str(path), "--version", "2")
    assert code == 1
    assert "model/2 is there already: give another --version, or remove it first" in err


def test_everything_said_is_on_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, {"s": shares(50, 3), "b": pixels(50, 4)}, shape=("N", 3, "H", "W"))
    (tmp_path / "data.yaml").write_text(DATA_YAML)
    words = """--task detection --family dense --outputs b,s --name seen --version 7 --licence MIT
        --source here --description told --max-batch 3 --layout NCHW --size 48x64 --channels BGR
        --mean 1,2,3 --std 4 --resize letterbox --align top_left --fill 9
        --interpolation bicubic --score-threshold 0.2 --iou-threshold 0.3 --max-detections 5
        --first-label 2 --box-order xyxy --activated --tolerance 0.5"""
    code, out, err = run(
        capsys, tmp_path / "r", "import", str(path), "--labels", str(tmp_path / "data.yaml"), *words.split()
    )
    assert (code, err) == (0, "")
    assert "?" not in [line[:1] for line in out.splitlines()]
    card = newest(versions(tmp_path / "r"), "seen").card
    spec, rules = card.input, card.postprocess
    assert (card.version, card.task, card.family, card.outputs) == (7, "detection", "dense", ("b", "s"))
    assert (card.licence, card.source, card.description, card.max_batch) == ("MIT", "here", "told", 3)
    assert card.labels == WORDS
    assert (spec.layout, spec.height, spec.width, spec.channels, spec.mean, spec.std) == (
        "NCHW", 48, 64, "BGR", (1.0, 2.0, 3.0), (4.0, 4.0, 4.0),
    )  # fmt: skip
    assert (spec.resize, spec.align, spec.fill, spec.interpolation) == ("letterbox", "top_left", 9, "bicubic")
    assert (rules.score_threshold, rules.iou_threshold, rules.max_detections) == (0.2, 0.3, 5)
    assert (rules.first_label, rules.box_order, rules.activated) == (2, "xyxy", True)
    assert card.golden is not None
    assert card.golden.tolerance == 0.5


def test_a_picture_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, picture = saved(tmp_path, {"y": normal(3)}), tmp_path / "large.png"
    picture.write_bytes(encode_png(np.random.default_rng(0).integers(0, 256, (700, 1300, 3), np.uint8)))
    code, out, _ = run(capsys, tmp_path / "r", "import", str(path), "--image", str(picture))
    assert code == 0
    assert f"first answer, on {picture}:" in out
    with np.load(tmp_path / "r" / "model" / "1" / "golden.npz") as pair:
        assert pair["image"].shape == (234, 434, 3)  # every third pixel: golden pairs stay small
    code, _, err = run(capsys, tmp_path / "r", "import", str(path), "--image", str(path))
    assert code == 1
    assert "model.onnx must be a picture" in err


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, {"y": normal(3)})
    code, out, _ = run(capsys, tmp_path / "r", "import", str(path), "--dry-run")
    assert code == 0
    assert out.splitlines()[-1] == "model/1 holds; nothing was written (--dry-run)"
    assert files(tmp_path) == ["model.onnx"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--family", "yolov8"], "family yolov8 does not fit"),
        (["--labels", "nowhere.txt"], "--labels: nowhere.txt cannot be read"),
        (["--labels", "a,,b"], "--labels: must be words with commas between"),
        (["--labels", "a,b"], "the labels name 2 classes, but logits finds 3"),
        (
            ["--std", "0.229,0.224,0.225"],
            "--std: must be in levels from 0 to 255, .* say 58.395,57.12,57.375",
        ),
        (["--std", "0"], "Error: std must not be zero\n"),
        (["--resize", "letterbox", "--fill", "300"], "fill must be less than or equal to 255, got 300"),
        (["--mean", "1,2"], "--mean: must be one number or three"),
        (["--size", "4x5x6"], "--size: must be a side or HEIGHTxWIDTH"),
        (["--name", "No Name"], "name must match pattern .* got 'No Name'"),
        (["--max-batch", "0"], "max_batch must be greater than or equal to 1, got 0"),
        (["--version", "-3"], "version must be greater than or equal to 1, got -3"),
    ],
    ids=str,
)
def test_nothing_half_written_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    path = saved(tmp_path, {"y": normal(3)})
    code, _, err = run(capsys, tmp_path / "r", "import", str(path), *words)
    assert code == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert files(tmp_path) == ["model.onnx"]


def test_a_run_that_breaks_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken while the version is being proven; what was there before stays as it was."""
    path = saved(tmp_path, {"y": normal(3)})
    assert run(capsys, tmp_path / "r", "import", str(path))[0] == 0
    before = files(tmp_path / "r")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("models.importing.command.opened", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(capsys, tmp_path / "r", "import", str(path))
    assert files(tmp_path / "r") == before
    with pytest.raises(KeyboardInterrupt):
        run(capsys, tmp_path / "elsewhere", "import", str(path))
    assert not (tmp_path / "elsewhere").exists()


def test_values_that_are_no_numbers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, {"y": np.array([1, np.nan, 2], np.float32)})
    code, _, err = run(capsys, tmp_path / "r", "import", str(path))
    assert code == 1
    assert "NaN" in err or "must be within" in err
    assert files(tmp_path) == ["model.onnx"]


def test_what_is_imported_is_served_as_it_was_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logits = normal(3)
    path = saved(tmp_path, {"y": logits})
    assert run(capsys, tmp_path / "r", "import", str(path), "--labels", "cat,dog,cow")[0] == 0
    version = newest(versions(tmp_path / "r"), "model")
    assert version.model_path.read_bytes() == path.read_bytes()
    (answer,) = open_version(version).predict([scene(1).image])
    assert isinstance(answer, Classification)
    odds = np.exp(logits - logits.max())
    np.testing.assert_allclose(answer.scores, odds / odds.sum(), atol=1e-6)


def test_names_in_a_file_do_not_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = {"names": r"{0: '\x1b[2Jcat', 1: 'dog', 2: 'cow'}", "license": "\x1b]0;mine\x07"}
    path = saved(tmp_path, {"y": normal(3)}, notes=notes)
    code, out, _ = run(capsys, tmp_path / "r", "import", str(path))
    assert code == 0
    assert "?[2Jcat" in out
    assert not set(out) & {"\x1b", "\x07"}
    code, _, err = run(capsys, tmp_path / "r", "show", "\x1b[2J")
    assert code == 1
    assert "\x1b" not in err


def test_notes_are_what_the_exporter_wrote(tmp_path: Path) -> None:
    path = saved(tmp_path, {"y": normal(3)}, notes={"author": "somebody"})
    runner = OnnxRunner(path.read_bytes())
    assert runner.notes == {"author": "somebody"}
    assert [port.name for port in runner.inputs + runner.outputs] == ["images", "y"]
