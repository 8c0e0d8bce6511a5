"""Three-valued verdicts: a rule passes or fails where the interval shows it, else it is open."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from eval.gate.measured import Number
from eval.gate.rules import Against, Need
from eval.metrics.decision import Decision, non_inferior, superior
from eval.metrics.paired import Difference
from eval.metrics.sample_size import images_for_half_width, margin_advice
from eval.report.document import Check, Verdict

__all__ = ["EXIT", "against", "beside", "exit_code", "require"]

EXIT: Final[dict[Verdict, int]] = {
    "error": 2,
    "fail": 1,
    "inconclusive": 3,
    "pass": 0,
}  # the first that occurs
TOO_FEW = "images are too few for an interval"
MANY = 10_000_000  # images nobody has


def exit_code(verdicts: list[Verdict]) -> int:
    """Of a gate with these verdicts: what could not be asked first, then what failed, then what is open."""
    return next((code for verdict, code in EXIT.items() if verdict in verdicts), 0)


def require(name: str, need: Need, number: Number) -> Check:
    """Whether a number is on the right side of its threshold."""
    at_least = need.at_least is not None
    line = need.at_least if need.at_least is not None else float(need.at_most or 0.0)
    demand = f"must be at {'least' if at_least else 'most'} {line:g}"
    if number.value is None:
        return Check(name, "inconclusive", f"undefined on these images; {demand}")
    if number.kind == "exact" or need.by == "value":
        right = number.value >= line if at_least else number.value <= line
        return Check(name, "pass" if right else "fail", f"{_value(number.value)}, {demand}")
    if number.kind == "plain":
        return Check(name, "error", f"{_value(number.value)} has no interval; say `by: value`, {demand}")
    if number.low is None or number.high is None:
        return Check(name, "inconclusive", f"{_value(number.value)}, {number.images} {TOO_FEW}, {demand}")
    verdict = _side(number.low, number.high, line, at_least=at_least)
    told = f"{_value(number.value)}, {_span(number.low, number.high)}, {demand}"
    more = "" if verdict != "inconclusive" else f"; {_advice(number, line)}"
    return Check(name, verdict, told + more)


def _side(low: float, high: float, line: float, *, at_least: bool) -> Decision:
    if at_least:
        return "pass" if low >= line else "fail" if high < line else "inconclusive"
    return "pass" if high <= line else "fail" if low > line else "inconclusive"


def against(name: str, rule: Against, number: Number | Difference) -> Check:
    """Whether the subject is not worse than its baseline by the margin, or better by it.

    Args:
        number: of `churn`, or a difference: subject minus baseline.
    """
    if isinstance(number, Number):
        return require(name, Need(at_most=rule.at_most, by=rule.by), number)
    margin = rule.not_worse_by if rule.not_worse_by is not None else float(rule.better_by or 0.0)
    worse = rule.not_worse_by is not None
    demand = f"must not be worse by {margin:g}" if worse else f"must be better by {margin:g}"
    if number.value is None:
        return Check(name, "inconclusive", f"undefined on these images; {demand}")
    told = f"difference {number.value:+.4g}"
    if rule.by == "value":
        gain = -number.value if number.lower_is_better else number.value
        right = gain >= -margin if worse else gain > margin
        return Check(name, "pass" if right else "fail", f"{told}, {demand}")
    if number.low is None or number.high is None:
        return Check(name, "inconclusive", f"{told}, {number.support} {TOO_FEW}, {demand}")
    verdict = non_inferior(number, margin) if worse else superior(number, margin)
    told = f"{told}, {_span(number.low, number.high, signed=True)}, {demand}"
    if verdict != "inconclusive":
        return Check(name, verdict, told)
    if worse and margin > 0:
        return Check(name, verdict, f"{told}; {margin_advice(number, margin)}")
    turned = replace(number, value=-number.value) if number.lower_is_better else number
    low, high = number.gain
    return Check(name, verdict, f"{told}; {_advice(Number(turned.value, low, high, number.support), margin)}")


def beside(check: Check, subject: float | None, baseline: float | None) -> Check:
    """The check of a difference, with what it is between."""
    if subject is None or baseline is None:
        return check
    return replace(check, message=f"{_value(subject)}, baseline {_value(baseline)}, {check.message}")


def _advice(number: Number, line: float) -> str:
    """How many images would bring a decision if the number stays where it is."""
    if number.value is None or number.low is None or number.high is None or number.images < 1:
        return "more images are needed"
    away, value = abs(number.value - line), number.value
    if away == 0:
        return f"{number.images:,} images; the number lies on the line, where more images need not decide"
    half = value - number.low if value > line else number.high - value  # of the side that reaches the line
    needed = images_for_half_width(value - half, value + half, number.images, away)
    if needed > MANY:
        return f"{number.images:,} images; so near the line that no number of images is practical"
    digits = 10 ** max(0, len(str(needed)) - 2)
    about = max(-(-needed // digits) * digits, number.images + 1)
    return f"{number.images:,} images; about {about:,} would decide if the number stays"


def _value(value: float) -> str:
    return f"{value:.6g}"


def _span(low: float, high: float, *, signed: bool = False) -> str:
    return f"interval {low:+.4f} to {high:+.4f}" if signed else f"interval {low:.4f} to {high:.4f}"
