"""The Grafana dashboard as JSON.

It stands beside the rules and not in the service: the service needs no Grafana, and a Bento has no dashboard.
"""

from __future__ import annotations

import json
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from deploy.monitoring.panels import ROWS, Panel
from deploy.monitoring.queries import name_of
from service import telemetry

__all__ = ["dashboard", "text"]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 24, 8  # Grafana's grid is 24 wide


def _drawn(panel: Panel, number: int, x: int, y: int, width: int) -> dict[str, Any]:
    limits = {"min": 0} if panel.most is None else {"min": 0, "max": panel.most}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.told,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, **limits}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(65 + i), "datasource": SOURCE, "expr": line.expr, "legendFormat": line.legend}
            for i, line in enumerate(panel.lines)
        ],
    }


def _variable(label: str, metric: MetricWrapperBase, chosen: str = "") -> dict[str, Any]:
    query = f"label_values({name_of(metric)}{chosen}, {label})"
    many = {
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
    return {
        "name": label,
        "type": "query",
        "datasource": SOURCE,
        "query": query,
        "refresh": 2,
        "sort": 1,
        **many,
    }


def dashboard() -> dict[str, Any]:
    """The whole dashboard, for Grafana 10 and later."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place}
        )
        width = WIDTH // len(row)
        panels += [_drawn(panel, len(panels) + 1 + i, i * width, y + 1, width) for i, panel in enumerate(row)]
        y += 1 + HEIGHT
    ready = telemetry.MODEL_READY
    of_job = '{job=~"$job"}'
    return {
        "uid": "assay",
        "title": "Assay",
        "tags": ["assay"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                _variable("job", ready),
                _variable("instance", ready, of_job),
                _variable("model", ready, of_job),
            ]
        },
        "panels": panels,
    }


def text() -> str:
    """The file, byte for byte."""
    return json.dumps(dashboard(), indent=2) + "\n"
