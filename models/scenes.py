"""Pictures with exact truth: procedural scenes with labels, boxes, instance and semantic masks.

Six kinds of object, textured and lit, scaled, turned and partly hidden, on textured and lit
backgrounds with noise, in pictures that are never square. Scene `index` of a split is drawn from
its own Philox stream, so neither order nor count changes a scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from models.results import Array

__all__ = ["CLASSES", "SEED", "Scene", "Split", "scene"]

CLASSES = ("disk", "square", "triangle", "star", "ring", "cross")
SEED = 20261124
Split: TypeAlias = Literal["train", "test"]
HEIGHTS, WIDTHS = (96, 161), (128, 209)
LEAST_VISIBLE = 0.45  # of every object, or the newcomer that hides it is not placed


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One picture and everything that is true of it.

    Attributes:
        image: uint8 RGB `(H, W, 3)`, H < W.
        boxes: float32 `(N, 4)`, xyxy pixels, tight around the visible pixels, x2 and y2 exclusive.
        labels: int64 `(N,)`, index into `CLASSES`.
        masks: bool `(N, H, W)`, the visible pixels of each object; disjoint.
        semantic: uint8 `(H, W)`, 0 background, else 1 + label.
    """

    image: Array
    boxes: Array
    labels: Array
    masks: Array
    semantic: Array


def scene(index: int, *, seed: int = SEED, split: Split = "test") -> Scene:
    """Scene `index` of a split; the same arguments give the same scene everywhere."""
    if index < 0:
        raise ValueError(f"index must be at least 0, got {index}")
    key = np.random.SeedSequence([seed, ("train", "test").index(split), index])
    rng = np.random.Generator(np.random.Philox(key))
    height = int(rng.integers(*HEIGHTS))
    width = int(rng.integers(max(WIDTHS[0], height + 8), WIDTHS[1]))
    canvas = _surface(rng, height, width, contrast=rng.uniform(10, 45))
    owner = np.full((height, width), -1)
    labels: list[int] = []
    areas: list[int] = []
    for _ in range(int(rng.integers(2, 8))):
        label = int(rng.integers(len(CLASSES)))
        distance = _placed(rng, label, height, width)
        inside = distance < 0
        left = [int(((owner == i) & ~inside).sum()) for i in range(len(areas))]
        visible = all(n >= LEAST_VISIBLE * area for n, area in zip(left, areas, strict=True))
        if not visible or inside.sum() < 40:
            continue
        _paint(rng, canvas, distance)
        owner[inside] = len(areas)
        labels.append(label)
        areas.append(int(inside.sum()))
    image = _photographed(rng, canvas)
    masks = owner == np.arange(len(labels))[:, None, None]
    kinds = np.array(labels, np.int64)
    semantic = np.where(owner >= 0, 1 + np.append(kinds, 0)[owner], 0).astype(np.uint8)
    return Scene(image, _tight(masks), kinds, masks, semantic)


def _tight(masks: Array) -> Array:
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box[:] = cols[0], rows[0], cols[-1] + 1, rows[-1] + 1
    return boxes


def _grid(height: int, width: int) -> tuple[Array, Array]:
    return np.arange(height, dtype=np.float32)[:, None] + 0.5, np.arange(width, dtype=np.float32)[None] + 0.5


def _noise(rng: np.random.Generator, height: int, width: int, cell: float) -> Array:
    """Value noise in [-1, 1]: random levels on a coarse grid, smoothly between."""
    rows, cols = int(height / cell) + 2, int(width / cell) + 2
    levels = rng.uniform(-1, 1, (rows, cols)).astype(np.float32)
    y, x = np.arange(height) / cell, np.arange(width) / cell
    i, j = y.astype(int), x.astype(int)
    v, u = (y - i).astype(np.float32)[:, None], (x - j).astype(np.float32)
    v, u = v * v * (3 - 2 * v), u * u * (3 - 2 * u)
    tall = levels[i] * (1 - v) + levels[i + 1] * v
    out: Array = tall[:, j] * (1 - u) + tall[:, j + 1] * u
    return out


def _pattern(rng: np.random.Generator, height: int, width: int) -> Array:
    """One texture in [-1, 1]: clouds, stripes, checks or a gradient."""
    y, x = _grid(height, width)
    kind, angle = int(rng.integers(4)), rng.uniform(0, np.pi)
    along: Array = (np.cos(angle) * x + np.sin(angle) * y).astype(np.float32)
    across: Array = (np.cos(angle) * y - np.sin(angle) * x).astype(np.float32)
    wave = np.float32(np.pi / rng.uniform(5, 24))
    texture: Array
    if kind == 0:
        fine = _noise(rng, height, width, rng.uniform(4, 12))
        texture = 0.6 * _noise(rng, height, width, 32.0) + 0.4 * fine
    elif kind == 1:
        texture = np.sin(along * wave * 2)
    elif kind == 2:
        texture = np.sign(np.sin(along * wave) * np.sin(across * wave))
    else:
        texture = along / np.abs(along).max()
    return texture


