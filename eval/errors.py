"""Failures a user of the evaluation tool can do something about.

* EvalError
  - DatasetError      the data on disk is not what its description says
  - EndpointError     the endpoint refused, failed or answered with the wrong shape
    + Refused           it would not take what was sent; something else may be taken
    + Failed            it says itself that it failed at what was sent
    + Gone              nobody listens at the address, so nothing else will be answered either
  - BudgetExceeded    a run asked for more queries than it was allowed
  - NotAuthorised     an audit was pointed at a host nobody allowed
"""

from __future__ import annotations

__all__ = [
    "BudgetExceeded",
    "DatasetError",
    "EndpointError",
    "EvalError",
    "Failed",
    "Gone",
    "NotAuthorised",
    "Refused",
]


class EvalError(Exception):
    """Base of every error the CLI prints as one line; anything else is a bug."""


class DatasetError(EvalError):
    """The data on disk is not what its description says."""


class EndpointError(EvalError):
    """The endpoint refused, failed or answered with the wrong shape."""


class Refused(EndpointError):
    """The endpoint would not take what was sent; something else may be taken."""


class Failed(EndpointError):
    """The endpoint says itself that it failed at what was sent: 500, or another that no pause cures."""


class Gone(EndpointError):
    """Nobody listens at the address: not this picture's fault, and the next will fare no better."""


class BudgetExceeded(EvalError):
    """A run asked for more queries than it was allowed."""


class NotAuthorised(EvalError):
    """An audit was pointed at a host nobody allowed."""
