"""Pictures that were made on a twin, asked about at the endpoint like those of any other attack."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from eval.attacks.base import Attack, Dialogue, Draw, Threat
from eval.errors import EvalError
from models.results import Array

__all__ = ["ON_A_TWIN", "Transfer", "made_on_twin", "transfer_of"]

# Names in `eval.whitebox.attacks.tables.WHITE_BOX`, known without PyTorch; a test holds the two together.
ON_A_TWIN = ("fgsm", "mi_fgsm", "pgd", "apgd_ce", "apgd_dlr", "apgd_dlr_t")


@dataclass(frozen=True)
class Transfer(Attack):
    """Asks once about the picture that was made for an image and its label.

    Attributes:
        method: what made the pictures, `pgd` say; the attack's name is that.
        pictures: by `key_of` the image and its label.
    """

    name: ClassVar[str] = "transfer"
    tags: ClassVar[tuple[str, ...]] = (
        "NISTAML.022 white-box evasion",
        "AML.T0043.000 white-box optimization",
        "AML.T0043.002 black-box transfer",
    )
    method: str
    pictures: Mapping[bytes, Array] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.method)  # one class stands for all methods

    def run(self, image: Array, label: int, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        try:
            picture = self.pictures[key_of(image, label)]
        except KeyError:
            raise ValueError(
                f"a picture must have been made for every image, class {label} has none"
            ) from None
        yield [picture]


def transfer_of(
    method: str, images: Sequence[Array], labels: Sequence[int], pictures: Sequence[Array]
) -> Transfer:
    """The attack that asks about `pictures[i]` for `images[i]`, uint8 RGB `(H, W, 3)` both.

    Raises:
        ValueError: they are not equally many.
    """
    pairs = zip(images, labels, pictures, strict=True)
    return Transfer(method, {key_of(image, int(label)): picture for image, label, picture in pairs})


def made_on_twin(
    folder: Path,
    names: Sequence[str],
    images: Sequence[Array],
    labels: Sequence[int],
    threat: Threat,
    seed: int,
    *,
    samples: Sequence[str],
    sha256: str | None,
) -> list[Transfer]:
    """Attacks whose pictures the twin of a version makes now, after it has proven itself on the images.

    Args:
        folder: of the version: model.onnx and card.json.
        names: of `ON_A_TWIN`.
        samples: an id for each image, part of the key of its draws.
        sha256: of the graph that is served; None to use another model as a surrogate.

    Raises:
        EvalError: PyTorch is not installed, the folder is not that of the graph, or its twin does not
            agree with it.
    """
    try:
        from eval.whitebox.proven import proven_classifier
        from eval.whitebox.transfer import transfers
    except ImportError as error:
        raise EvalError(f"attacks on a twin need PyTorch and onnx: install assay[train] ({error})") from error
    twin = proven_classifier(folder, images, sha256)
    return transfers(twin, images, labels, threat, names, seed, samples)


def key_of(image: Array, label: int) -> bytes:
    told = f"{image.shape} {label} ".encode()
    return hashlib.blake2b(told + image.tobytes(), digest_size=16).digest()
