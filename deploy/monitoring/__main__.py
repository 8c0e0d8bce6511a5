"""Writes what is made from something else: `python -m deploy.monitoring`.

* dashboard.json: Grafana's, from the metrics of the code
* prometheusrule.yaml: rules.yaml as the Prometheus operator takes it, comments and all
* README.md: the alerts of rules.yaml as an incident table
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

from deploy.monitoring import dashboard, incidents

__all__ = ["HOME", "made"]

HOME = Path(__file__).parent
HEAD = """\
# Made of rules.yaml by `python -m deploy.monitoring`; change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: assay
  labels:
    app.kubernetes.io/name: assay
    app.kubernetes.io/part-of: assay
spec:
"""


def made() -> dict[str, str]:
    """The text of each file by its name."""
    rules = (HOME / "rules.yaml").read_text(encoding="utf-8")
    return {
        "dashboard.json": dashboard.text(),
        "prometheusrule.yaml": HEAD + indent(rules, "  "),
        "README.md": incidents.text(HOME),
    }


if __name__ == "__main__":
    for name, written in made().items():
        (HOME / name).write_text(written, encoding="utf-8")
