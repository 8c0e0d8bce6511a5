"""From a folder to attacks of an audit: who may be used, what it is called, and what going on again costs."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Goal, Threat
from eval.attacks.goals.classification import Targeted, untargeted
from eval.attacks.results import AttackResult, worst_case
from eval.attacks.square import Square
from eval.attacks.transfer import ON_A_TWIN, unpacked
from eval.attacks.wave import Limits, attack_all
from eval.auditing import chunks
from eval.auditing.on_twin import Made, OnTwin, named_on_twin, proven_on
from eval.errors import EvalError
from eval.target import Access, Target
from eval.whitebox.proven import Classifier
from models.cli import ZOO
from models.digits import digits
from models.repository import open_version, read_version
from models.results import Array, Classification
from models.tasks import TASKS, Predictor
from tests.eval.attacks.test_transfer import Erase

pytestmark = pytest.mark.torch
DIGITS = ZOO / "digits"
THREAT = Threat("linf", 60)


class Local:
    """What an endpoint that serves a version answers."""

    def __init__(self, folder: Path) -> None:
        version = read_version(folder)
        self.predictor = Predictor(TASKS[version.card.task](version.card), open_version(version).runner)

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        return [a for a in self.predictor.predict(list(images)) if isinstance(a, Classification)]


def served(number: int = 1) -> Target:
    card = read_version(DIGITS / str(number)).card
    access = Access("http://127.0.0.1:1")
    return Target(access.url, "digits", number, "classification", card.labels, card.sha256, {}, access)


def some(count: int) -> tuple[list[Array], list[Goal], list[str]]:
    images, labels = digits("test")
    few = images[:count].copy()
    few.setflags(write=False)  # as decoders and records give them
    return list(few), untargeted(labels[:count].tolist()), [f"d{i}" for i in range(count)]


@pytest.fixture(scope="module")
def twin() -> OnTwin:
    return proven_on(DIGITS / "1", served(), some(40)[0])


def asked(
    made: Made, images: Sequence[Array], goals: Sequence[Goal], number: int = 1, threat: Threat = THREAT
) -> AttackResult:
    endpoint = Local(DIGITS / str(number))
    return asyncio.run(
        attack_all(made.attack, endpoint, images, goals, threat=threat, limits=Limits(3), seed=0)
    )


def test_the_twin_of_what_is_served_is_white_box_and_told_the_truth(twin: OnTwin) -> None:
    images, goals, names = some(40)
    made = twin.make("pgd", images, goals, THREAT, 0, names)
    result = asked(made, images, goals)
    assert (made.attack.name, result.attack) == ("pgd", "pgd")
    assert "white-box" in made.attack.tags[0]
    assert repr(made.attack).count("Pgd(steps=40, attempts=1) on digits/1") == 1
    assert result.robust_accuracy is not None
    assert result.robust_accuracy < 0.2
    assert result.reverify_rate == 1
    right = int(result.clean_correct.sum())
    assert made.borne_out(result) == (right, right)
    assert not made.flat.any()
    proof = twin.proof
    assert (proof.model, proof.white_box, proof.quantised) == ("digits/1", True, False)
    assert (proof.pictures, proof.own, proof.same_labels, proof.same_values) == (200, 40, 1, 1)
    assert 0 < proof.max_difference < 1e-3
    assert "200 pictures (40 of the audit's, the others with noise)" in str(proof)


def test_what_an_endpoint_does_beside_the_graph_shows(twin: OnTwin) -> None:
    """The same pictures at a robust version: the twin said they fool, and they do not."""
    images, goals, names = some(40)
    made = twin.make("fgsm", images, goals, THREAT, 0, names)
    same, of = made.borne_out(asked(made, images, goals, number=2))
    assert same < of / 2


def test_another_model_must_be_asked_for_and_is_called_transfer() -> None:
    images, goals, names = some(12)
    with pytest.raises(EvalError, match="holds another graph than digits/1 as it is served; --surrogate"):
        proven_on(DIGITS / "2", served(), images)
    with pytest.raises(EvalError, match="does not tell which graph digits/1 is"):
        proven_on(DIGITS / "1", replace(served(), sha256=""), images)
    other = proven_on(DIGITS / "2", served(), images, surrogate=True)
    made = other.make("mi_fgsm", images, goals, THREAT, 0, names)
    result = asked(made, images, goals)
    assert (other.proof.white_box, result.attack) == (False, "transfer_mi_fgsm")
    assert "a surrogate, digits/2" in str(other.proof)
    assert result.fooled.any()
    assert proven_on(DIGITS / "1", served(), images, surrogate=True).proof.white_box


def test_a_twin_that_is_only_nearly_alike_is_a_surrogate(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of some quantised graphs: 98 % of the classes prove nothing, but pictures may carry over."""
    images = some(10)[0]
    honest = Classifier.label
    calls = iter(range(1000))

    def lying(self: Classifier, picture: Array) -> int:
        answer = honest(self, picture)
        return 9 - answer if next(calls) % wrong == 0 else answer

    monkeypatch.setattr(Classifier, "label", lying)
    wrong = 50
    with pytest.raises(EvalError, match=r"99\.9% of the .* got 98\.00% of 200 .*--surrogate takes one"):
        proven_on(DIGITS / "1", served(), images)
    calls = iter(range(1000))
    proof = proven_on(DIGITS / "1", served(), images, surrogate=True).proof
    assert (proof.white_box, proof.same_labels) == (False, 0.98)
    calls, wrong = iter(range(1000)), 5
    with pytest.raises(EvalError, match=r"90\.0% of the classes .* got 80\.00% of 200"):
        proven_on(DIGITS / "1", served(), images, surrogate=True)


