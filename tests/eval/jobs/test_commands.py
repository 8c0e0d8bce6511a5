"""A job as a command line: every field is an option of its verb; sides are runs, or models that are asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.cli import cli
from eval.gate.rules import read_rules
from eval.jobs.asked import ASKED, NOT_OPTIONS, parse
from eval.jobs.commands import VERBS
from eval.jobs.errors import BadParameter, HostNotAllowed, UnknownName
from eval.jobs.states import Kind
from tests.eval.jobs.bodies import JOB, arguments, commands, endpoint

LIVE, RUN = {"model": "m", "version": 2}, {"job": JOB}
RULES = {"require": {"accuracy": {"at_least": 0.9}}, "against": {"accuracy": {"not_worse_by": 1e-05}}}
EVERY: dict[Kind, dict[str, Any]] = {
    "evaluation": {
        "model": "m", "version": 2, "limit": 5, "slice": ["size", "a b"], "batch": 4, "concurrency": 2,
    },
    "audit": {
        "model": "m", "version": 2, "epsilon": 8, "attacks": ["square"], "corruptions": [], "samples": 3,
        "budget": 9, "seed": 1, "batch": 4, "in_flight": 2, "max_queries": 50, "suite": "quick", "norm": "l2",
        "degrees": 3.0, "pixels": 1, "goal": ["targeted:a b", "untargeted"], "severities": [1, 5],
        "curve": False, "stability": True, "mce": "version:2",
    },
    "comparison": {"limit": 5, "slice": ["size"], "batch": 4, "concurrency": 2, "resamples": 10},
    "gate": {"limit": 5, "slice": ["size"], "batch": 4, "concurrency": 2},
}  # fmt: skip
SIDES: dict[Kind, dict[str, Any]] = {
    "evaluation": {},
    "audit": {},
    "comparison": {"before": LIVE, "after": {"model": "n"}},
    "gate": {"subject": LIVE, "baseline": RUN, "rules": RULES, "reports": [JOB]},
}


@pytest.mark.parametrize("kind", sorted(ASKED))
def test_every_option_is_one_of_the_verb(kind: Kind) -> None:
    """All fields set: each becomes an option the command line has."""
    own = set(ASKED[kind].model_fields) - {"data", *NOT_OPTIONS}
    assert set(EVERY[kind]) == own
    how = endpoint(max_qps=9.0, protocol="oip", headers={"X-A": "b"}, timeout_s=3.0)
    told = arguments(kind, **EVERY[kind], **how, **SIDES[kind])
    parameters = cli.commands[VERBS[kind]].params
    known = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.partition("=")[0] for word in told[2:] if word.startswith("--")}
    assert used <= known
    assert len(used) >= len(own)
    assert "--resume" in used


def test_a_gate_s_rules_come_through_as_they_were_asked(tmp_path: Path) -> None:
    body: dict[str, Any] = {
        "rules": RULES,
        "subject": RUN,
        "baseline": RUN,
        "reports": [JOB],
        "endpoint": None,
        "data": None,
    }
    assert arguments("gate", **body)[2:7] == [
        *("OUT/rules.yaml", "RUN", "--baseline=RUN", "--report=RUN", "--out=OUT")
    ]
    asked = parse("gate", json.dumps(body).encode())
    commands().lay(asked, tmp_path)
    told = read_rules(tmp_path / "rules.yaml")
    assert told.model_dump(exclude_none=True, exclude_defaults=True) == RULES
    wrong: list[Any] = [{}, {"require": {"a": {}}}, {"require": {"a": {"at_least": "1"}}}, {"x": 1}, None]
    for rules in wrong:
        with pytest.raises(BadParameter, match=r"^rules"):
            arguments("gate", **{**body, "rules": rules})


def test_sides_are_runs_of_jobs_or_live_models() -> None:
    assert arguments("comparison", before=RUN, after=RUN, endpoint=None, data=None)[2:4] == ["RUN", "RUN"]
    far = {"url": "http://b.svc:80", "model": "m"}
    told = arguments("comparison", before=LIVE, after=far)
    assert told[2:4] == ["http://127.0.0.1:3000#m/2", "http://b.svc:80#m"]
    with pytest.raises(HostNotAllowed):
        arguments("comparison", before=RUN, after={**far, "url": "http://b.example"})
    with pytest.raises(UnknownName):
        arguments("comparison", before=RUN, after={"job": "1" * 32})
    wrong: tuple[dict[str, Any], ...] = (
        {}, {"job": "../x"}, {**RUN, **LIVE}, {"version": 1}, {"url": "http://b.svc"}, {**RUN, "url": "http://b.svc"},
    )  # fmt: skip
    for side in wrong:
        with pytest.raises(BadParameter):
            arguments("comparison", before=RUN, after=side)
    with pytest.raises(BadParameter, match="a live side needs"):
        arguments("comparison", before=RUN, after=LIVE, endpoint=None)
