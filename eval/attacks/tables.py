"""Attacks by name, cheapest first. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from eval.attacks.base import Attack
from eval.attacks.noise import GaussianNoise, UniformNoise
from eval.attacks.square import Square

__all__ = ["ATTACKS"]

ATTACKS: Mapping[str, Attack] = {
    attack.name: attack for attack in (UniformNoise(), GaussianNoise(), Square())
}
