"""Residual networks built from weights say what PyTorch says of the same weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from models.card import InputSpec
from models.recipes.resnet import build
from models.recipes.tables import MEAN, STD
from models.recipes.torchfile import read_weights
from models.results import Array
from models.runtime import OnnxRunner

MODELS = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data")) / "models"


def logits(graph: onnx.ModelProto, images: Array, name: str = "images", output: str = "logits") -> Array:
    return OnnxRunner(graph.SerializeToString(), input_name=name, outputs=(output,)).run(images)[0]


def pictures(seed: int, count: int, size: int) -> Array:
    """float32 `(N, 3, S, S)` in [0, 1]."""
    return np.random.default_rng(seed).random((count, 3, size, size), dtype=np.float32)


def scaled(images: Array) -> Array:
    spec = InputSpec(height=1, width=1, mean=MEAN, std=STD)
    mean, std = (np.array(n, np.float32)[:, None, None] for n in (spec.mean, spec.std))
    return (images * 255 - mean) / std


def published() -> Path:
    path = MODELS / "resnet20-12fca82f.th"
    if not path.is_file():
        pytest.skip(f"ASSAY_DATA_DIR has no models/{path.name}")
    return path


@pytest.mark.data
def test_resnet20_is_the_reference_graph() -> None:
    """The same weights in a graph that somebody else's code made, with the scaling inside."""
    graph = build(read_weights(published()), name="resnet20", size=32)
    reference = onnx.load(MODELS / "cifar10_resnet20.onnx")
    images = pictures(0, 64, 32)
    expected = logits(reference, images, "input", reference.graph.output[0].name)
    np.testing.assert_allclose(logits(graph, scaled(images)), expected, atol=1e-4)
    assert np.ptp(expected) > 5  # not a comparison of zeros


def basic(torch: Any, before: int, width: int, stride: int, project: bool) -> Any:
    """Two convolutions and a short cut, straight from the papers' figures."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            if project:
                short = nn.Conv2d(before, width, 1, stride, bias=False)
                self.downsample = nn.Sequential(short, nn.BatchNorm2d(width))

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            if project:
                short = self.downsample(x)
            else:  # every other pixel; zeros for the channels that are missing
                short = torch.zeros_like(y)
                first = (width - before) // 2
                short[:, first : first + before] = x[:, :, ::stride, ::stride]
            return torch.relu(y + short)

    return Block()


def bottleneck(torch: Any, before: int, width: int, stride: int, project: bool) -> Any:
    """1 x 1, 3 x 3 with the stride, 1 x 1 to four times the width."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(before, width, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(4 * width)
            if project:
                short = nn.Conv2d(before, 4 * width, 1, stride, bias=False)
                self.downsample = nn.Sequential(short, nn.BatchNorm2d(4 * width))

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.bn1(self.conv1(x)))
            y = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(y)))))
            return torch.relu(y + (self.downsample(x) if project else x))

    return Block()


def net(torch: Any, depths: tuple[int, ...], *, wide: int = 1, large: bool = True) -> Any:
    """A whole network; `large` for ImageNet's stem and projections, `wide` 4 for bottlenecks."""
    nn = torch.nn
    width = 64 if large else 16

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(
                3, width, 7 if large else 3, 2 if large else 1, 3 if large else 1, bias=False
            )
            self.bn1 = nn.BatchNorm2d(width)
            before = width
            for stage, depth in enumerate(depths):
                blocks = []
                for i in range(depth):
                    own = width * 2**stage
                    stride = 2 if stage and i == 0 else 1
                    project = large and (stride > 1 or before != own * wide)
                    make = basic if wide == 1 else bottleneck
                    blocks.append(make(torch, before, own, stride, project))
                    before = own * wide
                setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            setattr(self, "fc" if large else "linear", nn.Linear(before, 1000 if large else 10))

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.bn1(self.conv1(x)))
            if large:
                x = nn.functional.max_pool2d(x, 3, 2, 1)
            for stage in range(len(depths)):
                x = getattr(self, f"layer{stage + 1}")(x)
            return (self.fc if large else self.linear)(x.mean((2, 3)))

    return Net().eval()


def shaken(torch: Any, module: Any) -> Any:
    """Random batch norms: new ones would fold to almost nothing."""
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.0)
            torch.nn.init.normal_(layer.bias, 0, 0.1)
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
    return module


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize(
    ("depths", "wide", "large", "size"),
    [
        ((2, 2, 2, 2), 1, True, 224),
        ((3, 4, 6, 3), 1, True, 64),
        ((3, 4, 6, 3), 4, True, 64),
        ((3, 3, 3), 1, False, 32),
        ((2, 1, 3), 1, False, 33),
    ],
    ids=["resnet18", "resnet34", "resnet50", "resnet20", "odd"],
)
def test_random_weights(tmp_path: Path, depths: tuple[int, ...], wide: int, large: bool, size: int) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = shaken(torch, net(torch, depths, wide=wide, large=large))
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    graph = build(read_weights(tmp_path / "weights.pth"), name="net", size=size)
    images = scaled(pictures(1, 3, size))
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    found = logits(graph, images)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert np.ptp(expected) > 0.1


@pytest.mark.torch
@pytest.mark.data
def test_resnet20_in_torch() -> None:
    """The published weights in an independent definition."""
    torch = pytest.importorskip("torch")
    weights = read_weights(published())
    module = net(torch, (3, 3, 3), large=False)
    state = {key.removeprefix("module."): torch.from_numpy(value) for key, value in weights.items()}
    missing = module.load_state_dict(state, strict=False)
    assert missing.unexpected_keys == []
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
    images = scaled(pictures(2, 64, 32))
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits(build(weights, name="resnet20", size=32), images), expected, atol=1e-4)


def test_other_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have a parameter conv1\.weight: they are of another network"):
        build({"stem": np.zeros(1)}, name="net", size=32)
