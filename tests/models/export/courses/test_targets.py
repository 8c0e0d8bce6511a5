"""What a detector is to answer decodes to the very boxes; windows and batches keep to the pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.card import InputSpec
from models.export.augment import Augment, Window
from models.export.courses.detect import Boxes, DetectorCourse, seen_boxes
from models.export.courses.segment import Pixels, SegmenterCourse
from models.export.courses.targets import box_targets
from models.export.nets.detector import STRIDE, Detector, decode
from models.export.sets.objects import IGNORE, Objects, Pictures, fitted
from models.export.settings import Settings
from models.imaging import place
from models.scenes import scene

pytestmark = pytest.mark.torch
SPEC = InputSpec(height=160, width=208, resize="letterbox")
SETTINGS = Settings(seed=1, epochs=1, batch=2, rate=1.0)


def pictures(count: int = 4) -> Pictures:
    drawn = [scene(i) for i in range(count)]
    return fitted([Objects(s.image, s.boxes, s.labels, s.semantic) for s in drawn], SPEC)


@pytest.mark.parametrize("index", range(1, 9))  # in the first, an object lies in the hole of another
def test_targets_decode_to_the_boxes(index: int) -> None:
    """Heat and reach, read as the net's own output would be, are the scene's boxes."""
    drawn = scene(index)
    learnt = fitted([Objects(drawn.image, drawn.boxes, drawn.labels)], SPEC)
    told = box_targets(learnt.boxes[0], learnt.labels[0], 6, (160, 208))
    heat, reach, weight = (torch.from_numpy(t).float()[None] for t in told)
    boxes, scores = decode(torch.logit(heat.clamp(1e-6, 1 - 1e-6)), reach)
    rows, labels = torch.nonzero(scores[0] > 0.999, as_tuple=True)
    placement = place(drawn.image.shape[:2], SPEC)
    found = placement.back(boxes[0, rows].numpy(), drawn.image.shape[:2])
    order, wanted = np.lexsort(found.T.round()), np.lexsort(drawn.boxes.T.round())
    np.testing.assert_allclose(found[order], drawn.boxes[wanted], atol=0.3)
    assert labels.numpy()[order].tolist() == drawn.labels[wanted].tolist()
    assert float(weight.min()) == 0 < float(weight.max())
    assert STRIDE == 4


def test_the_smaller_of_two_with_one_centre_has_the_box_and_both_have_the_heat() -> None:
    boxes = np.array([[8, 8, 24, 24], [0, 0, 32, 32]], np.float32)
    for order in ([0, 1], [1, 0]):
        heat, reach, _ = box_targets(boxes[order], np.array([0, 1])[order], 2, (32, 32))
        assert heat[:, 4, 4].tolist() == [1, 1]
        assert reach[:, 4, 4].tolist() == [10, 10, 6, 6]


def test_a_batch_is_the_same_whenever_it_is_asked_for() -> None:
    augment = Augment(across=True, down=True, colour=0.3, shuffle=True, zoom=(0.8, 1.2))
    course = DetectorCourse(pictures(), pictures(2), 6, SPEC, Boxes(), augment, SETTINGS)
    one, again, other = ([list(batch) for batch in course.batches(e)] for e in (3, 3, 4))
    assert len(one) == course.steps == 2
    assert all(torch.equal(a, b) for x, y in zip(one, again, strict=True) for a, b in zip(x, y, strict=True))
    assert not torch.equal(one[0][0], other[0][0])


def test_label_maps_follow_the_picture_through_its_window() -> None:
    """Pixels of one class have that class's picture under them: painted maps are learnt as pictures too."""
    base = pictures()
    painted = Pictures(base.semantic[:, None].repeat(1, 3, 1, 1), base.boxes, base.labels, base.semantic)
    spec = SPEC.model_copy(update={"mean": (0.0,) * 3, "std": (1.0,) * 3, "fill": IGNORE})
    augment = Augment(across=True, down=True, zoom=(0.8, 1.6))
    course = SegmenterCourse(painted, painted, 7, spec, Pixels(), augment, SETTINGS)
    for images, labels in course.batches(0):
        assert labels.shape == (2, 80, 104)
        seen = images[:, 0].unfold(1, 2, 2).unfold(2, 2, 2).flatten(3)
        inside = (seen.amax(3) - seen.amin(3)) < 1e-3  # where no border runs through the cell
        assert inside.float().mean() > 0.7
        agree = (seen.mean(3).round() == labels)[inside]
        assert agree.float().mean() > 0.98


def test_balance_weighs_rare_classes_more_with_mean_1() -> None:
    weighted, plain = (
        SegmenterCourse(pictures(), pictures(), 7, SPEC, Pixels(balance=b), Augment(), SETTINGS).weight
        for b in (0.5, 0.0)
    )
    assert plain is None
    assert weighted is not None
    maps = pictures().semantic
    share = torch.stack([(maps == c).float().mean() for c in range(7)]) / (maps != IGNORE).float().mean()
    assert int(weighted.argmin()) == int(share.argmax())
    assert float((weighted * share).sum()) == pytest.approx(1, rel=1e-4)


def test_a_box_without_a_picture_of_it_is_left_out() -> None:
    heat, _, weight = box_targets(np.empty((0, 4), np.float32), np.empty(0, np.int64), 3, (16, 16))
    assert heat.shape == (3, 4, 4)
    assert heat.max() == weight.max() == 0


def test_a_box_counts_while_more_than_half_of_it_is_seen() -> None:
    boxes, labels = np.array([[10, 0, 20, 10], [10, 20, 20, 30]], np.float32), np.array([4, 5])
    for shift, kept in ((-14, [4, 5]), (-15, []), (-16, [])):
        seen, named = seen_boxes(boxes, labels, Window(1.0, 1.0, shift, 0.0), (40, 40))
        assert named.tolist() == kept
        assert (seen[:, 0] == 0).all()  # what is beyond the border is cut off


def test_the_check_of_a_segmenter_counts_what_it_says() -> None:
    """Always the background: its IoU is its share of the known pixels, all other classes have 0."""
    held = pictures()
    course = SegmenterCourse(held, held, 7, SPEC, Pixels(), Augment(), SETTINGS)
    mute = torch.nn.Conv2d(3, 7, 1, stride=2)
    with torch.no_grad():
        mute.weight.zero_()
        mute.bias.copy_(torch.eye(7)[0] * 9)  # type: ignore[union-attr]  # it has one
    labels = held.semantic[:, 1::2, 1::2]
    there = [c for c in range(7) if bool((labels == c).any())]
    share = float((labels == 0).sum() / (labels != IGNORE).sum())
    assert course.check(mute)["held_miou"] == pytest.approx(share / len(there))


def test_a_detector_is_checked_on_few_pictures_too() -> None:
    held = pictures(3)
    course = DetectorCourse(held, held, 6, SPEC, Boxes(), Augment(), SETTINGS)
    torch.manual_seed(0)
    assert course.check(Detector(6).eval())["held_loss"] > 0
