"""Assay beside its peers: the same models, the same bytes, the same run, ratios first.

`python -m tests.bench.serving [case ...]`; see `__main__`.
"""
