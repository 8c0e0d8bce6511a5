"""The same of Argo Rollouts (1.7 and later) and Flagger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Count = Annotated[int, Field(ge=0)]
Duration = Annotated[str, Field(pattern=r"^\d+(s|m|h)$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class _Metadata(_Strict):
    name: str
    namespace: str | None = None
    labels: dict[str, str]


class _Reference(_Strict):
    api_version: str
    kind: str
    name: str


class _Job(_Strict):
    spec: Any  # Kubernetes's own: the test validates it as a Job's


class _Metric(_Strict):
    name: str
    count: Count
    failure_limit: Count
    inconclusive_limit: Count
    consecutive_error_limit: Count
    provider: dict[Literal["job"], _Job]


class _Measured(_Strict):
    metrics: Annotated[list[_Metric], Field(min_length=1)]


class AnalysisTemplate(_Strict):
    api_version: Literal["argoproj.io/v1alpha1"]
    kind: Literal["AnalysisTemplate"]
    metadata: _Metadata
    spec: _Measured


class _Workload(_Reference):
    scale_down: Literal["never", "onsuccess", "progressively"]


class _Template(_Strict):
    template_name: str


class _Analysis(_Strict):
    templates: list[_Template]


class _Scale(_Strict):
    replicas: Count | None = None
    match_traffic_weight: bool | None = None


class _Pause(_Strict):
    duration: Duration


class _Step(_Strict):  # one of them
    set_weight: Annotated[int, Field(ge=0, le=100)] | None = None
    pause: _Pause | None = None
    set_canary_scale: _Scale | None = None
    analysis: _Analysis | None = None


class _Nginx(_Strict):
    stable_ingress: str


class _Stepwise(_Strict):
    stable_service: str
    canary_service: str
    max_unavailable: Count
    max_surge: Count
    traffic_routing: dict[Literal["nginx"], _Nginx]
    steps: list[_Step]


class _BlueGreen(_Strict):
    active_service: str
    preview_service: str
    auto_promotion_enabled: bool
    pre_promotion_analysis: _Analysis


class _Strategy(_Strict):
    canary: _Stepwise | None = None
    blue_green: _BlueGreen | None = None


class _Rolled(_Strict):
    workload_ref: _Workload
    revision_history_limit: Count
    progress_deadline_seconds: Count
    strategy: _Strategy


class Rollout(_Strict):
    api_version: Literal["argoproj.io/v1alpha1"]
    kind: Literal["Rollout"]
    metadata: _Metadata
    spec: _Rolled


class _Hook(_Strict):
    name: str
    type: Literal[
        "confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion",
        "post-rollout", "rollback", "event",
    ]  # fmt: skip
    url: Annotated[str, Field(pattern=r"^http://[a-z.-]+/")]
    timeout: Duration
    metadata: dict[str, str]


class _Iterated(_Strict):
    interval: Duration
    threshold: Count
    iterations: Count
    webhooks: list[_Hook]


class _Served(_Strict):
    port: Count
    port_name: str
    target_port: int | str


class _Flagged(_Strict):
    provider: Literal["kubernetes", "nginx", "istio", "linkerd", "traefik", "gatewayapi:v1"]
    target_ref: _Reference
    autoscaler_ref: _Reference
    progress_deadline_seconds: Count
    service: _Served
    analysis: _Iterated


class Canary(_Strict):
    api_version: Literal["flagger.app/v1beta1"]
    kind: Literal["Canary"]
    metadata: _Metadata
    spec: _Flagged


ROLLOUTS: Sequence[type[BaseModel]] = (AnalysisTemplate, Rollout, Canary)
