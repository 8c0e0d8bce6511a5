"""How long, how fast and by which rule a net is trained: what a training is repeated from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

__all__ = ["Settings"]

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Weight: TypeAlias = Annotated[float, Field(ge=0)]
Count: TypeAlias = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class Settings:
    """The same settings and data give the same weights on the same machine.

    Attributes:
        seed: of the starting weights and of every draw of the batches.
        epochs: passes over the data.
        batch: images a step.
        rate: peak learning rate.
        optimiser: `sgd` (Nesterov momentum), `adam` (Kingma and Ba 2014, arXiv 1412.6980) or `adamw`
            (Loshchilov and Hutter 2017, arXiv 1711.05101). Of the first two, weight decay is L2.
        momentum: of `sgd`.
        schedule: after the warm-up the rate falls as a `cosine` (Loshchilov and Hutter 2016,
            arXiv 1608.03983) or `linear`, a line to 1 %, or stays `constant`.
        warmup: share of the steps in which the rate rises.
        decay: weight decay of matrices and kernels; biases and norms have none.
        clip: largest norm of the gradient (Pascanu et al. 2012, arXiv 1211.5063); 0 for no limit.
        accumulate: batches whose mean gradient makes one step.
        penalty: weight of the squared norm of the loss's gradient by the input (Drucker and
            Le Cun 1992; Ross and Doshi-Velez 2017, arXiv 1711.09404); 0 for none.
        frozen: share of the training in which `backbone` stays as it is; then all is fine-tuned.
        average: of the weights' running mean, the share that stays at each step; 0 for none.
        bfloat16: forward passes in bfloat16, channels last; about twice as fast on a CPU that has it.
    """

    seed: int
    epochs: Count
    batch: Count
    rate: Annotated[float, Field(gt=0)]
    optimiser: Literal["sgd", "adam", "adamw"] = "adamw"
    momentum: Share = 0.9
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Share = 0.05
    decay: Weight = 1e-2
    clip: Weight = 5.0
    accumulate: Count = 1
    penalty: Weight = 0.0
    frozen: Share = 0.0
    average: Share = 0.998
    bfloat16: bool = False
