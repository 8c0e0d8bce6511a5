"""How pictures are sent to a model of the Open Inference Protocol, and how its tensors are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.errors import EndpointError
from eval.remote.protocol import Model, Put
from models.card import InputSpec, ModelCard
from models.columns import PREFIX
from models.families.tables import FAMILIES
from models.tensors import datatype_of

__all__ = ["Way", "prepared_of", "way_of"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask one model.

    Attributes:
        send: `files` as they are, decoded `pixels` uint8 `(N, H, W, 3)`, or the `tensor` that the card
            prepares.
        port: the input.
        most: images in one request; None for no limit.
        exact: every request must have `most` images.
        answers: the server reads its own outputs; else they are read here, by the card.
        outputs: the tensors that are read, in the card's order; all there are where the server does not
            tell their names.
    """

    send: Literal["files", "pixels", "tensor"]
    port: Put
    most: int | None = None
    exact: bool = False
    answers: bool = False
    outputs: tuple[str, ...] = ()


def way_of(model: Model, card: ModelCard | None) -> Way:
    """The best way that the model has.

    Raises:
        EndpointError: there is none.
    """
    if len(model.inputs) > 1:
        told = ", ".join(map(str, model.inputs))
        raise EndpointError(f"{model.name} must have one input, a picture; it has {told}")
    if model.inputs and any(output.name.startswith(PREFIX) for output in model.outputs):
        return Way("files", model.inputs[0], answers=True)
    if card is None:
        told = ", ".join(map(str, model.outputs)) or "tensors"
        raise EndpointError(
            f"{model.name} answers {told}: say with --card how they are read; "
            "`assay-models import` writes a card for an ONNX file"
        )
    outputs = _outputs(model, card)
    single = not FAMILIES[card.task][card.family].batched
    port = model.inputs[0] if model.inputs else prepared_of(card.input)
    if port.datatype == "BYTES":
        return Way("files", port, *_batches(port, single), outputs=outputs)
    if port.datatype == "UINT8" and len(port.shape) == 4 and port.shape[1:] == (-1, -1, 3):
        return Way("pixels", port, *_batches(port, single), outputs=outputs)
    own = prepared_of(card.input)
    if port.datatype != own.datatype or not _fits(port.shape, own.shape):
        raise EndpointError(f"{model.name} takes {port}, the card prepares {own}: is it this model's card?")
    return Way("tensor", port, *_batches(port, single), outputs=outputs)


def prepared_of(spec: InputSpec) -> Put:
    """What the card's task makes of pictures."""
    channels = 1 if spec.channels == "L" else 3
    nchw = spec.layout == "NCHW"
    sides = (channels, spec.height, spec.width) if nchw else (spec.height, spec.width, channels)
    return Put(spec.name, datatype_of(np.empty(0, spec.dtype)), (-1, *sides))


def _fits(shape: tuple[int, ...], own: tuple[int, ...]) -> bool:
    return len(shape) == len(own) and all(
        there in (-1, here) for there, here in zip(shape[1:], own[1:], strict=True)
    )


def _batches(port: Put, single: bool) -> tuple[int | None, bool]:
    """The most images in a request, and whether it must be just so many."""
    first = port.shape[0] if port.shape else -1
    if single or first == 1:
        return 1, False
    return (first, True) if first > 1 else (None, False)


def _outputs(model: Model, card: ModelCard) -> tuple[str, ...]:
    """The server's names of the card's outputs: the same names, or the same number of them."""
    names = tuple(output.name for output in model.outputs)
    if not names or set(card.outputs) <= set(names):
        return card.outputs if names else ()
    if len(names) == len(card.outputs):
        return names
    raise EndpointError(
        f"{model.name} answers {', '.join(names)}, the card reads {', '.join(card.outputs)}: "
        "is it this model's card?"
    )
