"""Grad-CAM equals the formula worked by hand, lies where the picture lies, and points at the object."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper

from eval.whitebox.gradcam import GradCam, feature_map
from eval.whitebox.node import Unsupported
from eval.whitebox.twin import Twin
from models.card import ModelCard
from models.cli import ZOO
from models.imaging import fit
from models.repository import open_version, versions
from models.results import Array
from models.saliency import aim
from models.saliency.targets import BoxTarget, ClassTarget, RegionTarget
from models.scenes import scene
from tests.eval.whitebox.graphs import SIZE, WEIGHTS, graph, small_net

pytestmark = pytest.mark.torch
IMAGE = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def card(family: str = "logits", **spec: Any) -> ModelCard:
    facts: dict[str, Any] = {
        "name": "small",
        "version": 1,
        "task": "classification",
        "family": family,
        "input": {"height": SIZE, "width": SIZE, **spec},
        "outputs": ("y",) if family == "logits" else ("odds",),
        "labels": tuple("abcde"),
        "licence": "Apache-2.0",
        "sha256": "0" * 64,
    }
    return ModelCard(**facts)


def by_hand(label: int) -> Array:
    """Convolution, ReLU, mean and a linear layer, with loops; and Selvaraju's two equations."""
    x = fit(IMAGE, card().input).astype(np.float64)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    features = np.zeros((4, SIZE, SIZE))
    for k in range(4):
        for i in range(SIZE):
            for j in range(SIZE):
                window = padded[:, i : i + 3, j : j + 3]
                features[k, i, j] = max(0.0, (window * WEIGHTS["kernel"][k]).sum() + WEIGHTS["shift"][k])
    # The slope of a logit by every value of channel k is weight / (h w); so is its mean.
    weights = WEIGHTS["weight"][label] / (SIZE * SIZE)
    return np.asarray(np.maximum((weights[:, None, None] * features).sum(axis=0), 0))


@pytest.mark.parametrize("label", range(5))
def test_it_is_the_formula(label: int) -> None:
    twin = Twin(small_net(), input_name="images", outputs=["y"])
    found = GradCam(twin, card(), "features").map(IMAGE, ClassTarget(label, 1.0))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(label), rtol=1e-4, atol=1e-6)


def test_the_feature_map_is_found() -> None:
    twin = Twin(small_net(), input_name="images", outputs=["y"])
    assert feature_map(twin, torch.zeros(1, 3, SIZE, SIZE)) == "features"
    found = GradCam(twin, card()).map(IMAGE, ClassTarget(2, 1.0))
    np.testing.assert_array_equal(found, GradCam(twin, card(), "features").map(IMAGE, ClassTarget(2, 1.0)))


