"""What a pod asks for that Pod Security `restricted` does not give.

The list is that of https://kubernetes.io/docs/concepts/security/pod-security-standards, for Linux pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
HOOKS = ("startupProbe", "readinessProbe", "livenessProbe")


def violations(spec: dict[str, Any]) -> list[str]:
    """One line for each thing that would be refused; none is what is wanted."""
    return [*_of_pod(spec), *_of_containers(spec)]


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = ("containers", "initContainers", "ephemeralContainers")
    return [container for kind in kinds for container in spec.get(kind, ())]


def _of_pod(spec: dict[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", ()):
        if not (kinds := set(volume) - {"name"}) or not kinds <= VOLUMES:
            yield f"volume {volume['name']}: {', '.join(sorted(kinds)) or 'no kind'}"
    own = spec.get("securityContext", {})
    if own.get("sysctls"):  # some are safe; none is needed
        yield "sysctls"
    yield from _of_both("pod", own)


def _of_both(where: str, own: dict[str, Any]) -> Iterator[str]:
    """What a pod and a container may both say."""
    linux = own.get("seLinuxOptions", {})
    if linux.get("type") not in SELINUX or linux.get("user") or linux.get("role"):
        yield f"{where}: seLinuxOptions"
    if own.get("appArmorProfile", {}).get("type", "RuntimeDefault") == "Unconfined":
        yield f"{where}: appArmorProfile"
    if own.get("windowsOptions", {}).get("hostProcess"):
        yield f"{where}: hostProcess"
    if own.get("runAsNonRoot") is False:
        yield f"{where}: runAsNonRoot"
    if own.get("runAsUser") == 0:
        yield f"{where}: runAsUser"


def _of_containers(spec: dict[str, Any]) -> Iterator[str]:
    pod = spec.get("securityContext", {})
    for container in _containers(spec):
        name, own = container["name"], container.get("securityContext", {})
        yield from _of_both(name, own)
        both = {**pod, **own}
        if both.get("runAsNonRoot") is not True:
            yield f"{name}: runAsNonRoot is not said"
        if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name}: seccompProfile"
        if own.get("privileged"):
            yield f"{name}: privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {
            "NET_BIND_SERVICE"
        }:
            yield f"{name}: capabilities"
        if own.get("procMount", "Default") != "Default":
            yield f"{name}: procMount"
        if any(port.get("hostPort") for port in container.get("ports", ())):
            yield f"{name}: hostPort"
        handlers = [container.get(hook, {}) for hook in HOOKS] + list(container.get("lifecycle", {}).values())
        if any(h.get(way, {}).get("host") for h in handlers for way in ("httpGet", "tcpSocket")):
            yield f"{name}: a probe or hook of another host"
