"""Why does a live endpoint answer as it does? Maps of what counts, and how far to believe them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from eval.attacks.base import draws
from eval.data.dataset import Dataset
from eval.endpoint import Endpoint
from eval.errors import DatasetError, EvalError
from eval.remote.access import endpoint_of, target_of
from eval.report.document import Report
from eval.report.explain import Explained, picture_section, summary_section
from eval.runs import clock, manifest
from eval.target import Access, name_of
from eval.target import Target as Served
from models.decoding import UnreadableImage, decode
from models.results import Array, Result
from models.saliency import METHODS, Target, advance, aim, reduced
from models.saliency.curves import Curve
from models.saliency.dialogue import Dialogue

__all__ = ["GRAD_CAM", "Plan", "ask", "explain", "explain_picture"]

Found = TypeVar("Found")
GRAD_CAM = "grad-cam"
BATCH, IN_FLIGHT = 16, 4
MOST_PIXELS = 1 << 19  # of a picture that is asked about a thousand times


@dataclass(frozen=True, slots=True)
class Plan:
    """How pictures are explained.

    Attributes:
        method: one of `METHODS`, or `grad-cam`.
        queries: most pictures asked about for one map; `grad-cam` asks none.
        label: name of the class that is explained; what the answer is most about when None.
        twin: folder of the version that is served (model.onnx, card.json), for `grad-cam`.
    """

    method: str = "rise"
    queries: int = 1000
    seed: int = 0
    label: str | None = None
    twin: Path | None = None


async def explain(
    access: Access | str,
    files: Sequence[Path],
    plan: Plan,
    *,
    model: str | None = None,
    number: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """A map for each picture, with its deletion and insertion curves, all asked over HTTP.

    Raises:
        EvalError: a file is no picture, the model or the class is not there, or there is no twin.
    """
    served, started = await target_of(access, model, number), time.time()
    if plan.label is not None and plan.label not in served.labels:
        known = ", ".join(served.labels[:10])
        raise EvalError(f"{name_of(served)} has no class {plan.label!r}; it has {known} ...")
    label = None if plan.label is None else served.labels.index(plan.label)
    images = [_read(path) for path in files]
    mapped = _twin_map(served, plan, images) if plan.method == GRAD_CAM else None
    found: list[Explained] = []
    async with endpoint_of(served) as endpoint:
        for path, image in zip(files, images, strict=True):
            found.append(await explain_picture(endpoint, path.name, image, plan, label, mapped))
            if progress is not None:
                progress(len(found), len(files))
    data = Dataset("pictures", served.task, served.labels, [p.name for p in files], _no_sample)
    told = manifest(
        served, data, method=plan.method, queries=plan.queries, seed=plan.seed,
        explained=plan.label or "what each answer is most about",
    )  # fmt: skip
    title = f"What the answers of {name_of(served)} rest on"
    summary = summary_section(title, plan.method, found, served.labels)
    sections = [summary, *(picture_section(one, served.labels) for one in found)]
    prefix = f"explain.{served.model}.{served.version}"
    figures: dict[str, float | None] = {f"{prefix}.{h.title}": h.value for h in summary.headlines}
    figures[f"{prefix}.queries"] = sum(one.queries for one in found)
    return Report(title, told, sections, figures, clock=clock(started))


def _no_sample(index: int) -> Any:
    raise EvalError(f"picture {index} has no truth to be compared with")


def _read(path: Path) -> Array:
    try:
        return reduced(decode(path.read_bytes()), MOST_PIXELS)
    except (OSError, UnreadableImage) as error:
        raise DatasetError(f"{path} must be a picture: {error}") from error


async def explain_picture(
    endpoint: Endpoint[Any],
    name: str,
    image: Array,
    plan: Plan,
    label: int | None = None,
    mapped: Callable[[Array, Target], Array] | None = None,
) -> Explained:
    """One picture's map and curves; without them where its answer has nothing to explain.

    Args:
        name: of the picture; part of the key of every draw.
        label: index of the class that is explained.
        mapped: makes the map without asking, as Grad-CAM does.
    """
    (answer,) = await endpoint.predict([image])
    target = aim(answer, label)
    if target is None:
        return Explained(name, image, answer, None, None, (), (), 1)
    queries = 1
    if mapped is not None:
        saliency = await asyncio.to_thread(mapped, image, target)
    else:
        method = METHODS[plan.method](plan.queries)
        rng = draws(plan.seed, name, method.name)(0)
        saliency, queries = await ask(endpoint, method.run(image, target, rng))
    deletion, deleted = await ask(endpoint, Curve("deletion").run(image, saliency, target))
    insertion, inserted = await ask(endpoint, Curve("insertion").run(image, saliency, target))
    asked = 1 + deleted + inserted + (queries if mapped is None else 0)
    return Explained(name, image, answer, target, saliency, deletion, insertion, asked)


async def ask(endpoint: Endpoint[Any], dialogue: Dialogue[Found]) -> tuple[Found, int]:
    """What a dialogue finds with an endpoint, and the pictures it asked about; a few requests at a time."""
    slots, queries = asyncio.Semaphore(IN_FLIGHT), 0

    async def asked(pictures: Sequence[Array]) -> Sequence[Result]:
        async with slots:
            return list(await endpoint.predict(pictures))

    pictures, found = advance(dialogue)
    while pictures:
        queries += len(pictures)
        starts = range(0, len(pictures), BATCH)
        answers = await asyncio.gather(*(asked(pictures[s : s + BATCH]) for s in starts))
        pictures, found = advance(dialogue, [answer for some in answers for answer in some])
    if found is None:
        raise TypeError("a dialogue must end with what it found")
    return found, queries


def _twin_map(served: Served, plan: Plan, images: Sequence[Array]) -> Callable[[Array, Target], Array]:
    """Grad-CAM of a twin that has proven itself on the very pictures.

    Raises:
        EvalError: no folder was named, it holds another version, or the twin does not agree.
    """
    if plan.twin is None:
        raise EvalError("grad-cam needs the weights: name the folder of the served version, --twin DIR")
    try:
        from eval.whitebox.gradcam import proven_map
    except ImportError as error:
        raise EvalError(f"grad-cam needs PyTorch: install the train extra ({error})") from error
    return proven_map(plan.twin, served.sha256, images)