def test_of_probabilities_it_is_the_logarithms() -> None:
    """d log p / dA = sum over classes of (same class - p) dlogit / dA."""
    tail = [helper.make_node("Softmax", ["y"], ["odds"])]
    twin = Twin(small_net(tail=tail), input_name="images", outputs=["odds"])
    (odds,) = twin.run(fit(IMAGE, card().input)[None])
    found = GradCam(twin, card("probabilities"), "features").map(IMAGE, ClassTarget(1, 1.0))
    slopes = (np.eye(5)[1] - odds[0]) @ WEIGHTS["weight"] / (SIZE * SIZE)
    features = twin(torch.from_numpy(fit(IMAGE, card().input)[None]), ["features"])[0][0].detach().numpy()
    expected = np.maximum((slopes[:, None, None] * features).sum(axis=0), 0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_the_map_lies_where_the_picture_lies(resize: str) -> None:
    """A net whose only channel is the red level: the map must follow the picture's own red half."""
    nodes = [
        helper.make_node("Conv", ["images", "red"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["means"]),
        helper.make_node("Flatten", ["means"], ["y"]),
    ]
    side = 16
    model = graph(
        nodes, {"red": np.array([1, 0, 0], np.float32).reshape(1, 3, 1, 1)}, shape=[1, 3, side, side]
    )
    image = np.zeros((40, 64, 3), np.uint8)
    image[24:32, 16:32, 0] = 255
    spec: dict[str, Any] = {"height": side, "width": side, "resize": resize, "fill": 0}
    twin = Twin(model, input_name="images", outputs=["y"])
    found = GradCam(twin, card(**spec), "features").map(image, ClassTarget(0, 1.0))
    assert found.shape == (40, 64)
    assert (found >= 0).all()
    rows, cols = np.nonzero(found > found.max() / 2)
    assert abs(rows.mean() - 27.5) < 2
    assert abs(cols.mean() - 23.5) < 2


def test_a_region_is_the_sum_of_its_scores() -> None:
    """The class scores are the features themselves: only the region's pixels have a slope."""
    nodes = [
        helper.make_node("Conv", ["images", "kernel", "shift"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["y"]),
    ]
    weights = {n: WEIGHTS[n].astype(np.float32) for n in ("kernel", "shift")}
    twin = Twin(graph(nodes, weights), input_name="images", outputs=["y"])
    region = np.zeros((SIZE, SIZE), bool)
    region[1:3, 2:5] = True
    found = GradCam(twin, card(), "features").map(IMAGE, RegionTarget(2, region))
    features = twin(torch.from_numpy(fit(IMAGE, card().input)[None]), ["features"])[0][0].detach().numpy()
    slope = (region & (features[2] > 0)).sum() / (SIZE * SIZE)
    np.testing.assert_allclose(found, np.maximum(features[2] * slope, 0), rtol=1e-4, atol=1e-6)


def test_padding_is_no_part_of_a_region() -> None:
    """Half as high as wide, the picture lies in rows 1 to 3 of the input."""
    nodes = [
        helper.make_node("Conv", ["images", "kernel", "shift"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["y"]),
    ]
    weights = {n: WEIGHTS[n].astype(np.float32) for n in ("kernel", "shift")}
    twin = Twin(graph(nodes, weights), input_name="images", outputs=["y"])
    told, image = card(resize="letterbox"), IMAGE[:3]
    features = twin(torch.from_numpy(fit(image, told.input)[None]), ["features"])[0][0].detach().numpy()
    for label in range(4):
        found = GradCam(twin, told, "features").map(image, RegionTarget(label, np.ones((3, SIZE), bool)))
        slope = (features[label, 1:4] > 0).sum() / (SIZE * SIZE)
        np.testing.assert_allclose(found, np.maximum(features[label, 1:4] * slope, 0), rtol=1e-4, atol=1e-6)


def test_what_has_no_score_or_no_map_is_refused() -> None:
    twin = Twin(small_net(), input_name="images", outputs=["y"])
    target = ClassTarget(0, 1.0)
    with pytest.raises(Unsupported, match="must be"):
        GradCam(twin, card(), "flat").map(IMAGE, target)
    with pytest.raises(Unsupported, match="rise or occlusion"):
        GradCam(twin, card().model_copy(update={"family": "grid"})).map(IMAGE, target)
    flat = [helper.make_node("Flatten", ["images"], ["y"])]
    plain = Twin(graph(flat, {}), input_name="images", outputs=["y"])
    with pytest.raises(Unsupported, match="no feature map"):
        GradCam(plain, card()).map(IMAGE, target)


@pytest.mark.parametrize("name", ["scenes-detector", "scenes-segmenter"])
def test_it_points_at_the_object(name: str) -> None:
    """Mean over unseen scenes: the object's own pixels get more than twice the rest's."""
    version = next(v for v in versions(ZOO) if v.card.name == name)
    told = version.card
    twin = Twin(version.model_path.read_bytes(), input_name=told.input.name, outputs=told.outputs)
    predictor = open_version(version)
    ratios = []
    for index in range(12):
        image = scene(index).image
        target = aim(predictor.predict([image])[0])
        assert target is not None
        found = GradCam(twin, told).map(image, target)
        inside = np.zeros(found.shape, bool)
        if isinstance(target, BoxTarget):
            x1, y1, x2, y2 = target.box.astype(int)
            inside[y1:y2, x1:x2] = True
        else:
            assert isinstance(target, RegionTarget)
            inside = target.region
        ratios.append(found[inside].mean() / max(1e-9, found[~inside].mean()))
    assert np.median(ratios) > 2
