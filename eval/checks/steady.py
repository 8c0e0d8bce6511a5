"""Does a picture get the same answer again, in company and after many like it, and one of its own?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from eval.checks.answers import SAME, furthest
from eval.checks.flag import Flag, flag
from eval.under_load.caching import Pair, judged
from models.results import Classification, Result

__all__ = ["cached", "deterministic", "stateful"]

TIMED = 1e-3  # seconds; where fresh bytes are answered sooner, a cache would save nothing that can be seen

Answers = Sequence[Result]  # one a picture


def deterministic(alone: Sequence[Answers], company: Sequence[Answers]) -> list[Flag]:
    """*not_deterministic* and *batch_dependent*, from rounds of asking alone and in company."""
    first, images = alone[0], len(alone[0])
    repeats = chain(
        *(zip(first, again, strict=True) for again in alone[1:]),
        *(zip(company[0], again, strict=True) for again in company[1:]),
    )
    unlike, visible, most = furthest(repeats)
    asks = len(alone) + len(company)
    told = (
        f"of {images} images asked {asks} times, {len(alone)} of them alone: {visible} answers "
        f"visibly changed, {unlike} by over {SAME:g}, at most by {most:.1g}"
    )
    random = flag("not_deterministic", unlike > 0, told)
    if unlike:
        return [random, flag("batch_dependent", None, "answers to the same bytes differ in any case")]
    unlike, visible, most = furthest(zip(first, company[0], strict=True))
    told = (
        f"in company {unlike} of {images} images get another answer than alone ({visible} visibly so), at "
        f"most by {most:.1g}"
    )
    return [random, flag("batch_dependent", unlike > 0, told)]


def stateful(before: Answers, after: Answers, asked: int, steady: bool) -> Flag:
    """*stateful*, from the answers to pictures before and after many like them.

    Args:
        asked: how many like each.
        steady: the same bytes got the same answer before.
    """
    if not steady:
        return flag("stateful", None, "answers to the same bytes differ in any case")
    unlike, visible, most = furthest(zip(before, after, strict=True))
    told = (
        f"after {asked} pictures like each of them, {unlike} of {len(before)} got another answer ({visible} "
        f"visibly so), at most by {most:.1g}"
    )
    return flag("stateful", unlike > 0, told)


def cached(pairs: Sequence[Pair], clean: Answers, near: Answers, telling: bool, seed: int) -> Flag:
    """*cached*, from pairs of repeated and fresh bytes, and from neighbours one level away everywhere.

    Args:
        telling: scores are whole, so that even such neighbours differ in some digit.
    """
    found = judged(pairs, seed=seed)
    fresh = sorted(pair.fresh_s for pair in pairs)
    reasons = []
    if fresh and fresh[len(fresh) // 2] >= TIMED and found.quicker:
        reasons.append("repeated bytes are answered sooner than fresh ones")
    same = [_bits(a) == _bits(b) for a, b in zip(clean, near, strict=True) if isinstance(a, Classification)]
    if telling and same and all(same):
        reasons.append(f"all {len(same)} neighbours one level away got the same scores, bit for bit")
    looked = f"nothing in {len(pairs)} pairs of repeated and fresh bytes"
    looked += f", and {sum(same)} of {len(same)} neighbours got the same scores" if telling and same else ""
    return flag("cached", bool(reasons), "; ".join(reasons) or looked)


def _bits(answer: Result) -> bytes:
    return answer.scores.tobytes() if isinstance(answer, Classification) else b""
