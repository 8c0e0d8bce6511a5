"""The answers given under load must equal those given in quiet."""

from eval.under_load.run import under_load

__all__ = ["under_load"]
