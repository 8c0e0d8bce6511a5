"""Labels are bounded, whatever is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry import ROUTES, route_of


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/classify", "/classify"),
        ("/v2", "/v2"),
        ("/v2/models/stats", "/v2/models/stats"),
        ("/v2/models/a", "/v2/models/{model}"),
        ("/v2/models/a/infer", "/v2/models/{model}/infer"),
        ("/v2/models/a/versions/3", "/v2/models/{model}"),
        ("/v2/models/a/versions/3/infer", "/v2/models/{model}/infer"),
        ("/v2/repository/models/a/load", "/v2/repository/models/{model}/load"),
        ("/v2/repository/models/a/steal", "other"),
        ("/v2/models/a/secret", "other"),
        ("/v2/models/a/infer/more", "other"),
        ("/v3", "other"),
        ("", "other"),
    ],
)
def test_a_path_is_told_as_its_route(path: str, route: str) -> None:
    assert route_of(path) == route


@given(st.lists(st.sampled_from(["v2", "models", "versions", "repository", "infer", "load"]) | st.text()))
def test_there_are_no_others(words: list[str]) -> None:
    assert route_of("/" + "/".join(words)) in {*ROUTES, "other"}
