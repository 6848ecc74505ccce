"""Campaigns and jobs: submit, look, cancel, retry."""

import json
import os

import pytest

from ..support.waiting import wait_for
from .conftest import assert_error


def test_submit_is_stored_queued_and_answered_with_links(farm):
    spec = farm.spec()
    answer = farm.submit(spec)
    assert answer.status_code == 202
    body = answer.json()
    campaign = body["id"]
    assert campaign.startswith("diwali-")
    assert body["state"] == "running"
    assert answer.headers["Location"] == body["links"]["self"] == f"/v1/campaigns/{campaign}"
    for link in ("self", "jobs", "trace"):
        assert farm.get(body["links"][link]).status_code == 200
    stored = json.loads((farm.store / f"campaigns/{campaign}/spec.json").read_text())
    assert stored["id"] == campaign
    assert stored["video"] == spec["video"]
    assert farm.get(f"/v1/campaigns/{campaign}/files/spec.json").json() == stored
    assert farm.worker.claim()["job"] == f"{campaign}/plan"


def test_the_same_idempotency_key_gives_the_same_campaign(farm):
    spec, headers = farm.spec(), {"Idempotency-Key": "order-17"}
    first = farm.submit(spec, headers=headers)
    again = farm.submit(spec, headers=headers)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert len(farm.get("/v1/campaigns").json()["items"]) == 1
    other = {**spec, "class": "urgent" if spec.get("class") != "urgent" else "batch"}
    assert_error(farm.submit(other, headers=headers), 409, "api.conflict")
    # Keys of other users are other keys.
    assert farm.submit(other, headers=headers, role="producer").status_code == 202
    assert len(farm.get("/v1/campaigns").json()["items"]) == 2


def test_an_idempotency_key_is_for_one_name_too(farm):
    headers = {"Idempotency-Key": "order-18"}
    first = farm.submit(farm.spec(), headers=headers)
    assert first.status_code == 202
    refused = farm.submit({**farm.spec(), "name": "another"}, headers=headers)
    assert_error(refused, 409, "api.conflict")
    assert first.json()["id"] in refused.json()["error"]["message"]
    assert len(farm.get("/v1/campaigns").json()["items"]) == 1


def test_an_old_idempotency_key_does_not_run_its_campaign_again(farm):
    """Redis forgets a campaign seven days after its end; the spec stays."""
    spec, headers = farm.spec(), {"Idempotency-Key": "order-19"}
    campaign = farm.submit(spec, headers=headers).json()["id"]
    farm.redis.cli("FLUSHALL")
    stored = farm.store / f"campaigns/{campaign}/spec.json"
    old = stored.stat().st_mtime - 8 * 24 * 3600
    os.utime(stored, (old, old))
    refused = farm.submit(spec, headers=headers)
    assert_error(refused, 409, "api.conflict")
    assert campaign in refused.json()["error"]["message"]
    assert farm.get("/v1/campaigns").json()["items"] == []
    os.utime(stored)  # it was lost, not forgotten: the request continues it
    assert farm.submit(spec, headers=headers).status_code == 202


def test_without_an_idempotency_key_each_submit_is_a_campaign(farm):
    spec = farm.spec()
    assert farm.submitted(spec=spec) != farm.submitted(spec=spec)


def test_a_repeat_is_answered_even_when_the_inputs_are_gone(farm):
    spec, headers = farm.spec(), {"Idempotency-Key": "k"}
    first = farm.submit(spec, headers=headers)
    for path in (farm.store / "files").iterdir():
        path.unlink()
    assert farm.submit(spec, headers=headers).json() == first.json()


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "a\tb"])
def test_bad_idempotency_keys(farm, key):
    assert_error(farm.submit(headers={"Idempotency-Key": key}), 400, "api.bad_request")
    assert not (farm.store / "campaigns").exists()


