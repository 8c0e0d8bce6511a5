"""What an attack was after, in words."""

from __future__ import annotations

from collections.abc import Mapping

from models.card import TaskName

__all__ = ["in_words", "stands"]

# name -> (without a detail, with one).
WORDS: Mapping[str, tuple[str, str]] = {
    "targeted": ("a wrong class that was drawn for each picture", "the class {}, of pictures of others"),
    "vanish": ("no true object of a picture is found", "at least {} of its true objects are not found"),
    "fabricate": (
        "at least one object is found where there is none",
        "at least {} objects are found where there are none",
    ),
    "mislabel": ("a true object is found as another class, and not as its own",) * 2,
    "pixels": (
        "at most half of the pixels of a picture are right",
        "at most {} of the pixels of a picture are right",
    ),
    "erase": ("a class of the picture is no longer found", "the class {} is no longer found"),
}
FOUND = "; found is with a score and an IoU of 0.5 or more"


def in_words(goal: str) -> str:
    """`vanish:any` with what that means; a goal that is not known here as it is."""
    name, _, detail = goal.partition(":")
    if goal == "untargeted":
        return "any wrong class"
    if goal == "vanish:any":
        return f"{goal}, at least one true object of a picture is not found{FOUND}"
    if name not in WORDS:
        return goal
    plain, more = WORDS[name]
    return f"{goal}, {more.format(detail) if detail else plain}" + FOUND * (name in ("vanish", "mislabel"))


def stands(task: TaskName, goal: str) -> str:
    """What the share of the pictures that stand is called: a picture that is sent to no target class may
    be wrong all the same, so that is no robust accuracy."""
    if task != "classification":
        return "goal not reached"
    return "target not reached" if goal.startswith("targeted") else "robust accuracy"
