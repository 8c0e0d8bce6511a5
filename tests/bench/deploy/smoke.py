"""The images as production runs them: `python -m deploy.image smoke`, kept as figures."""

from __future__ import annotations

from deploy.image.bento import BENTOS
from deploy.image.engine import RUNNERS, EngineError, find
from deploy.image.smoke import smoke

__all__ = ["measure"]


def measure() -> dict[str, float | int | None]:
    """`smoke.*`, `smoke.wrong` of them what is not as it must be; null without an engine or the images.

    Raises:
        EngineError: an image does not start.
    """
    try:
        engine = find(RUNNERS)
        if missing := [bento.image for bento in BENTOS if not engine.has_image(bento.image)]:
            raise EngineError(f"there is no {', '.join(missing)}; make image first")
    except EngineError as absent:
        print(f"smoke.*: null, {absent}")
        return {"smoke.failed_requests": None}
    told = smoke(engine)
    for reason in told.wrong:
        print(f"smoke: {reason}")
    return {**told.figures, "smoke.wrong": len(told.wrong)}
