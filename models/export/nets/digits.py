"""Two strided convolutions and two dense layers: 0.45 million parameters, enough for digits."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["DigitsNet"]


class DigitsNet(nn.Module):
    """Levels in [0, 1], float32 `(N, 1, 28, 28)` -> logits `(N, 10)`."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 5, stride=2, padding=2),
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
