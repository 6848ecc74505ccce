"""Holds by hand: what a body may say."""

import pytest

from .conftest import assert_error

FOREVER_MS = 1 << 52


def hold(farm, body, what="hold"):
    return farm.ask("POST", f"/v1/pools/lipsync/{what}", json=body)


def held_until(farm):
    [pool] = [pool for pool in farm.get("/v1/pools").json()["items"] if pool["pool"] == "lipsync"]
    return pool["held_until_ms"]


def test_a_hold_and_its_end(farm):
    assert hold(farm, {"class": "urgent", "until": "2100-01-01T00:00:00Z"}).status_code == 200
    assert held_until(farm)["urgent"] == 4102444800000
    assert hold(farm, {}).status_code == 200
    assert held_until(farm)["batch"] == FOREVER_MS
    assert hold(farm, {"class": "urgent"}, "resume").status_code == 200
    assert farm.ask("POST", "/v1/pools/lipsync/resume").status_code == 200
    assert held_until(farm) == {"urgent": 0, "batch": 0}


@pytest.mark.parametrize("body", [{"until": 4102444800000}, {"Until": "2100-01-01T00:00:00Z"}, {"class": 1}, {"class": "all"},
                                  {"until": None}, {"until": "tomorrow"}, ["batch"], "batch", None])
def test_a_wrong_body_holds_nothing(farm, body):
    """It used to hold batch for ever: until somebody noticed."""
    answer = farm.ask("POST", "/v1/pools/lipsync/hold", data="null") if body is None else hold(farm, body)
    assert answer.status_code == 400 and answer.json()["error"]["code"] in ("api.bad_request", "json.invalid")
    assert held_until(farm) == {"urgent": 0, "batch": 0}


@pytest.mark.parametrize("path,most", [("/v1/pools/lipsync/hold", 50), ("/v1/campaigns", 200_000)])
def test_a_body_that_would_cost_the_server_much_is_refused(farm, path, most):
    for body, why in (("[" * 2000 + "]" * 2000, "deeper than 16 levels"), ("[" + "0," * most + "0]", f"at most {most} are taken")):
        assert why in assert_error(farm.ask("POST", path, data=body), 400, "api.bad_request")["message"]


def test_a_resume_has_no_end(farm):
    assert_error(hold(farm, {"until": "2100-01-01T00:00:00Z"}, "resume"), 400, "api.bad_request")


@pytest.mark.parametrize("path", ["/v1/campaigns?limits=3", "/v1/campaigns?limit=3&page=2", "/v1/pools?class=urgent",
                                  "/v1/pools/lipsync/desired?klass=urgent", "/v1/workers/history?since=5", "/healthz?x"])
def test_unknown_parameters_are_refused(farm, path):
    assert "query parameter" in assert_error(farm.get(path), 400, "api.bad_request")["message"]
