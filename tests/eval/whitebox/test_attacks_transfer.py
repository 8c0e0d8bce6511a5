"""Who may attack: a twin has to prove itself; and what proven ones do to the fragile and the robust."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.data.tables import open_data
from eval.errors import EvalError
from eval.whitebox import proven
from eval.whitebox.attacks.apgd import ApgdCe, ApgdDlrT
from eval.whitebox.attacks.tables import WHITE_BOX
from eval.whitebox.node import Unsupported
from eval.whitebox.proven import Classifier, opened, proven_classifier
from eval.whitebox.transfer import found_on
from eval.whitebox.twin import Agreement, NoTwin, Twin
from models.cli import ZOO
from models.decoding import decode
from models.digits import digits
from models.repository import open_version, read_version
from models.results import Array, Classification
from models.scenes import scene
from models.tasks import TASKS, Predictor
from tests.eval.whitebox.graphs import small_net

pytestmark = pytest.mark.torch
DATA = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))


class Local:
    """What an endpoint that serves a version answers."""

    def __init__(self, folder: Path) -> None:
        version = read_version(folder)
        runner = open_version(version).runner
        self.predictor = Predictor(TASKS[version.card.task](version.card), runner)

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        return [a for a in self.predictor.predict(list(images)) if isinstance(a, Classification)]


def some_digits(count: int) -> tuple[list[Array], list[int]]:
    images, labels = digits("test")
    return list(images[:count]), labels[:count].tolist()


def robust_accuracy(number: int, name: str, epsilon: float) -> float:
    """What is left of 40 digits, asked about at the graph itself."""
    images, labels = some_digits(40)
    folder, threat = ZOO / "digits" / str(number), Threat("linf", epsilon)
    twin = proven_classifier(folder, images)
    found = found_on(twin.logits, images, untargeted(labels), threat, WHITE_BOX[name], 0)
    answers = asyncio.run(Local(folder).predict(found.pictures))
    right = np.array([a.label == label for a, label in zip(answers, labels, strict=True)])
    assert np.array_equal(found.fooled, ~right)  # the twin told the truth
    return float(right.mean())


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_the_fragile_breaks_and_the_robust_holds(name: str) -> None:
    fragile, robust = (robust_accuracy(number, name, 76) for number in (1, 2))
    assert fragile <= 0.1
    assert robust >= 0.6
    fragile, robust = (robust_accuracy(number, name, 38) for number in (1, 2))
    assert fragile <= 0.35
    assert robust >= 0.9


def test_apgd_is_no_weaker_than_pgd_and_pgd_than_fgsm() -> None:
    images, labels = some_digits(60)
    twin = proven_classifier(ZOO / "digits" / "2", images)
    threat = Threat("linf", 76)
    attacks = (WHITE_BOX["fgsm"], WHITE_BOX["pgd"], ApgdCe(steps=40), ApgdDlrT(steps=20, attempts=4))
    fooled = [
        int(found_on(twin.logits, images, untargeted(labels), threat, a, 0).fooled.sum()) for a in attacks
    ]
    assert fooled[0] < fooled[1] <= fooled[2]
    assert fooled[2] <= fooled[3] + 2


def test_a_resized_picture_is_attacked_at_its_own_size() -> None:
    """The perturbation goes through Pillow's filter and still fools the graph that is served."""
    small, labels = some_digits(12)
    images = [np.kron(image, np.ones((2, 3, 1), np.uint8)) for image in small]
    folder, threat = ZOO / "digits" / "1", Threat("linf", 60)
    twin = proven_classifier(folder, images)
    pictures = found_on(twin.logits, images, untargeted(labels), threat, WHITE_BOX["pgd"], 0).pictures
    answers = asyncio.run(Local(folder).predict(pictures))
    assert [p.shape for p in pictures] == [(56, 84, 3)] * 12
    assert sum(a.label == label for a, label in zip(answers, labels, strict=True)) <= 3


def test_a_twin_of_another_graph_is_refused() -> None:
    images, _ = some_digits(3)
    with pytest.raises(EvalError, match="another graph than the one that is served"):
        proven_classifier(ZOO / "digits" / "1", images, sha256="0" * 64)
    with pytest.raises(EvalError, match="must be the folder of a version"):
        opened(ZOO / "digits")
    served = read_version(ZOO / "digits" / "1").card.sha256
    assert proven_classifier(ZOO / "digits" / "1", images, served).pictures == 200


def test_what_is_no_plain_classifier_is_refused() -> None:
    with pytest.raises(Unsupported, match="black-box"):
        proven_classifier(ZOO / "scenes-detector" / "1", [scene(0).image])
    with pytest.raises(NoTwin, match="got none"):
        proven_classifier(ZOO / "digits" / "1", [])


