"""From a recipe to a proven version: train, export, prove, publish."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.export.courses.classify import Classes, ClassifierCourse, planes
from models.export.courses.detect import Boxes, DetectorCourse
from models.export.courses.multitask import MultiTaskCourse
from models.export.courses.segment import Pixels, SegmenterCourse
from models.export.curve import draw, read
from models.export.nets.tables import NETS
from models.export.onnx import export, in_half, prove_equal, twin
from models.export.recipe import Data, Recipe, RecipeError, recipe_named
from models.export.sets.objects import fitted
from models.export.sets.tables import LABELLED, OBJECTS
from models.export.train import Batches, Check, Loss, train
from models.imaging import fit
from models.publish import npz, publish
from models.repository import Version
from models.results import Array, Classification, Detections, Result
from models.scenes import scene
from models.tasks import TASKS, Predictor

__all__ = ["Course", "TorchRunner", "course_of", "make", "net_of", "reference", "trained"]

log = logging.getLogger(__name__)
SHIPPED = Path(__file__).resolve().parents[1] / "zoo"
REFERENCE = 200  # held-out images whose torch answers are kept beside the graph
QUICK = 256  # pictures of a quick run


@dataclass(frozen=True, slots=True)
class Course:
    """What a training needs beside its net and settings."""

    batches: Batches
    loss: Loss
    check: Check
    steps: int


def net_of(recipe: Recipe, root: Path = SHIPPED) -> nn.Module:
    """The untrained net; with the parts it starts from, out of the graph in `root`.

    Raises:
        RecipeError: no such net, it does not take these options, or what it starts from is not there.
    """
    try:
        net = NETS[recipe.net.kind](len(recipe.labels), **recipe.net.options)
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(NETS)
        raise RecipeError(f"{recipe.key}: net must be one of {known}, with its options: {error!r}") from error
    if recipe.start is None:
        return net
    source = _finished(recipe_named(recipe.start.recipe), root, f"{recipe.key} starts from")
    for name in recipe.start.parts:
        try:
            net.get_submodule(name).load_state_dict(source.get_submodule(name).state_dict())
        except (AttributeError, RuntimeError) as error:
            other = recipe.start.recipe
            raise RecipeError(
                f"{recipe.key}: start.parts: {name!r} of {other} does not fit: {error}"
            ) from error
    return net


def _finished(recipe: Recipe, root: Path, why: str) -> nn.Module:
    """The net of a version that was made before, with the weights of its graph."""
    path = root / recipe.name / str(recipe.version) / "model.onnx"
    if not path.is_file():
        raise RecipeError(f"{why} {recipe.key}, but {path} is not there: make it first")
    made = NETS[recipe.net.kind](len(recipe.labels), **recipe.net.options)
    return twin(made.get_submodule(recipe.part), path)


def course_of(recipe: Recipe, root: Path = SHIPPED, *, quick: bool = False) -> Course:
    """The batches, loss and check of a recipe; `quick` takes a few pictures.

    Args:
        root: the repository that a teacher is taken from.

    Raises:
        RecipeError: the set or the teacher is unknown, not there or does not fit.
    """
    data = recipe.data.model_copy(update={"count": QUICK}) if quick else recipe.data
    known: Mapping[str, Any] = LABELLED if recipe.task == "classification" else OBJECTS
    if data.kind not in known:
        raise RecipeError(f"{recipe.key}: data.kind must be one of {', '.join(known)}, got {data.kind!r}")
    try:
        course = (_classifier if recipe.task == "classification" else _dense)(recipe, data, root, quick)
    except FileNotFoundError as error:
        raise RecipeError(f"{recipe.key}: its data is not there ({error}); see ASSAY_DATA_DIR") from error
    if not course.steps:
        raise RecipeError(f"{recipe.key}: settings.batch: must be at most the pictures there are")
    return Course(course.batches, course.loss, course.check, course.steps)


def _classifier(recipe: Recipe, data: Data, root: Path, quick: bool) -> ClassifierCourse:
    parts = []
    for split in ("train", "validation"):
        images, labels = LABELLED[data.kind](data, split)
        step = max(1, len(images) // QUICK) if quick else 1
        parts.append((planes(images[::step], recipe.input), torch.from_numpy(labels[::step])))
    if not isinstance(recipe.objective, Classes):
        raise RecipeError(f"{recipe.key}: a classifier's objective must be of classes")
    learnt, held = parts
    return ClassifierCourse(
        learnt,
        held,
        len(recipe.labels),
        recipe.input,
        recipe.objective,
        recipe.augment,
        recipe.settings,
        unlabelled=data.unlabelled,
        teacher=_teacher(recipe, recipe.objective.teacher, root),
    )


def _teacher(recipe: Recipe, key: str, root: Path) -> nn.Module | None:
    if not key:
        return None
    other = recipe_named(key)
    if (other.labels, other.input) != (recipe.labels, recipe.input):
        raise RecipeError(f"{recipe.key}: objective.teacher: {key} must have the same labels and input")
    return _finished(other, root, f"{recipe.key} learns from")


def _dense(
    recipe: Recipe, data: Data, _: Path, quick: bool
) -> DetectorCourse | MultiTaskCourse | SegmenterCourse:
    learnt, held = (
        fitted(found[:QUICK] if quick else found, recipe.input)
        for found in (OBJECTS[data.kind](data, split) for split in ("train", "held"))
    )
    rest = (learnt, held, len(recipe.labels), recipe.input)
    if isinstance(recipe.objective, Boxes) and recipe.objective.pixels:
        return MultiTaskCourse(*rest, recipe.objective, recipe.augment, recipe.settings)
    if isinstance(recipe.objective, Boxes):
        return DetectorCourse(*rest, recipe.objective, recipe.augment, recipe.settings)
    if isinstance(recipe.objective, Pixels):
        return SegmenterCourse(*rest, recipe.objective, recipe.augment, recipe.settings)
    raise RecipeError(f"{recipe.key}: the objective must be of boxes or pixels")


def trained(recipe: Recipe, work: Path, *, root: Path = SHIPPED, quick: bool = False) -> nn.Module:
    """The net of a recipe, trained, or gone on with from the checkpoint in `work`."""
    course = course_of(recipe, root, quick=quick)
    settings, folder = replace(recipe.settings, epochs=1) if quick else recipe.settings, work / recipe.key
    net = train(
        lambda: net_of(recipe, root),
        course.batches,
        course.loss,
        settings,
        folder=folder,
        steps=course.steps,
        check=course.check,
    )
    draw(read(folder), folder / "curve.png", title=recipe.key)
    return net


def make(recipe: Recipe, root: Path, work: Path, *, quick: bool = False) -> list[Version]:
    """Train (or go on from the checkpoint in `work`), export, prove, publish; claims come later.

    Args:
        root: the repository that gets `<name>/<version>/`.
        quick: a few hundred pictures and one epoch, to see that everything runs.
    """
    net = trained(recipe, work, root=root, quick=quick)
    also = [(one.part, recipe.model_copy(update=dict(one))) for one in recipe.also]
    seconds = round(sum(row["seconds"] for row in read(work / recipe.key)))
    return [
        _published(net.get_submodule(part), told, root, key=recipe.key, seconds=seconds)
        for part, told in [(recipe.part, recipe), *also]
    ]


def _published(net: nn.Module, recipe: Recipe, root: Path, *, key: str, seconds: int) -> Version:
    """Export one net, publish it under its recipe's name, and prove that the graph does what it does.

    Args:
        key: of the recipe that was carried out, which may have given other versions too.
        seconds: that its epochs took.
    """
    net, images = in_half(net), _held_out(recipe)
    batch = torch.from_numpy(np.stack([fit(image, recipe.input) for image in images[:64]]))
    graph = export(net, batch[:2], recipe.outputs)
    # Pictures of a real set are not ours to ship; any picture proves the graph.
    golden = scene(0).image if recipe.data.folder else images[0]
    version = publish(root, graph, facts_of(recipe, key, seconds), golden_image=golden, tolerance=0.02)
    worst = prove_equal(net, version.model_path, batch, recipe.outputs)
    log.info("%s: torch and ONNX agree within %.2g", recipe.key, worst)
    (version.folder / "reference.npz").write_bytes(npz(**reference(net, version, images)))
    return version


def facts_of(recipe: Recipe, key: str = "", seconds: int = 0) -> dict[str, Any]:
    """What the card says of a recipe, before there are weights.

    Args:
        key: of the recipe that is carried out, where that is another one; see `Recipe.also`.
        seconds: that its epochs took.
    """
    told = recipe.model_dump(include={"name", "version", "task", "family", "description", "licence"})
    parts = {"settings": recipe.settings, "objective": recipe.objective, "augment": recipe.augment}
    made = {f"{part}.{k}": _plain(v) for part, fields in parts.items() for k, v in asdict(fields).items()}
    drawn = {f"data.{name}": value for name, value in recipe.data.model_dump(exclude_defaults=True).items()}
    start = {"start": recipe.start.recipe} if recipe.start else {}
    return {
        **told,
        "labels": recipe.labels,
        "outputs": recipe.outputs,
        "input": recipe.input,
        "postprocess": recipe.postprocess,
        "source": f"trained by models.export on {recipe.data.kind}. {recipe.notes}".strip(),
        "training": {
            "command": f"python -m models.export {key or recipe.key}",
            "seed": recipe.settings.seed,
            "seconds": seconds,
            "held_out": recipe.held_out,
            **drawn,
            **start,
            **made,
        },
    }


def _plain(value: object) -> str | int | float:
    return value if isinstance(value, str | int | float) else str(value)


def _held_out(recipe: Recipe) -> list[Array]:
    """The test pictures, first to last, that parity is proven on."""
    if recipe.task == "classification":
        return list(LABELLED[recipe.data.kind](recipe.data, "test")[0][:REFERENCE])
    return [one.image for one in OBJECTS[recipe.data.kind](recipe.data, "test")[:REFERENCE]]


class TorchRunner:
    """A net in the shape of a runner."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net.eval()

    def run(self, batch: Array) -> list[Array]:
        with torch.no_grad():
            told: Tensor | tuple[Tensor, ...] = self.net(torch.from_numpy(batch))
        return [t.numpy() for t in (told if isinstance(told, tuple) else (told,))]


