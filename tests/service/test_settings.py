"""Settings come from the environment, and nonsense is refused at start."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from service import settings
from service.settings import ServiceSettings, usable_cpus


def test_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_THREADS", "4")
    assert ServiceSettings().threads == 4


@pytest.mark.parametrize(
    ("name", "value"), [("TIMEOUT_S", "-1"), ("THREADS", "0"), ("MAX_WAITING", "-1"), ("MAX_PIXELS", "many")]
)
def test_nonsense_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"ASSAY_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        ServiceSettings()


def test_every_setting_is_described() -> None:
    assert all(field.description for field in ServiceSettings.model_fields.values())


@pytest.mark.parametrize(
    ("quota", "cpus"), [("max 100000", 8), ("50000 100000", 1), ("250000 100000", 3), ("900000 100000", 8)]
)
def test_the_cgroup_quota_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cpus: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(settings, "QUOTAS", ((str(tmp_path / "cpu.max"), None),))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert usable_cpus() == cpus


def test_the_older_cgroup_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quota").write_text("-1\n")
    (tmp_path / "period").write_text("100000\n")
    monkeypatch.setattr(settings, "QUOTAS", ((str(tmp_path / "quota"), str(tmp_path / "period")),))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert usable_cpus() == 2  # -1 is no limit
    (tmp_path / "quota").write_text("100000\n")
    assert usable_cpus() == 1
