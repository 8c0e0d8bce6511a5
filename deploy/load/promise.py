"""When a run has kept its promise: the SLO, MLPerf's scenarios, and the exit code both come to."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.load.payloads import Ask

__all__ = [
    "BROKEN",
    "INCONCLUSIVE",
    "KEPT",
    "SCENARIOS",
    "Scenario",
    "Slo",
    "Verdict",
    "fitting",
    "is_near",
    "judged",
    "misused",
    "ruled",
]

KEPT, BROKEN, INCONCLUSIVE = 0, 1, 3  # the codes of `assay gate`
LEAST_REQUESTS = 100  # fewer say nothing about 99 % of them
Figures = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Slo:
    """What is promised: the 99th percentile of latency, the share of failures, good answers a second."""

    p99_ms: float
    error_share: float
    goodput_rps: float = 0.0
    max_lag_ms: float = math.inf


@dataclass(frozen=True, slots=True)
class Verdict:
    """An exit code and its reason."""

    code: int
    why: str

    def __str__(self) -> str:
        word = {KEPT: "kept", BROKEN: "broken", INCONCLUSIVE: "inconclusive"}[self.code]
        return f"SLO {word}" + (f": {self.why}" if self.why else "")


def judged(slo: Slo, told: Figures, *, expected: float | None = None) -> Verdict:
    """Whether a promise was kept.

    Args:
        told: `Tally.figures`.
        expected: requests an open loop should have sent; fewer than chance allows means that the generator
            did not keep up or a worker was lost, and nothing is proven.
    """
    requests, failures = told["requests"] or 0, told["failures"] or 0
    if not requests:
        return Verdict(BROKEN, "no request was sent")
    lag, p99, goodput = told["lag_p99_ms"] or 0.0, told["p99_ms"], told["goodput_rps"] or 0.0
    if lag > slo.max_lag_ms:
        return Verdict(
            INCONCLUSIVE,
            f"the generator was late by {lag:g} ms for 1 %; at most {slo.max_lag_ms:g} ms; add workers",
        )
    if expected is not None and requests < expected - 4 * math.sqrt(expected) - 1:
        return Verdict(INCONCLUSIVE, f"{requests:g} requests were sent, {expected:.0f} should have been")
    if failures / requests > slo.error_share:
        return Verdict(
            BROKEN, f"{failures:g} of {requests:g} requests failed; at most {slo.error_share:g} of them may"
        )
    if p99 is None or p99 > slo.p99_ms:
        return Verdict(BROKEN, f"99 % took up to {p99 or 0:g} ms; at most {slo.p99_ms:g} ms was promised")
    if goodput < slo.goodput_rps:
        return Verdict(
            BROKEN, f"{goodput:g} good answers a second; at least {slo.goodput_rps:g} were promised"
        )
    if requests < LEAST_REQUESTS:
        return Verdict(INCONCLUSIVE, f"{requests:g} requests say nothing about 99 % of them; load longer")
    return Verdict(KEPT, "")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario in the manner of MLPerf Inference (Reddi et al., arXiv:1911.02549), and the figure it tells.

    **Differences**: this is a load on an HTTP service, not a submission: pictures are ours, accuracy is
    checked by `assay evaluate`, and the least duration and count may be lowered, which the result then says.
    """

    figure: str
    least: int
    counts: str
    opened: bool
    users: int | None
    batches: bool


SCENARIOS: Mapping[str, Scenario] = {
    "single-stream": Scenario("p90_ms", 1024, "requests", opened=False, users=1, batches=False),
    "server": Scenario("rps", 270_336, "requests", opened=True, users=None, batches=False),
    "offline": Scenario("images_per_s", 24_576, "images", opened=False, users=None, batches=True),
}
LEAST_SECONDS = 600.0


def misused(name: str, *, rate: float, users: int) -> str | None:
    """Why a scenario cannot be run in this way; None when it can."""
    rules = SCENARIOS[name]
    if rules.opened != (rate > 0):
        return f"{name} {'needs' if rules.opened else 'takes no'} --rate"
    if rules.users is not None and users != rules.users:
        return f"{name} must have -u {rules.users}, got {users}"
    return None


def ruled(name: str, told: Figures, *, least_seconds: float | None, least_count: int | None) -> list[str]:
    """Which of a scenario's rules a run breaks; with none it is valid."""
    rules, broken = SCENARIOS[name], []
    seconds, count = told["seconds"] or 0.0, told[rules.counts] or 0
    least_s = LEAST_SECONDS if least_seconds is None else least_seconds
    least = rules.least if least_count is None else least_count
    if seconds < least_s:
        broken.append(f"it must run {least_s:g} s, got {seconds:.1f} s")
    if count < least:
        broken.append(f"it must have {least} {rules.counts}, got {count:g}")
    if told["failures"]:
        broken.append(f"every answer must be right, {told['failures']:g} were not")
    return broken


def fitting(name: str, asks: Sequence[Ask]) -> Sequence[Ask]:
    """The requests a scenario may send: single pictures, or batches only; without a scenario all.

    Raises: SystemExit: where none is left.
    """
    if not asks:
        raise SystemExit("no request of these users has --only in its name")
    if not name:
        return asks
    batches = SCENARIOS[name].batches
    fit = [ask for ask in asks if ask.status == 200 and (ask.images > 1) == batches]
    if not fit:
        raise SystemExit(f"{name} needs users of {'batches (Batcher)' if batches else 'single pictures'}")
    return fit


def is_near(host: str) -> bool:
    """True for this machine: load is never sent elsewhere by accident."""
    name = urlsplit(host).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