def test_wrong_folders_are_refused(tmp_path: Path) -> None:
    images = some(2)[0]
    for folder in (tmp_path, DIGITS, tmp_path / "nothing"):
        with pytest.raises(EvalError, match="must be the folder of a version"):
            proven_on(folder, served(), images)
    with pytest.raises(EvalError, match="must have the classes of digits/1 in their order"):
        proven_on(ZOO / "cifar10" / "1", served(), images, surrogate=True)


def test_without_pytorch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eval.whitebox.proven", None)
    with pytest.raises(EvalError, match=r"install assay\[train\]"):
        proven_on(DIGITS / "1", served(), some(1)[0])


def test_what_cannot_be_done_is_refused_before_any_work(twin: OnTwin) -> None:
    for names, norm, why in ((["pgd", "square"], "linf", "got 'square'"), (["pgd"], "spatial", "linf or l2")):
        with pytest.raises(EvalError, match=why):
            named_on_twin(names, norm)
    with pytest.raises(EvalError, match="need a goal of classes, got erase"):
        twin.require(["pgd"], "linf", [Erase()])  # type: ignore[list-item]  # it judges nothing
    twin.require(ON_A_TWIN, "l2", [Targeted(0, 1)])


@pytest.mark.parametrize(
    ("name", "classes", "aimed", "enough"),
    [
        ("pgd", 2, True, True),
        ("apgd_dlr", 2, False, False),
        ("apgd_dlr", 3, False, True),
        ("apgd_dlr", 3, True, False),
        ("apgd_dlr_t", 3, False, False),
        ("apgd_dlr_t", 4, True, True),
    ],
)
def test_ratios_need_their_classes(twin: OnTwin, name: str, classes: int, aimed: bool, enough: bool) -> None:
    few: Any = replace(twin._twin, card=twin._twin.card.model_copy(update={"labels": ("a",) * classes}))
    goals: list[Goal] = [Targeted(0, 1)] if aimed else untargeted([0])
    if enough:
        replace(twin, _twin=few).require([name], "linf", goals)
        return
    with pytest.raises(EvalError, match=f"the model has {classes}; use apgd_ce"):
        replace(twin, _twin=few).require([name], "linf", goals)


def test_targets_have_their_own_pictures(twin: OnTwin) -> None:
    images, goals, names = some(10)
    aimed: list[Goal] = [Targeted(goal.truth, (goal.truth + 1) % 10) for goal in goals]
    made = twin.make("apgd_ce", images, aimed, THREAT, 0, names)
    result = asked(made, images, aimed)
    assert result.goal == "targeted"
    assert result.fooled.sum() >= 5
    targets = np.array([(goal.truth + 1) % 10 for goal in goals])
    assert np.array_equal(result.predicted[result.fooled], targets[result.fooled])
    right = int(result.clean_correct.sum())
    assert made.borne_out(result) == (right, right)


def test_it_goes_together_with_black_box_attacks(twin: OnTwin) -> None:
    """Per-sample worst case: no better than either of them."""
    images, goals, names = some(30)
    threat = Threat("linf", 25)
    made = twin.make("fgsm", images, goals, threat, 0, names)
    one = asked(made, images, goals, threat=threat)
    told = attack_all(
        Square(), Local(DIGITS / "1"), images, goals, threat=threat, limits=Limits(100), seed=0, samples=names
    )
    other = asyncio.run(told)
    worst = worst_case([one, other])
    assert np.array_equal(worst, one.standing & other.standing)
    assert one.fooled.any()
    assert other.fooled.any()
    assert not np.array_equal(one.fooled, other.fooled)  # each adds something


def same(one: Made, other: Made) -> bool:
    return dict(one.attack.changes) == dict(other.attack.changes) and np.array_equal(
        one.margins, other.margins
    )