def test_every_problem_of_a_spec_is_listed(farm):
    spec = farm.spec(colour="red", dubs=[{"language": "hi", "audio": "ftp://x/y"}, {"language": "hi", "audio": "s3://b/k"}])
    error = assert_error(farm.submit(spec), 400, "spec.invalid")
    paths = [problem["path"] for problem in error["details"]]
    assert "$.colour" in paths
    assert "$.dubs[0].audio" in paths
    assert any(path.startswith("$.dubs[1]") for path in paths)


@pytest.mark.parametrize("body", [b"", b"{", b"[1,", b'{"a":1,"a":2}', b"\xff\xfe", b'{"name":"\xff"}'])
def test_what_is_no_json(farm, body):
    assert_error(farm.ask("POST", "/v1/campaigns", data=body), 400, "json.invalid")


@pytest.mark.parametrize("spec", [[], "text", 1, None, {}, {"name": 7}, {"name": "../../etc"}])
def test_json_that_is_no_spec(farm, spec):
    answer = farm.ask("POST", "/v1/campaigns", data=json.dumps(spec))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("spec.invalid", "json.invalid")
    assert not (farm.store / "campaigns").exists()


def test_missing_inputs_are_problems_with_their_path(farm):
    missing = "sha256:" + "ab" * 32
    error = assert_error(farm.submit(farm.spec(video=missing)), 400, "spec.invalid")
    assert [(d["path"], d["code"]) for d in error["details"]] == [("$.video", "store.not_found")]
    assert missing in error["details"][0]["message"]
    assert not (farm.store / "campaigns").exists()
    assert farm.get("/v1/campaigns").json()["items"] == []


def test_ten_thousand_dubs_are_refused(farm):
    dubs = [{"language": f"l{i}", "audio": "s3://b/k"} for i in range(10000)]
    error = assert_error(farm.submit(farm.spec(dubs=dubs)), 400, "spec.invalid")
    assert any(problem["path"] == "$.dubs" for problem in error["details"])
    assert len(error["details"]) < 1000


def test_campaigns_are_paged_newest_first(farm):
    spec = farm.spec()
    made = [farm.submitted(spec=spec) for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = farm.get("/v1/campaigns", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(seen) == sorted(made)


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "", "1e2", " 1"])
def test_bad_limits(farm, limit):
    assert_error(farm.get("/v1/campaigns", params={"limit": limit}), 400, "api.bad_request")


@pytest.mark.parametrize("path", ["/v1/campaigns", "/v1/dead"])
@pytest.mark.parametrize("cursor", ["x", "17", "/film", ""])
def test_bad_cursors(farm, path, cursor):
    """A list that began anew would have no end for a client that follows cursors."""
    assert_error(farm.get(path, params={"cursor": cursor}), 400, "api.bad_request")


def test_cancel_ends_a_campaign(farm):
    campaign = farm.submitted()
    answer = farm.ask("DELETE", f"/v1/campaigns/{campaign}")
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    assert farm.get(f"/v1/campaigns/{campaign}").json()["state"] == "cancelled"
    assert farm.worker.claim() == {}


@pytest.mark.parametrize("path", ["/v1/campaigns/none-1", "/v1/campaigns/none-1/jobs", "/v1/campaigns/none-1/events",
                                  "/v1/campaigns/none-1/trace", "/v1/jobs/none-1/plan", "/v1/jobs/what", "/v1/campaigns/A%20b",
                                  "/v1/campaigns/none-1/files/hi/final.mp4"])
def test_unknown_campaigns_and_jobs(farm, path):
    assert_error(farm.get(path), 404, "queue.not_found")


def test_unknown_campaigns_cannot_be_cancelled_nor_unknown_jobs_retried(farm):
    assert_error(farm.ask("DELETE", "/v1/campaigns/none-1"), 404, "queue.not_found")
    assert_error(farm.ask("POST", "/v1/jobs/none-1/plan/retry"), 404, "queue.not_found")


