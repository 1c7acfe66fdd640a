# ruff: noqa: E501 (a table of cases)
"""Paths of Krill's API to routes and objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import paths

CASES = [
    # path, view_method → route, version, app, object_type, object_id, action
    ("GET", "/api/v2/isp/cpes/", "list", "/api/v2/isp/cpes/", "v2", "isp", "cpe", "", "list"),
    ("GET", "/api/v2/isp/cpes/585/", "", "/api/v2/isp/cpes/{id}/", "v2", "isp", "cpe", "585", "retrieve"),
    ("PATCH", "/api/v2/isp/cpes/pim0585/", "", "/api/v2/isp/cpes/{id}/", "v2", "isp", "cpe", "pim0585", "partial_update"),
    ("POST", "/api/v2/cpes/12/reboot", "reboot", "/api/v2/cpes/{id}/reboot", "v2", "", "cpe", "12", "reboot"),
    ("POST", "/api/v2/cpes/12/reboot", "post", "/api/v2/cpes/{id}/reboot", "v2", "", "cpe", "12", "reboot"),
    ("PATCH", "/api/v2/cpes/259/fake_modification/", "", "/api/v2/cpes/{id}/fake_modification/", "v2", "", "cpe", "259", "fake_modification"),
    ("DELETE", "/api/v2/isp/potses/pim0074-1/", "", "/api/v2/isp/potses/{id}/", "v2", "isp", "pots", "pim0074-1", "destroy"),
    ("GET", "/api/isp/customers/9/", "", "/api/isp/customers/{id}/", "v1", "isp", "customer", "9", "retrieve"),
    ("PUT", "/api/v2/auth/users/ignacio/", "update", "/api/v2/auth/users/{id}/", "v2", "auth", "user", "ignacio", "update"),
    ("GET", "/api/v2/monitoring/search", "", "/api/v2/monitoring/search", "v2", "monitoring", "search", "", "list"),
    ("GET", "/api/v2/monitoring/hosts/7", "", "/api/v2/monitoring/hosts/{id}", "v2", "monitoring", "host", "7", "retrieve"),
    ("GET", "/api/v2/monitoring/cpes/7/info", "get", "/api/v2/monitoring/cpes/{id}/info", "v2", "monitoring", "cpe", "7", "info"),
    ("POST", "/api/v2/monitoring/datasets/", "", "/api/v2/monitoring/datasets/", "v2", "monitoring", "dataset", "", "create"),
    ("GET", "/api/v2/isp/customers/5/cpes/", "", "/api/v2/isp/customers/{id}/cpes/", "v2", "isp", "cpe", "", "list"),
    ("GET", "/api/v2/isp/customers/5/cpes/7/", "", "/api/v2/isp/customers/{id}/cpes/{id}/", "v2", "isp", "cpe", "7", "retrieve"),
    ("GET", "/api/v2/inventory/switches/44/", "", "/api/v2/inventory/switches/{id}/", "v2", "inventory", "switch", "44", "retrieve"),
    ("GET", "/api/v2/me/", "", "/api/v2/me/", "v2", "me", "", "", "list"),
    ("GET", "/api/v2/wp-login.php", "", "/api/v2/{id}", "v2", "", "", "", "list"),
    ("GET", "/admin/isp/cpe/585/change/", "", "/admin/isp/cpe/{id}/change/", "", "", "", "", "change"),
    ("GET", "/", "", "/", "", "", "", "", "list"),
    ("GET", "", "", "/", "", "", "", "", "list"),
    ("OPTIONS", "/api/v2/isp/cpes/", "", "/api/v2/isp/cpes/", "v2", "isp", "cpe", "", "metadata"),
    ("GET", "/api/v2/isp/cpes/0198f3a0-0000-7000-8000-000000000001/", "", "/api/v2/isp/cpes/{id}/", "v2", "isp", "cpe", "0198f3a0-0000-7000-8000-000000000001", "retrieve"),
    ("GET", "/api/v2/isp/cpes/a%20b/", "", "/api/v2/isp/cpes/{id}/", "v2", "isp", "cpe", "a b", "retrieve"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_what_a_path_says(case: tuple[str, ...]) -> None:
    method, path, view_method, template, version, app, object_type, object_id, action = case
    route = paths.parse(path, view_method in paths.DETAIL_ACTIONS)
    assert route[:5] == (template, version, app, object_type, object_id)
    if path.startswith("/api"):
        assert paths.action(method, view_method, route) == action


@pytest.mark.parametrize(
    ("plural", "one"),
    [("hosts", "host"), ("addresses", "address"), ("policies", "policy"), ("status", "status"), ("potses", "pots"),
     ("pots", "pots"), ("boxes", "box"), ("switches", "switch"), ("graphs", "graph"), ("access", "access")],
)  # fmt: skip
def test_singular(plural: str, one: str) -> None:
    assert paths.singular(plural) == one


@given(st.text())
def test_a_route_holds_only_words_of_the_api(path: str) -> None:
    route = paths.parse(path).route
    assert route.startswith("/")
    assert all(
        part in ("", "{id}", "{rest}") or paths._WORD.match(part) or paths._VERSION.match(part)
        for part in route.split("/")
    )


def test_a_deep_path_is_cut() -> None:
    assert paths.parse("/api" + "/deep" * 1000).route.endswith("/{rest}")