def test_a_twin_that_lies_may_not_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once in its values, once in its classes alone."""
    images, _ = some_digits(20)
    wrong = Agreement(0.99, 1.0, 200, 2000)
    with monkeypatch.context() as patch:
        patch.setattr(proven, "compare", lambda *told: wrong)
        with pytest.raises(NoTwin, match=r"got 100\.00% of 200 and 99\.00% of 2000"):
            proven_classifier(ZOO / "digits" / "1", images)
    honest = Classifier.label
    calls = iter(range(1000))

    def lying(self: Classifier, picture: Array) -> int:
        return 9 - honest(self, picture) if next(calls) == 7 else honest(self, picture)

    monkeypatch.setattr(Classifier, "label", lying)
    with pytest.raises(NoTwin, match=r"got 99\.50% of 200 and 100\.00% of 2000"):
        proven_classifier(ZOO / "digits" / "1", images)


@pytest.mark.parametrize("batch", ["N", 1])
def test_graphs_for_one_picture_and_of_probabilities(tmp_path: Path, batch: str | int) -> None:
    """The shape of one picture is written into the second graph; both end in a softmax."""
    node = onnx.helper.make_node
    tail = [node("Reshape", ["y", "form"], ["flat_y"]), node("Softmax", ["flat_y"], ["odds"])]
    model = onnx.load_model_from_string(small_net(tail=tail))
    form = np.array([1 if batch == 1 else -1, 5], np.int64)
    model.graph.initializer.append(onnx.numpy_helper.from_array(form, "form"))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("odds", 1, [batch, 5]))
    folder = installed(tmp_path, model.SerializeToString(), batch)
    images = [np.random.default_rng(i).integers(0, 256, (6, 6, 3), dtype=np.uint8) for i in range(5)]
    twin = proven_classifier(folder, images)
    assert twin.batched == (batch == "N")
    batchful = torch.from_numpy(np.stack(images)).float()
    assert twin.before == "flat_y"  # what the softmax is of, not its logarithms
    odds = twin.logits(batchful).softmax(1)
    answers = [asyncio.run(Local(folder).predict([image]))[0] for image in images]
    np.testing.assert_allclose(odds.numpy(), [a.scores for a in answers], atol=1e-5)
    labels = odds.argmax(1).tolist()
    found = found_on(twin.logits, images, untargeted(labels), Threat("linf", 255), WHITE_BOX["apgd_ce"], 0)
    assert (found.margins < 0).any()


def installed(root: Path, model: bytes, batch: str | int) -> Path:
    """A version folder with a graph of one's own in the place of a digit classifier's."""
    import hashlib

    folder = root / "small" / "1"
    shutil.copytree(ZOO / "digits" / "1", folder)
    (folder / "model.onnx").write_bytes(model)
    card = read_version(ZOO / "digits" / "1").card
    spec = card.input.model_copy(
        update={"height": 6, "width": 6, "channels": "RGB", "mean": (128.0,) * 3, "std": (64.0,) * 3}
    )
    told = {"name": "small", "version": 1, "input": spec, "outputs": ("odds",), "family": "probabilities"}
    told |= {"labels": tuple("abcde"), "golden": None, "claims": (), "max_batch": 1 if batch == 1 else 8}
    told |= {"sha256": hashlib.sha256(model).hexdigest()}
    card.model_copy(update=told).write(folder / "card.json")
    return folder


def test_a_twin_takes_no_gradients_for_its_weights() -> None:
    twin, _, _ = opened(ZOO / "digits" / "1")
    assert isinstance(twin, Twin)
    assert not any(p.requires_grad for p in twin.parameters())


@pytest.mark.data
def test_an_int8_graph_has_gradients_straight_through() -> None:
    """Its values differ by a level here and there, its classes do not; its gradients fool it."""
    archive = DATA / "cifar10_jpeg" / "test_a.tar.gz"
    if not archive.is_file():
        pytest.skip("ASSAY_DATA_DIR has no cifar10_jpeg")
    folder = ZOO / "cifar10" / "2"
    labels = read_version(folder).card.labels
    samples = list(open_data(f"tar:{archive}", "classification").in_classes_of(labels).first(24))
    images = [decode(sample.file) for sample in samples]
    twin = proven_classifier(folder, images)
    assert twin.agreement.share < 0.999 <= twin.same_labels
    truth = [int(a.label) for a in asyncio.run(Local(folder).predict(images))]
    goals = untargeted(truth[:8])
    pictures = found_on(twin.logits, images[:8], goals, Threat("linf", 8), WHITE_BOX["fgsm"], 0).pictures
    answers = asyncio.run(Local(folder).predict(pictures))
    assert sum(a.label != label for a, label in zip(answers, truth, strict=False)) >= 4
