"""What a classifier is taught: soft labels, adversaries, a teacher, and guesses about unlabelled pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.card import InputSpec
from models.export.augment import Augment
from models.export.courses.classify import Classes, ClassifierCourse, planes
from models.export.courses.unlabelled import Guesses, parted
from models.export.losses import CLASS_LOSSES, distillation
from models.export.settings import Settings
from models.export.train import train

pytestmark = pytest.mark.torch
SPEC = InputSpec(height=6, width=6, channels="L", mean=(100.0,), std=(50.0,))
SETTINGS = Settings(seed=3, epochs=2, batch=10, rate=1e-2, average=0.0)


def pictures(count: int = 40) -> tuple[Tensor, Tensor]:
    """Noise with a bright row: row 0 for class 0, row 2 for class 1, row 4 for class 2."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 120, (count, 1, 6, 6), generator=generator, dtype=torch.uint8)
    images[torch.arange(count), 0, labels * 2] = 250
    return images, labels


def course(
    objective: Classes | None = None,
    augment: Augment | None = None,
    *,
    learnt: tuple[Tensor, Tensor] | None = None,
    **words: Any,
) -> ClassifierCourse:
    found = pictures() if learnt is None else learnt
    return ClassifierCourse(
        found, pictures(30), 3, SPEC, objective or Classes(), augment or Augment(), SETTINGS, **words
    )


def value(of: Tensor) -> float:
    return float(of.detach())


def linear() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 3))


def test_an_epoch_has_every_picture_once_normalised() -> None:
    images, labels = pictures()
    batches = list(course().batches(0))
    assert [len(batch) for batch in batches] == [3] * 4
    seen = torch.cat([batch[0] for batch in batches])
    told = torch.cat([batch[1] for batch in batches]).argmax(dim=1)
    wanted = (images.float() - 100) / 50
    rows = [int((wanted == one).flatten(1).all(dim=1).nonzero()[0, 0]) for one in seen]
    assert sorted(rows) == list(range(40))
    assert torch.equal(told, labels[rows])


def test_smoothing_and_mixup_are_in_the_labels() -> None:
    (_, plain, _), (_, smooth, _) = (next(course(Classes(smoothing=s)).batches(0)) for s in (0.0, 0.3))
    torch.testing.assert_close(smooth, plain * 0.7 + 0.1)
    images, mixed, _ = next(course(Classes(mixup=0.4)).batches(0))
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(10))
    shares = sorted(set(mixed[mixed > 0].round(decimals=4).tolist()) - {1.0})
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(1, abs=1e-3)
    # The pictures are mixed by the same share as the labels: the bright row of a class has it too.
    net, logits = linear(), linear()(images)
    got = course(Classes(mixup=0.4)).loss(net, (images, mixed, images), 0.0)
    torch.testing.assert_close(got, -(mixed * logits.log_softmax(dim=1)).sum(dim=1).mean())


def test_mixed_pictures_are_mixed_as_their_labels_are() -> None:
    plain, _, _ = next(course().batches(0))
    images, soft, _ = next(course(Classes(mixup=1.0)).batches(0))
    share = float(np.random.Generator(np.random.Philox(key=[3, 0])).beta(1.0, 1.0))
    best = [
        int((images[i] - share * plain[i] - (1 - share) * plain).abs().flatten(1).sum(1).argmin())
        for i in range(10)
    ]
    for i, j in enumerate(best):
        torch.testing.assert_close(images[i], share * plain[i] + (1 - share) * plain[j])
    assert float(soft.max()) <= 1 + 1e-6


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_the_named_loss_is_the_one_that_is_made_small(name: Any) -> None:
    batch = next(course().batches(0))
    wanted = CLASS_LOSSES[name](linear()(batch[0]).detach(), batch[1])
    assert value(course(Classes(loss=name)).loss(linear(), batch, 0.0)) == pytest.approx(float(wanted))


@pytest.mark.parametrize("adversary", ["pgd", "trades"])
def test_the_adversary_grows_to_its_radius_in_levels(adversary: Any) -> None:
    """No radius at the start is the clean loss; a third on, it is the whole; pictures stay pictures."""
    objective = Classes(adversary=adversary, epsilon=20, steps=3)
    batch = next(course().batches(0))
    clean = value(course().loss(linear(), batch, 0.0))
    values = [value(course(objective).loss(linear(), batch, done)) for done in (0.0, 1 / 6, 1 / 3, 1.0)]
    assert values[0] == pytest.approx(clean, rel=1e-5)
    assert values[0] < values[1] < values[2] == pytest.approx(values[3])
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = linear()

        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach())
            told: Tensor = self.net(x)
            return told

    course(objective).loss(Watching(), batch, 1.0)
    levels = torch.stack([x * 50 + 100 for x in seen])
    assert levels.min() >= -1e-3
    assert levels.max() <= 255 + 1e-3
    assert float((levels - (batch[0] * 50 + 100)).abs().max()) == pytest.approx(20, abs=1e-3)


