"""How many times as long the subject takes as its baseline, both asked in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eval.data.dataset import Dataset
from eval.errors import EndpointError, EvalError, Failed
from eval.gate.asks import LATENCY, Timing
from eval.gate.rules import Against
from eval.metrics.intervals import NORMAL
from eval.remote.access import endpoint_of
from eval.remote.endpoint import LiveEndpoint
from eval.report.document import Cell, Check, Section, Table
from eval.silence import Silence
from eval.target import Target, name_of
from models.decoding import UnreadableImage, decode, encode_jpeg, encode_png, peek
from models.results import Array

__all__ = ["LOOKS", "Ratio", "Timed", "timed", "timing_check"]

LOOKS = (1, 2, 4)  # times the pairs: where one look decides nothing, it goes on to the next
WARM = 5  # pairs that are asked first and do not count
RESAMPLES = 2000
AT_ONCE = 4_000_000  # drawn pairs in memory
BLOCKS = 5  # Student's t of four degrees of freedom can be written down
MOST_UNANSWERED = 0.01  # of the pairs


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times the baseline's latency the subject's is; its interval; both latencies in ms."""

    value: float
    low: float
    high: float
    subject_ms: float
    baseline_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """Pairs of requests with the same picture, in the order they were asked.

    Attributes:
        subject, baseline: seconds, float64 `(N,)`.
        beside: what the baseline is called.
        failures: pairs beside these at which the subject says it failed, and the baseline answered.
    """

    subject: Array
    baseline: Array
    beside: str = ""
    failures: int = 0

    def ratio(self, name: str, confidence: float) -> Ratio:
        """Of one percentile; the interval by the bootstrap over blocks of neighbouring pairs.

        Whatever slows the machine slows some neighbours, on both sides: pairs are drawn together, and with
        the pairs around them (circular blocks; Politis and Romano 1992), so that a busy spell does not count
        as many findings.

        **Differences**: blocks usually grow with the cube root of N. Latencies are alike for longer than
        that, so there are five, and the interval is as much wider as Student's t is than the normal law.

        Args:
            name: a key of `LATENCY`.
        """
        share, size = LATENCY[name], len(self.subject)
        block = max(1, size // BLOCKS)
        shape = RESAMPLES, -(-size // block)
        starts = np.random.Generator(np.random.Philox(key=0)).integers(0, size, shape)
        parts = np.array_split(starts, 1 + RESAMPLES * size // AT_ONCE)
        drawn = np.concatenate([self._ratios(part, block, share) for part in parts])
        one, other = (float(np.quantile(side, share)) for side in (self.subject, self.baseline))
        tails, value = [(1 - confidence) / 2, (1 + confidence) / 2], one / other
        wide = _student(tails[1]) / NORMAL.inv_cdf(tails[1])
        low, high = (float(bound) / value for bound in np.quantile(drawn, tails))
        low, high = value * min(low, 1) ** wide, value * max(high, 1) ** wide
        return Ratio(value, low, high, one * 1e3, other * 1e3)

    def _ratios(self, starts: Array, block: int, share: float) -> Array:
        """Of the blocks that begin there; float64 `(R,)` for int64 `(R, B)`."""
        size = len(self.subject)
        drawn = ((starts[:, :, None] + np.arange(block)) % size).reshape(len(starts), -1)[:, :size]
        over, under = (np.quantile(side[drawn], share, axis=1) for side in (self.subject, self.baseline))
        found: Array = over / under
        return found

    def section(self, subject: str, confidence: float) -> Section:
        """Every percentile that so many pairs have, for a report's timing."""
        rows: list[Mapping[str, Cell]] = []
        for name in LATENCY:
            if len(self.subject) < Timing.needed(name):
                continue  # too few beyond it to say how long they take
            found = self.ratio(name, confidence)
            rows.append({
                "percentile": name, f"{subject}, ms": round(found.subject_ms, 3),
                "baseline, ms": round(found.baseline_ms, 3), "times": round(found.value, 3),
                "interval": f"{found.low:.3f} to {found.high:.3f}",
            })  # fmt: skip
        title = f"Latency of {subject}, beside {self.beside}"
        note = f"{len(self.subject):,} pictures, one request at a time, each to both in turn."
        return Section(title, tables=[Table(rows, note=note)])


def _student(share: float) -> float:
    """Quantile, above the median, of Student's t with `BLOCKS` - 1 = 4 degrees of freedom."""
    root = math.sqrt(4 * share * (1 - share))
    return 2 * math.sqrt(math.cos(math.acos(root) / 3) / root - 1)


def timing_check(name: str, rule: Against, found: Timed, confidence: float) -> Check:
    """Whether the subject takes at most so many times as long as its baseline.

    Who looks several times is wrong more often: each look is that much surer (Bonferroni), so that all
    together are as sure as `confidence`.
    """
    most = float(rule.at_most_times or 1.0)
    ratio = found.ratio(name, 1 - (1 - confidence) / len(LOOKS))
    told = f"{ratio.value:.2f} times ({ratio.subject_ms:.1f} ms, baseline {ratio.baseline_ms:.1f} ms)"
    demand, named = f"must be at most {most:g} times", f"{name} against {found.beside}"
    if rule.by == "value":
        return Check(named, "pass" if ratio.value <= most else "fail", f"{told}, {demand}")
    told = f"{told}, interval {ratio.low:.2f} to {ratio.high:.2f}, {demand}"
    if ratio.high <= most:
        return Check(named, "pass", told)
    if ratio.low > most:
        return Check(named, "fail", told)
    return Check(named, "inconclusive", f"{told}; {len(found.subject):,} pairs, more are needed")


async def timed(
    subject: Target,
    baseline: Target,
    data: Dataset,
    pairs: int,
    enough: Callable[[Timed], bool] = lambda _: True,
    tell: Callable[[int, int], None] | None = None,
) -> Timed:
    """Both asked about one picture after another, one request at a time, now the one first, now the other.

    No picture is one that either was asked before: one that has an answer ready would be as fast as that.

    Args:
        pairs: of requests before the first look; see `LOOKS`.
        enough: whether a look decides, so that no more is asked.

    Raises:
        EndpointError: one of them is gone, or answers too few: that says nothing of how fast it is.
    """
    rng, kept = np.random.Generator(np.random.Philox(key=1)), list[tuple[float, float]]()
    places, found, failures = rng.permutation(len(data)).tolist(), None, 0
    async with endpoint_of(subject) as one, endpoint_of(baseline) as other:
        clocks = (_Clock(one), _Clock(other))
        for look in LOOKS:
            last = look * pairs + WARM
            for turn in range(0 if found is None else (look // 2) * pairs + WARM, last):
                file = _new(data[places[turn % len(places)]].file, rng)
                order = (0, 1) if rng.random() < 0.5 else (1, 0)
                took = {side: await clocks[side].once(file) for side in order}
                if took[1] is not None and turn >= WARM:
                    failures += clocks[0].failed
                    kept += [] if took[0] is None else [(took[0], took[1])]
                if tell is not None:
                    tell(turn + 1, last)
            if len(kept) < (1 - MOST_UNANSWERED) * look * pairs:
                why = next((clock.silence.why for clock in clocks if clock.silence.why), "")
                raise EvalError(f"only {len(kept)} of {look * pairs} pairs of requests were answered: {why}")
            first, second = np.array(kept).T
            found = Timed(first, second, name_of(baseline), failures)
            if enough(found):
                break
    return found or Timed(np.empty(0), np.empty(0))


def _new(file: bytes, rng: np.random.Generator) -> bytes:
    """The picture with other lowest bits, grey where it was: as much work, and nobody has its answer."""
    try:
        picture = decode(file)
    except UnreadableImage:  # whoever is asked may know better
        return file
    changed = picture ^ rng.integers(0, 2, (*picture.shape[:2], 1), np.uint8)
    return encode_jpeg(changed) if peek(file).format == "JPEG" else encode_png(changed)


@dataclass(slots=True)
class _Clock:
    """Times one endpoint; gives up when it is gone.

    Attributes:
        failed: whether the last picture was one it says it failed at.
    """

    endpoint: LiveEndpoint[Any]
    silence: Silence = field(default_factory=Silence)
    failed: bool = False

    async def once(self, file: bytes) -> float | None:
        """Seconds that one answer took, retries included; None where there was none."""
        before, self.failed = len(self.endpoint.seconds), False
        try:
            await self.endpoint.predict_files([file])
        except EndpointError as error:
            self.failed = isinstance(error, Failed)
            self.silence.failed(error)
            self.silence.end()
            return None
        self.silence.heard()
        return sum(self.endpoint.seconds[before:])
