"""What a gate demands: a YAML file, read strictly, with the line of what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from eval.errors import EvalError
from eval.gate.asks import LATENCY, Attacks, Timing

__all__ = ["Against", "By", "Need", "Rules", "read_rules"]

By = Literal["interval", "value"]
STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Rule = TypeVar("Rule", bound=BaseModel)
Margin = Annotated[FiniteFloat, Field(ge=0)]


class Need(BaseModel):
    """A threshold of one score: exactly one of the two bounds.

    Attributes:
        by: `interval` asks the whole confidence interval to be on the right side, `value` the number alone.
    """

    model_config = STRICT
    at_least: FiniteFloat | None = None
    at_most: FiniteFloat | None = None
    by: By = "interval"

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        return _exactly_one(self, "at_least", "at_most")


class Against(BaseModel):
    """A margin of one score against the baseline: exactly one of the four.

    Attributes:
        not_worse_by: in units of the score; worse is lower, for `_loss`, `_error` and latency higher.
        better_by: the same; 0 for any improvement.
        at_most: of `churn` only, which is no difference.
        at_most_times: of latency only: how many times the baseline's, timed side by side.
    """

    model_config = STRICT
    not_worse_by: Margin | None = None
    better_by: Margin | None = None
    at_most: Margin | None = None
    at_most_times: Annotated[FiniteFloat, Field(ge=1)] | None = None
    by: By = "interval"

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        return _exactly_one(self, "not_worse_by", "better_by", "at_most", "at_most_times")


class Rules(BaseModel):
    """All of them; every one must pass.

    Attributes:
        confidence: of the two-sided intervals. At 0.95 what lies on the wrong side of a line passes in at
            most one of forty runs.
        audit: live sides are attacked so, for the rules that begin with `audit.`.
        latency: how live sides are timed for rules with `at_most_times`.
    """

    model_config = STRICT
    require: dict[str, Need] = {}
    against: dict[str, Against] = {}
    confidence: Annotated[FiniteFloat, Field(ge=0.5, lt=1)] = 0.95
    audit: Attacks | None = None
    latency: Timing | None = None

    @property
    def timed(self) -> list[str]:
        """The percentiles that both sides are timed side by side for."""
        return [name for name, rule in self.against.items() if rule.at_most_times is not None]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.require and not self.against:
            raise ValueError("there must be at least one rule under require or against")
        for name, rule in self.against.items():
            if (rule.at_most is not None) != (name == "churn"):
                known = "at_most" if name == "churn" else "not_worse_by or better_by"
                raise ValueError(f"against.{name} must say {known}")
            if rule.at_most_times is not None and name not in LATENCY:
                raise ValueError(f"against.{name} must not say at_most_times; {', '.join(LATENCY)} may")
        self._no_idle_part()
        return self

    def _no_idle_part(self) -> None:
        """Raises ValueError for a part that no rule hears of, or that is too small for one."""
        if self.audit is not None and not any(n.startswith("audit.") for n in (*self.require, *self.against)):
            raise ValueError("audit must have a rule that begins with audit., such as audit.robust_accuracy")
        if self.latency is not None and not self.timed:
            raise ValueError("latency must have a rule under against with at_most_times")
        for name in self.timed:
            timing = self.latency or Timing()
            if not timing.enough(name):
                needed = timing.needed(name)
                raise ValueError(f"against.{name} needs latency: {{pairs: {needed}}}, got {timing.pairs}")


def _exactly_one(rule: Rule, *names: str) -> Rule:
    if sum(getattr(rule, name) is not None for name in names) != 1:
        raise ValueError(f"there must be exactly one of {', '.join(names)}")
    return rule


def read_rules(path: Path) -> Rules:
    """The rules of a file.

    Raises:
        EvalError: it cannot be read, is no YAML, or demands what is no rule; names file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(tree)) if tree is not None else {}
        told = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise EvalError(f"{where}: must be YAML: {getattr(error, 'problem', None) or error}") from error
    except _Twice as error:
        raise EvalError(f"{path}:{error.line}: {error.key} must be told once, it is told twice") from error
    if not isinstance(told, dict):
        raise EvalError(f"{path} must hold `require:` or `against:` with rules under it")
    try:
        return Rules.model_validate(told)
    except ValidationError as error:
        raise EvalError(_first(path, error, lines)) from error


class _Twice(Exception):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key, self.line = key, line


def _lines(node: yaml.Node, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """The line of every key. Raises _Twice for a key that stands twice; YAML would keep the last silently."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        here = (*above, str(key.value))
        if here in seen:
            raise _Twice(".".join(here), key.start_mark.line + 1)
        seen.add(here)
        yield here, key.start_mark.line + 1
        yield from _lines(value, here)


def _first(path: Path, error: ValidationError, lines: Mapping[tuple[str, ...], int]) -> str:
    """The first mistake, as one line."""
    told: Mapping[str, Any] = error.errors(include_url=False)[0]
    place = tuple(str(part) for part in told["loc"] if part != "[key]")
    near = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)
    where = str(path) if near is None else f"{path}:{near}"
    said = str(told["msg"]).removeprefix("Value error, ")
    if isinstance(told["input"], str | int | float):
        said += f", got {told['input']!r}"
    if told["type"] == "extra_forbidden":
        said = f"is no key here; {_known(place)}"
    return f"{where}: {'.'.join(place)}: {said}" if place else f"{where}: {said}"


def _known(place: tuple[str, ...]) -> str:
    parts: Mapping[str, type[BaseModel]] = {"audit": Attacks, "latency": Timing}
    if len(place) == 1:
        return f"it must be one of {', '.join(Rules.model_fields)}"
    if place[0] in parts:
        return f"{place[0]} has {', '.join(parts[place[0]].model_fields)}"
    return f"a rule has {', '.join(dict.fromkeys([*Need.model_fields, *Against.model_fields]))}"
