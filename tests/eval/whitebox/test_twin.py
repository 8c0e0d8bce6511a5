"""A twin answers as its graph, has true gradients, and may not be used before it has proven itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper

from eval.whitebox.node import Unsupported
from eval.whitebox.twin import NoTwin, Twin, prove
from models.cli import ZOO
from models.digits import digits
from models.repository import Version, versions
from models.results import Array, Classification, Detections, Segmentation
from models.runtime import OnnxRunner
from models.scenes import scene
from models.tasks import TASKS, Predictor
from tests.eval.whitebox.graphs import WEIGHTS, graph, small_net

pytestmark = pytest.mark.torch
DATA = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))
SHIPPED = [v for v in versions(ZOO) if (v.folder / "model.onnx").is_file()]
INT8 = [v for v in SHIPPED if "optimised.from" in v.card.training]
FLOATS = [v for v in SHIPPED if v not in INT8]
IMAGES = np.random.default_rng(5).normal(size=(3, 3, 6, 6)).astype(np.float32)


def both(model: bytes, name: str, outputs: tuple[str, ...]) -> tuple[Twin, OnnxRunner]:
    return Twin(model, input_name=name, outputs=outputs), OnnxRunner(model, input_name=name, outputs=outputs)


@pytest.mark.parametrize("version", FLOATS, ids=lambda v: f"{v.card.name}-{v.card.version}")
def test_every_shipped_graph_has_a_twin(version: Version) -> None:
    card = version.card
    twin, runner = both(version.model_path.read_bytes(), card.input.name, card.outputs)
    pictures = [scene(i).image for i in range(4)]
    task = TASKS[card.task](card)
    agreement = prove(twin, runner, [task.prepare(picture) for picture in pictures])
    # Where two cells of a heat map tie, the last digit decides which one is the peak, and the other is 0.
    assert agreement.share > 0.9999
    assert agreement.max_difference < (1e-3 if agreement.share == 1 else 0.1)
    answers = Predictor(task, twin).predict(pictures[:2])
    again = Predictor(task, runner).predict(pictures[:2])
    if isinstance(answers[0], Classification) and isinstance(again[0], Classification):
        np.testing.assert_allclose(answers[0].scores, again[0].scores, atol=1e-4)


@pytest.mark.parametrize("version", INT8, ids=lambda v: f"{v.card.name}-{v.card.version}")
def test_the_twin_of_an_int8_graph_answers_alike(version: Version) -> None:
    """Not value by value: half way between two levels, the last digit decides; see `compare`."""
    card, task = version.card, TASKS[version.card.task](version.card)
    twin, runner = both(version.model_path.read_bytes(), card.input.name, card.outputs)
    pictures = [scene(i).image for i in range(4)]
    for one, other in zip(*(Predictor(task, r).predict(pictures) for r in (twin, runner)), strict=True):
        if isinstance(one, Classification) and isinstance(other, Classification):
            np.testing.assert_allclose(one.scores, other.scores, atol=0.05)
        elif isinstance(one, Segmentation) and isinstance(other, Segmentation):
            assert (one.labels == other.labels).mean() > 0.99
        elif isinstance(one, Detections) and isinstance(other, Detections):
            assert abs(int((one.scores > 0.3).sum()) - int((other.scores > 0.3).sum())) <= 1


def input_of(path: Path) -> str:
    import onnx

    told = onnx.load(path).graph
    held = {tensor.name for tensor in told.initializer}
    (name,) = [i.name for i in told.input if i.name not in held]
    return str(name)


def outputs_of(path: Path) -> tuple[str, ...]:
    import onnx

    return tuple(o.name for o in onnx.load(path).graph.output)


def test_gradients_are_those_of_finite_differences() -> None:
    tail = [helper.make_node("Softmax", ["y"], ["odds"])]
    twin = Twin(small_net("float64", tail), input_name="images", outputs=["odds"])
    image = torch.from_numpy(IMAGES[:1].astype(np.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: twin(x)[0], (image,))


def test_weights_are_parameters_and_can_be_trained() -> None:
    twin = Twin(small_net(), input_name="images", outputs=["y"])
    assert sum(p.numel() for p in twin.parameters()) == sum(w.size for w in WEIGHTS.values())
    before = [p.detach().clone() for p in twin.parameters()]
    twin(torch.from_numpy(IMAGES))[0].square().sum().backward()
    torch.optim.SGD(twin.parameters(), 0.1).step()
    assert all((a != b).any() for a, b in zip(before, twin.parameters(), strict=True))


def test_any_value_of_the_graph_can_be_asked_for() -> None:
    twin = Twin(small_net(), input_name="images", outputs=["y"])
    features, means, y = twin(torch.from_numpy(IMAGES), ["features", "means", "y"])
    assert features.shape == (3, 4, 6, 6)
    assert torch.equal(means, features.mean((2, 3), keepdim=True))
    assert torch.equal(y, twin(torch.from_numpy(IMAGES))[0])


def test_nodes_no_output_rests_on_are_not_run() -> None:
    odd = helper.make_node("NonMaxSuppression", ["images", "images"], ["boxes"])
    twin = Twin(small_net(tail=[odd]), input_name="images", outputs=["y"])
    assert [node.op for node in twin.nodes] == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]


def test_unknown_operators_are_refused_by_name_all_at_once() -> None:
    nodes = [
        helper.make_node("NonZero", ["images"], ["places"]),
        helper.make_node("FusedConv", ["places"], ["y"], domain="com.example"),
    ]
    with pytest.raises(Unsupported, match=r"NonZero, com\.example\.FusedConv.*black box"):
        Twin(graph(nodes, {}), input_name="images", outputs=["y"])


def test_a_branch_is_refused_by_name() -> None:
    branch = helper.make_graph([helper.make_node("Identity", ["images"], ["z"])], "b", [], [])
    node = helper.make_node("If", ["images"], ["y"], then_branch=branch, else_branch=branch)
    with pytest.raises(Unsupported, match="If"):
        Twin(graph([node], {}), input_name="images", outputs=["y"])


@pytest.mark.parametrize(("name", "outputs"), [("pictures", ["y"]), ("images", ["nothing"])])
def test_names_must_be_the_graphs(name: str, outputs: list[str]) -> None:
    with pytest.raises(Unsupported, match="no value"):
        Twin(small_net(), input_name=name, outputs=outputs)


class Shifted:
    """A runner whose first so many values are wrong."""

    def __init__(self, runner: OnnxRunner, count: int, by: float = 1.0) -> None:
        self.runner, self.count, self.by = runner, count, by

    def run(self, batch: Array) -> list[Array]:
        (y,) = self.runner.run(batch)
        y = y.copy()
        y.reshape(-1)[: self.count] += np.array(self.by, y.dtype)
        return [y]


def test_a_twin_that_differs_proves_nothing() -> None:
    twin, runner = both(small_net(), "images", ("y",))
    assert prove(twin, runner, list(IMAGES)).share == 1
    with pytest.raises(NoTwin, match=r"80\.000% of 15"):
        prove(twin, Shifted(runner, 1), list(IMAGES))
    with pytest.raises(NoTwin):
        prove(twin, Shifted(runner, 1, float("nan")), list(IMAGES))
    with pytest.raises(NoTwin):
        prove(twin, runner, [])


def test_one_value_in_a_thousand_may_differ_and_one_level_of_8_bits() -> None:
    node = helper.make_node("Identity", ["images"], ["y"])
    twin, runner = both(graph([node], {}, shape=["N", 1000]), "images", ("y",))
    images = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    assert prove(twin, Shifted(runner, 1), list(images)).share == 0.999
    with pytest.raises(NoTwin):
        prove(twin, Shifted(runner, 2), list(images))
    levels = graph([node], {}, shape=["N", 10], dtype=2, out=2)
    twin, runner = both(levels, "images", ("y",))
    few = list(np.arange(20, dtype=np.uint8).reshape(2, 10))
    assert prove(twin, Shifted(runner, 10, 1), few).max_difference == 1
    with pytest.raises(NoTwin):
        prove(twin, Shifted(runner, 1, 2), few)


def test_digits_are_told_as_the_graph_tells_them() -> None:
    version = next(v for v in SHIPPED if v.card.name == "digits")
    twin, runner = both(version.model_path.read_bytes(), version.card.input.name, version.card.outputs)
    images, _ = digits("test")
    task = TASKS["classification"](version.card)
    agreement = prove(twin, runner, [task.prepare(image) for image in images[:200]])
    assert agreement.share == 1
    assert agreement.values == 2000