def _surface(rng: np.random.Generator, height: int, width: int, contrast: float) -> Array:
    """float32 `(H, W, 3)` levels: a colour, a texture and a light that falls off."""
    base = rng.uniform(40, 215, 3).astype(np.float32)
    tint = rng.uniform(0.4, 1.0, 3).astype(np.float32)
    y, x = _grid(height, width)
    angle = rng.uniform(0, 2 * np.pi)
    light = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)
    texture = _pattern(rng, height, width)[..., None] * tint * np.float32(contrast)
    lit: Array = 1 + np.float32(rng.uniform(0.1, 0.5)) * light.astype(np.float32)
    return (base + texture) * lit[..., None]


def _placed(rng: np.random.Generator, label: int, height: int, width: int) -> Array:
    """Signed distance in pixels, about: below 0 inside one object of a kind somewhere in the picture."""
    radius = float(np.exp(rng.uniform(np.log(9), np.log(0.36 * height))))
    cy, cx = rng.uniform(0.5 * radius, height - 0.5 * radius), rng.uniform(0.5 * radius, width - 0.5 * radius)
    turn, aspect = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.0)
    y, x = _grid(height, width)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = (cos * (x - cx) + sin * (y - cy)) / np.float32(radius)
    v = (cos * (y - cy) - sin * (x - cx)) / np.float32(radius * aspect)
    return _shape(CLASSES[label], u.astype(np.float32), v.astype(np.float32)) * np.float32(radius)


def _shape(kind: str, u: Array, v: Array) -> Array:
    """Signed distance, about, of a shape of radius 1 at points (u, v)."""
    reach = np.hypot(u, v)
    distance: Array
    if kind == "disk":
        distance = reach - 0.9
    elif kind == "square":
        distance = np.maximum(abs(u), abs(v)) - 0.78
    elif kind == "ring":
        distance = abs(reach - 0.7) - 0.26
    elif kind == "cross":
        a, b = abs(u), abs(v)
        distance = np.minimum(np.maximum(a - 0.95, b - 0.32), np.maximum(b - 0.95, a - 0.32))
    elif kind == "triangle":
        distance = reach * np.cos(_bearing(u, v, 3)) - 0.5
    else:
        distance = _star(reach, _bearing(u, v, 5))
    return distance


def _bearing(u: Array, v: Array, points: int) -> Array:
    """Angle from the middle of the nearest of `points` equal sectors; 0 to pi / points."""
    sector = np.float32(2 * np.pi / points)
    bearing: Array = abs(np.arctan2(v, u) % sector - sector / 2)
    return bearing


def _star(reach: Array, bearing: Array) -> Array:
    """Every edge of the star runs from an inner corner (bearing 0) to a tip (pi / 5)."""
    inner, half = 0.45, np.pi / 5
    normal = np.array([np.sin(half), inner - np.cos(half)])
    normal /= np.hypot(*normal)
    edge: Array = reach * (np.cos(bearing) * normal[0] + np.sin(bearing) * normal[1]) - inner * normal[0]
    return edge


def _paint(rng: np.random.Generator, canvas: Array, distance: Array) -> None:
    """Lay one object over the canvas, its edge one pixel soft, its rim darker or lighter."""
    height, width = distance.shape
    paint = _surface(rng, height, width, contrast=rng.uniform(5, 40))
    under = canvas[distance < 0].mean(axis=0)
    own = paint[distance < 0].mean(axis=0)
    if np.abs(own - under).max() < 45:  # an object must be something else than what it lies on
        paint += np.where(under > 128, -70, 70).astype(np.float32)
    rim = np.float32(rng.uniform(-45, 45)) * np.exp(-np.abs(distance) / 2)
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    canvas += cover * (paint + rim[..., None] - canvas)


def _photographed(rng: np.random.Generator, canvas: Array) -> Array:
    """uint8 picture: sensor noise, exposure, clipping."""
    noise = rng.normal(0, rng.uniform(2, 12), canvas.shape).astype(np.float32)
    levels: Array = np.clip(canvas * np.float32(rng.uniform(0.75, 1.2)) + noise, 0, 255)
    return levels.astype(np.uint8)
