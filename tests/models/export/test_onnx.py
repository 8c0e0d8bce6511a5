"""A net leaves PyTorch unchanged, in half the bytes, and can come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from models.export.nets.digits import DigitsNet
from models.export.nets.segmenter import Segmenter
from models.export.onnx import DifferentGraph, export, in_half, prove_equal, twin

pytestmark = pytest.mark.torch
IMAGES = torch.rand((5, 3, 32, 48), generator=torch.Generator().manual_seed(0))


def learnt() -> torch.nn.Module:
    torch.manual_seed(3)
    net = Segmenter(4).train()
    net(IMAGES * 3 - 1)  # batch norm that is not the identity
    return net.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    net, path = in_half(learnt()), tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(export(net, IMAGES[:2], ["logits"]))
    return net, path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    """The same net, not rounded first: nothing can be halved without loss."""
    net, path = learnt(), tmp_path_factory.mktemp("whole") / "model.onnx"
    path.write_bytes(export(net, IMAGES[:2], ["logits"]))
    return net, path


def test_graph_and_net_agree_at_any_batch(exported: tuple[torch.nn.Module, Path]) -> None:
    assert prove_equal(*exported, IMAGES, ["logits"]) < 1e-5


def test_the_file_is_half_as_large_and_says_the_same(
    exported: tuple[torch.nn.Module, Path], whole: tuple[torch.nn.Module, Path]
) -> None:
    sizes = [path.stat().st_size for _, path in (exported, whole)]
    weights = 4 * sum(p.numel() for p in whole[0].parameters() if p.ndim > 1)
    assert sizes[0] == pytest.approx(sizes[1] - weights / 2, rel=0.02)
    with torch.no_grad():
        chances = [net(IMAGES).softmax(dim=1) for net, _ in (exported, whole)]
    assert float((chances[0] - chances[1]).abs().max()) < 0.01


def test_batch_norm_can_be_folded_when_the_graph_is_loaded(
    exported: tuple[torch.nn.Module, Path], tmp_path: Path
) -> None:
    """One look of onnxruntime's, as when a server loads it, must be enough."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    onnxruntime.InferenceSession(exported[1], options, providers=["CPUExecutionProvider"])
    before, after = (
        [node.op_type for node in onnx.load(path).graph.node]
        for path in (exported[1], tmp_path / "loaded.onnx")
    )
    assert "BatchNormalization" in before
    assert not {"BatchNormalization", "Cast", "Expand"} & set(after)
    assert not {"CastLike", "Expand"} & set(before)


def test_only_what_loses_nothing_is_halved(
    exported: tuple[torch.nn.Module, Path], whole: tuple[torch.nn.Module, Path]
) -> None:
    for (net, path), halved in ((exported, True), (whole, False)):
        tensors = {t.name: t for t in onnx.load(path).graph.initializer}
        for name, parameter in net.named_parameters():
            is_half = tensors[name].data_type == onnx.TensorProto.FLOAT16
            assert is_half == (halved and parameter.ndim > 1), name
            stored = numpy_helper.to_array(tensors[name]).astype(np.float32)
            np.testing.assert_array_equal(stored, parameter.detach().numpy())


def test_rounding_moves_kernels_to_the_nearest_half_and_leaves_the_rest() -> None:
    before, after = learnt(), in_half(learnt())
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        if old.ndim > 1:
            assert torch.equal(new, old.half().float()), name
            assert not torch.equal(new, old), name
        else:
            assert torch.equal(new, old), name


def test_another_net_does_not_agree(exported: tuple[torch.nn.Module, Path]) -> None:
    torch.manual_seed(4)
    with pytest.raises(DifferentGraph, match="must agree"):
        prove_equal(Segmenter(4).eval(), exported[1], IMAGES, ["logits"])


@pytest.mark.parametrize("stored", ["exported", "whole"])
def test_the_weights_come_back_exactly(stored: str, request: pytest.FixtureRequest) -> None:
    net, path = request.getfixturevalue(stored)
    back = twin(Segmenter(4), path)
    with torch.no_grad():
        np.testing.assert_array_equal(back(IMAGES).numpy(), net(IMAGES).numpy())
    for name, value in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(back.state_dict()[name], value), name


def test_weights_of_another_net_are_refused(exported: tuple[torch.nn.Module, Path]) -> None:
    with pytest.raises(DifferentGraph, match="another net"):
        twin(Segmenter(5), exported[1])
    with pytest.raises(DifferentGraph, match="lacks the parameters"):
        twin(DigitsNet(), exported[1])


def test_no_path_of_the_machine_is_in_the_file(exported: tuple[torch.nn.Module, Path]) -> None:
    assert b".py" not in exported[1].read_bytes()
