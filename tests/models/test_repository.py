"""A version goes live only when its digests match and its golden pair reproduces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.publish import publish
from models.repository import RepositoryError, Version, newest, open_version, versions
from models.results import Array, Classification
from models.runtime import OnnxRunner, UnusableGraph, choose_providers


def mean_graph(gain: float = 1.0) -> bytes:
    """Two logits: plus and minus `gain` times the mean level."""
    weight = np.array([[gain], [-gain]], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["column"]),
        helper.make_node("Gemm", ["column", "weight"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


FACTS: dict[str, Any] = {
    "name": "mean",
    "version": 1,
    "task": "classification",
    "family": "logits",
    "input": {"height": 4, "width": 4},
    "outputs": ("logits",),
    "labels": ("light", "dark"),
    "licence": "Apache-2.0",
}


def grey(level: int) -> Array:
    return np.full((5, 7, 3), level, np.uint8)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    return publish(tmp_path, mean_graph(), FACTS, golden_image=grey(100))


def edit(version: Version, /, **fields: object) -> None:
    path = version.folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def reopened(version: Version) -> Version:
    return versions(version.folder.parents[1])[0]


def test_what_is_published_answers(version: Version) -> None:
    answer = open_version(reopened(version)).predict([grey(255)])[0]
    assert isinstance(answer, Classification)
    odds = np.exp(1.0) / (np.exp(1.0) + np.exp(-1.0))
    np.testing.assert_allclose(answer.scores, [odds, 1 - odds], rtol=1e-6)


def test_publishing_twice_gives_the_same_card(version: Version, tmp_path: Path) -> None:
    before = (version.folder / "card.json").read_bytes()
    publish(tmp_path, mean_graph(), FACTS, golden_image=grey(100))
    assert (version.folder / "card.json").read_bytes() == before


def test_changed_weights_are_refused(version: Version) -> None:
    version.model_path.write_bytes(mean_graph(gain=2.0))
    with pytest.raises(RepositoryError, match="sha256"):
        open_version(reopened(version))


def test_missing_weights_are_refused(version: Version) -> None:
    version.model_path.unlink()
    with pytest.raises(RepositoryError, match=r"model\.onnx is missing"):
        open_version(reopened(version))


def test_a_changed_golden_file_is_refused(version: Version) -> None:
    (version.folder / "golden.npz").write_bytes(b"other")
    with pytest.raises(RepositoryError, match=r"golden\.npz is missing or changed"):
        open_version(reopened(version))


def test_another_preparation_does_not_prove_itself(version: Version) -> None:
    """The pair covers preparation too: a card that scales otherwise gives other outputs."""
    card = json.loads((version.folder / "card.json").read_text())
    edit(version, input={**card["input"], "std": [128.0, 128.0, 128.0]})
    with pytest.raises(RepositoryError, match="golden output logits must be within"):
        open_version(reopened(version))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"family": "juggling"}, "family must be one of"),
        ({"task": "juggling"}, "task"),
        ({"colour": "red"}, "colour"),
        ({"name": "../other"}, "name"),
        ({"version": 2}, "must lie in mean/2"),
        ({"sha256": "short"}, "sha256"),
    ],
    ids=str,
)
def test_a_wrong_card_names_what_is_wrong(version: Version, fields: dict[str, object], message: str) -> None:
    edit(version, **fields)
    with pytest.raises(RepositoryError, match=message):
        reopened(version)


def test_no_folder_and_no_card(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="must be a folder"):
        versions(tmp_path / "nowhere")
    (tmp_path / "a" / "1").mkdir(parents=True)
    with pytest.raises(RepositoryError, match=r"card\.json cannot be read"):
        versions(tmp_path)


def test_newest_is_by_number_not_by_letter(version: Version, tmp_path: Path) -> None:
    for number in (2, 10):
        publish(tmp_path, mean_graph(), {**FACTS, "version": number}, golden_image=grey(1))
    assert newest(versions(tmp_path), "mean").card.version == 10
    with pytest.raises(RepositoryError, match="no model 'x'; there are: mean"):
        newest(versions(tmp_path), "x")


@pytest.mark.parametrize("data", [b"", b"no graph", mean_graph()[:-40]], ids=["empty", "text", "truncated"])
def test_what_is_no_graph_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(UnusableGraph, match="the graph cannot be loaded"):
        OnnxRunner(path.read_bytes(), input_name="images", outputs=["logits"])


def test_a_card_for_another_graph_is_refused(version: Version) -> None:
    with pytest.raises(UnusableGraph, match=r"inputs \['pictures'\]"):
        OnnxRunner(version.model_path.read_bytes(), input_name="pictures", outputs=["logits"])
    with pytest.raises(UnusableGraph, match=r"outputs \['boxes'\]"):
        OnnxRunner(version.model_path.read_bytes(), input_name="images", outputs=["logits", "boxes"])


def test_the_gpu_is_chosen_when_it_is_there() -> None:
    """Choice only: no GPU has run this code."""
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    assert choose_providers([cpu]) == [cpu]
    assert choose_providers(["AzureExecutionProvider", cpu, cuda]) == [cuda, cpu]
