"""The input of a graph: what its shape tells, and what is customary where it tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from models.card import InputSpec
from models.importing.customs import Customs, usual_size
from models.importing.fields import filled
from models.importing.graph import Graph, shape_text
from models.importing.ledger import How, Ledger
from models.importing.notes import Notes
from models.importing.wishes import Wishes
from models.repository import RepositoryError

__all__ = ["plain_input", "prepared_input"]

_DTYPES = ("float32", "float16", "float64", "uint8", "int32", "int64")
_AXES: Mapping[Literal["NCHW", "NHWC"], tuple[int, int, int]] = {"NCHW": (1, 2, 3), "NHWC": (3, 1, 2)}


def plain_input(graph: Graph, wishes: Wishes, notes: Notes, ledger: Ledger) -> InputSpec:
    """Name, layout, sides, type and number of channels; floats from 0 to 1 for the time being.

    Raises:
        RepositoryError: the graph takes no pictures, or none as it was said to.
    """
    port, told = graph.input, shape_text(graph.input.shape)
    if len(port.shape) != 4 or port.dtype.name not in _DTYPES:
        raise RepositoryError(
            f"{port.name} must take pictures, [N, 3, H, W] or [N, H, W, 3] of {', '.join(_DTYPES)}; "
            f"it takes {told} of {port.dtype}"
        )
    if port.shape[0] > 1:
        raise RepositoryError(
            f"{port.name} takes exactly {port.shape[0]} pictures at once; export it for 1, or for any number"
        )
    layout, many = _layout(port.shape, wishes, ledger)
    height, width = _sides([port.shape[axis] for axis in _AXES[layout][1:]], wishes, notes, ledger)
    ledger.settle("type", None, port.dtype.name, "read", "of the input")
    return InputSpec(
        name=port.name,
        height=height,
        width=width,
        layout=layout,
        dtype=port.dtype.name,
        channels="RGB" if many == 3 else "L",
        mean=(0.0,) * many,
        std=(255.0,) * many,
    )


def _layout(
    shape: tuple[int, ...], wishes: Wishes, ledger: Ledger
) -> tuple[Literal["NCHW", "NHWC"], Literal[1, 3]]:
    sizes = {layout: shape[channels] for layout, (channels, *_) in _AXES.items()}
    clear = [layout for layout, size in sizes.items() if size in (1, 3)]
    likely = clear or [layout for layout, size in sizes.items() if size == -1]
    told = f"the input is {shape_text(shape)}"
    if not likely:
        raise RepositoryError(f"a picture must have 1 or 3 channels; {told}")
    how: How = "read" if len(clear) == 1 else "guess"
    why = told if how == "read" else f"{told}: both would do"
    layout = ledger.settle("layout", wishes.input.get("layout"), likely[0], how, why)
    if sizes[layout] not in (1, 3, -1):
        raise RepositoryError(f"layout {layout} does not fit: {told}")
    grey = sizes[layout] == 1 or (sizes[layout] == -1 and wishes.input.get("channels") == "L")
    return layout, 1 if grey else 3


def _sides(fixed: list[int], wishes: Wishes, notes: Notes, ledger: Ledger) -> tuple[int, int]:
    usual = notes.size or (usual_size(wishes.task),) * 2
    sides = tuple(
        side if side > 0 else other for side, other in zip(fixed, wishes.size or usual, strict=True)
    )
    text = f"{sides[0]} x {sides[1]}"
    if wishes.size not in (None, sides):
        raise RepositoryError(f"the graph takes {shape_text(fixed)} only; leave --size out or say {text}")
    if min(fixed) > 0:
        ledger.settle("size", None, text, "read", "fixed in the graph")
    elif notes.size is not None:
        ledger.settle("size", wishes.size and text, text, "read", "the graph's note `imgsz`")
    else:
        ledger.settle("size", wishes.size and text, text, "guess", "the graph takes any; this is a usual one")
    return sides[0], sides[1]


def prepared_input(plain: InputSpec, wishes: Wishes, usual: Customs, ledger: Ledger) -> InputSpec:
    """The whole input: how pictures get there, as it was said or as it is customary.

    Raises:
        RepositoryError: what was said does not go together.
    """
    why = f"usual for {usual.whose}; nothing in the graph tells"
    grey, whole = plain.channels == "L", not plain.dtype.startswith("float")
    told: dict[str, Any] = {}

    def settle(field: str, found: Any) -> None:
        told[field] = ledger.settle(field.replace("_", " "), wishes.input.get(field), found, "guess", why)

    if grey:
        _require(
            wishes.input.get("channels") in (None, "L"), "the graph takes one channel: --channels must be L"
        )
    else:
        _require(
            wishes.input.get("channels") != "L",
            "the graph takes three channels: --channels must be RGB or BGR",
        )
        settle("channels", usual.channels)
    if not whole:
        numbers = {
            name: getattr(usual, name)[:1] if grey else getattr(usual, name) for name in ("mean", "std")
        }
        for name, found in numbers.items():
            settle(name, found)
            told[name] = told[name] * len(found) if len(told[name]) == 1 else told[name]
            _require(len(told[name]) == len(found), f"--{name} must be {len(found)} numbers, or one")
    settle("resize", usual.resize)
    if told["resize"] == "letterbox":
        settle("align", usual.align)
        settle("fill", usual.fill)
    if told["resize"] == "crop":
        settle("crop_fraction", usual.crop_fraction)
    settle("interpolation", usual.interpolation)
    unused = sorted(set(wishes.input) - set(told) - {"layout", "channels"})
    _require(
        not unused,
        f"--{'-'.join(unused[:1]).replace('_', '-')} has no meaning with {told['resize']} and {plain.dtype}",
    )
    return filled(InputSpec, {**plain.model_dump(), **told})


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RepositoryError(otherwise)
