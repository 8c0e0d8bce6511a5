"""An end without a lost request: on SIGTERM say "not ready" first, serve on, then stop.

uvicorn stops listening the moment the signal comes, while the supervisor keeps the socket open: who
connects then, hangs. So the signal is held back for as long as load balancers need to notice.
"""

from __future__ import annotations

import asyncio
import signal
from types import FrameType

from service.logs import get_log

__all__ = ["Drain"]

log = get_log("drain")


class Drain:
    """Holds SIGTERM back for `seconds`. A second SIGTERM ends the wait."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.began = seconds, False

    def install(self) -> None:
        """Take the place of the server's own handler, which is called at the end of the wait.

        Call on the main thread, inside the running loop, once the server has set its handler.
        """
        if self.seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        then = signal.getsignal(signal.SIGTERM)

        def stop() -> None:
            if callable(then):
                then(signal.SIGTERM, None)

        def begin(_number: int, _frame: FrameType | None) -> None:
            if self.began:
                stop()
                return
            self.began = True
            log.info("SIGTERM: not ready from now on, serving for %g s more", self.seconds)
            loop.call_soon_threadsafe(loop.call_later, self.seconds, stop)

        signal.signal(signal.SIGTERM, begin)
