"""Version folders that attack whoever loads them; all but the hostile part is right, the digest above all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.publish import npz
from tests.graphs import dim_or_light, light_pixels

__all__ = ["FOLDERS"]

Make = Callable[[Path], bytes]
SHAPE: list[str | int | None] = ["N", 3, 8, 8]


def graph(
    nodes: list[Any], constants: list[Any], *, opsets: Mapping[str, int] | None = None, **more: Any
) -> bytes:
    """An ONNX file with lamp's input and output."""
    made = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        constants,
    )
    imports = [helper.make_opsetid(domain, number) for domain, number in (opsets or {"": 17}).items()]
    data: bytes = helper.make_model(made, opset_imports=imports, ir_version=8, **more).SerializeToString()
    return data


def last(source: str) -> list[Any]:
    """From `source` `(N, 192)` to the output."""
    return [helper.make_node("MatMul", [source, "weight"], ["logits"])]


def flat() -> list[Any]:
    return [helper.make_node("Flatten", ["images"], ["flat"])]


def outside(location: str) -> bytes:
    """Its weights lie in another file."""
    weight = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[192, 2])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "1536")):
        weight.external_data.add(key=key, value=value)
    return graph([*flat(), *last("flat")], [weight])


def linked(link: Callable[[Path, Path], None]) -> Make:
    """In the folder lies a link to a file elsewhere."""

    def make(folder: Path) -> bytes:
        target = folder.parent.parent / "secret.bin"
        if not target.exists():
            target.write_bytes(bytes(1536))
        link(target, folder / "weights.bin")
        return outside("weights.bin")

    return make


def beside(folder: Path) -> bytes:
    """An honest file in the same folder is refused as well: no digest says anything of it."""
    (folder / "weights.bin").write_bytes(bytes(1536))
    return outside("weights.bin")


WEIGHT = numpy_helper.from_array(np.zeros((192, 2), np.float32), "weight")


def hidden(_: Path) -> bytes:
    """In a branch that is not taken."""
    inner = TensorProto(name="inner", data_type=TensorProto.FLOAT, dims=[192, 2])
    inner.data_location = TensorProto.EXTERNAL
    inner.external_data.add(key="location", value="/etc/passwd")
    output = [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, [192, 2])]
    one = helper.make_node("Constant", [], ["chosen"], value=inner)
    other = helper.make_node(
        "Constant", [], ["chosen"], value=numpy_helper.from_array(np.zeros((192, 2), "f4"))
    )
    branches = {
        "then_branch": helper.make_graph([one], "then", [], output),
        "else_branch": helper.make_graph([other], "else", [], output),
    }
    choose = helper.make_node("If", ["never"], ["weight"], **branches)
    return graph([*flat(), choose, *last("flat")], [numpy_helper.from_array(np.array(False), "never")])


def cyclic(_: Path) -> bytes:
    there = helper.make_node("Add", ["back", "flat"], ["there"])
    back = helper.make_node("Identity", ["there"], ["back"])
    return graph([*flat(), there, back, *last("there")], [WEIGHT])


def foreign(_: Path) -> bytes:
    node = helper.make_node("Run", ["flat"], ["odd"], domain="evil.example", command="touch /tmp/x")
    return graph([*flat(), node, *last("odd")], [WEIGHT], opsets={"": 17, "evil.example": 1})


def unknown(_: Path) -> bytes:
    return graph([*flat(), helper.make_node("Explode", ["flat"], ["odd"]), *last("odd")], [WEIGHT])


def recursive(_: Path) -> bytes:
    """A function of its own that calls itself."""
    call = helper.make_node("Again", ["x"], ["y"], domain="own")
    own = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    again = helper.make_function("own", "Again", ["x"], ["y"], [call], own)
    node = helper.make_node("Again", ["flat"], ["odd"], domain="own")
    return graph([*flat(), node, *last("odd")], [WEIGHT], opsets={"": 17, "own": 1}, functions=[again])


def field(number: int, data: bytes) -> bytes:
    """One field of a protobuf message, by hand: a library stops at a hundred levels."""
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def deep(_: Path) -> bytes:
    """A graph in an attribute of a node of a graph, five thousand times."""
    inner = b""
    for _level in range(5000):
        inner = field(1, field(5, field(6, inner)))
    return field(7, inner)


LARGE = 1 << 23  # squared, as float32, more bytes than a process has addresses


def added(source: str) -> list[Any]:
    """The mean of something large is added to the picture."""
    mean = helper.make_node("ReduceMean", [source], ["mean"], keepdims=0)
    return [*flat(), mean, helper.make_node("Add", ["flat", "mean"], ["sum"]), *last("sum")]


def huge(_: Path) -> bytes:
    """A weight of terabytes, of which there is nothing."""
    weight = TensorProto(name="large", data_type=TensorProto.FLOAT, dims=[LARGE, LARGE])
    return graph(added("large"), [weight, WEIGHT])


