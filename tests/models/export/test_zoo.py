"""From a recipe to a version: parts that are taken, versions that are written, cards that say how."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from eval.parity import TOLERANCE, difference
from models.card import ModelCard
from models.cli import ZOO
from models.export import zoo
from models.export.nets.tables import NETS
from models.export.onnx import DifferentGraph, twin
from models.export.recipe import Recipe, RecipeError, recipes
from models.export.sets import cifar, tables
from models.export.sets.tables import LABELLED, OBJECTS
from models.export.zoo import course_of, facts_of, make, net_of, reference, trained
from models.repository import open_version, versions
from models.results import Array, Classification

pytestmark = pytest.mark.torch
RECIPES = recipes()
SIZE = {"height": 32, "width": 48, "resize": "letterbox", "mean": [127.5] * 3, "std": [64.0] * 3}
TINY: dict[str, Any] = {
    "name": "tiny",
    "task": "detection",
    "family": "dense",
    "description": "d",
    "labels": ["disk", "square", "triangle", "star", "ring", "cross"],
    "outputs": ["boxes", "scores"],
    "input": SIZE,
    "data": {"kind": "scenes", "count": 8},
    "net": {"kind": "multitask"},
    "objective": {"pixels": 1.0},
    "settings": {"seed": 7, "epochs": 1, "batch": 4, "rate": 1e-3, "average": 0.0},
    "part": "detector",
    "held_out": "scenes:test:8",
    "also": [
        {
            "part": "segmenter",
            "name": "tiny-pixels",
            "version": 2,
            "task": "segmentation",
            "family": "logits",
            "description": "d",
            "labels": ["background", "disk", "square", "triangle", "star", "ring", "cross"],
            "outputs": ["logits"],
            "held_out": "scenes:test:9",
        }
    ],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(repository, work folder) of one small training of two tasks."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "REFERENCE", 3)
        patch.setattr(tables, "HELD_SCENES", 8)
        make(Recipe.checked(TINY, "tiny"), folder / "zoo", folder / "work")
    return folder / "zoo", folder / "work"


def test_both_parts_of_a_training_are_versions_of_their_own(made: tuple[Path, Path]) -> None:
    cards = {(v.card.name, v.card.version): v.card for v in versions(made[0])}
    assert set(cards) == {("tiny", 1), ("tiny-pixels", 2)}
    assert [card.task for card in cards.values()] == ["detection", "segmentation"]
    for card, held_out in zip(cards.values(), ("scenes:test:8", "scenes:test:9"), strict=True):
        assert card.training["command"] == "python -m models.export tiny-1"  # there is no recipe tiny-pixels
        assert card.training["seed"] == 7
        assert card.training["held_out"] == held_out
        assert card.training["settings.rate"] == 1e-3
        assert card.training["objective.pixels"] == 1.0
        assert card.training["data.count"] == 8


def test_the_exported_parts_are_the_parts_that_were_trained(made: tuple[Path, Path]) -> None:
    """Each graph's weights are those of its part of the checkpoint, rounded as graphs are."""
    saved = torch.load(made[1] / "tiny-1" / "checkpoint.pt", weights_only=True)["net"]
    backbones = []
    for name, number, part in (("tiny", 1, "detector"), ("tiny-pixels", 2, "segmenter")):
        back = twin(NETS["multitask"](6).get_submodule(part), made[0] / name / str(number) / "model.onnx")
        for key, value in back.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                wanted = saved[f"{part}.{key}"]
                assert torch.equal(value, wanted.half().float() if wanted.ndim > 1 else wanted), key
        backbones.append(back.get_submodule("backbone").state_dict())
    assert all(torch.equal(backbones[0][k], backbones[1][k]) for k in backbones[0])


def test_curve_and_picture_lie_beside_the_checkpoint(made: tuple[Path, Path]) -> None:
    names = {p.name for p in (made[1] / "tiny-1").iterdir()}
    assert names == {"checkpoint.pt", "curve.json", "curve.png"}


@pytest.mark.parametrize("parts", [["backbone"], ["backbone", "neck"]])
def test_exactly_the_named_parts_are_taken(
    made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, parts: list[str]
) -> None:
    """The start is a part of a net of two tasks; everything else begins as it would from the seed."""
    known = {"tiny-1": Recipe.checked(TINY, "tiny")}
    monkeypatch.setattr(zoo, "recipe_named", known.__getitem__)
    told = {k: v for k, v in TINY.items() if k not in ("part", "also")}
    told |= {"name": "next", "net": {"kind": "detector"}, "objective": {}}
    plain = Recipe.checked(told, "next")
    starting = Recipe.checked({**told, "start": {"recipe": "tiny-1", "parts": parts}}, "next")
    torch.manual_seed(1)
    untouched = net_of(plain)
    torch.manual_seed(1)
    net = net_of(starting, made[0])
    source = twin(
        NETS["multitask"](6).get_submodule("detector"), made[0] / "tiny" / "1" / "model.onnx"
    ).state_dict()
    for name, value in net.state_dict().items():
        taken = name.split(".")[0] in parts
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, (source if taken else untouched.state_dict())[name]), name
    weight = "neck.lateral.0.weight"
    assert torch.equal(net.state_dict()[weight], source[weight]) == ("neck" in parts)


def test_a_part_that_does_not_fit_is_told(made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "recipe_named", {"tiny-1": Recipe.checked(TINY, "tiny")}.__getitem__)
    told = {k: v for k, v in TINY.items() if k not in ("part", "also")}
    told |= {"net": {"kind": "detector"}, "objective": {}, "start": {"recipe": "tiny-1", "parts": ["tail"]}}
    with pytest.raises(RecipeError, match=r"start.parts: 'tail' of tiny-1 does not fit"):
        net_of(Recipe.checked(told, "next"), made[0])


