"""Attacks by name, cheapest first. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from eval.attacks.base import Attack
from eval.attacks.hopskipjump import HopSkipJump
from eval.attacks.noise import GaussianNoise, UniformNoise
from eval.attacks.rays import RayS
from eval.attacks.simba import Simba, SimbaDCT
from eval.attacks.spatial import SpatialGrid
from eval.attacks.square import Square
from eval.attacks.square_l2 import SquareL2

__all__ = ["ATTACKS"]

ATTACKS: Mapping[str, Attack] = {
    attack.name: attack
    for attack in (
        UniformNoise(),
        GaussianNoise(),
        SpatialGrid(),
        Simba(),
        SimbaDCT(),
        Square(),
        SquareL2(),
        RayS(),
        HopSkipJump(),
    )
}
