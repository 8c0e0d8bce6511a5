"""Pictures that were made on a twin, asked about at the endpoint like those of any other attack."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat
from eval.attacks.goals.classification import Targeted, Untargeted
from eval.errors import EvalError
from models.results import Array

__all__ = ["ON_A_TWIN", "Transfer", "key_of", "packed", "transfer_of", "unpacked", "wanted"]

# Names in `eval.whitebox.attacks.tables.WHITE_BOX`, known without PyTorch; a test holds the two together.
ON_A_TWIN = ("fgsm", "mi_fgsm", "pgd", "apgd_ce", "apgd_dlr", "apgd_dlr_t")


@dataclass(frozen=True)
class Transfer(Attack):
    """Asks once about the picture that was made for an image and its goal.

    Attributes:
        method: what made the pictures, `pgd` say; the attack's name is that, or `transfer_pgd`.
        white_box: they were made on the twin of the very graph that is served; else on another model, of
            which nothing is known but that pictures often carry over.
        told: the settings of what made them, and the graph.
        changes: by `key_of` the image and its goal: `packed`.
    """

    name: ClassVar[str] = "transfer"
    tags: ClassVar[tuple[str, ...]] = ("NISTAML.025 black-box evasion", "AML.T0043.002 black-box transfer")
    method: str
    changes: Mapping[bytes, bytes] = field(repr=False)
    white_box: bool = True
    told: str = ""

    def __post_init__(self) -> None:  # one class stands for all methods
        object.__setattr__(self, "name", self.method if self.white_box else f"{self.name}_{self.method}")
        if self.white_box:
            tags = ("NISTAML.022 evasion (white-box)", "AML.T0043.000 white-box optimization")
            object.__setattr__(self, "tags", tags)

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        try:
            change = self.changes[key_of(image, goal)]
        except KeyError:
            raise ValueError(
                f"a picture must have been made for every image and goal, class {goal.truth} has none"
            ) from None
        yield [unpacked(change, image)]

    def most(self, budget: int) -> int:
        """The clean picture, the one that was made, and its check."""
        return min(budget, 3)


def transfer_of(
    method: str, images: Sequence[Array], goals: Sequence[Goal], pictures: Sequence[Array]
) -> Transfer:
    """The attack that asks about `pictures[i]` for `images[i]`, uint8 RGB `(H, W, 3)` both.

    Raises:
        ValueError: they are not equally many.
    """
    rows = zip(images, goals, pictures, strict=True)
    return Transfer(method, {key_of(image, goal): packed(picture, image) for image, goal, picture in rows})


def wanted(goal: Goal) -> tuple[int, int]:
    """The true class, and the one to be reached; -1 where any other will do.

    Raises:
        EvalError: what is wanted is no class.
    """
    if isinstance(goal, Targeted):
        return goal.truth, goal.target
    if isinstance(goal, Untargeted):
        return goal.truth, -1
    raise EvalError(f"attacks on a twin need a goal of classes, got {goal.name}; use the black-box attacks")


def key_of(image: Array, goal: Goal) -> bytes:
    """Of an image and what is wanted of it."""
    truth, target = wanted(goal)
    told = f"{image.shape} {truth} {target} ".encode()
    return hashlib.blake2b(told + image.tobytes(), digest_size=16).digest()


def packed(picture: Array, image: Array) -> bytes:
    """A picture as its change of the image, uint8 both: a quarter of its size, or less."""
    return zlib.compress((picture - image).tobytes(), 1)  # modulo 256


def unpacked(change: bytes, image: Array) -> Array:
    """The picture again."""
    picture: Array = image + np.frombuffer(zlib.decompress(change), np.uint8).reshape(image.shape)
    return picture
