"""A twin that has proven itself: only such a one may explain or attack."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eval.errors import EvalError
from eval.whitebox.node import Unsupported
from eval.whitebox.prepare import Preparation
from eval.whitebox.twin import LEAST_AGREEMENT, Agreement, NoTwin, Twin, compare
from models.card import ModelCard
from models.repository import RepositoryError, read_version
from models.results import Array, Classification, Shape
from models.runtime import OnnxRunner
from models.tasks import TASKS, Predictor

__all__ = ["FEWEST", "Classifier", "opened", "proven_classifier"]

FEWEST = 200  # pictures that a classifier is compared on
NOISE = 8  # levels
MOST_PIXELS = 1 << 19  # of the inputs of one batch
FAMILIES = ("logits", "probabilities")


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A classifier's twin, from levels of the picture as uploaded to logits; made by `proven_classifier`.

    Attributes:
        agreement: of the graphs' values; in quantised graphs it may be well under 1, see `compare`.
        same_labels: share of pictures that twin and graph call the same, the preparation included.
        pictures: how many those were.
        batched: False where the graph takes one picture at a time.
    """

    twin: Twin
    card: ModelCard
    agreement: Agreement
    same_labels: float
    pictures: int
    batched: bool = True
    _prepared: dict[Shape, Preparation] = field(default_factory=dict, repr=False)

    @property
    def at_once(self) -> int:
        """Pictures that may be attacked together; their activations stay in memory, about 130 MB at 224."""
        return max(1, min(32, MOST_PIXELS // (self.card.input.height * self.card.input.width)))

    def logits(self, pictures: Tensor) -> Tensor:
        """Levels `(N, H, W, 3)`, or `(N, H, W, 1)` of grey pictures -> `(N, K)`.

        Logarithms where the graph gives probabilities: logits but for a shift, which no loss here sees.
        """
        shape = (pictures.shape[1], pictures.shape[2])
        if shape not in self._prepared:
            self._prepared[shape] = Preparation(shape, self.card.input)
        batch = self._prepared[shape](pictures)
        parts = [batch] if self.batched else batch.split(1)
        outputs = torch.cat([self.twin(part)[0].reshape(len(part), -1) for part in parts])
        if self.card.family == "logits":
            return outputs
        return outputs.double().clamp_min(1e-30).log()


def opened(folder: Path, sha256: str | None = None) -> tuple[Twin, OnnxRunner, ModelCard]:
    """The version in a folder, as a twin and as the graph it must prove itself by.

    Args:
        sha256: of the graph that is served; the folder must hold the same. None for any.

    Raises:
        EvalError: the folder holds no version or another one, or the graph has no twin.
    """
    try:
        version = read_version(folder.resolve())
        model = version.model_path.read_bytes()
    except (RepositoryError, OSError) as error:
        raise EvalError(f"{folder} must be the folder of a version: {error}") from error
    if sha256 is not None and hashlib.sha256(model).hexdigest() != sha256:
        raise EvalError(f"{folder} holds another graph than the one that is served; name its own folder")
    card = version.card
    twin = Twin(model, input_name=card.input.name, outputs=card.outputs).requires_grad_(False)
    return twin, OnnxRunner(model, input_name=card.input.name, outputs=card.outputs), card


def proven_classifier(folder: Path, images: Sequence[Array], sha256: str | None = None) -> Classifier:
    """The twin of the classifier in a folder, after it has answered as the graph does.

    At least 200 pictures are compared: the images, and where they are fewer the images with noise. Twin
    and graph must give the same class on 99.9 % of them, the twin through its own preparation and the
    graph through the service's; and 99.9 % of the values must agree, but in quantised graphs, where that
    cannot be (`eval.whitebox.twin.compare` says why) and the share is only told.

    Args:
        images: uint8 RGB `(H, W, 3)`, any sizes.
        sha256: as `opened`; None to attack with the twin of another model than the one that is served.

    Raises:
        NoTwin: it does not.
        EvalError: as `opened`, or the version is no classifier with plain scores.
    """
    twin, runner, card = opened(folder, sha256)
    if card.task != "classification" or card.family not in FAMILIES:
        raise Unsupported(
            f"only classifiers of the families {', '.join(FAMILIES)} can be attacked on a twin, "
            f"{card.name} is of {card.family!r}; use the black-box attacks"
        )
    pictures = _enough(images)
    task = TASKS[card.task](card)
    found = compare(twin, runner, [task.prepare(picture) for picture in pictures])
    quantised = any(node.op == "QuantizeLinear" for node in twin.nodes)
    wanted = [_label(answer) for answer in Predictor(task, runner, 1).predict(pictures)]
    one = Classifier(twin, card, found, 0.0, len(pictures), batched=_batched(twin, task.prepare(pictures[0])))
    with torch.no_grad():
        got = [int(one.logits(torch.from_numpy(p[None]).float()).argmax()) for p in pictures]
    same = float(np.mean([a == b for a, b in zip(got, wanted, strict=True)]))
    if same < LEAST_AGREEMENT or (found.share < LEAST_AGREEMENT and not quantised):
        raise NoTwin(
            f"{LEAST_AGREEMENT:.1%} of the classes and values must agree with the graph's, got {same:.2%} of "
            f"{len(pictures)} and {found.share:.2%} of {found.values}; nothing can be claimed with this twin"
        )
    return Classifier(twin, card, found, same, len(pictures), one.batched, one._prepared)


def _label(answer: object) -> int:
    if not isinstance(answer, Classification):
        raise TypeError(f"a classifier must answer with scores, got {type(answer).__name__}")
    return answer.label


def _enough(images: Sequence[Array]) -> list[Array]:
    """The images, and copies of them with seeded noise until there are 200."""
    if not images:
        raise NoTwin("there must be a picture to compare the twin on, got none")
    pictures, rng = list(images), np.random.Generator(np.random.Philox(0))
    while len(pictures) < FEWEST:
        image = images[len(pictures) % len(images)]
        noisy = image.astype(np.int16) + rng.integers(-NOISE, NOISE, image.shape, endpoint=True)
        pictures.append(noisy.clip(0, 255).astype(np.uint8))
    return pictures


@torch.no_grad()
def _batched(twin: Twin, picture: Array) -> bool:
    """True if two pictures at once get the answers of one; some graphs were exported for one."""
    alone = torch.from_numpy(np.array(picture[None]))
    alone = alone if alone.is_floating_point() else alone.float()
    try:
        once, both = twin(alone)[0], twin(torch.cat([alone, alone]))[0]
    except (RuntimeError, EvalError):  # a shape written into the graph
        return False
    want = once.reshape(1, -1).expand(2, -1)
    return both.shape[0] == 2 and torch.allclose(both.reshape(2, -1), want, rtol=1e-3, atol=1e-3)
