"""`assay-models import FILE`: inspect, guess, say why, prove, write."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from models.card import InputSpec, Postprocess, TaskName
from models.contract import contract
from models.decoding import UnreadableImage, decode
from models.families.tables import FAMILIES
from models.importing.bring import name_for, next_version, place_version, require_free, staged
from models.importing.graph import read_graph
from models.importing.guess import guess
from models.importing.telling import answer_lines, graph_lines, reason_lines
from models.importing.wishes import Wishes, labels_of, numbers_of, sides_of, words_of
from models.repository import RepositoryError, opened
from models.results import Array
from models.scenes import scene

__all__ = ["add_import"]

Value = TypeVar("Value")
_INPUT = ("layout", "channels", "mean", "std", "resize", "align", "fill", "interpolation", "crop_fraction")
_DESCRIPTION = """\
Bring an ONNX model: look into FILE, guess what its card must say, say what was guessed and why, prove
that it runs, and put it into the repository. `?` marks a guess that nothing in the graph proves; each
has an option. Nothing is written unless everything holds.

  assay-models import model.onnx
  assay-models import model.onnx --labels data.yaml --image street.jpg --dry-run
  assay-models import model.onnx --task detection --family yolox --labels names.txt --licence Apache-2.0
"""


def add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "import",
        usage="assay-models import [OPTIONS] FILE",
        help="bring an ONNX model: inspect, guess, say why, prove, write",
        description=_DESCRIPTION,
        epilog="\n".join(_families()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_import)
    parser.add_argument("file", type=Path, metavar="FILE", help="the .onnx file")
    parser.add_argument(
        "--dry-run", action="store_true", help="do everything, but leave the repository alone"
    )
    _add_model(parser.add_argument_group("the model"))
    _add_input(parser.add_argument_group("how a picture becomes its input"))
    _add_rules(parser.add_argument_group("how its outputs become detections"))
    _add_proof(parser.add_argument_group("what it is proven on"))


def _families() -> Iterator[str]:
    """Every family and what its outputs look like: N pictures, C classes."""
    for task, own in FAMILIES.items():
        yield f"families for {task}:"
        for name, family in own.items():
            yield textwrap.fill(
                family.contract, 104, initial_indent=f"  {name:14}", subsequent_indent=" " * 16
            )


def _add_model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--task", choices=get_args(TaskName), help="left out: that of the family that fits")
    add("--family", metavar="NAME", help="how the outputs are read, see below; left out: the one that fits")
    add("--outputs", metavar="A,B", help="graph outputs in the order in which the family reads them")
    add("--labels", metavar="FILE|A,B", help="class names: a .txt, .yaml or .json file, or words with commas")
    add("--name", metavar="NAME", help="left out: from the file's name")
    add("--version", type=int, metavar="N", help="left out: the next free one")
    add("--licence", metavar="TEXT", help="of the weights, e.g. Apache-2.0")
    add("--source", metavar="TEXT", help="where they come from; left out: the file's name")
    add("--description", metavar="TEXT", help="one line for people")
    add("--max-batch", type=int, metavar="N", help="most pictures in one run; 1 where the graph takes one")


def _add_input(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--layout", choices=_choices(InputSpec, "layout"), help="where the shape leaves it open")
    add("--size", metavar="N|HxW", help="pixels, where the graph takes any")
    add("--channels", choices=_choices(InputSpec, "channels"), help="their order; L is grey")
    add(
        "--mean",
        metavar="M|A,B,C",
        help="levels (0 to 255) taken off a float input: for all channels, or each",
    )
    add("--std", metavar="S|A,B,C", help="what it is divided by then: 255 gives 0 to 1, 1 gives 0 to 255")
    add("--resize", choices=_choices(InputSpec, "resize"), help="letterbox and crop keep the aspect")
    add("--align", choices=_choices(InputSpec, "align"), help="where a letterbox has the picture")
    add("--fill", type=int, metavar="LEVEL", help="what a letterbox has around it")
    add(
        "--crop-fraction", type=float, metavar="F", help="how much of the short side a crop keeps, e.g. 0.875"
    )
    add("--interpolation", choices=_choices(InputSpec, "interpolation"), help="between pixels")


def _add_rules(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--score-threshold", type=float, metavar="S", help="weaker ones are dropped; low, so that AP holds")
    add("--iou-threshold", type=float, metavar="I", help="of one class, what overlaps more is one object")
    add("--max-detections", type=int, metavar="N", help="most in one answer")
    add(
        "--first-label",
        type=int,
        metavar="N",
        help="the graph's number of the first label; 1 after a background",
    )
    add("--box-order", choices=_choices(Postprocess, "box_order"), help="of an SSD's corners")
    flag = argparse.BooleanOptionalAction
    add("--activated", action=flag, help="the graph ends in a sigmoid (centernet, rtdetr)")


def _add_proof(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--image", type=Path, metavar="FILE", help="a typical picture; left out: a drawn scene")
    add("--tolerance", type=float, metavar="T", help="what raw outputs may differ by on another machine")


def _choices(model: type[InputSpec | Postprocess], field: str) -> tuple[str, ...]:
    return get_args(model.model_fields[field].annotation)


def _import(options: argparse.Namespace) -> Iterator[str]:
    root: Path = options.repository
    image = _picture(options.image)
    name = options.name or name_for(options.file)
    number = options.version or next_version(root, name)
    wishes = _wishes(options)
    require_free(root, name, number)
    graph = read_graph(options.file)
    yield from graph_lines(graph)
    found = guess(graph, wishes, image)
    yield from ("", *reason_lines(found.reasons), "")
    facts = {**found.facts, "name": name, "version": number}
    near = None if options.dry_run else root
    tolerance = found.tolerance if options.tolerance is None else options.tolerance
    with staged(near, graph, facts, image=image, tolerance=tolerance) as version:
        ready = opened(version)
        answer = ready.predictor.predict([image])[0]
        yield from contract(version.card, ready.outputs)
        yield from ("", f"first answer, on {options.image or 'a drawn scene'}:")
        yield from answer_lines(answer, version.card.labels)
        yield ""
        if options.dry_run:
            yield f"{name}/{number} holds; nothing was written (--dry-run)"
            return
        written = place_version(version, root)
    yield f"{name}/{number} is proven and lies in {written.folder}"
    yield f"serve it: ASSAY_MODEL_REPOSITORY={root} python -m service (one that runs finds it by itself)"


def _picture(path: Path | None) -> Array:
    if path is None:
        return scene(0).image
    try:
        return decode(path.read_bytes())
    except UnreadableImage as error:
        raise RepositoryError(f"{path} must be a picture: {error}") from error


def _wishes(options: argparse.Namespace) -> Wishes:
    """What was said, in the card's terms."""
    read: dict[str, Any] = {
        "labels": _read("--labels", options.labels, labels_of),
        "outputs": _read("--outputs", options.outputs, words_of),
        "size": _read("--size", options.size, sides_of),
    }
    plain = ("task", "family", "licence", "source", "description", "max_batch")
    said = {
        **vars(options),
        **{key: _read(f"--{key}", getattr(options, key), numbers_of) for key in ("mean", "std")},
    }
    return Wishes(
        **{key: said[key] for key in plain},
        **read,
        input={key: said[key] for key in _INPUT if said[key] is not None},
        rules={key: said[key] for key in Postprocess.model_fields if said.get(key) is not None},
    )


def _read(option: str, told: str | None, reader: Callable[[str], Value]) -> Value | None:
    try:
        return None if told is None else reader(told)
    except ValueError as error:
        raise RepositoryError(f"{option}: {error}") from error
