"""A twin that has proven itself: only such a one may explain or attack."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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
MOST_PIXELS = 1 << 17  # of the inputs of one batch; larger ones are no faster on a processor
FAMILIES = ("logits", "probabilities")
MOVES = (
    "Cast",
    "DequantizeLinear",
    "Flatten",
    "Identity",
    "QuantizeLinear",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
)


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A classifier's twin, from levels of the picture as uploaded to logits; made by `proven_classifier`.

    Attributes:
        agreement: of the graphs' values; in quantised graphs it may be well under 1, see `compare`.
        same_labels: share of pictures that twin and graph call the same, the preparation included.
        pictures: how many those were; where the images were fewer than 200, copies with noise among them.
        quantised: the graph computes with 8-bit levels; gradients go straight through its rounding.
        batched: False where the graph takes one picture at a time.
        before: value of the graph that its last softmax is of; None where there is no such.
    """

    twin: Twin
    card: ModelCard
    agreement: Agreement
    same_labels: float
    pictures: int
    quantised: bool = False
    batched: bool = True
    before: str | None = None
    _prepared: dict[Shape, Preparation] = field(default_factory=dict, repr=False)

    @property
    def at_once(self) -> int:
        """Pictures that may be attacked together; activations stay in memory, 100 MB for a picture of 224."""
        return max(1, min(32, MOST_PIXELS // (self.card.input.height * self.card.input.width)))

    def logits(self, pictures: Tensor) -> Tensor:
        """Levels `(N, H, W, 3)`, or `(N, H, W, 1)` of grey pictures -> `(N, K)`.

        Where the graph gives probabilities: what its last softmax is of, because a sure or quantised one has
        no gradient; and where no softmax is found, their logarithms, which are logits but for a shift.
        """
        wanted = self.before or self.card.outputs[0]
        outputs = self._values(pictures, wanted)
        if self.card.family == "logits" or self.before is not None:
            return outputs
        return outputs.double().clamp_min(1e-30).log()

    def label(self, picture: Array) -> int:
        """The class of a picture as uploaded; the lower one of equals, as the service has it."""
        with torch.no_grad():
            values = self._values(torch.from_numpy(np.array(picture[None])).float(), self.card.outputs[0])
        return int(values[0].numpy().argmax())

    def _values(self, pictures: Tensor, name: str) -> Tensor:
        shape = (pictures.shape[1], pictures.shape[2])
        if shape not in self._prepared:
            self._prepared[shape] = Preparation(shape, self.card.input)
        batch = self._prepared[shape](pictures)
        parts = [batch] if self.batched else batch.split(1)
        return torch.cat([self.twin(part, [name])[0].reshape(len(part), -1) for part in parts])


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


def proven_classifier(
    folder: Path, images: Sequence[Array], sha256: str | None = None, least: float = LEAST_AGREEMENT
) -> Classifier:
    """The twin of the classifier in a folder, after it has answered as the graph does.

    At least 200 pictures are compared: the images, and where they are fewer the images with noise. Twin
    and graph must give the same class on 99.9 % of them, the twin through its own preparation and the
    graph through the service's; and 99.9 % of the values must agree, but in quantised graphs, where that
    cannot be (`eval.whitebox.twin.compare` says why) and the share is only told.

    Some quantised graphs have no such twin: onnxruntime with and without its optimisations calls only 49 of
    50 pictures alike in an 8-bit MobileNet v2, and that twin 48 of 50. It can be a surrogate, with a lower
    `least`, not a white box.

    Args:
        images: uint8 RGB `(H, W, 3)`, any sizes; read one at a time, twice.
        sha256: as `opened`; None to attack with the twin of another model than the one that is served.
        least: share of the pictures that must be called alike.

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
    task = TASKS[card.task](card)
    quantised = any(node.op == "QuantizeLinear" for node in twin.nodes)
    found = compare(twin, runner, (task.prepare(picture) for picture in _enough(images)))
    first = task.prepare(images[0])
    before = _before_softmax(twin, card.outputs[0], first) if card.family == "probabilities" else None
    one = Classifier(twin, card, found, 0.0, found.images, quantised, _batched(twin, first), before)
    predictor = Predictor(task, runner, 1)
    told = [(one.label(p), _label(predictor.predict([p])[0])) for p in _enough(images)]
    same = float(np.mean([got == wanted for got, wanted in told]))
    if same < least or (found.share < LEAST_AGREEMENT and not quantised):
        raise NoTwin(
            f"{least:.1%} of the classes must agree with the graph's and {LEAST_AGREEMENT:.1%} of the "
            f"values, got {same:.2%} of {len(told)} and {found.share:.2%} of {found.values}; nothing can be "
            "claimed with this twin"
        )
    return replace(one, same_labels=same)


def _label(answer: object) -> int:
    if not isinstance(answer, Classification):
        raise TypeError(f"a classifier must answer with scores, got {type(answer).__name__}")
    return answer.label


def _enough(images: Sequence[Array]) -> Iterator[Array]:
    """The images, read one by one, and copies of them with seeded noise until there are 200."""
    if not len(images):
        raise NoTwin("there must be a picture to compare the twin on, got none")
    rng = np.random.Generator(np.random.Philox(0))
    yield from images
    for place in range(len(images), FEWEST):
        image = images[place % len(images)]
        noisy = image.astype(np.int16) + rng.integers(-NOISE, NOISE, image.shape, endpoint=True)
        yield noisy.clip(0, 255).astype(np.uint8)


@torch.no_grad()
def _before_softmax(twin: Twin, name: str, picture: Array) -> str | None:
    """Name of what the last softmax is of, if after it values are at most moved or quantised."""
    made = {output: node for node in twin.nodes for output in node.outputs}
    at = name
    while (node := made.get(at)) is not None and node.op in MOVES:
        at = node.inputs[0]
    if node is None or node.op != "Softmax":
        return None
    odds, logits, answer = twin(_alone(picture), [at, node.inputs[0], name])
    again = logits.flatten().softmax(0)  # over all classes, and nothing but classes
    same = again.numel() == answer.numel() and torch.allclose(odds.flatten(), again, atol=1e-3)
    return node.inputs[0] if same else None


def _alone(picture: Array) -> Tensor:
    alone = torch.from_numpy(np.array(picture[None]))
    return alone if alone.is_floating_point() else alone.float()


@torch.no_grad()
def _batched(twin: Twin, picture: Array) -> bool:
    """True if two pictures at once get the answers of one; some graphs were exported for one."""
    alone = _alone(picture)
    try:
        once, both = twin(alone)[0], twin(torch.cat([alone, alone]))[0]
    except (RuntimeError, EvalError):  # a shape written into the graph
        return False
    want = once.reshape(1, -1).expand(2, -1)
    return both.shape[0] == 2 and torch.allclose(both.reshape(2, -1), want, rtol=1e-3, atol=1e-3)
