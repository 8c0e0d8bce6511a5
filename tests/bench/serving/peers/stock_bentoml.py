"""BentoML as its documentation shows it: a service class with one typed API, nothing configured."""

from __future__ import annotations

from typing import Any

import bentoml
from PIL import Image

from tests.bench.serving.peers.work import Net


@bentoml.service
class Stock:
    """One model, one method."""

    def __init__(self) -> None:
        self.net = Net()

    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML ships no types
    def predict(self, image: Image.Image) -> dict[str, Any]:
        """The five best classes."""
        return self.net.picture(image)