def test_a_finished_campaign_with_its_jobs_and_trace(farm):
    campaign = farm.submitted()
    for worker in ("w1", "w2"):
        farm.worker.do("beat", worker=worker, info={})
    farm.run_campaign(campaign)
    shown = farm.get(f"/v1/campaigns/{campaign}").json()
    assert shown["state"] == "done"
    assert shown["languages"][0]["file"] == f"/v1/campaigns/{campaign}/files/hi/final.mp4"
    jobs = farm.get(f"/v1/campaigns/{campaign}/jobs").json()["items"]
    assert [job["id"] for job in jobs] == [f"{campaign}/hi/join", f"{campaign}/plan"]
    trace = farm.get(f"/v1/campaigns/{campaign}/trace").json()
    assert trace["campaign"] == campaign
    assert [job["kind"] for job in trace["jobs"]] == ["plan", "join"]
    join = trace["jobs"][1]
    assert join["steps_ms"] == {"join": 7, "encode": 11}
    assert join["frames"] == 240
    assert join["worker"] == "w1" and join["attempt"] == 1 and join["language"] == "hi"
    assert [worker["id"] for worker in trace["workers"]] == ["w1"] and trace["workers"][0]["gone_ms"] is None
    assert trace["start_ms"] <= join["ready_ms"] <= join["claimed_ms"] <= join["finished_ms"] <= trace["end_ms"]


def test_a_dead_job_is_listed_and_can_be_retried(farm):
    campaign = farm.submitted()
    claim = farm.worker.claim()
    assert farm.worker.do("fail", code="media.no_video", **claim) == {}
    dead = farm.get("/v1/dead").json()["items"]
    assert [job["id"] for job in dead] == [f"{campaign}/plan"]
    assert dead[0]["error"]["code"] == "media.no_video"
    answer = farm.ask("POST", f"/v1/jobs/{campaign}%2Fplan/retry")
    assert answer.status_code == 200
    assert answer.json()["state"] == "ready"
    assert farm.get("/v1/dead").json()["items"] == []
    assert_error(farm.ask("POST", f"/v1/jobs/{campaign}/plan/retry"), 409, "queue.state")
    assert farm.get(f"/v1/jobs/{campaign}/plan").json()["id"] == f"{campaign}/plan"


def test_pools_count_jobs_and_workers_show(farm):
    for _ in range(7):
        farm.submitted(spec=farm.spec(**{"class": "urgent"}))
    farm.worker.claim()
    pools = {pool["pool"]: pool for pool in farm.get("/v1/pools").json()["items"]}
    assert pools["cpu"]["ready"] == {"urgent": 6, "batch": 0}
    assert pools["cpu"]["leased"] == {"urgent": 1, "batch": 0}
    assert pools["cpu"]["desired"] == 3
    assert pools["lipsync"]["desired"] == 0
    farm.worker.do("beat", worker="gpu-1", info={"host": "node-a", "pools": ["lipsync"]})
    workers = farm.get("/v1/workers").json()["items"]
    assert workers[0]["id"] == "gpu-1" and workers[0]["host"] == "node-a"


def test_redis_gone_is_503_and_comes_back(farm):
    campaign = farm.submitted()
    spec = farm.spec()
    farm.redis.stop()
    before = farm.stored()
    for method, path in (("GET", "/v1/campaigns"), ("GET", f"/v1/campaigns/{campaign}"), ("GET", "/v1/pools"),
                         ("DELETE", f"/v1/campaigns/{campaign}"), ("GET", "/readyz")):
        answer = farm.ask(method, path)
        assert_error(answer, 503, "queue.unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert_error(farm.submit(spec), 503, "queue.unavailable")
    assert farm.stored() == before  # a spec that nobody was told of is not kept
    assert farm.get("/healthz", role=None).status_code == 200
    assert "\nmela_queue_up 0\n" in farm.get("/metrics", role=None).text
    farm.redis.start()
    wait_for(lambda: farm.get("/readyz", role=None).status_code == 200, "the server to find Redis again")
    assert farm.get(f"/v1/campaigns/{campaign}").json()["state"] == "running"
    assert farm.submit(spec).status_code == 202