def test_trades_is_the_clean_loss_and_beta_times_the_divergence() -> None:
    batch = next(course().batches(0))
    clean = value(course().loss(linear(), batch, 1.0))
    more = [
        value(course(Classes(adversary="trades", epsilon=20, beta=b)).loss(linear(), batch, 1.0)) - clean
        for b in (1.0, 6.0)
    ]
    assert more[1] == pytest.approx(6 * more[0], rel=1e-4)
    assert more[0] > 0


def test_a_teacher_has_its_share_of_the_loss() -> None:
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).eval()
    batch = next(course().batches(0))
    logits, wise = linear()(batch[0]).detach(), teacher(batch[0]).detach()
    hard = float(functional.cross_entropy(logits, batch[1]))
    soft = float(distillation(logits, wise, temperature=2.0))
    for share in (0.0, 0.3, 1.0):
        learning = course(Classes(temperature=2.0, share=share), teacher=teacher)
        assert value(learning.loss(linear(), batch, 0.0)) == pytest.approx(
            (1 - share) * hard + share * soft, rel=1e-5
        )
    learning.loss(net := linear(), batch, 0.0).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in net.parameters())


def taught(learning: ClassifierCourse, tmp: Any, *, epochs: int = 2) -> nn.Module:
    return train(
        linear,
        learning.batches,
        learning.loss,
        replace(SETTINGS, epochs=epochs),
        folder=tmp,
        steps=learning.steps,
    )


def test_a_student_becomes_like_its_teacher_even_where_labels_are_wrong(tmp_path: Any) -> None:
    images, labels = pictures()
    teacher = taught(course(), tmp_path / "teacher", epochs=12)
    wrong = (images, (labels + 1) % 3)
    student = taught(
        course(Classes(share=1.0), learnt=wrong, teacher=teacher), tmp_path / "student", epochs=12
    )
    x = (images.float() - 100) / 50
    assert (teacher(x).argmax(1) == labels).float().mean() > 0.9
    assert (student(x).argmax(1) == labels).float().mean() > 0.9


def test_labels_of_unlabelled_pictures_are_never_looked_at(tmp_path: Any) -> None:
    """Nonsense in their place, of classes that are not there: the same weights, bit for bit."""
    images, labels = pictures()
    kept, rest = parted(40, 0.7, SETTINGS.seed)
    assert (len(kept), len(rest)) == (12, 28)
    assert sorted([*kept.tolist(), *rest.tolist()]) == list(range(40))
    nonsense = labels.clone()
    nonsense[rest] = -7
    objective = Classes(pseudo_threshold=0.4, pseudo_ramp=0.0)
    nets = [
        taught(course(objective, learnt=(images, told), unlabelled=0.7), tmp_path / str(i))
        for i, told in enumerate((labels, nonsense))
    ]
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))
    alone = taught(course(replace(objective, pseudo_weight=0.0), unlabelled=0.7), tmp_path / "alone")
    assert not all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), alone.parameters(), strict=True))


def test_batches_with_unlabelled_pictures_have_two_views_of_them() -> None:
    learning = course(unlabelled=0.7)
    batches = list(learning.batches(0))
    assert len(batches) == learning.steps == 2  # of 28 without labels; the 12 with labels begin again
    images, soft, _, weak, strong = batches[0]
    assert images.shape == weak.shape == strong.shape
    assert len(soft) == 10
    blank = (strong == 0) & (weak != 0)
    assert torch.equal(strong[~blank], weak[~blank])  # without augmentation only the square is apart
    assert blank.any()


def test_guesses_count_from_their_threshold_and_rise() -> None:
    weak = torch.tensor([[4.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 3.0]], requires_grad=True)
    strong = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    guesses = Guesses(threshold=0.9, weight=2.0, ramp=0.4)
    sure = functional.cross_entropy(strong[[0, 2]], torch.tensor([0, 2]), reduction="sum") / 3
    for done, rise in ((0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (1.0, 1.0)):
        assert value(guesses.loss(weak, strong, done)) == pytest.approx(2.0 * rise * float(sure), rel=1e-5)
    assert not guesses.loss(weak, strong, 1.0).requires_grad  # no gradient through the guess
    assert value(Guesses(0.0, 1.0, 0.0).loss(weak, strong, 0.0)) > float(sure)


def test_no_labels_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one of 3 labels"):
        parted(3, 0.99, 0)


def test_a_check_is_loss_and_accuracy_on_the_held_pictures() -> None:
    images, labels = pictures(30)
    net: Callable[[Tensor], Tensor] = linear().eval()
    logits = net((images.float() - 100) / 50).detach()
    told = course().check(net)  # type: ignore[arg-type]
    assert told["held_loss"] == pytest.approx(float(functional.cross_entropy(logits, labels)), rel=1e-5)
    assert told["held_accuracy"] == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


def test_planes_are_what_the_server_feeds() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    assert planes(images, SPEC).shape == (2, 1, 6, 6)
    assert planes(images, SPEC).dtype == torch.uint8