def grown(_: Path) -> bytes:
    """Terabytes that are computed when it is loaded."""
    fill = helper.make_node("ConstantOfShape", ["sizes"], ["large"])
    sizes = numpy_helper.from_array(np.array([LARGE, LARGE]), "sizes")
    return graph([fill, *added("large")], [sizes, WEIGHT])


def negative(_: Path) -> bytes:
    weight = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[-1, 2**62])
    return graph([*flat(), *last("flat")], [weight])


GRAPHS: Mapping[str, Make] = {
    "weights up the tree": lambda _: outside("../../../../../../etc/passwd"),
    "weights at an absolute path": lambda _: outside("/etc/passwd"),
    "weights by a device": lambda _: outside("/dev/zero"),
    "weights by a symbolic link": linked(lambda target, link: link.symlink_to(target)),
    "weights by a hard link": linked(lambda target, link: os.link(target, link)),
    "weights beside it": beside,
    "weights in a branch": hidden,
    "a cycle": cyclic,
    "an operator of somebody else": foreign,
    "an operator of nobody": unknown,
    "a function that calls itself": recursive,
    "five thousand branches": deep,
    "an opset of the future": lambda _: graph([*flat(), *last("flat")], [WEIGHT], opsets={"": 999}),
    "no opset": lambda _: graph([*flat(), *last("flat")], [WEIGHT], opsets={"other": 1}),
    "a weight of terabytes": huge,
    "a weight of terabytes from nothing": grown,
    "a weight of less than nothing": negative,
    "cut short": lambda _: dim_or_light()[:-40],
    "cut very short": lambda _: dim_or_light()[:3],
    "nothing": lambda _: b"",
    "a pickle": lambda _: b"\x80\x04cos\nsystem\n(S'touch /tmp/x'\ntR.",
    "a page": lambda _: b"<html></html>",
    "other outputs": lambda _: light_pixels().replace(b"logits", b"digits"),
    "other answers": lambda _: light_pixels(),
}


def card_of(folder: Path, model: bytes, **changed: Any) -> dict[str, Any]:
    """lamp/1's card, made to fit: only what is hostile is wrong."""
    card = json.loads((folder.parent / "1" / "card.json").read_text())
    number = int(folder.name) if folder.name.isdecimal() else 1
    return {**card, "version": number, "sha256": hashlib.sha256(model).hexdigest(), **changed}


def write(folder: Path, model: bytes, **changed: Any) -> None:
    shutil.copy(folder.parent / "1" / "golden.npz", folder)
    (folder / "model.onnx").write_bytes(model)
    (folder / "card.json").write_text(json.dumps(card_of(folder, model, **changed)))


def wrong_digest(folder: Path) -> None:
    write(folder, dim_or_light(), sha256="0" * 64)


def changed_after(folder: Path) -> None:
    write(folder, dim_or_light())
    (folder / "model.onnx").write_bytes(dim_or_light() + b"\x10\x00")


def wrong_golden(folder: Path) -> None:
    """A pair that some other graph made."""
    pair = npz(image=np.full((6, 9, 3), 90, np.uint8), output_0=np.array([9.0, -9.0], np.float32))
    golden = {"file": "golden.npz", "sha256": hashlib.sha256(pair).hexdigest(), "tolerance": 1e-3}
    write(folder, dim_or_light(), golden=golden)
    (folder / "golden.npz").write_bytes(pair)


def pickled_golden(folder: Path) -> None:
    """NumPy would unpickle it if it were let."""
    pair = npz(image=np.array([{"a": 1}], dtype=object), output_0=np.zeros(2))
    golden = {"file": "golden.npz", "sha256": hashlib.sha256(pair).hexdigest(), "tolerance": 1e-3}
    write(folder, dim_or_light(), golden=golden)
    (folder / "golden.npz").write_bytes(pair)


def golden_elsewhere(folder: Path) -> None:
    golden = {"file": "../1/golden.npz", "sha256": "0" * 64, "tolerance": 1e-3}
    write(folder, dim_or_light(), golden=golden)


def name_of_another(folder: Path) -> None:
    write(folder, dim_or_light(), name="../../etc")


def other_number(folder: Path) -> None:
    write(folder, dim_or_light(), version=1)


def no_card(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(dim_or_light())


def card_without_end(folder: Path) -> None:
    write(folder, dim_or_light())
    (folder / "card.json").write_bytes(b'{"a":' * 100_000)


def with_graph(make: Make) -> Callable[[Path], None]:
    """A folder where only the graph is hostile."""
    return lambda folder: write(folder, make(folder))


FOLDERS: Mapping[str, Callable[[Path], None]] = {
    **{name: with_graph(make) for name, make in GRAPHS.items()},
    "a wrong digest": wrong_digest,
    "changed after it was published": changed_after,
    "another graph's golden pair": wrong_golden,
    "a pickle in the golden pair": pickled_golden,
    "a golden pair elsewhere": golden_elsewhere,
    "a name of somebody else": name_of_another,
    "another number": other_number,
    "no card": no_card,
    "a card without end": card_without_end,
}
