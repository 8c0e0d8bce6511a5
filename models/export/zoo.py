"""The shipped zoo: what each version is, and the steps from a seed to a proven folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.card import InputSpec, TaskName
from models.digits import LABELS, digits
from models.export import digits as handwriting
from models.export import scenes
from models.export.nets.detector import Detector
from models.export.nets.digits import DigitsNet
from models.export.nets.segmenter import Segmenter
from models.export.onnx import export, prove_equal, twin
from models.export.pictures import scene_pictures
from models.export.train import Settings
from models.imaging import fit
from models.publish import npz, publish
from models.repository import Version
from models.results import Array, Classification, Detections, Result
from models.scenes import CLASSES, scene
from models.tasks import TASKS, Predictor

__all__ = ["ZOO", "Plan", "TorchRunner", "make", "reference"]

log = logging.getLogger(__name__)
SHIPPED = Path(__file__).resolve().parents[1] / "zoo"
REFERENCE = 200  # held-out images whose torch answers are kept beside the graph


@dataclass(frozen=True, slots=True)
class Plan:
    """One version: how its net is made and trained, and what its card says."""

    name: str
    version: int
    task: TaskName
    family: str
    description: str
    labels: tuple[str, ...]
    input: InputSpec
    outputs: tuple[str, ...]
    net: Callable[[], nn.Module]
    settings: Settings
    train: Callable[[Settings, Path, int], nn.Module]
    held_out: Callable[[int], list[Array]]
    data: str


def _scenes(count: int) -> list[Array]:
    return [scene(i, split="test").image for i in range(count)]


def _digits(count: int) -> list[Array]:
    return list(digits("test")[0][:count])


def _train_segmenter(settings: Settings, folder: Path, count: int) -> nn.Module:
    """From the detector's backbone, whose graph must be in the zoo: `make train` makes it first."""
    detector = twin(Detector(len(CLASSES)), SHIPPED / "scenes-detector" / "1" / "model.onnx")
    return scenes.train_segmenter(scene_pictures(count, scenes.INPUT), settings, folder, detector=detector)


_DIGITS: dict[str, Any] = {
    "name": "digits", "task": "classification", "family": "logits", "labels": LABELS, "outputs": ("logits",),
    "input": handwriting.INPUT, "net": DigitsNet, "held_out": _digits, "data": "digits:test",
}  # fmt: skip
_SCENES: dict[str, Any] = {
    "version": 1, "input": scenes.INPUT, "held_out": _scenes, "data": "scenes:test:500",
}  # fmt: skip
ZOO: Mapping[str, Plan] = {
    "digits-1": Plan(
        version=1,
        description="Handwritten digits, trained as usual: the fragile control of every audit",
        settings=handwriting.FRAGILE,
        train=lambda settings, folder, _: handwriting.train_fragile(settings, folder),
        **_DIGITS,
    ),
    "digits-2": Plan(
        version=2,
        description="Handwritten digits, trained against PGD at 76 levels: the robust control of every audit",
        settings=handwriting.ROBUST,
        train=lambda settings, folder, _: handwriting.train_robust(settings, folder),
        **_DIGITS,
    ),
    "scenes-detector": Plan(
        name="scenes-detector",
        task="detection",
        family="dense",
        description="Six kinds of object in procedural scenes: boxes",
        labels=CLASSES,
        outputs=("boxes", "scores"),
        net=lambda: Detector(len(CLASSES)),
        settings=scenes.DETECTOR,
        train=lambda settings, folder, count: scenes.train_detector(
            scene_pictures(count, scenes.INPUT), settings, folder
        ),
        **_SCENES,
    ),
    "scenes-segmenter": Plan(
        name="scenes-segmenter",
        task="segmentation",
        family="logits",
        description="Six kinds of object in procedural scenes: a class for every pixel",
        labels=("background", *CLASSES),
        outputs=("logits",),
        net=lambda: Segmenter(1 + len(CLASSES)),
        settings=scenes.SEGMENTER,
        train=_train_segmenter,
        **_SCENES,
    ),
}


def make(plan: Plan, root: Path, work: Path, *, quick: bool = False) -> Version:
    """Train (or go on from the checkpoint in `work`), export, prove, publish; claims come later.

    Args:
        root: the repository that gets `<name>/<version>/`.
        quick: a few hundred pictures and one epoch, to see that everything runs.
    """
    settings = replace(plan.settings, epochs=1) if quick else plan.settings
    count = 256 if quick else scenes.SCENES
    net = plan.train(settings, work / f"{plan.name}-{plan.version}", count)
    images = plan.held_out(REFERENCE)
    batch = torch.from_numpy(np.stack([fit(image, plan.input) for image in images[:64]]))
    graph = export(net, batch[:2], plan.outputs)
    facts: dict[str, Any] = {
        "name": plan.name,
        "version": plan.version,
        "task": plan.task,
        "family": plan.family,
        "description": plan.description,
        "labels": plan.labels,
        "input": plan.input,
        "outputs": plan.outputs,
        "licence": "Apache-2.0",
        "source": f"trained by models.export on {plan.data.replace('test', 'train').removesuffix(':500')}",
        "training": asdict(settings),
    }
    version = publish(root, graph, facts, golden_image=images[0], tolerance=0.02)
    worst = prove_equal(net, version.model_path, batch, plan.outputs)
    log.info("%s: torch and ONNX agree within %.2g", plan.name, worst)
    (version.folder / "reference.npz").write_bytes(npz(**reference(net, version, images)))
    return version


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
