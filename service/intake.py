"""Pictures into rows of a batch; 413 and 422 of a picture are decided here, before any graph sees it.

A piece is prepared on a slot's thread, and only when its turn comes: what waits in a queue is the
bytes that were sent, and what is decoded at any moment is one picture a slot.
"""

from __future__ import annotations

import time

import numpy as np

from models.decoding import TooManyPixels, UnreadableImage, is_small, read_picture
from models.imaging import wanted
from models.results import Array
from models.tensors import Blob
from service.batcher import Rows
from service.engine import Piece
from service.errors import ImageTooLarge, NoImage, TooManyImages, UndecodableImage
from service.registry import Live

__all__ = ["Pixels", "array_piece", "check_count", "picture_piece"]


SMALL_VALUES = 3 * 128 * 128  # of a picture that is resized in a few dozen microseconds
# Each scan of a JPEG may be 33 bytes and is one pass over all pixels. Pictures have about ten; the rest is
# room for what lies behind a picture and looks like scans, such as a film.
MAX_SCANS = 1000


class Pixels:
    """What one request may still have decoded. Its pieces share it, on several threads."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    def take(self, count: int) -> None:
        """Count a picture before it is decoded. Raises ImageTooLarge."""
        self.taken += count
        if self.taken > self.most:
            raise ImageTooLarge(f"a request must have at most {self.most} pixels, got {self.taken} or more")


def check_count(count: int, most: int) -> None:
    """Raises NoImage or TooManyImages."""
    if count == 0:
        raise NoImage("a request must hold an image, got none")
    if count > most:
        raise TooManyImages(f"a request must have at most {most} images, got {count}")


def picture_piece(live: Live, data: Blob, pixels: Pixels) -> Piece:
    """One encoded picture."""
    spec = live.card.input
    least = (lambda shape: wanted(shape, spec)) if spec.scaled_decode else None

    def load() -> Rows:
        began = time.monotonic()
        if bytes(data[:2]) == b"\xff\xd8" and bytes(data).count(b"\xff\xda") > MAX_SCANS:
            raise UndecodableImage(f"a JPEG must have at most {MAX_SCANS} scans, got more")
        try:
            picture = read_picture(data, admit=pixels.take, wanted=least)
        except TooManyPixels as error:
            raise ImageTooLarge(f"a request must have at most {pixels.most} pixels: {error}") from error
        except UnreadableImage as error:
            raise UndecodableImage(f"an image cannot be read: {error}") from error
        decoded = time.monotonic()
        if live.predictor is None:
            raise RuntimeError("a version was asked before it was ready")
        row = live.predictor.task.prepare(picture.pixels, shape=picture.shape, scale=picture.scale)
        return Rows(row[None], [picture.shape], decoded - began, time.monotonic() - decoded)

    return Piece(load, light=is_small(data))


def array_piece(live: Live, image: Array) -> Piece:
    """One picture that came decoded, uint8 `(H, W, 3)`."""

    def load() -> Rows:
        began = time.monotonic()
        if live.predictor is None:
            raise RuntimeError("a version was asked before it was ready")
        row = live.predictor.task.prepare(np.ascontiguousarray(image))
        return Rows(row[None], [(image.shape[0], image.shape[1])], 0.0, time.monotonic() - began)

    return Piece(load, light=image.size <= SMALL_VALUES)
