"""What a twin made, some images at a time, kept in files so that whoever goes on need not make it again."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from eval.attacks.base import Goal, Threat
from eval.attacks.transfer import key_of
from eval.errors import EvalError
from models.results import Array

__all__ = ["Chunk", "Row", "chunks_of"]

AT_ONCE = 32  # images of a chunk
HELD = 64_000_000  # bytes of them, but for one that is larger

# What was made for an image: its change as `packed`, its margin on the twin, whether there was no gradient.
Row: TypeAlias = tuple[bytes, float, bool]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Images that are attacked together, and the file that holds what was made for them."""

    images: list[Array]
    goals: Sequence[Goal]
    samples: Sequence[str]
    threat: Threat
    seed: int
    told: str

    @property
    def keys(self) -> list[bytes]:
        return [key_of(image, goal) for image, goal in zip(self.images, self.goals, strict=True)]

    def _file(self, folder: Path) -> Path:
        asked = f"{self.told}\0{self.threat}\0{self.threat.epsilon!r}\0{self.seed}\0{list(self.samples)}"
        return folder / f"{hashlib.sha256(asked.encode() + b''.join(self.keys)).hexdigest()}.npz"

    def found(self, folder: Path | None) -> list[Row] | None:
        """What was kept for just these; None if nothing was, or it is broken."""
        if folder is None:
            return None
        try:
            with self._file(folder).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                ends, margins, flat = (file[name].tolist() for name in ("ends", "margins", "flat"))
                data = file["data"].tobytes()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        changes = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return list(zip(changes, margins, flat, strict=True))

    def keep(self, folder: Path | None, rows: list[Row]) -> list[Row]:
        """Write what was made, whole or not at all; gives it back."""
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._write(folder / f"part-{os.getpid()}.npz", rows).replace(self._file(folder))
            except OSError as error:
                raise EvalError(
                    f"pictures cannot be kept in {folder}: {error.strerror}; mend the cause and go on with "
                    "--resume"
                ) from error
        return rows

    def _write(self, part: Path, rows: list[Row]) -> Path:
        changes, margins, flat = zip(*rows, strict=True)
        np.savez(
            part,
            ends=np.cumsum([len(change) for change in changes]),
            margins=np.array(margins),
            flat=np.array(flat),
            data=np.frombuffer(b"".join(changes), np.uint8),
        )
        return part


def chunks_of(images: Sequence[Array]) -> Iterator[tuple[int, list[Array]]]:
    """Place of the first, and the images; the same ones always."""
    part: list[Array] = []
    start = held = 0
    for place in range(len(images)):
        image = images[place]
        if part and (len(part) == AT_ONCE or held + image.nbytes > HELD):
            yield start, part
            part, start, held = [], place, 0
        part.append(image)
        held += image.nbytes
    if part:
        yield start, part
