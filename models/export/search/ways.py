"""Which values a search tries next: all of them, at random, or where the best so far make it likely."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.export.search.space import Range, Space, Value, Values

if TYPE_CHECKING:
    import optuna

__all__ = ["WAYS", "Bayes", "Grid", "Random", "Way"]


class Way(Protocol):
    """Asked for the values of trial 0, 1, 2 ... and told what each came to, in this order.

    The answers depend on the seed and what was told before, so a search that is begun again gives the
    same trials.
    """

    most: int | None  # trials there are; None for no end

    def ask(self, number: int) -> Values: ...

    def tell(self, number: int, figure: float | None) -> None: ...


class Grid:
    """Every combination, the last field changing fastest."""

    def __init__(self, space: Space, seed: int, folder: Path, *, larger: bool) -> None:
        axes = [one.grid() if isinstance(one, Range) else one for one in space.values()]
        self.trials = [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]
        self.most: int | None = len(self.trials)

    def ask(self, number: int) -> Values:
        return self.trials[number]

    def tell(self, number: int, figure: float | None) -> None:
        """Nothing is learnt from it."""


class Random:
    """Independent draws (Bergstra and Bengio 2012): trial `i` depends on seed and `i` alone."""

    def __init__(self, space: Space, seed: int, folder: Path, *, larger: bool) -> None:
        self.space, self.seed = space, seed
        self.most: int | None = None

    def ask(self, number: int) -> Values:
        draws = np.random.Generator(np.random.Philox(key=[self.seed, number]))
        shares = draws.random(len(self.space))
        return {
            name: _drawn(one, share) for (name, one), share in zip(self.space.items(), shares, strict=True)
        }

    def tell(self, number: int, figure: float | None) -> None:
        """Nothing is learnt from it."""


def _drawn(one: Range | list[Value], share: float) -> Value:
    if not isinstance(one, Range):
        return one[int(share * len(one))]
    if one.whole and not one.log:  # each number as likely as any other
        return int(one.low) + int(share * (one.high - one.low + 1))
    return one.at(share)


class Bayes:
    """Tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna, kept in a journal file.

    **Differences** to Optuna's own loop: each trial has a sampler of its own, seeded by the search and
    by how many trials are done, so that a killed search goes on to the very trials it would have had.
    """

    def __init__(self, space: Space, seed: int, folder: Path, *, larger: bool) -> None:
        self.space, self.seed, self.path = space, seed, folder / "optuna.journal"
        self.larger = larger
        self.most: int | None = None
        self._trial: optuna.Trial | None = None
        logging.getLogger("optuna").setLevel(logging.WARNING)

    def ask(self, number: int) -> Values:
        import optuna

        study = self._study(number)
        done = self._done(study)
        if number < len(done):
            return self._values(done[number].params)
        for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # what a kill left behind
        self._trial = study.ask({name: self._axis(one) for name, one in self.space.items()})
        return self._values(self._trial.params)

    def tell(self, number: int, figure: float | None) -> None:
        study = self._study(number)
        if number >= len(self._done(study)) and self._trial is not None:
            worst = -math.inf if self.larger else math.inf
            study.tell(self._trial.number, worst if figure is None else figure)

    def _study(self, number: int) -> optuna.Study:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(self.path))),
            sampler=optuna.samplers.TPESampler(seed=self.seed * 1_000_003 + number),
            study_name="search",
            direction="maximize" if self.larger else "minimize",
            load_if_exists=True,
        )

    def _done(self, study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
        import optuna

        return study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])

    def _axis(self, one: Range | list[Value]) -> optuna.distributions.BaseDistribution:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not isinstance(one, Range):
            return CategoricalDistribution(range(len(one)))  # lists are values too, which Optuna has not
        if one.whole:
            return IntDistribution(int(one.low), int(one.high), log=one.log)
        return FloatDistribution(one.low, one.high, log=one.log)

    def _values(self, params: Mapping[str, Any]) -> Values:
        return {
            name: params[name] if isinstance(one, Range) else one[params[name]]
            for name, one in self.space.items()
        }


WAYS: Mapping[str, Callable[..., Way]] = {"grid": Grid, "random": Random, "bayes": Bayes}
