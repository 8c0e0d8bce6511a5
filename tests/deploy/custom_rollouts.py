"""The same of Argo Rollouts (1.7 and later) and Flagger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from tests.deploy.strict import Count, Metadata, Reference, Strict

Duration = Annotated[str, Field(pattern=r"^\d+(s|m|h)$")]


class _Job(Strict):
    spec: Any  # Kubernetes's own: the test validates it as a Job's


class _Metric(Strict):
    name: str
    count: Count
    failure_limit: Count
    inconclusive_limit: Count
    consecutive_error_limit: Count
    provider: dict[Literal["job"], _Job]


class _Measured(Strict):
    metrics: Annotated[list[_Metric], Field(min_length=1)]


class AnalysisTemplate(Strict):
    api_version: Literal["argoproj.io/v1alpha1"]
    kind: Literal["AnalysisTemplate"]
    metadata: Metadata
    spec: _Measured


class _Workload(Reference):
    scale_down: Literal["never", "onsuccess", "progressively"]


class _Template(Strict):
    template_name: str


class _Analysis(Strict):
    templates: list[_Template]


class _Scale(Strict):
    replicas: Count | None = None
    match_traffic_weight: bool | None = None


class _Pause(Strict):
    duration: Duration


class _Step(Strict):  # one of them
    set_weight: Annotated[int, Field(ge=0, le=100)] | None = None
    pause: _Pause | None = None
    set_canary_scale: _Scale | None = None
    analysis: _Analysis | None = None


class _Nginx(Strict):
    stable_ingress: str


class _Stepwise(Strict):
    stable_service: str
    canary_service: str
    max_unavailable: Count
    max_surge: Count
    traffic_routing: dict[Literal["nginx"], _Nginx]
    steps: list[_Step]


class _BlueGreen(Strict):
    active_service: str
    preview_service: str
    auto_promotion_enabled: bool
    pre_promotion_analysis: _Analysis


class _Strategy(Strict):
    canary: _Stepwise | None = None
    blue_green: _BlueGreen | None = None


class _Rolled(Strict):
    workload_ref: _Workload
    revision_history_limit: Count
    progress_deadline_seconds: Count
    strategy: _Strategy


class Rollout(Strict):
    api_version: Literal["argoproj.io/v1alpha1"]
    kind: Literal["Rollout"]
    metadata: Metadata
    spec: _Rolled


class _Hook(Strict):
    name: str
    type: Literal[
        "confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion",
        "post-rollout", "rollback", "event",
    ]  # fmt: skip
    url: Annotated[str, Field(pattern=r"^http://[a-z.-]+/")]
    timeout: Duration
    metadata: dict[str, str]


class _Iterated(Strict):
    interval: Duration
    threshold: Count
    iterations: Count
    webhooks: list[_Hook]


class _Served(Strict):
    port: Count
    port_name: str
    target_port: int | str


class _Flagged(Strict):
    provider: Literal["kubernetes", "nginx", "istio", "linkerd", "traefik", "gatewayapi:v1"]
    target_ref: Reference
    autoscaler_ref: Reference
    progress_deadline_seconds: Count
    service: _Served
    analysis: _Iterated


class Canary(Strict):
    api_version: Literal["flagger.app/v1beta1"]
    kind: Literal["Canary"]
    metadata: Metadata
    spec: _Flagged


ROLLOUTS: Sequence[type[BaseModel]] = (AnalysisTemplate, Rollout, Canary)
