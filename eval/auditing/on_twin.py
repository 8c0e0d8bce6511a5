"""Gradient attacks of an audit: pictures made on the twin of a version, then asked about at the endpoint.

Everything here takes long and blocks: call it in a thread. PyTorch is loaded only when it is called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.attacks.base import Goal, Threat
from eval.attacks.results import AttackResult
from eval.attacks.transfer import ON_A_TWIN, Transfer, packed, wanted
from eval.auditing.chunks import Chunk, Row, chunks_of
from eval.errors import EvalError
from eval.target import Target, name_of
from models.card import ModelCard
from models.results import Array

if TYPE_CHECKING:
    from eval.whitebox.proven import Classifier

__all__ = ["Made", "OnTwin", "Proof", "named_on_twin", "proven_on"]

LEAST = 0.999  # of the classes, to be the twin of what is served
LEAST_SURROGATE = 0.9  # of the classes; below it the twin is broken, not rounded otherwise


@dataclass(frozen=True, slots=True)
class Proof:
    """What a twin showed before it was let to attack.

    Attributes:
        model: e.g. `digits/1`, whose twin it is.
        sha256: of its graph.
        white_box: that graph is the one that is served, and the twin calls 99.9 % as it does. If not, it is
            a surrogate: what it does not find says nothing of how robust the endpoint is.
        pictures: it was compared with its graph on so many;
        own: so many of which were the audit's, the others copies with noise of up to 8 levels.
        same_labels: share of them that both call the same, the preparation included; at least 0.9.
        same_values: share of the graph's values that agree; at least 0.999, unless `quantised`.
        max_difference: the largest of any value, in the graph's own units.
        quantised: the graph computes with 8-bit levels; gradients pass its rounding as if it were not there.
    """

    model: str
    sha256: str
    white_box: bool
    pictures: int
    own: int
    same_labels: float
    same_values: float
    max_difference: float
    quantised: bool

    def __str__(self) -> str:
        noisy = f" ({self.own} of the audit's, the others with noise)" if self.own < self.pictures else ""
        kind = "the served graph" if self.white_box else f"a surrogate, {self.model},"
        return (
            f"the twin of {kind} gives the graph's class on {self.same_labels:.2%} of {self.pictures} "
            f"pictures{noisy}, {self.same_values:.2%} of its values agree, the largest difference is "
            f"{self.max_difference:.2g}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An attack that is ready to be asked about, and what the twin thinks of its pictures.

    Attributes:
        margins: float64 `(N,)`, in logits; below 0 the goal is reached on the twin.
        flat: bool `(N,)`: there was no gradient to begin with.
    """

    attack: Transfer
    margins: Array
    flat: Array

    def borne_out(self, result: AttackResult) -> tuple[int, int]:
        """Of how many pictures the endpoint said what the twin had said, and of how many it said anything.

        A proven twin of the served graph is right about nearly all. Where it is not, the endpoint does
        something else than the graph: another preparation, a defence, noise.
        """
        asked = result.clean_correct & ~result.errors
        same = (self.margins < 0) == (result.claimed > 0)
        return int(same[asked].sum()), int(asked.sum())


@dataclass(frozen=True, slots=True, eq=False)
class OnTwin:
    """A proven twin, ready to make pictures; see `proven_on`."""

    proof: Proof
    _twin: Classifier

    def require(self, names: Sequence[str], norm: str, goals: Sequence[Goal]) -> None:
        """As `named_on_twin`, and that the model has classes enough and the goals are of classes.

        Raises:
            EvalError: otherwise.
        """
        from eval.whitebox.attacks.tables import WHITE_BOX

        named_on_twin(names, norm)
        aimed, classes = any(target >= 0 for _, target in map(wanted, goals)), len(self._twin.card.labels)
        for name in names:
            fewest = WHITE_BOX[name].fewest
            fewest += fewest == 3 and aimed  # the ratio toward a class has a fourth logit in it
            if classes < fewest:
                raise EvalError(f"{name} needs {fewest} classes, the model has {classes}; use apgd_ce or pgd")

    def make(
        self,
        name: str,
        images: Sequence[Array],
        goals: Sequence[Goal],
        threat: Threat,
        seed: int,
        samples: Sequence[str],
        *,
        kept: Path | None = None,
        progress: Callable[[int], object] | None = None,
        stop: Event | None = None,
    ) -> Made:
        """One picture an image.

        Images are read and attacked 32 at a time, always the same ones together, so that equal arguments
        give equal pictures, whoever stopped in between. Only their compressed changes stay in memory.

        Args:
            name: of `ON_A_TWIN`.
            samples: an id for each image, part of the key of its draws.
            kept: a folder where finished chunks are put, and found again by who goes on.
            progress: told how many are made, in the thread of the caller.
            stop: once it is set nobody waits for them any more.

        Raises:
            EvalError: as `require`; or it is to stop.
        """
        from eval.whitebox.attacks.tables import WHITE_BOX

        self.require([name], threat.norm, goals)
        attack = WHITE_BOX[name]
        told = f"{attack!r} on {self.proof.model}, {self.proof.sha256}"
        done: dict[bytes, Row] = {}
        keys: list[bytes] = []
        for start, part in chunks_of(images):
            rows = slice(start, start + len(part))
            chunk = Chunk(part, goals[rows], samples[rows], threat, seed, told)
            made = chunk.found(kept) or chunk.keep(kept, self._attacked(chunk, name, stop))
            keys += chunk.keys
            for key, row in zip(chunk.keys, made, strict=True):
                done.setdefault(key, row)  # the same image twice, with the same goal, has one picture
            if progress is not None:
                progress(len(keys))
        changes = {key: row[0] for key, row in done.items()}
        margins, flat = (np.array([done[key][i] for key in keys]) for i in (1, 2))
        return Made(Transfer(name, changes, self.proof.white_box, told), margins, flat)

    def _attacked(self, chunk: Chunk, name: str, stop: Event | None) -> list[Row]:
        from eval.whitebox.attacks.tables import WHITE_BOX
        from eval.whitebox.transfer import found_on

        def logits(pictures: Any) -> Any:
            if stop is not None and stop.is_set():
                raise EvalError("it was to stop")
            return self._twin.logits(pictures)

        found = found_on(
            logits, chunk.images, chunk.goals, chunk.threat, WHITE_BOX[name], chunk.seed,
            chunk.samples, self._twin.at_once,
        )  # fmt: skip
        rows = zip(found.pictures, chunk.images, found.margins.tolist(), found.flat.tolist(), strict=True)
        return [(packed(picture, image), margin, flat) for picture, image, margin, flat in rows]


