"""Pictures of a twin are asked about like all others: rounded inside, counted, and asked again."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

from eval.attacks.base import Threat
from eval.attacks.results import AttackResult
from eval.attacks.transfer import Transfer, made_on_twin, transfer_of
from eval.attacks.wave import Limits, attack_all
from eval.errors import EvalError
from models.results import Array
from tests.doubles import LinearEndpoint, MoodyEndpoint, StubbornEndpoint

SHAPE = (6, 9, 3)


def pictures(count: int, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(count)]


def run(
    attack: Transfer, endpoint: StubbornEndpoint | LinearEndpoint, images: list[Array], labels: list[int]
) -> AttackResult:
    told = attack_all(attack, endpoint, images, labels, threat=Threat("linf", 8), limits=Limits(5), seed=0)
    return asyncio.run(told)


def test_a_picture_is_asked_once_and_inside_the_threat() -> None:
    images, far = pictures(3), pictures(3, seed=1)
    endpoint = StubbornEndpoint(0)
    result = run(transfer_of("pgd", images, [0, 0, 0], far), endpoint, images, [0, 0, 0])
    assert result.attack == "pgd"
    assert result.queries.tolist() == [2, 2, 2]
    sent = [np.frombuffer(data, np.uint8).reshape(SHAPE) for data in endpoint.asked]
    assert sorted(min(Threat("linf", 8).size(i, s) for i in images) for s in sent) == [0, 0, 0, 8, 8, 8]


def test_what_fools_is_asked_again() -> None:
    images = pictures(6)
    endpoint = LinearEndpoint(SHAPE)
    labels = [endpoint.answer(image).label for image in images]
    slopes = [endpoint.weight[(label + 1) % 3] - endpoint.weight[label] for label in labels]
    wanted = [image + 8 * np.sign(slope).reshape(SHAPE) for image, slope in zip(images, slopes, strict=True)]
    result = run(transfer_of("fgsm", images, labels, wanted), endpoint, images, labels)
    assert result.fooled.any()
    assert result.queries.tolist() == [3 if fooled else 2 for fooled in result.fooled]
    assert result.reverify_rate == 1


def test_a_lie_told_once_is_no_success() -> None:
    images = pictures(1)
    result = run(transfer_of("pgd", images, [0], pictures(1, seed=1)), MoodyEndpoint(), images, [0])
    assert (result.claimed.tolist(), result.fooled.tolist()) == ([True], [False])


def test_an_image_with_two_labels_has_two_pictures() -> None:
    (image,), made = pictures(1), pictures(2, seed=2)
    attack = transfer_of("pgd", [image, image], [0, 1], made)
    for label in (0, 1):
        talk = attack.run(image, label, Threat("linf", 8), lambda step: np.random.default_rng(step), 1)
        assert next(talk)[0] is made[label]


def test_a_picture_for_every_image() -> None:
    images = pictures(2)
    with pytest.raises(ValueError, match="zip"):
        transfer_of("pgd", images, [0, 0], images[:1])
    attack = transfer_of("pgd", images[:1], [0], images[:1])
    with pytest.raises(ValueError, match="must have been made for every image"):
        run(attack, StubbornEndpoint(0), images, [0, 0])


def test_two_methods_are_two_attacks() -> None:
    images = pictures(1)
    one, other = (transfer_of(name, images, [0], images) for name in ("pgd", "apgd_ce"))
    assert (one.name, other.name, Transfer.name) == ("pgd", "apgd_ce", "transfer")
    assert repr(one) == "Transfer(method='pgd')"


def test_without_pytorch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eval.whitebox.proven", None)
    images = pictures(1)
    with pytest.raises(EvalError, match=r"install assay\[train\]"):
        made_on_twin(Path(), ["pgd"], images, [0], Threat("linf", 8), 0, samples=["a"], sha256=None)
