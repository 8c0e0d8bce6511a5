"""Who may speak with whom in production, by the rules of NetworkPolicy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.rendered import Document, of_kind, overlay, templates, the

DOCUMENTS = overlay("production")
POLICIES = of_kind(DOCUMENTS, "NetworkPolicy")
LABELS = {name: template["metadata"]["labels"] for name, template in templates(DOCUMENTS)}
HERE = the(DOCUMENTS, "Namespace")["metadata"]["name"]
Place = tuple[str, dict[str, str]]  # a namespace and the labels of a pod in it
SERVICE: Place = (HERE, LABELS["assay"])
EVALUATION: Place = (HERE, LABELS["assay-evaluation"])
DNS: Place = ("kube-system", {"k8s-app": "kube-dns"})
STRANGER: Place = ("default", {})


def matches(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    assert selector is None or set(selector) <= {"matchLabels"}
    return selector is not None and selector.get("matchLabels", {}).items() <= labels.items()


def is_among(peers: list[Document], place: Place) -> bool:
    namespace, labels = place
    for peer in peers:
        assert set(peer) <= {"namespaceSelector", "podSelector"}
        inside = namespace == HERE
        if "namespaceSelector" in peer:
            inside = matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace})
        if inside and matches(peer.get("podSelector", {}), labels):
            return True
    return False


def one_way(direction: str, own: Place, other: Place, port: str | int) -> bool:
    """Whether the policies of `own` let it; where none selects it, anything goes."""
    chosen = [
        policy["spec"]
        for policy in POLICIES
        if own[0] == HERE
        and direction in policy["spec"]["policyTypes"]
        and matches(policy["spec"]["podSelector"], own[1])
    ]
    peers, way = {"Ingress": ("from", "ingress"), "Egress": ("to", "egress")}[direction]
    rules = [rule for spec in chosen for rule in spec.get(way, ())]
    return not chosen or any(
        port in {p["port"] for p in rule["ports"]} and is_among(rule[peers], other) for rule in rules
    )


def may(source: Place, target: Place, port: str | int) -> bool:
    return one_way("Egress", source, target, port) and one_way("Ingress", target, source, port)


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (("ingress-nginx", {}), SERVICE, "http", True),
        (("monitoring", {"app.kubernetes.io/name": "prometheus"}), SERVICE, "http", True),
        ((HERE, {"assay-client": "true"}), SERVICE, "http", True),
        (EVALUATION, SERVICE, "http", True),
        (EVALUATION, DNS, 53, True),
        (STRANGER, SERVICE, "http", False),
        (("default", {"assay-client": "true"}), SERVICE, "http", False),
        (("default", EVALUATION[1]), SERVICE, "http", False),
        ((HERE, {}), SERVICE, "http", False),
        (("ingress-nginx", {}), SERVICE, 22, False),
        (SERVICE, STRANGER, "http", False),
        (SERVICE, SERVICE, "http", False),
        (SERVICE, DNS, 53, False),
        (SERVICE, EVALUATION, "http", False),
        (EVALUATION, STRANGER, "http", False),
        (EVALUATION, ("kube-system", {}), 53, False),
        (STRANGER, EVALUATION, "http", False),
    ],
)
def test_who_may_speak_with_whom(source: Place, target: Place, port: str | int, allowed: bool) -> None:
    assert may(source, target, port) is allowed
