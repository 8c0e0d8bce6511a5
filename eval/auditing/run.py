"""A whole audit, from an address and a data set to a report on how the model stands up to attack."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from eval.auditing.cost import Cost, measured_rate
from eval.auditing.measure import FLAG_IMAGES, Measuring, Tell
from eval.auditing.plan import Audit, Plan, plan_of
from eval.auditing.record import AuditRecord
from eval.auditing.subject import Pictures, digest_of_data
from eval.auditing.telling import report_of
from eval.checks.endpoint import endpoint_queries
from eval.collect import digest_of
from eval.data.dataset import Dataset
from eval.errors import EvalError
from eval.journal import alone, begun
from eval.pool import Pace, askers
from eval.recorded import JOURNAL, Request
from eval.remote.access import endpoint_of, target_of
from eval.report.document import Report
from eval.runs import release_of, unchanged
from eval.target import Access, Target, authorise, name_of

__all__ = ["PACE", "audit", "estimate"]

PACE = Pace(batch=64, concurrency=4)


def _silent(_: str) -> Callable[..., None]:
    return lambda *_: None


async def audit(
    access: Access | str,
    data_name: str,
    asked: Audit,
    *,
    model: str | None = None,
    number: int | None = None,
    pace: Pace = PACE,
    out: Path | None = None,
    resume: bool = False,
    tell: Tell = _silent,
) -> Report:
    """How a model stands up to attack and corruption, asked over the network.

    Args:
        pace: how hard is asked; the report does not depend on it.
        out: folder of the record; without it the record is forgotten at the end.
        resume: go on with the audit that is there.
        tell: for the name of a part, what its progress is told to.

    Raises:
        EvalError: as `evaluate`; the plan asks for what is not there.
        NotAuthorised: a host that is not ours to attack.
    """
    plan, request, data = await _planned(access, data_name, asked, model, number)
    target = request.target
    beside = await _reference(target, plan)
    run = f"audit-{target.model}-{target.version}-{asked.seed}"
    with tempfile.TemporaryDirectory() as forgotten:
        folder = Path(forgotten) if out is None else out
        with alone(folder), _begun(folder, _told(plan, request, data, beside), resume) as record:
            record.mark("started", time.time())
            others_if_any = nullcontext() if pace.alone else askers(pace)
            async with endpoint_of(target, run) as endpoint, others_if_any as others:
                told = (plan, request, data, endpoint, record, folder, run, pace, tell, others)
                measuring = Measuring(*told)
                found = await measuring.all()
            for one in (target, beside):
                if one is not None:
                    await unchanged(one)
            record.mark("finished", time.time())
            return report_of(measuring, found)


async def _planned(
    access: Access | str, data_name: str, asked: Audit, model: str | None, number: int | None
) -> tuple[Plan, Request, Dataset]:
    url = access if isinstance(access, str) else access.url
    authorise(url, asked.authorised)
    target = await target_of(access, model, number)
    plan = plan_of(asked, target.task, target.labels)
    request = Request(target, data_name, plan.suite.samples)
    data = request.dataset()
    return plan.limited(len(data), endpoint_queries(min(len(data), FLAG_IMAGES))), request, data


async def _reference(target: Target, plan: Plan) -> Target | None:
    """The version by whose errors mCE divides.

    Raises:
        EvalError: it is not there, or cannot be measured alike; better told now than after hours.
    """
    if plan.version is None or not plan.suite.corruptions:
        return None
    if target.access.kind == "template":
        raise EvalError("--mce version:N needs a service of several versions; a template describes one")
    other = await target_of(target.access, target.model, plan.version)
    if (other.task, other.labels) != (target.task, target.labels):
        raise EvalError(f"{name_of(other)} must have the task and the classes of {name_of(target)}")
    return other


async def estimate(
    access: Access | str,
    data_name: str,
    asked: Audit,
    *,
    model: str | None = None,
    number: int | None = None,
    pace: Pace = PACE,
) -> Cost:
    """What an audit will ask and how long that may take, after two seconds of asking.

    Raises:
        EvalError: as `audit`.
    """
    plan, request, data = await _planned(access, data_name, asked, model, number)
    await _reference(request.target, plan)
    async with endpoint_of(request.target) as endpoint:
        images = Pictures(data, range(min(len(data), pace.batch)))
        rate = await measured_rate(endpoint, list(images), batch=pace.batch, in_flight=pace.concurrency)
    flags = endpoint_queries(min(len(data), FLAG_IMAGES))
    return plan.cost(plan.suite, len(data), flags, rate.per_second)


@contextmanager
def _begun(folder: Path, told: Mapping[str, Any], resume: bool) -> Iterator[AuditRecord]:
    """The record in the folder if it is to go on, else a new one."""
    path, empty = folder / JOURNAL, True
    if begun(path):
        with AuditRecord.open(path) as old:
            before, finished, empty = old.told, old.marked("finished") is not None, old.empty
    if empty:
        with AuditRecord.create(path, told) as record:
            yield record
        return
    if changed := [name for name, value in told.items() if before.get(name) != value]:
        raise EvalError(
            f"{folder} holds an audit with another {', '.join(changed)}; repeat its command to go on, "
            "or choose another --out"
        )
    if not resume and not finished:
        raise EvalError(
            f"{folder} holds an audit that did not end; go on with --resume, or choose another --out"
        )
    with AuditRecord.open(path) if resume else AuditRecord.create(path, told) as record:
        yield record


def _told(plan: Plan, request: Request, data: Dataset, beside: Target | None) -> dict[str, Any]:
    """All that decides what comes of it, the release among it; how the endpoint is reached does not, as long
    as it tells which graph it has.

    Args:
        beside: the version by whose errors mCE divides.
    """
    target = request.target
    named = {"model": name_of(target), "sha256": target.sha256, "task": target.task}
    way = {"endpoint": target.access.kind, "template or card": digest_of(target.access.told.encode())}
    if not target.sha256:
        way["url"] = target.url
    own = {"data": request.data, "data_digest": digest_of_data(data), "images": len(data)}
    release = {"release of Assay": release_of(), "NumPy": np.__version__}
    return {
        **named,
        **way,
        **own,
        **release,
        "sha256 of the reference of mCE": "" if beside is None else beside.sha256,
        **plan.told(),
    }
