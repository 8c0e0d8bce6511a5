"""Graphs of one process compute in one arena: what one let go the next one takes, and no answer changes."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import models.runtime
from models.runtime import OnnxRunner

MB = 1_000_000
REPEATS = 4_000_000  # floats one picture grows to, twice: 32 MB
GRAPHS = 6
TOLD = f"""
import json, sys
import numpy as np
from models.runtime import OnnxRunner

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

graph, batch = sys.stdin.buffer.read(), np.ones((2, 1), np.float32)
runners = [OnnxRunner(graph) for _ in range({GRAPHS})]
told = [held()]
for runner in runners:
    runner.run(batch)  # plans
told.append(held())
for runner in runners:
    runner.run(batch)
    told.append(held())
print(json.dumps(told))
"""


def growing(repeats: int, seed: float = 1.5) -> bytes:
    """The mean of a picture's one value times `seed`, repeated and made positive on the way."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "seed"], ["scaled"]),
            helper.make_node("Tile", ["scaled", "repeats"], ["many"]),
            helper.make_node("Abs", ["many"], ["positive"]),
            helper.make_node("ReduceMean", ["positive"], ["y"], axes=[1], keepdims=1),
        ],
        "growing",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
        [
            numpy_helper.from_array(np.array([seed], np.float32), "seed"),
            numpy_helper.from_array(np.array([1, repeats]), "repeats"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc/self/statm")
def test_many_graphs_hold_no_more_than_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TOLD], input=growing(REPEATS), capture_output=True, check=True, timeout=60
    )
    before, planned, first, *_, last = json.loads(done.stdout)
    one = first - before
    assert one > 50 * MB, "a graph keeps what it computes in"
    assert planned - before < one / 4, "a run that plans gives back what it took"
    assert last - before < 1.5 * one, f"{GRAPHS} graphs hold {(last - before) / one:.1f} times what one does"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_first_run_of_a_shape_answers_as_the_next_ones(count: int) -> None:
    graph, batch = growing(1000), np.linspace(-3, 4, count, dtype=np.float32)[:, None]
    runner = OnnxRunner(graph)
    first, again = (runner.run(batch)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, np.abs(1.5 * batch), rtol=1e-6)


def test_graphs_at_work_at_once_keep_out_of_each_others_memory() -> None:
    runners = [OnnxRunner(growing(20_000, seed)) for seed in (1.0, 2.0, 3.0)]

    def work(turn: int) -> bool:
        which, count = turn % 3, 1 + turn % 7
        (answer,) = runners[which].run(np.full((count, 1), 2.0, np.float32))
        return bool(np.array_equal(answer, np.full((count, 1), 2.0 * (which + 1), np.float32)))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(200)))


def test_a_graph_of_any_size_remembers_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.runtime, "PLANNED", 2)
    runner = OnnxRunner(growing(10))
    for count in (1, 2, 3, 4, 3):
        assert runner.run(np.ones((count, 1), np.float32))[0].shape == (count, 1)
    assert len(runner._planned) == 2
