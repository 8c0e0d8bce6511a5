"""Recipes by name: published models that are built here rather than shipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from models.publish import publish
from models.repository import Version
from models.scenes import scene

__all__ = ["RECIPES"]


def _imagenet(root: Path) -> Version:
    from models.recipes import efficientnet_lite0 as recipe  # needs onnx, which a server does not have

    facts = {**recipe.CARD, "input": recipe.INPUT, "outputs": ("logits",), "labels": recipe.class_names()}
    graph = recipe.build(recipe.weights()).SerializeToString()
    return publish(root, graph, facts, golden_image=scene(0).image, tolerance=1e-2)


RECIPES: Mapping[str, Callable[[Path], Version]] = {"imagenet": _imagenet}
