"""How many images are enough: for an interval as narrow as wanted, or to decide about a margin."""

from __future__ import annotations

import math
from collections.abc import Callable

from eval.metrics.intervals import NORMAL
from eval.metrics.paired import Difference, tango

__all__ = [
    "images_for_discordance",
    "images_for_half_width",
    "images_for_margin",
    "images_for_share",
    "margin_advice",
    "width_advice",
]

POWER = 0.8  # chance to come to a decision


def images_for_half_width(low: float, high: float, images: int, wanted: float) -> int:
    """How many images bring a 95 % interval of any score to +- `wanted`: it narrows with their root.

    Args:
        low, high: the interval as measured on `images`.

    Raises:
        ValueError: no interval, no images, or `wanted` not above 0.
    """
    _check(wanted, images)
    if not high >= low:
        raise ValueError(f"the interval must have low <= high, got {low} and {high}")
    return max(1, _ceil(images * ((high - low) / 2 / wanted) ** 2))


def images_for_share(share: float, wanted: float) -> int:
    """How many images give a proportion near `share` a Wilson interval of +- `wanted`, before any is asked.

    Raises:
        ValueError: the share is not in [0, 1], or `wanted` not above 0.
    """
    _check(wanted, 1)
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}")

    z = NORMAL.inv_cdf(0.975)

    def narrow(n: int) -> bool:  # Wilson's half width, of a share that need not be one of n images
        slack = z * z / n
        return z * math.sqrt(share * (1 - share) / n + slack / (4 * n)) <= wanted * (1 + slack)

    return _least(narrow)


def images_for_margin(difference: Difference, margin: float, power: float = POWER) -> int | None:
    """How many images show non-inferiority by `margin` with that chance, if the versions are equally good.

    From the width of a measured interval of any score, which narrows with the root of the images; None
    where there is no interval.

    Raises:
        ValueError: the margin is not above 0, or the power not in (0, 1).
    """
    _check(margin, 1, power)
    if difference.low is None or difference.high is None:
        return None
    reach = 1 + max(0.0, NORMAL.inv_cdf(power)) / NORMAL.inv_cdf(0.975)
    half = reach * (difference.high - difference.low) / 2
    return max(1, _ceil(difference.support * (half / margin) ** 2))


def images_for_discordance(gained: int, lost: int, n: int, margin: float, power: float = POWER) -> int:
    """The same for accuracy, from how many of n images only the first or only the second got right.

    Connor's formula (1987, Biometrics 43) for equally good versions with the observed share of
    discordant images, but never fewer than Tango's interval asks of versions that agree on every image.

    Raises:
        ValueError: counts that no n images have, the margin not in (0, 1), or the power not in (0, 1).
    """
    _check(margin, n, power)
    if min(gained, lost) < 0 or gained + lost > n or margin >= 1:
        told = f"{gained}, {lost}, n={n}, margin={margin}"
        raise ValueError(f"gained and lost must be counts within n and margin below 1, got {told}")
    z = NORMAL.inv_cdf(0.975) + max(0.0, NORMAL.inv_cdf(power))

    def without_discordance(n: int) -> bool:
        low, _ = tango(0, 0, n)
        return low is not None and low > -margin

    return max(_ceil(z**2 * (gained + lost) / n / margin**2), _least(without_discordance))


def width_advice(low: float | None, high: float | None, images: int, wanted: float = 0.03) -> str:
    """One sentence: how wide the interval is, and how many images would make it +- `wanted`."""
    if low is None or high is None or images < 1:
        return "there is no interval: more images are needed"
    half, needed = (high - low) / 2, images_for_half_width(low, high, images, wanted)
    if half <= wanted:
        return f"the interval is ±{half:.2g} wide, as narrow as wanted (±{wanted:g})"
    return f"the interval is ±{half:.2g} wide; about {_about(needed)} images give ±{wanted:g}"


def margin_advice(difference: Difference, margin: float) -> str:
    """One sentence: how well the difference is known, and how many images would decide about the margin."""
    needed = images_for_margin(difference, margin)
    if needed is None or difference.low is None or difference.high is None:
        return "there is no interval: more images are needed"
    half = (difference.high - difference.low) / 2
    known = f"{difference.support:,} images tell the difference to ±{half:.2g}"
    if needed <= difference.support:
        return f"{known}, enough for a margin of {margin:g}"
    return f"{known}; about {_about(needed)} would decide about a margin of {margin:g}"


def _check(wanted: float, images: int, power: float = POWER) -> None:
    if not (math.isfinite(wanted) and wanted > 0 and images > 0 and 0 < power < 1):
        told = f"{wanted}, {images} images, power {power}"
        raise ValueError(f"what is wanted must be above 0, of images, with a power in (0, 1), got {told}")


def _least(enough: Callable[[int], bool]) -> int:
    """The least number of images that is enough; more are, too."""
    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _ceil(images: float) -> int:
    return math.ceil(images - 1e-9)


def _about(images: int) -> str:
    """Two digits, rounded up: more would be false precision."""
    unit = 10 ** max(0, len(str(images)) - 2)
    return f"{-(-images // unit) * unit:,}"