def digits(**changed: Any) -> Recipe:
    """The recipe of digits-1, small."""
    told = yaml.safe_load((zoo.SHIPPED.parent / "export" / "recipes" / "digits-1.yaml").read_text())
    told["settings"] |= {"epochs": 1, "batch": 32}
    for field, value in changed.items():
        told[field] = {**told.get(field, {}), **value}
    return Recipe.checked(told, "digits")


def test_a_teacher_is_the_graph_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights come out of the repository; the student is another net for having had it."""
    monkeypatch.setattr(zoo, "REFERENCE", 3)
    make(digits(), tmp_path / "zoo", tmp_path / "teacher", quick=True)
    student = digits(objective={"teacher": "digits-1", "share": 1.0, "temperature": 2.0})
    course = course_of(student, tmp_path / "zoo", quick=True)
    net = twin(NETS["digits"](10), tmp_path / "zoo" / "digits" / "1" / "model.onnx")
    batch = next(course.batches(0))
    assert float(course.loss(net, batch, 0.0).detach()) == pytest.approx(0, abs=1e-6)  # it is its own teacher
    taught = trained(student, tmp_path / "student", root=tmp_path / "zoo", quick=True)
    alone = trained(digits(), tmp_path / "alone", quick=True)
    assert not torch.equal(taught.get_parameter("head.1.weight"), alone.get_parameter("head.1.weight"))


def test_unlabelled_pictures_come_from_the_recipe() -> None:
    course = course_of(digits(data={"unlabelled": 0.75}), quick=True)
    assert [len(batch) for batch in course.batches(0)] == [5] * course.steps
    assert [len(batch) for batch in course_of(digits(), quick=True).batches(0)] == [3] * 8


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_cards_say_how_the_weights_are_made_again(recipe: Recipe) -> None:
    facts = facts_of(recipe)
    card = ModelCard(**facts, sha256="0" * 64)
    told = card.training
    assert told["command"] == f"python -m models.export {recipe.key}"
    assert (told["seed"], told["held_out"]) == (recipe.settings.seed, recipe.held_out)
    for part in ("settings", "objective", "augment"):
        fields = getattr(recipe, part).__dataclass_fields__
        assert {f"{part}.{name}" for name in fields} <= set(told)
    assert told["settings.optimiser"] == recipe.settings.optimiser
    assert told.get("start") == (recipe.start.recipe if recipe.start else None)


def first(recorded: Mapping[str, Array], count: int) -> dict[str, Array]:
    """The columns of the first `count` images."""
    if "probabilities" in recorded:
        return {"probabilities": recorded["probabilities"][:count]}
    if "counts" in recorded:
        rows = int(recorded["counts"][:count].sum())
        return {"counts": recorded["counts"][:count], "scores": recorded["scores"][:rows]}
    pixels = int(recorded["sizes"][:count].prod(axis=1).sum())
    return {"sizes": recorded["sizes"][:count], "labels": recorded["labels"][:pixels]}


SHIPPED = [(r, "") for r in RECIPES.values() if r.shipped] + [
    (r, one.part) for r in RECIPES.values() for one in r.also
]


@pytest.mark.parametrize(("recipe", "part"), SHIPPED, ids=[f"{r.key}{'-' * bool(p)}{p}" for r, p in SHIPPED])
def test_shipped_graphs_are_their_torch_nets(
    recipe: Recipe, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin from the file, the graph, and the answers recorded at export are one."""
    told = next((recipe.model_copy(update=dict(one)) for one in recipe.also if one.part == part), recipe)
    folder = ZOO / told.name / str(told.version)
    if not (folder / "card.json").is_file():
        pytest.skip(f"{told.key} is not in the zoo yet: python -m models.export {recipe.key}")
    version = next(v for v in versions(ZOO) if v.folder == folder)
    if recipe.data.folder and not recipe.data.root.is_dir():
        pytest.skip(f"ASSAY_DATA_DIR has no {recipe.data.folder}")
    made = NETS[recipe.net.kind](len(recipe.labels), **recipe.net.options).get_submodule(told.part)
    try:
        net = twin(made, version.model_path)
    except DifferentGraph as error:
        pytest.fail(f"{told.key} is of another net than its recipe; train it again: {error}")
    monkeypatch.setattr(tables, "HELD_SCENES", 24)
    images = zoo._held_out(told)[:24]
    live = open_version(version).predict(images)
    assert difference(live, reference(net, version, images)) <= TOLERANCE
    with np.load(version.folder / "reference.npz") as file:
        assert difference(live, first(dict(file), len(images))) <= TOLERANCE
    if told.task == "classification":
        assert all(isinstance(answer, Classification) for answer in live)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "learnt", "held"), [("bccd-1", 205, 87), ("camvid-1", 245, 51), ("cifar10-1", 47_500, 2_500)]
)
def test_real_sets_are_read_and_held_apart(
    name: str, learnt: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[name]
    if not Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"), recipe.data.folder).is_dir():
        pytest.skip(f"ASSAY_DATA_DIR has no {recipe.data.folder}")
    if recipe.task == "classification":  # 50,000 files: told apart by their bytes, not decoded
        monkeypatch.setattr(cifar, "decode", lambda file: np.frombuffer(sha256(file).digest(), np.uint8))
        parts = [LABELLED[recipe.data.kind](recipe.data, split)[0] for split in ("train", "validation")]
        known = {image.tobytes() for image in parts[0]}
        assert sum(image.tobytes() in known for image in parts[1]) < 5  # the set has its own twins
    else:
        parts = [OBJECTS[recipe.data.kind](recipe.data, split) for split in ("train", "held")]  # type: ignore[misc]
    assert [len(part) for part in parts] == [learnt, held]
