"""What may be asked for: strict bodies, in which data is a name and a run is the id of a job."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, ValidationError, model_validator

from eval.gate.asks import GoalName, Severity, Word
from eval.gate.rules import Rules
from eval.jobs.errors import BadBody, BadParameter
from eval.jobs.reaching import Address, Endpoint, Strict, Url
from eval.jobs.states import Kind

__all__ = [
    "ASKED",
    "NOT_OPTIONS",
    "Asked",
    "Audit",
    "Comparison",
    "Evaluation",
    "Gate",
    "Side",
    "Sided",
    "parse",
]

ModelName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
DataName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_:-]{0,79}$")]
JobId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Column: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .-]{0,63}$")]
Words: TypeAlias = Annotated[list[Word], Field(max_length=32)]
Columns: TypeAlias = Annotated[list[Column], Field(max_length=16)]
Version: TypeAlias = Annotated[int, Field(ge=1, le=2**31)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Batch: TypeAlias = Annotated[int, Field(ge=1, le=128)]
AtOnce: TypeAlias = Annotated[int, Field(ge=1, le=256)]


NOT_OPTIONS = {"endpoint", "before", "after", "subject", "baseline", "rules", "reports"}


class Asked(Strict):
    """What every job names: whom to ask, and how.

    Attributes:
        options: the fields that are options of the verb as they are, by their name in the body.
    """

    endpoint: Address | None

    @property
    def options(self) -> dict[str, Any]:
        return self.model_dump(exclude=NOT_OPTIONS)

    @property
    def urls(self) -> list[str]:
        """Every address it asks."""
        return [] if self.endpoint is None else [self.endpoint.url]


class Evaluation(Asked):
    """`assay evaluate`: every score of a live model."""

    endpoint: Endpoint
    data: DataName = Field(description="A name from GET /v1/data.")
    model: ModelName | None = Field(None, description="Not needed when only one is served.")
    version: Version | None = Field(None, description="The latest by default.")
    limit: Count | None = Field(None, description="Only the first so many images.")
    slice: Columns | None = Field(None, description="Parts of the data to score apart.")
    batch: Batch | None = None
    concurrency: AtOnce | None = None


class Audit(Asked):
    """`assay audit`: attack and corruption."""

    endpoint: Endpoint
    data: DataName = Field(description="A name from GET /v1/data.")
    model: ModelName | None = Field(None, description="Not needed when only one is served.")
    version: Version | None = Field(None, description="The latest by default.")
    suite: Literal["quick", "standard", "thorough"] | None = Field(None, description="What is not told.")
    epsilon: Annotated[float, Field(ge=1, le=1e6, allow_inf_nan=False)] | None = None
    norm: Literal["linf", "l2", "spatial"] | None = None
    degrees: Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)] | None = None
    pixels: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] | None = None
    attacks: Words | None = None
    goal: Annotated[list[GoalName], Field(min_length=1, max_length=8)] | None = None
    corruptions: Words | None = None
    severities: Annotated[list[Severity], Field(min_length=1, max_length=5)] | None = None
    curve: bool | None = Field(None, description="Robust accuracy as epsilon grows.")
    stability: bool | None = Field(None, description="Stability under noise.")
    mce: Annotated[str, StringConstraints(pattern=r"^(alexnet|version:[1-9][0-9]{0,8})$")] | None = None
    samples: Count | None = None
    budget: Annotated[int, Field(ge=3, le=1_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    batch: Batch | None = None
    in_flight: AtOnce | None = None
    max_queries: Annotated[int, Field(ge=3)] | None = None


class Side(Strict):
    """One side of a comparison: the run of a job that is done, or a live model.

    A live model is at the `url` of the endpoint, unless it has one of its own.
    """

    job: JobId | None = None
    url: Url | None = None
    model: ModelName | None = None
    version: Version | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.job is None) == (self.model is None):
            raise ValueError("a side must have a job, or a model")
        if self.job is not None and (self.url or self.version):
            raise ValueError("a side with a job must have nothing else")
        return self


class Sided(Asked):
    """What is about recorded runs, or live models that are asked first."""

    endpoint: Endpoint | None = Field(None, description="Of the live sides.")
    data: DataName | None = Field(None, description="What live sides are asked about.")
    limit: Count | None = None
    slice: Columns | None = None
    batch: Batch | None = None
    concurrency: AtOnce | None = None

    @property
    @abstractmethod
    def sides(self) -> list[Side]:
        """In the order of the command."""

    @model_validator(mode="after")
    def _live_sides_can_be_asked(self) -> Self:
        live = [side for side in self.sides if side.job is None]
        if live and (self.endpoint is None or self.data is None):
            raise ValueError("a live side needs `endpoint` and `data`")
        return self

    @property
    def urls(self) -> list[str]:
        found = [side.url or (self.endpoint and self.endpoint.url) for side in self.sides if side.job is None]
        return [url for url in found if url]


class Comparison(Sided):
    """`assay compare`: two models, or two runs, on the same images."""

    before: Side
    after: Side
    resamples: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @property
    def sides(self) -> list[Side]:
        return [self.before, self.after]


class Gate(Sided):
    """`assay gate`: may this version go on?"""

    rules: Rules
    subject: Side
    baseline: Side | None = Field(None, description="What the rules under `against` compare with.")
    reports: Annotated[list[JobId], Field(max_length=8)] = Field(
        default_factory=list, description="Audits whose figures the rules name."
    )

    @property
    def sides(self) -> list[Side]:
        return [self.subject, *([] if self.baseline is None else [self.baseline])]


ASKED: Mapping[Kind, type[Asked]] = {
    "evaluation": Evaluation,
    "audit": Audit,
    "comparison": Comparison,
    "gate": Gate,
}


def parse(kind: Kind, body: bytes) -> Asked:
    """The body of a job.

    Raises:
        BadBody: no JSON object.
        BadParameter: a field is unknown, missing or wrong; says which.
    """
    try:
        return ASKED[kind].model_validate_json(body)
    except ValidationError as error:
        wrong: Any = error.errors(include_url=False, include_input=False)[0]  # the input may be a secret
        where = ".".join(map(str, wrong["loc"]))[:100]
        if wrong["type"] in ("json_invalid", "model_type") and not wrong["loc"]:
            raise BadBody(f"the body must be a JSON object: {wrong['msg']}"[:300]) from None
        raise BadParameter(f"{where or 'body'}: {wrong['msg']}"[:300]) from None
