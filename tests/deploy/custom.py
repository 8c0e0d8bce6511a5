"""The parts that we use of custom resources, whose schemas come with their operators: nothing else passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from tests.deploy.custom_rollouts import ROLLOUTS
from tests.deploy.strict import Count, Metadata, Reference, Strict

Duration = Annotated[str, Field(pattern=r"^\d+(ms|s|m|h|d)$")]


class _Fallback(Strict):  # KEDA 2.17 and later
    failure_threshold: Count
    replicas: Count
    behavior: Literal["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]


class _Queried(Strict):
    server_address: str
    query: str
    threshold: Annotated[str, Field(pattern=r"^\d+$")]
    ignore_null_values: Literal["true", "false"]


class _Share(Strict):
    value: Annotated[str, Field(pattern=r"^\d+$")]


class _Prometheus(Strict):
    type: Literal["prometheus"]
    name: str
    metric_type: Literal["AverageValue", "Value"]
    metadata: _Queried


class _Cpu(Strict):
    type: Literal["cpu"]
    metric_type: Literal["Utilization", "AverageValue"]
    metadata: _Share


class _Scaling(Strict):
    scale_target_ref: Reference
    min_replica_count: Count
    max_replica_count: Count
    polling_interval: Count
    fallback: _Fallback
    advanced: dict[Literal["horizontalPodAutoscalerConfig"], Any]  # Kubernetes's own `behavior` is in it
    triggers: list[Annotated[_Prometheus | _Cpu, Field(discriminator="type")]]


class ScaledObject(Strict):
    api_version: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    metadata: Metadata
    spec: _Scaling


class _Selector(Strict):
    match_labels: dict[str, str]


class _Relabeling(Strict):
    source_labels: list[str]
    separator: str
    target_label: str


class _Endpoint(Strict):
    port: str
    path: str
    interval: Duration
    scrape_timeout: Duration
    relabelings: list[_Relabeling]


class _Monitoring(Strict):
    selector: _Selector
    endpoints: list[_Endpoint]
    sample_limit: Count


class ServiceMonitor(Strict):
    api_version: Literal["monitoring.coreos.com/v1"]
    kind: Literal["ServiceMonitor"]
    metadata: Metadata
    spec: _Monitoring


class _Rule(Strict):
    record: str | None = None
    alert: str | None = None
    expr: str
    for_: Annotated[Duration | None, Field(alias="for")] = None
    keep_firing_for: Annotated[Duration | None, Field(alias="keep_firing_for")] = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Group(Strict):
    name: str
    interval: Duration | None = None
    rules: list[_Rule]


class PrometheusRule(Strict):
    api_version: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PrometheusRule"]
    metadata: Metadata
    spec: dict[Literal["groups"], list[_Group]]


class _Format(Strict):
    name: str
    version: str
    auto_select: bool = False


class _Runtime(Strict):
    annotations: dict[str, str]
    supported_model_formats: list[_Format]
    protocol_versions: list[Literal["v1", "v2", "grpc-v1", "grpc-v2"]]
    multi_model: bool
    containers: list[Any]  # Kubernetes's own, as are the volumes: the test looks at them as at a Pod
    volumes: list[Any]


class ServingRuntime(Strict):
    api_version: Literal["serving.kserve.io/v1alpha1"]
    kind: Literal["ServingRuntime"]
    metadata: Metadata
    spec: _Runtime


class _Model(Strict):
    model_format: _Format
    protocol_version: Literal["v1", "v2", "grpc-v1", "grpc-v2"]
    runtime: str
    storage_uri: Annotated[str, Field(pattern=r"^(pvc|s3|gs|hf|https)://")]


class _Predictor(Strict):
    min_replicas: Count
    max_replicas: Count
    automount_service_account_token: bool
    termination_grace_period_seconds: Count
    model: _Model


class InferenceService(Strict):
    api_version: Literal["serving.kserve.io/v1beta1"]
    kind: Literal["InferenceService"]
    metadata: Metadata
    spec: dict[Literal["predictor"], _Predictor]


class _Head(Strict):
    ray_start_params: dict[str, str]
    template: Any  # Kubernetes's own: the test looks at it as at a Pod


class _WorkerGroup(Strict):
    group_name: str
    replicas: Count
    min_replicas: Count
    max_replicas: Count
    ray_start_params: dict[str, str]
    template: Any


class _RayCluster(Strict):
    ray_version: str
    head_group_spec: _Head
    worker_group_specs: list[_WorkerGroup]


class _RayRun(Strict):
    suspend: bool
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode"]
    entrypoint: str
    backoff_limit: Count
    active_deadline_seconds: Annotated[int, Field(ge=1)]
    shutdown_after_job_finishes: bool
    ttl_seconds_after_finished: Count
    ray_cluster_spec: _RayCluster


class RayJob(Strict):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: _RayRun


_MODELS: Sequence[type[BaseModel]] = (
    InferenceService,
    PrometheusRule,
    RayJob,
    ScaledObject,
    ServiceMonitor,
    ServingRuntime,
    *ROLLOUTS,
)
CUSTOM: Mapping[str, type[BaseModel]] = {model.__name__: model for model in _MODELS}
