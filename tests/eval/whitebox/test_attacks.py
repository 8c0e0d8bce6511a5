"""White-box attacks: what is known in closed form is found, and nothing leaves the threat."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from eval.attacks.base import Threat, is_grey
from eval.attacks.goals.classification import untargeted
from eval.attacks.transfer import ON_A_TWIN
from eval.whitebox.attacks.apgd import ApgdDlrT
from eval.whitebox.attacks.base import Landscape, WhiteBox, uphill
from eval.whitebox.attacks.losses import Aim, cross_entropy, dlr, margins, targeted_dlr
from eval.whitebox.attacks.rounding import roundings
from eval.whitebox.attacks.tables import WHITE_BOX
from eval.whitebox.node import Unsupported
from eval.whitebox.transfer import found_on
from models.results import Array

pytestmark = pytest.mark.torch
SHAPE = (5, 6, 3)
WEIGHTS = np.random.default_rng(0).normal(0, 0.02, (6, 90))
EACH = pytest.mark.parametrize("attack", WHITE_BOX.values(), ids=WHITE_BOX)
STRONG = pytest.mark.parametrize("name", ["pgd", "apgd_ce", "apgd_dlr", "apgd_dlr_t"])


def linear(pictures: Tensor) -> Tensor:
    whole = pictures.expand(*pictures.shape[:3], 3).double()
    return whole.flatten(1) @ torch.from_numpy(WEIGHTS).T


def pictures(count: int, shape: tuple[int, int, int] = SHAPE, seed: int = 3) -> list[Array]:
    """Far enough from 0 and 255 that clipping decides nothing."""
    rng = np.random.default_rng(seed)
    return [rng.integers(100, 156, shape, dtype=np.uint8) for _ in range(count)]


def label_of(image: Array) -> int:
    return int((WEIGHTS @ image.ravel()).argmax())


def least_radius(image: Array, label: int, norm: str) -> float:
    """In closed form: the nearest hyperplane, by the dual norm of the difference of weights."""
    logits = WEIGHTS @ image.ravel()
    order = 1 if norm == "linf" else 2
    return min(
        float((logits[label] - logits[j]) / np.linalg.norm(WEIGHTS[label] - WEIGHTS[j], order))
        for j in range(len(WEIGHTS))
        if j != label
    )


@STRONG
def test_linf_finds_the_margin_to_the_level_and_nothing_below(name: str) -> None:
    images = [i for i in pictures(12) if 2 < least_radius(i, label_of(i), "linf") < 60]
    assert len(images) >= 4
    for image in images[:4]:
        label = label_of(image)
        edge = least_radius(image, label, "linf")
        for epsilon, breaks in ((math.floor(edge), False), (math.floor(edge) + 1, True)):
            found = found_on(
                linear, [image], untargeted([label]), Threat("linf", epsilon), WHITE_BOX[name], 0
            )
            assert found.fooled.tolist() == [breaks], (edge, epsilon)


@STRONG
def test_l2_finds_the_margin_and_nothing_below(name: str) -> None:
    """Half a level of rounding in 90 values is at most 4.8 levels long, and costs far less of the margin."""
    for image in pictures(4):
        label = label_of(image)
        edge = least_radius(image, label, "l2")
        for epsilon, breaks in ((edge - 1e-6, False), (edge + 1.0, True)):
            found = found_on(linear, [image], untargeted([label]), Threat("l2", epsilon), WHITE_BOX[name], 0)
            assert found.fooled.tolist() == [breaks], (edge, epsilon)


def test_one_step_is_the_whole_way_between_two_classes() -> None:
    """FGSM of a linear model of two classes is the optimum."""

    def two(points: Tensor) -> Tensor:
        return linear(points)[:, :2]

    for image in pictures(6):
        logits = WEIGHTS[:2] @ image.ravel()
        label = int(logits.argmax())
        edge = float(np.ptp(logits) / np.abs(WEIGHTS[0] - WEIGHTS[1]).sum())
        assert edge < 90  # nothing is clipped
        for epsilon, breaks in ((math.floor(edge), False), (math.floor(edge) + 1, True)):
            if epsilon:
                found = found_on(
                    two, [image], untargeted([label]), Threat("linf", epsilon), WHITE_BOX["fgsm"], 0
                )
                assert found.fooled.tolist() == [breaks]


@EACH
@pytest.mark.parametrize("threat", [Threat("linf", 8), Threat("linf", 2.6), Threat("l2", 33.3)], ids=str)
def test_every_picture_is_on_the_lattice_inside_the_threat(attack: WhiteBox, threat: Threat) -> None:
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(4)]
    before = [image.copy() for image in images]
    found = found_on(linear, images, untargeted([label_of(i) for i in images]), threat, attack, 0)
    for image, kept, picture, margin in zip(images, before, found.pictures, found.margins, strict=True):
        assert picture.dtype == np.uint8
        assert threat.size(image, picture) <= threat.epsilon
        assert np.array_equal(threat.enforce(image, picture), picture)
        assert np.array_equal(image, kept)
        told = WEIGHTS @ picture.ravel()
        others = np.delete(told, label_of(image)).max()
        assert margin == pytest.approx(told[label_of(image)] - others, abs=1e-9)


@EACH
@pytest.mark.parametrize("threat", [Threat("linf", 8), Threat("l2", 33.3)], ids=str)
def test_grey_pictures_stay_grey(attack: WhiteBox, threat: Threat) -> None:
    grey = [np.repeat(image[..., :1], 3, axis=2) for image in pictures(3)]
    found = found_on(linear, grey, untargeted([label_of(i) for i in grey]), threat, attack, 0)
    for image, picture in zip(grey, found.pictures, strict=True):
        assert is_grey(picture)
        assert 0.8 * threat.epsilon < threat.size(image, picture) <= threat.epsilon


@EACH
def test_the_same_seed_gives_the_same_pictures_in_any_order(attack: WhiteBox) -> None:
    images = pictures(4)
    goals, names = untargeted([label_of(i) for i in images]), ["a", "b", "c", "d"]
    threat = Threat("linf", 3)
    one = found_on(linear, images, goals, threat, attack, 7, names).pictures
    other = found_on(linear, images[::-1], goals[::-1], threat, attack, 7, names[::-1]).pictures
    assert all(np.array_equal(a, b) for a, b in zip(one, other[::-1], strict=True))


def test_the_seed_decides_where_a_walk_begins() -> None:
    def wavy(points: Tensor) -> Tensor:
        return torch.sin(linear(points) * 5)

    images = pictures(4)
    labels = [int(wavy(torch.from_numpy(i[None]).float()).argmax()) for i in images]
    found = [
        found_on(wavy, images, untargeted(labels), Threat("linf", 3), WHITE_BOX["pgd"], seed).pictures
        for seed in (0, 1)
    ]
    assert any((a != b).any() for a, b in zip(*found, strict=True))


def test_pictures_of_all_sizes_go_together() -> None:
    def means(points: Tensor) -> Tensor:
        return points.expand(*points.shape[:3], 3).double().mean((1, 2)) @ torch.tensor(
            [[1.0, 0, 0, 0.3], [0, 1, 0, 0.3], [0, 0, 1, 0.3]], dtype=torch.float64
        )

    images = [pictures(1, shape)[0] for shape in ((4, 9, 3), (9, 4, 3), (4, 9, 3), (1, 1, 3))]
    labels = [int(means(torch.from_numpy(i[None]).float()).argmax()) for i in images]
    found = found_on(means, images, untargeted(labels), Threat("linf", 60), WHITE_BOX["apgd_ce"], 0)
    assert [p.shape for p in found.pictures] == [i.shape for i in images]
    assert found.fooled.all()


@EACH
def test_no_gradient_is_told_and_less_than_a_level_is_no_room(attack: WhiteBox) -> None:
    def constant(points: Tensor) -> Tensor:
        return linear(points) * 0 + torch.arange(6.0)

    image = pictures(1)
    found = found_on(constant, image, untargeted([5]), Threat("linf", 8), attack, 0)
    assert (found.flat.tolist(), found.fooled.tolist()) == ([True], [False])
    none = found_on(linear, image, untargeted([label_of(image[0])]), Threat("linf", 0.9), attack, 0)
    assert np.array_equal(none.pictures[0], image[0])


def test_a_sure_softmax_hides_nothing() -> None:
    """The gradient of cross-entropy itself would be 0 in any floats."""
    image = pictures(1)[0]
    label, edge = label_of(image), least_radius(image, label_of(image), "linf")
    for name in ("fgsm", "pgd", "apgd_ce", "apgd_dlr"):
        found = found_on(
            lambda points: linear(points) * 1000, [image], untargeted([label]),
            Threat("linf", math.floor(edge) + 3), WHITE_BOX[name], 0,
        )  # fmt: skip
        assert (found.flat.tolist(), found.fooled.tolist()) == ([False], [True])


def test_an_attempt_takes_the_next_class() -> None:
    """Only the third likeliest of the others can be reached."""

    def stairs(points: Tensor) -> Tensor:
        x = points.double().mean((1, 2, 3))
        fixed = [torch.full_like(x, level) for level in (10.0, 9.0, 8.0)]
        return torch.stack([*fixed, x - 123, torch.zeros_like(x)], dim=1)

    image = np.full(SHAPE, 128, np.uint8)
    for attempts, breaks in ((2, False), (3, True)):
        attack = ApgdDlrT(steps=10, attempts=attempts)
        found = found_on(stairs, [image], untargeted([0]), Threat("linf", 8), attack, 0)
        assert found.fooled.tolist() == [breaks]


def test_losses_are_the_papers() -> None:
    z, y = torch.tensor([[5.0, 1.0, 3.0, 2.0], [1.0, 4.0, 3.5, 0.0]]).double(), torch.tensor([0, 0])
    assert dlr(z, Aim(y)).tolist() == pytest.approx([-(5 - 3) / (5 - 2), -(1 - 4) / (4 - 1)])
    told = targeted_dlr(z, y, torch.tensor([1, 2]))
    assert told.tolist() == pytest.approx([-(5 - 1) / (5 - 1.5), -(1 - 3.5) / (4 - 0.5)])
    assert margins(z, y).tolist() == [2, -3]
    entropy = torch.nn.functional.cross_entropy(z, y, reduction="none")
    assert torch.nn.functional.softplus(cross_entropy(z, Aim(y))).tolist() == pytest.approx(entropy.tolist())
    assert dlr(10 * z + 3, Aim(y)).tolist() == pytest.approx(dlr(z, Aim(y)).tolist())


@pytest.mark.parametrize(("name", "classes"), [("apgd_dlr", 2), ("apgd_dlr_t", 3)])
def test_too_few_classes_are_refused(name: str, classes: int) -> None:
    with pytest.raises(Unsupported, match=rf"needs {classes + 1} classes, got {classes}; use apgd_ce"):
        found_on(
            lambda p: linear(p)[:, :classes],
            pictures(1),
            untargeted([0]),
            Threat("linf", 8),
            WHITE_BOX[name],
            0,
        )


def test_only_balls_and_equal_counts() -> None:
    with pytest.raises(ValueError, match="linf or l2"):
        found_on(
            linear,
            pictures(1),
            untargeted([0]),
            replace(Threat("linf", 8), norm="spatial"),
            WHITE_BOX["fgsm"],
            0,
        )
    with pytest.raises(ValueError, match="equally many"):
        found_on(linear, pictures(2), untargeted([0]), Threat("linf", 8), WHITE_BOX["fgsm"], 0)


def test_tiny_slopes_have_a_direction() -> None:
    slope = torch.full((1, 2, 2, 1), 1e-25)
    assert uphill(slope, "l2").flatten().tolist() == pytest.approx([0.5] * 4)
    assert not uphill(slope * 0, "l2").any()


def test_names_are_known_without_pytorch() -> None:
    assert tuple(WHITE_BOX) == ON_A_TWIN
    assert all(attack.name == name for name, attack in WHITE_BOX.items())


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 255), min_size=12, max_size=12),
    st.lists(st.floats(-300, 300), min_size=12, max_size=12),
    st.lists(st.floats(-1, 1), min_size=12, max_size=12),
    st.sampled_from(["linf", "l2"]),
    st.floats(0.5, 200),
)
def test_roundings_stay_inside(
    origin: list[int], moves: list[float], slope: list[float], norm: Literal["linf", "l2"], radius: float
) -> None:
    base = np.array(origin, np.uint8)
    radius = float(int(radius)) if norm == "linf" else radius
    delta = np.clip(np.array(moves), -radius, radius)
    if norm == "l2":
        delta *= min(1.0, radius / max(float(np.linalg.norm(delta)), 1e-9))
    point = np.clip(base + delta, 0, 255)
    rng: Any = np.random.default_rng(0)
    found = roundings(base, point, np.array(slope), norm=norm, radius=radius, rng=rng)
    order = np.inf if norm == "linf" else 2
    for picture in found:
        assert picture.dtype == np.uint8
        assert np.linalg.norm(picture.astype(float) - base, order) <= radius
        assert (np.abs(picture - point) <= 1).all()
    shortest, longest = (np.abs(found[i].astype(float) - base) for i in (0, 2))
    assert (shortest <= longest).all()


def test_the_steepest_values_get_the_room_that_is_left() -> None:
    base, point = np.zeros(4, np.uint8), np.array([1.6, 1.6, 1.6, 1.6])
    near = roundings(
        base,
        point,
        np.array([0.1, 3.0, -9.0, 2.0]),
        norm="l2",
        radius=math.sqrt(10.1),
        rng=np.random.default_rng(0),
    )
    assert near[0].tolist() == [1, 1, 1, 1]
    assert near[3].tolist() == [1, 2, 1, 2]  # 2 x 4 + 2 x 1 = 10
    assert sum(near[1].astype(int) ** 2) == 10


def test_the_last_digit_of_a_point_buys_no_level() -> None:
    base, point = np.zeros(2, np.uint8), np.array([8.000001, 3.5])
    for picture in roundings(base, point, np.ones(2), norm="linf", radius=8.0, rng=np.random.default_rng(0)):
        assert picture.max() == 8


def test_the_best_point_is_remembered_not_the_last() -> None:
    (image,) = pictures(1)
    origin = torch.from_numpy(image[None]).float()
    label = torch.tensor([label_of(image)])
    land = Landscape(linear, origin, Aim(label), "linf", 8.0, [])
    _, slope = land.look(origin, cross_entropy)
    good, bad = (origin + sign * 8 * slope.sign() for sign in (1, -1))
    for point in (good, bad):
        land.look(point, cross_entropy)
    assert torch.equal(land.best, good)
    assert land.least.tolist() == pytest.approx(margins(linear(good), label).tolist())


def test_what_is_fooled_is_not_attacked_again() -> None:
    images = [np.full(SHAPE, level, np.uint8) for level in (128, 20)]
    sizes: list[int] = []

    def bright(points: Tensor) -> Tensor:
        sizes.append(len(points))
        x = points.double().mean((1, 2, 3))
        return torch.stack([x * 0 + 10, x - 123, x * 0, x * 0 - 1], dim=1)

    found = found_on(bright, images, untargeted([0, 0]), Threat("linf", 8), ApgdDlrT(steps=5, attempts=2), 0)
    assert found.fooled.tolist() == [True, False]
    assert (sizes[0], sizes[-1]) == (2, 1)
