"""What an attack says that it keeps in memory is what it keeps."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from eval.attacks.base import Attack, Threat, Verdict, draws
from eval.attacks.goals.classification import Untargeted
from eval.attacks.tables import ATTACKS
from models.results import Array

SHAPE = (96, 96, 3)
THREATS = [Threat("linf", 8), Threat("l2", 900)]  # a spatial attack proposes moves, no pictures
CASES = [(a, t) for a in ATTACKS.values() for t in THREATS if t.norm in a.norms]
SPARE = 8  # bytes a value: lists, and what a picture of this size cannot spread


def told(picture: Array) -> Verdict:
    """Wrong where the upper half is brighter: both answers are common, so that walks go on."""
    fooled = float(picture[:48].mean()) > float(picture[48:].mean()) + 4
    return Verdict(1.0, fooled, int(fooled), not fooled)


@pytest.mark.parametrize(("attack", "threat"), CASES, ids=[f"{a.name}-{t.norm}" for a, t in CASES])
def test_no_turn_holds_more_than_was_told(attack: Attack, threat: Threat) -> None:
    image = np.random.default_rng(0).integers(90, 166, SHAPE, dtype=np.uint8)
    most = asked = 0
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        talk = attack.run(image, Untargeted(0), threat, draws(0, "s", attack.name), 300)
        pictures = next(talk)
        while asked < 300:
            most = max(most, tracemalloc.get_traced_memory()[0] - before)
            asked += len(pictures)
            pictures = talk.send([told(picture) for picture in pictures])
    except StopIteration:
        pass
    finally:
        tracemalloc.stop()
    assert asked > 60
    assert most / image.size <= attack.held + SPARE
    assert most / image.size >= attack.held / 5