def test_what_nobody_waits_for_is_made_no_further(twin: OnTwin, tmp_path: Path) -> None:
    """An interrupt does not end the thread; the next look at the twin does."""
    images, goals, names = some(4)
    stop = Event()
    stop.set()
    with pytest.raises(EvalError, match="to stop"):
        twin.make("pgd", images, goals, THREAT, 0, names, kept=tmp_path, stop=stop)
    assert not list(tmp_path.iterdir())


def test_who_goes_on_makes_only_what_is_not_there(
    twin: OnTwin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "AT_ONCE", 8)
    images, goals, names = some(20)
    whole = twin.make("pgd", images, goals, THREAT, 0, names)
    made: list[int] = []
    attacked = OnTwin._attacked

    def counted(self: OnTwin, chunk: Any, name: str, stop: Event | None) -> Any:
        if len(made) == 2:
            raise RuntimeError("killed")
        made.append(len(chunk.images))
        return attacked(self, chunk, name, stop)

    monkeypatch.setattr(OnTwin, "_attacked", counted)
    with pytest.raises(RuntimeError, match="killed"):
        twin.make("pgd", images, goals, THREAT, 0, names, kept=tmp_path)
    assert (made, len(list(tmp_path.iterdir()))) == ([8, 8], 2)
    made[:] = [0]
    assert same(twin.make("pgd", images, goals, THREAT, 0, names, kept=tmp_path), whole)
    assert made == [0, 4]
    made.clear()
    assert same(twin.make("pgd", images, goals, THREAT, 0, names, kept=tmp_path), whole)
    assert made == []
    next(tmp_path.iterdir()).write_bytes(b"PK\x03\x04 broken")
    assert same(twin.make("pgd", images, goals, THREAT, 0, names, kept=tmp_path), whole)
    assert len(made) == 1


@pytest.mark.parametrize("other", [{"seed": 1}, {"threat": Threat("linf", 61)}, {"name": "mi_fgsm"}], ids=str)
def test_what_was_kept_for_something_else_is_not_used(
    twin: OnTwin, tmp_path: Path, other: dict[str, Any]
) -> None:
    images, goals, names = some(4)
    told: dict[str, Any] = {"name": "pgd", "threat": THREAT, "seed": 0, "kept": tmp_path}
    first = twin.make(images=images, goals=goals, samples=names, **told)
    second = twin.make(images=images, goals=goals, samples=names, **(told | other))
    fresh = twin.make(images=images, goals=goals, samples=names, **(told | other | {"kept": None}))
    assert len(list(tmp_path.iterdir())) == 2
    assert same(second, fresh)
    assert not same(first, second)


class Lazy(Sequence[Array]):
    """Images that are made when they are read, and let go of by whoever is done with them."""

    def __init__(self, images: Sequence[Array]) -> None:
        self.images, self.refs, self.most = images, list[weakref.ref[Any]](), 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: Any) -> Any:
        image = self.images[place].copy()
        self.refs = [ref for ref in self.refs if ref() is not None] + [weakref.ref(image)]
        self.most = max(self.most, len(self.refs))
        return image


def test_few_images_are_held_at_once(twin: OnTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "AT_ONCE", 5)
    images, goals, names = some(30)
    lazy = Lazy(images)
    assert same(
        twin.make("fgsm", lazy, goals, THREAT, 0, names), twin.make("fgsm", images, goals, THREAT, 0, names)
    )
    assert lazy.most <= 2 * 5 + 1
    proof = Lazy(images)
    assert proven_on(DIGITS / "1", served(), proof).proof.pictures == 200
    assert proof.most <= 3


def test_images_are_read_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    images = some(40)[0]
    assert [(start, len(part)) for start, part in chunks.chunks_of(images)] == [(0, 32), (32, 8)]
    monkeypatch.setattr(chunks, "HELD", 3 * images[0].nbytes)
    assert [(s, len(p)) for s, p in chunks.chunks_of(images[:7])] == [(0, 3), (3, 3), (6, 1)]
    monkeypatch.setattr(chunks, "HELD", 1)
    assert [len(p) for _, p in chunks.chunks_of(images[:3])] == [1, 1, 1]


def test_the_same_image_twice_has_one_picture(twin: OnTwin) -> None:
    images, goals, _ = some(2)
    made = twin.make("pgd", [*images, images[0]], [*goals, goals[0]], THREAT, 0, ["a", "b", "c"])
    assert len(made.attack.changes) == 2
    assert made.margins[0] == made.margins[2]
    once = twin.make("pgd", images, goals, THREAT, 0, ["a", "b"])
    first = next(iter(once.attack.changes.values()))
    assert unpacked(first, images[0]).shape == images[0].shape


def test_progress_is_told_after_every_chunk(twin: OnTwin) -> None:
    images, goals, names = some(40)
    told: list[int] = []
    twin.make("fgsm", images, goals, THREAT, 0, names, progress=told.append)
    assert told == [32, 40]
