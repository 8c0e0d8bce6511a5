"""A graph that points at other files is found out, wherever the pointer lies, and no bytes break the look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.graphfile import BrokenGraph, external_tensors
from models.runtime import OnnxRunner, UnusableGraph
from tests.graphs import dim_or_light, echo, light_pixels, whole_picture

FLOAT = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
RESULT = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])


def outside(name: str = "w") -> Any:
    """Four numbers that lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def inside(name: str = "w") -> Any:
    return numpy_helper.from_array(np.ones(4, np.float32), name)


def graph(nodes: list[Any], tensors: list[Any] | None = None, **more: Any) -> Any:
    return helper.make_graph(nodes, "g", [FLOAT], [RESULT], tensors or [], **more)


def model(built: Any, functions: list[Any] | None = None) -> Any:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(built, opset_imports=opsets, functions=functions or [], ir_version=8)


def add(name: str = "w") -> Any:
    return helper.make_node("Add", ["x", name], ["y"])


def in_main(tensor: Any) -> Any:
    return model(graph([add()], [inside("other"), tensor]))


def in_attribute(tensor: Any) -> Any:
    return model(graph([helper.make_node("Constant", [], ["w"], value=tensor), add()]))


def in_tensors(tensor: Any) -> Any:
    node = helper.make_node("Own", ["x"], ["y"], domain="own")
    node.attribute.append(helper.make_attribute("many", [inside("other"), tensor]))
    return model(graph([node]))


def branches(tensor: Any) -> Any:
    then = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "then", [], [RESULT], [tensor])
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "else", [], [RESULT])
    return helper.make_node("If", ["truth"], ["y"], then_branch=then, else_branch=other)


def in_branch(tensor: Any) -> Any:
    return model(graph([branches(tensor)]))


def in_graphs(tensor: Any) -> Any:
    node = helper.make_node("Own", ["x"], ["y"], domain="own")
    node.attribute.append(helper.make_attribute("many", [graph([add()]), graph([add()], [tensor])]))
    return model(graph([node]))


def function(nodes: list[Any]) -> Any:
    return helper.make_function("own", "F", ["x"], ["y"], nodes, [helper.make_opsetid("", 17)])


def in_function(tensor: Any) -> Any:
    nodes = [helper.make_node("Constant", [], ["w"], value=tensor), add()]
    return model(graph([helper.make_node("F", ["x"], ["y"], domain="own")]), [function(nodes)])


def in_branch_of_function(tensor: Any) -> Any:
    return model(graph([add()], [inside()]), [function([branches(tensor)])])


def in_default_of_function(tensor: Any) -> Any:
    made = function([add()])
    made.attribute_proto.append(helper.make_attribute("w", tensor))
    return model(graph([add()], [inside()]), [made])


def sparse(values: Any, indices: Any) -> Any:
    return helper.make_sparse_tensor(values, indices, [9])


INDICES = numpy_helper.from_array(np.arange(4), "indices")


def in_sparse(tensor: Any) -> Any:
    return model(graph([add()], sparse_initializer=[sparse(tensor, INDICES)]))


def in_indices_of_sparse(tensor: Any) -> Any:
    tensor.data_type = TensorProto.INT64
    return model(graph([add()], sparse_initializer=[sparse(inside(), tensor)]))


def in_sparse_attribute(tensor: Any) -> Any:
    node = helper.make_node("Constant", [], ["w"], sparse_value=sparse(tensor, INDICES))
    return model(graph([node, add()]))


def in_sparse_attributes(tensor: Any) -> Any:
    node = helper.make_node("Own", ["x"], ["y"], domain="own")
    node.attribute.append(helper.make_attribute("many", [sparse(tensor, INDICES)]))
    return model(graph([node]))


def in_training(tensor: Any) -> Any:
    made = model(graph([add()], [inside()]))
    made.training_info.add().algorithm.CopyFrom(graph([add()], [tensor]))
    return made


def at_start_of_training(tensor: Any) -> Any:
    made = model(graph([add()], [inside()]))
    made.training_info.add().initialization.CopyFrom(graph([add()], [tensor]))
    return made


