"""Two convolutions and two dense layers: 0.8 million parameters, enough for digits."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["DigitsNet"]


class DigitsNet(nn.Module):
    """Levels in [0, 1], float32 `(N, 1, 28, 28)` -> logits `(N, 10)`."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(64 * 7 * 7, 256), nn.ReLU(), nn.Linear(256, 10))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
