"""A folder per class, pictures at any depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.data.tables import open_data
from eval.errors import DatasetError
from models.decoding import encode_png

PICTURE = encode_png(np.full((4, 6, 3), 9, np.uint8))


def tree(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PICTURE)
    return f"folder:{root}"


def test_the_first_folder_is_the_class(tmp_path: Path) -> None:
    name = tree(
        tmp_path, "cat/night/far/1.PNG", "cat/2.jpg", "ant/day/3.png", "cat/.cache/4.png", ".git/5.png",
        "cat/._2.jpg", "cat/notes.txt", "6.png",
    )  # fmt: skip
    data = open_data(name, "classification")
    assert data.labels == ("ant", "cat")
    assert [(s.id, s.expected, s.tags["parent"]) for s in data] == [
        ("ant/day/3.png", 0, "ant/day"),
        ("cat/2.jpg", 1, "cat"),
        ("cat/night/far/1.PNG", 1, "cat/night/far"),
    ]
    assert data.remarks == (f"{tmp_path}: 1 pictures lie in no class folder and were left out",)


def test_splits_are_no_classes(tmp_path: Path) -> None:
    name = tree(tmp_path, "train/cat/1.png", "Val/cat/2.png")
    with pytest.raises(DatasetError, match=r"holds Val, train: name one of them, such as folder:.*/Val"):
        open_data(name, "classification")
    assert len(open_data(f"{name}/train", "classification")) == 1


def test_links_that_go_round_are_not_followed(tmp_path: Path) -> None:
    name = tree(tmp_path / "set", "cat/1.png", "cat/2.png")
    (tmp_path / "set" / "cat" / "again").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "set" / "cat")
    data = open_data(name, "classification")
    assert data.ids == ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]
