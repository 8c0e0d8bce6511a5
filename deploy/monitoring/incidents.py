"""The incident table, made of the alerts: what is seen, by which metrics, why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["alerts", "metrics_of", "table", "text"]

RECORDED = re.compile(r"\b\w+:assay_\w+:\w+")
SCRAPED = re.compile(r"(?<![\w:])(?:assay_\w+|kube_\w+|up)(?=\{|\[|\)| ==)")
HEAD = """\
# Alerts

Made of [rules.yaml](rules.yaml) by `python -m deploy.monitoring`; change it there. A page wakes somebody, a
ticket waits for the morning. An alert is of one `job`, on a cluster `assay/NAMESPACE`, and of the labels in
*italics*; *N* is its value. What the actions ask for, in its namespace:

```console
$ kubectl get pods --output wide    # restarts; `instance` is a pod's IP
$ kubectl describe pod POD    # events; how the container before ended (OOMKilled, Error)
$ kubectl logs POD [--previous]
$ kubectl port-forward POD 3000 &    # then, where keys are on, with one:
$ KEY=$(kubectl get secret assay-keys --output jsonpath='{.data.evaluation}' | base64 -d)
$ curl --header "X-API-Key: $KEY" http://127.0.0.1:3000/models
$ kubectl rollout undo deployment/assay    # roll back
$ kubectl patch scaledobject assay --type merge --patch '{"spec": {"minReplicaCount": 6}}'    # scale out
$ kubectl patch hpa assay --patch '{"spec": {"minReplicas": 6}}'    # the same without KEDA
```

The autoscaler owns the number of pods: what `kubectl scale` sets, it takes back.

"""


def alerts(rules: str) -> list[dict[str, Any]]:
    """The alerts of a file of rules, in its order."""
    return [dict(rule) for rule in _rules(rules) if "alert" in rule]


def metrics_of(rules: str, expr: str) -> list[str]:
    """The scraped metrics that a query reads, through what is recorded too, sorted."""
    recorded = {rule["record"]: rule["expr"] for rule in _rules(rules) if "record" in rule}
    found = set(SCRAPED.findall(expr))
    for name in RECORDED.findall(expr):
        found |= set(metrics_of(rules, recorded[name]))
    return sorted(found)


def table(rules: str) -> str:
    """One row an alert, in Markdown."""
    rows = ["| alert | symptom | metrics | cause | action |", "| --- | --- | --- | --- | --- |"]
    for rule in alerts(rules):
        told = {name: _cell(text) for name, text in rule["annotations"].items()}
        metrics = ", ".join(f"`{name}`" for name in metrics_of(rules, rule["expr"]))
        alert = f"`{rule['alert']}` ({rule['labels']['severity']} after {rule['for']})"
        cells = (alert, told["summary"], metrics, told["description"], told["action"])
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def text(folder: Path) -> str:
    """The whole page."""
    return HEAD + table((folder / "rules.yaml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _rules(rules: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(rule for group in yaml.safe_load(rules)["groups"] for rule in group["rules"])


def _cell(text: str) -> str:
    """An annotation with the names of labels in the place of Prometheus's templates."""
    named = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", text)
    named = re.sub(r"\{\{ \$value[^}]*\}\}", "*N*", named)
    return " ".join(named.split()).replace("|", "\\|")