PLACES: list[Callable[[Any], Any]] = [
    *(in_main, in_attribute, in_tensors, in_branch, in_graphs, in_function, in_branch_of_function),
    *(in_default_of_function, in_sparse, in_indices_of_sparse, in_sparse_attribute, in_sparse_attributes),
    *(in_training, at_start_of_training),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_pointer_is_found_wherever_it_lies(place: Callable[[Any], Any]) -> None:
    assert external_tensors(place(outside("hidden")).SerializeToString()) == ["hidden"]
    assert external_tensors(place(inside("w")).SerializeToString()) == []
    with pytest.raises(UnusableGraph, match="'hidden' lies in another file"):
        OnnxRunner(place(outside("hidden")).SerializeToString(), input_name="x", outputs=["y"])


def test_every_pointer_is_named() -> None:
    made = graph([branches(outside("second")), add()], [outside("first"), inside(), outside("third")])
    assert sorted(external_tensors(model(made).SerializeToString())) == ["first", "second", "third"]
    nameless = outside()
    nameless.ClearField("name")
    assert external_tensors(in_main(nameless).SerializeToString()) == ["(no name)"]


def test_either_half_of_a_pointer_is_one() -> None:
    """The place without a file, or a file without the place: readers differ in what they make of it."""
    place, file = outside(), outside()
    place.ClearField("external_data")
    file.ClearField("data_location")
    for tensor in (place, file):
        assert external_tensors(in_main(tensor).SerializeToString()) == ["w"]


@pytest.mark.parametrize("made", [dim_or_light, whole_picture, light_pixels, lambda: echo("float16")])
def test_whole_graphs_are_whole(made: Callable[[], bytes]) -> None:
    assert external_tensors(made()) == []


def varint(number: int) -> bytes:
    told = bytearray()
    while number > 0x7F:
        told.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*told, number])


def field(number: int, value: bytes | int, *, more: int = 0) -> bytes:
    """A field by hand; `more` is what readers of 32 bits cut off its key."""
    wire = 0 if isinstance(value, int) else 2
    key = varint((number << 3 | wire) + more)
    return key + (varint(value) if isinstance(value, int) else varint(len(value)) + value)


def hidden(more: int) -> bytes:
    where = field(1, b"location") + field(2, b"weights")
    pointer = field(13, where, more=more) + field(14, 1, more=more)
    tensor = field(1, 4) + field(2, 1) + field(8, b"w") + pointer
    made = model(graph([add()]))
    inner = made.graph.SerializeToString() + field(5, tensor)
    made.ClearField("graph")
    return bytes(made.SerializeToString() + field(7, inner))


def test_a_field_cannot_be_hidden_in_a_key_that_others_cut() -> None:
    """onnxruntime reads keys as 32 bits, so the 33rd hid a pointer from us that it followed."""
    assert external_tensors(hidden(0)) == ["w"]
    for bit in (32, 33, 34, 35, 60):
        with pytest.raises(BrokenGraph, match="32 bits"):
            external_tensors(hidden(1 << bit))


WHOLE = in_branch(outside("hidden")).SerializeToString()


@given(st.integers(0, len(WHOLE) - 1))
def test_a_graph_cut_short_is_broken_or_lacks_the_rest(length: int) -> None:
    with contextlib.suppress(BrokenGraph):
        assert external_tensors(WHOLE[:length]) in ([], ["hidden"])


BROKEN = {
    "group": b"\x0b",
    "unknown wire type": b"\x0f",
    "key cut short": b"\x80",
    "endless number": b"\x08" + b"\xff" * 11,
    "number of 77 bits": b"\x08" + b"\x80" * 10 + b"\x01",
    "length cut short": b"\x3a",
    "less than its length": b"\x3a\x05ab",
    "length beyond memory": b"\x3a" + varint(2**63),
    "eight bytes cut short": b"\x09abc",
    "four bytes cut short": b"\x0dabc",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_protobuf_is_broken(name: str) -> None:
    with pytest.raises(BrokenGraph):
        external_tensors(BROKEN[name])
    with pytest.raises(UnusableGraph, match="cannot be loaded"):
        OnnxRunner(BROKEN[name], input_name="x", outputs=["y"])


def test_graphs_in_graphs_have_an_end() -> None:
    told = b""
    for _ in range(40):  # graph, node, attribute, graph ...
        told = field(1, field(5, field(6, told)))
    with pytest.raises(BrokenGraph, match="64 deep"):
        external_tensors(field(7, told))


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_broken(data: bytes) -> None:
    with contextlib.suppress(BrokenGraph):
        external_tensors(data)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_damage_is_read_or_broken(damage: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for place, value in damage:
        data[place] = value
    with contextlib.suppress(BrokenGraph):
        external_tensors(bytes(data))
