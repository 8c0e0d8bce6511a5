"""A net leaves PyTorch unchanged, and can come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eval.parity import TOLERANCE, difference
from models.cli import ZOO as FOLDER
from models.export.nets.digits import DigitsNet
from models.export.nets.segmenter import Segmenter
from models.export.onnx import DifferentGraph, export, prove_equal, twin
from models.export.zoo import ZOO, Plan, reference
from models.repository import open_version, versions
from models.results import Array

pytestmark = pytest.mark.torch
IMAGES = torch.rand((5, 3, 32, 48), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    torch.manual_seed(3)
    net = Segmenter(4).train()
    net(IMAGES * 3 - 1)  # batch norm that is not the identity
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(export(net.eval(), IMAGES[:2], ["logits"]))
    return net, path


def test_graph_and_net_agree_at_any_batch(exported: tuple[torch.nn.Module, Path]) -> None:
    assert prove_equal(*exported, IMAGES, ["logits"]) < 1e-5


def test_another_net_does_not_agree(exported: tuple[torch.nn.Module, Path]) -> None:
    torch.manual_seed(4)
    with pytest.raises(DifferentGraph, match="must agree"):
        prove_equal(Segmenter(4).eval(), exported[1], IMAGES, ["logits"])


def test_the_weights_come_back(exported: tuple[torch.nn.Module, Path]) -> None:
    net, path = exported
    back = twin(Segmenter(4), path)
    with torch.no_grad():
        np.testing.assert_array_equal(back(IMAGES).numpy(), net(IMAGES).numpy())


def test_weights_of_another_net_are_refused(exported: tuple[torch.nn.Module, Path]) -> None:
    with pytest.raises(DifferentGraph, match="another net"):
        twin(Segmenter(5), exported[1])
    with pytest.raises(DifferentGraph, match="lacks the parameters"):
        twin(DigitsNet(), exported[1])


def test_no_path_of_the_machine_is_in_the_file(exported: tuple[torch.nn.Module, Path]) -> None:
    assert b".py" not in exported[1].read_bytes()


def first(recorded: dict[str, Array], count: int) -> dict[str, Array]:
    """The columns of the first `count` images."""
    if "probabilities" in recorded:
        return {"probabilities": recorded["probabilities"][:count]}
    if "counts" in recorded:
        rows = int(recorded["counts"][:count].sum())
        return {"counts": recorded["counts"][:count], "scores": recorded["scores"][:rows]}
    pixels = int(recorded["sizes"][:count].prod(axis=1).sum())
    return {"sizes": recorded["sizes"][:count], "labels": recorded["labels"][:pixels]}


@pytest.mark.parametrize("plan", ZOO.values(), ids=ZOO)
def test_shipped_graphs_are_their_torch_nets(plan: Plan) -> None:
    """The twin from the file, the graph, and the answers recorded at export are one."""
    version = next(v for v in versions(FOLDER) if (v.card.name, v.card.version) == (plan.name, plan.version))
    images = plan.held_out(24)
    live = open_version(version).predict(images)
    net = twin(plan.net(), version.model_path)
    assert difference(live, reference(net, version, images)) <= TOLERANCE
    with np.load(version.folder / "reference.npz") as file:
        assert difference(live, first(dict(file), 24)) <= TOLERANCE