def named_on_twin(names: Sequence[str], norm: str) -> None:
    """See that attacks are there and can keep to a norm, before any work and without PyTorch.

    Raises:
        EvalError: they are not, or cannot.
    """
    if unknown := [name for name in names if name not in ON_A_TWIN]:
        raise EvalError(f"attack on a twin must be one of {', '.join(ON_A_TWIN)}, got {unknown[0]!r}")
    if norm == "spatial":
        raise EvalError("norm must be linf or l2 for attacks on a twin, got spatial")


def proven_on(folder: Path, target: Target, images: Sequence[Array], *, surrogate: bool = False) -> OnTwin:
    """The twin of the version in a folder, after it has answered as its graph does.

    Args:
        folder: model.onnx and card.json, e.g. `models/zoo/digits/1`.
        images: what it is to attack, uint8 RGB; at least 200 pictures are compared.
        surrogate: another graph than the served one will do, or a quantised one whose twin calls only 90 % as
            it does; their attacks are called `transfer_...`.

    Raises:
        EvalError: PyTorch is not installed; the folder holds no classifier, other classes, or another graph
            and that was not asked for; or the twin does not agree with its graph.
    """
    try:
        from eval.whitebox.proven import proven_classifier
        from eval.whitebox.twin import NoTwin
    except ImportError as error:
        raise EvalError(f"attacks on a twin need PyTorch and onnx: install assay[train] ({error})") from error
    card, sha256 = _read(folder)
    served = bool(target.sha256) and sha256 == target.sha256
    if not served and not surrogate:
        raise EvalError(f"{_not_the_served(folder, target)}; --surrogate attacks with it all the same")
    if card.labels != target.labels:
        raise EvalError(
            f"{folder} must have the classes of {name_of(target)} in their order, got {len(card.labels)}: "
            f"{', '.join(card.labels[:3])} ..., and {len(target.labels)}: {', '.join(target.labels[:3])} ..."
        )
    least = LEAST_SURROGATE if surrogate else LEAST
    try:
        twin = proven_classifier(folder, images, sha256, least)
    except NoTwin as error:
        hint = "" if surrogate else f"; --surrogate takes one that gives {LEAST_SURROGATE:.0%} of the classes"
        raise EvalError(f"{error}{hint}") from error
    proof = Proof(
        model=f"{card.name}/{card.version}",
        sha256=sha256,
        white_box=served and twin.same_labels >= LEAST,
        pictures=twin.pictures,
        own=min(len(images), twin.pictures),
        same_labels=twin.same_labels,
        same_values=twin.agreement.share,
        max_difference=twin.agreement.max_difference,
        quantised=twin.quantised,
    )
    return OnTwin(proof, twin)


def _read(folder: Path) -> tuple[ModelCard, str]:
    """The card of a version, and the sha256 of the graph that is really there."""
    from models.repository import RepositoryError, read_version  # onnxruntime, which an audit does without

    try:
        version = read_version(folder.resolve())
        return version.card, hashlib.sha256(version.model_path.read_bytes()).hexdigest()
    except (RepositoryError, OSError) as error:
        raise EvalError(f"{folder} must be the folder of a version: {error}") from error


def _not_the_served(folder: Path, target: Target) -> str:
    if not target.sha256:
        return f"the server does not tell which graph {name_of(target)} is, so {folder} may be another"
    return f"{folder} holds another graph than {name_of(target)} as it is served"
