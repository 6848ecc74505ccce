"""Keys and roles, on every route."""

import json
import stat

import pytest

from .conftest import assert_error

HASH = "0" * 64
ROUTES = [  # method, path, the least role that may
    ("POST", "/v1/campaigns", "producer"),
    ("GET", "/v1/campaigns", "viewer"),
    ("GET", "/v1/campaigns/x", "viewer"),
    ("DELETE", "/v1/campaigns/x", "producer"),
    ("GET", "/v1/campaigns/x/jobs", "viewer"),
    ("GET", "/v1/campaigns/x/events", "viewer"),
    ("GET", "/v1/campaigns/x/trace", "viewer"),
    ("GET", "/v1/campaigns/x/files/spec.json", "viewer"),
    ("GET", "/v1/jobs/x/plan", "viewer"),
    ("POST", "/v1/jobs/x/plan/retry", "admin"),
    ("GET", "/v1/dead", "viewer"),
    ("GET", "/v1/pools", "viewer"),
    ("GET", "/v1/workers", "viewer"),
    ("PUT", f"/v1/files/{HASH}", "producer"),
    ("HEAD", f"/v1/files/{HASH}", "viewer"),
]
RANK = ["viewer", "producer", "admin"]


@pytest.mark.parametrize("method,path,least", ROUTES)
def test_each_route_asks_for_its_role(farm, method, path, least):
    assert farm.ask(method, path, role=None).status_code == 401
    for headers in ({"Authorization": "Bearer nothing"}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}):
        answer = farm.ask(method, path, role=None, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        if method != "HEAD":
            assert_error(answer, 401, "api.unauthorized")
    for role in RANK:
        answer = farm.ask(method, path, role=role)
        if RANK.index(role) < RANK.index(least):
            assert_error(answer, 403, "api.forbidden")
        else:
            assert answer.status_code not in (401, 403)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_need_no_key(farm, path):
    assert farm.get(path, role=None).status_code == 200
    assert farm.ask("HEAD", path, role=None).status_code == 200


def test_unknown_paths_and_methods(farm):
    assert_error(farm.get("/nothing"), 404, "api.not_found")
    answer = farm.ask("PATCH", "/v1/campaigns")
    assert_error(answer, 405, "api.method")
    assert answer.headers["Allow"] == "POST, GET"


def test_a_key_is_added_and_revoked_without_a_restart(farm):
    added = farm.tool("key", farm.keys_file, "later", "viewer")
    headers = {"Authorization": f"Bearer {added}"}
    assert farm.get("/v1/pools", role=None, headers=headers).status_code == 200
    file = json.loads(farm.keys_file.read_text())
    farm.keys_file.write_text(json.dumps({"keys": [key for key in file["keys"] if key["name"] != "later"]}))
    assert_error(farm.get("/v1/pools", role=None, headers=headers), 401, "api.unauthorized")
    assert farm.get("/v1/pools").status_code == 200


def test_the_keys_file_is_private_and_holds_only_hashes(farm):
    assert stat.S_IMODE(farm.keys_file.stat().st_mode) == 0o600
    text = farm.keys_file.read_text()
    assert not any(key in text for key in farm.keys.values())
