"""Grad-CAM: which parts of the last feature map the answer rests on, by its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eval.whitebox.node import Unsupported
from eval.whitebox.proven import opened
from eval.whitebox.twin import Twin, prove
from models.card import ModelCard
from models.imaging import fit, place, resample
from models.results import Array, Shape
from models.saliency.targets import BoxTarget, ClassTarget, RegionTarget, Target
from models.tasks import TASKS

__all__ = ["GradCam", "feature_map", "proven_map"]


@dataclass(frozen=True, slots=True)
class GradCam:
    """Selvaraju et al. 2016, arXiv 1610.02391, equations 1 and 2; of a region, Vinogradova et al. 2020,
    arXiv 2002.11434: the sum of the class's scores over the region.

    Each channel of a feature map is weighted by the mean gradient of the score with respect to it; what is
    below 0 in the weighted sum is left out.

    **Differences**: where the graph gives probabilities, the score is the logarithm of one, which has the
    same direction as a logit has at that place. An object's score is that of the graph's row that lies best
    on it.

    Attributes:
        twin: proven; see `eval.whitebox.twin.prove`.
        layer: name of a 4-D value of the graph; the coarsest map, the last of them, when None.
    """

    twin: Twin
    card: ModelCard
    layer: str | None = None

    def map(self, image: Array, target: Target) -> Array:
        """float32 `(H, W)` of the image, at least 0: how much each part speaks for the target.

        Args:
            image: uint8 RGB `(H, W, 3)`.

        Raises:
            Unsupported: the graph's outputs are of a family without a plain score, or the layer is no map.
        """
        spec, shape = self.card.input, (image.shape[0], image.shape[1])
        batch = torch.from_numpy(np.array(fit(image, spec)[None]))
        if not batch.is_floating_point():
            batch = batch.float()
        batch.requires_grad_()
        layer = self.layer or feature_map(self.twin, batch)
        activation, *outputs = self.twin(batch, [layer, *self.card.outputs])
        if activation.ndim != 4:
            raise Unsupported(f"the layer must be (1, C, h, w), {layer!r} is {tuple(activation.shape)}")
        score = self._score([output[0] for output in outputs], target, shape)
        (slope,) = torch.autograd.grad(score, activation, allow_unused=True)
        if slope is None:
            raise Unsupported(f"the score does not rest on the layer {layer!r}; name an earlier one")
        weights = slope.mean(dim=(2, 3), keepdim=True)
        plane = (weights * activation).sum(dim=1).relu().detach().numpy()
        laid = resample(plane, place(shape, spec), spec, shape)
        found: Array = laid[0].astype(np.float32)
        return found

    def _score(self, outputs: Sequence[Tensor], target: Target, shape: Shape) -> Tensor:
        family, first = self.card.family, outputs[0]
        match target:
            case ClassTarget(label=label) if family in ("logits", "probabilities"):
                value = first.reshape(-1)[label]
                return value if family == "logits" else value.clamp(min=1e-12).log()
            case RegionTarget(label=label, region=region) if family == "logits":
                return (first[label] * self._region(region, first.shape[1:], shape)).sum()
            case BoxTarget() if family == "dense":
                return outputs[1][self._row(outputs, target, shape), target.label]
        raise Unsupported(
            f"Grad-CAM has no plain score for the family {family!r}; explain it with rise or occlusion"
        )

    def _region(self, region: Array, size: Sequence[int], shape: Shape) -> Tensor:
        """The region at the resolution of the class scores: 1 where a score's own pixel lies in it."""
        spec = self.card.input
        placement = place(shape, spec)
        down = (np.arange(size[0]) + 0.5) * spec.height / size[0]
        across = (np.arange(size[1]) + 0.5) * spec.width / size[1]
        rows = np.floor((down - placement.offset_y) / placement.scale_y).astype(np.int64)
        cols = np.floor((across - placement.offset_x) / placement.scale_x).astype(np.int64)
        within = ((rows >= 0) & (rows < shape[0]))[:, None] & ((cols >= 0) & (cols < shape[1]))
        picked = region[rows.clip(0, shape[0] - 1)][:, cols.clip(0, shape[1] - 1)]
        return torch.from_numpy((picked & within).astype(np.float32))

    def _row(self, outputs: Sequence[Tensor], target: BoxTarget, shape: Shape) -> int:
        """Of all rows of the graph, the one that lies best on the object."""
        boxes, scores = (output.detach().numpy() for output in outputs)
        native = place(shape, self.card.input).back(boxes, shape)
        return int((target.overlaps(native) * scores[:, target.label]).argmax())


def feature_map(twin: Twin, batch: Tensor) -> str:
    """The name of the coarsest 4-D value of a graph that is more than one cell; the last of equal ones.

    Raises:
        Unsupported: there is none.
    """
    names = [name for node in twin.nodes for name in node.outputs if name]
    with torch.no_grad():
        values = twin(batch, names)
    cells = {
        name: value.shape[2] * value.shape[3]
        for name, value in zip(names, values, strict=True)
        if value.ndim == 4 and value.is_floating_point() and min(value.shape[2:]) > 1 and len(value) == 1
    }
    if not cells:
        raise Unsupported("the graph has no feature map; explain it with rise or occlusion")
    return min(reversed(cells), key=lambda name: cells[name])


def proven_map(folder: Path, sha256: str, images: Sequence[Array]) -> Callable[[Array, Target], Array]:
    """Grad-CAM of the version in a folder, after its twin has proven itself on the pictures.

    Args:
        sha256: of the graph that is served; the folder must hold the same.
        images: uint8 RGB `(H, W, 3)`.

    Raises:
        EvalError: the folder holds no version or another one, or the twin does not agree.
    """
    twin, runner, card = opened(folder, sha256)
    task = TASKS[card.task](card)
    prove(twin, runner, [task.prepare(image) for image in images])
    return GradCam(twin, card).map
