"""What a run can be told beside Locust's own options."""

from __future__ import annotations

import os
from string import Template
from typing import Any

from deploy.load.arrivals import SHAPES
from deploy.load.payloads import MODELS
from deploy.load.promise import SCENARIOS, Slo

__all__ = ["add_options", "headers_of", "slo_of"]


def add_options(parser: Any) -> None:
    """Give Locust's parser our options; how a run is led, what is promised, where its figures go."""
    add = parser.add_argument
    add("--rate", type=float, default=0.0, help="Open loop: requests a second, Poisson; 0: closed loop")
    add("--shape", choices=sorted(SHAPES), default="steady", help="Of the rate, or of the number of users")
    add("--seed", type=int, default=0, help="Of pictures, their order and arrivals")
    add("--models", default=",".join(MODELS), help="Models for /classify, /detect and /segment")
    add("--only", default="", help="Send only requests whose name has this in it, such as 'classify file'")
    add("--timeout-s", type=float, default=30.0, help="Seconds until a request has failed")
    add("--scenario", choices=["", *SCENARIOS], default="", help="Rules in the manner of MLPerf")
    add("--least-seconds", type=float, help="Instead of the scenario's 600; the figures tell it")
    add("--least-count", type=int, help="Instead of the scenario's number; the figures tell it")
    add("--slo-p99-ms", type=float, default=2000.0, help="Most milliseconds for 99 %% of right answers")
    add("--slo-error-share", type=float, default=0.0, help="Most failures, as a share")
    add("--slo-goodput-rps", type=float, default=0.0, help="Least right answers a second within --slo-p99-ms")
    add("--max-lag-ms", type=float, default=100.0, help="Most the generator may be late for 99 %%, open loop")
    add("--figures", default="", help="File for the figures and the verdict, JSON")
    add(
        "--header", action="append", default=[], metavar="NAME=VALUE", include_in_web_ui=False,
        help="Sent with every request; $VARIABLE in VALUE is read from the environment of who sends",
    )  # fmt: skip
    add("--allow-host", default="", help="A host beside this machine that may be loaded")


def headers_of(options: Any) -> dict[str, str]:
    """The headers of `--header`, with what the environment says; a master passes names of variables only.

    Raises: SystemExit: it is no header, or its variable is not set.
    """
    found = {}
    for told in options.header:
        name, equals, value = told.partition("=")
        if not equals or not name.strip():
            raise SystemExit(f"a header must be NAME=VALUE, got {told!r}")
        try:
            found[name.strip()] = Template(value).substitute(os.environ)
        except (KeyError, ValueError) as error:
            raise SystemExit(f"{told}: the environment variable {error} is not set, or is no name") from error
    return found


def slo_of(options: Any) -> Slo:
    """The promise that options make."""
    return Slo(options.slo_p99_ms, options.slo_error_share, options.slo_goodput_rps, options.max_lag_ms)