def reference(net: nn.Module, version: Version, images: Sequence[Array]) -> dict[str, Array]:
    """What torch answers on held-out images 0, 1, 2 ...: the live endpoint must answer the same.

    Returns:
        classification: `probabilities` float32 `(N, C)`; detection: `boxes` `(M, 4)`, `scores`
        and `labels` `(M,)` with `counts` `(N,)`; segmentation: `labels` uint8, maps one after
        the other, with `sizes` `(N, 2)`.
    """
    answers = Predictor(TASKS[version.card.task](version.card), TorchRunner(net)).predict(images)
    return _columns(answers)


def _columns(answers: Sequence[Result]) -> dict[str, Array]:
    if all(isinstance(a, Classification) for a in answers):
        return {"probabilities": np.stack([a.scores for a in answers if isinstance(a, Classification)])}
    if all(isinstance(a, Detections) for a in answers):
        found = [a for a in answers if isinstance(a, Detections)]
        names = ("boxes", "scores", "labels")
        columns = {name: np.concatenate([getattr(a, name) for a in found]) for name in names}
        return {**columns, "counts": np.array([len(a) for a in found])}
    maps = [a.labels for a in answers if not isinstance(a, Classification | Detections)]
    sizes = np.array([m.shape for m in maps])
    return {"labels": np.concatenate([m.ravel() for m in maps]).astype(np.uint8), "sizes": sizes}
