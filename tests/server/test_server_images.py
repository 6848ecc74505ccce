"""Campaigns of pictures: submitting them, and their files."""
import hashlib
import json
import threading

import pytest

from ..support.waiting import wait_for
from .conftest import assert_error


def test_pictures_are_submitted_made_and_shown(farm):
    answer = farm.submit(farm.images({"prompt": "a blue door", "count": 6, "seed": 7}, "a garland"))
    assert answer.status_code == 202 and answer.json()["warnings"] == []
    campaign = answer.json()["id"]
    shown = farm.get(f"/v1/campaigns/{campaign}").json()
    assert shown["workload"] == "images" and shown["languages"] == []
    assert shown["pictures"] == {"of": 7, "done": 0}
    assert farm.painter.do_all() == [f"{campaign}/image/{i:04}" for i in range(3)] + [f"{campaign}/sheet"]
    shown = farm.get(f"/v1/campaigns/{campaign}").json()
    assert shown["state"] == "done" and shown["pictures"] == {"of": 7, "done": 7}
    assert shown["sheet"] == f"/v1/campaigns/{campaign}/files/sheet.png"
    trace = farm.get(f"/v1/campaigns/{campaign}/trace").json()["jobs"]
    assert [(job["kind"], job["language"]) for job in trace] == [("image", "")] * 3 + [("sheet", "")]


def test_a_campaign_of_dubs_has_no_pictures(farm):
    shown = farm.get(f"/v1/campaigns/{farm.submitted()}").json()
    assert shown["workload"] == "dubs" and "pictures" not in shown and "sheet" not in shown


def test_what_is_drawn_is_stored_with_every_default_and_the_seeds(farm):
    spec = farm.images("a", {"prompt": "b", "seed": 9}, defaults={"steps": 20}, sheet=False)
    answer = farm.submit(spec, headers={"Idempotency-Key": "k"})
    stored = farm.get(f"/v1/campaigns/{answer.json()['id']}/files/spec.json").json()["images"]
    assert [p["steps"] for p in stored["prompts"]] == [20, 20]
    assert 0 <= stored["prompts"][0]["seed"] < 2**32 and stored["prompts"][1]["seed"] == 9
    assert farm.submit(spec, headers={"Idempotency-Key": "k"}).json() == answer.json()


def test_all_problems_of_a_spec_come_at_once(farm):
    spec = farm.images({"prompt": "a", "width": 1000}, {"seed": -1}, model="../x")
    error = assert_error(farm.submit(spec), 400, "spec.invalid")
    assert {"$.images.prompts[0].height", "$.images.prompts[1].prompt", "$.images.prompts[1].seed",
            "$.images.model"} == {problem["path"] for problem in error["details"]}
    assert_error(farm.submit({**farm.spec(), **farm.images("a")}), 400, "spec.invalid")


def test_loras_that_cannot_be_read_are_problems(farm):
    there, gone = farm.put(b"weights"), "sha256:" + "0" * 64
    spec = farm.images({"prompt": "a", "loras": [{"name": "a", "file": there}, {"name": "b", "file": gone}]},
                       {"prompt": "b", "loras": [{"name": "b", "file": gone}]})
    error = assert_error(farm.submit(spec), 400, "spec.invalid")
    assert [(p["path"], p["code"]) for p in error["details"]] == [("$.images.prompts[0].loras[1].file", "store.not_found")]
    assert farm.stored() == ["files/" + there.split(":")[1]]


def test_more_lora_files_than_a_campaign_may_have(farm):
    loras = [{"name": "a", "file": farm.put(b"%d" % i)} for i in range(101)]
    spec = farm.images(*({"prompt": "a", "loras": [lora]} for lora in loras))
    assert "LoRA" in assert_error(farm.submit(spec), 422, "campaign.limit")["message"]


def test_sizes_that_the_model_was_not_trained_for_are_warned_of(farm):
    spec = farm.images({"prompt": "a", "width": 1024, "height": 1024}, {"prompt": "a", "width": 512, "height": 512})
    answer = farm.submit(spec)
    warnings = answer.json()["warnings"]
    assert answer.status_code == 202 and [w["path"] for w in warnings] == ["$.images.prompts[1].width"]
    assert "1024 x 1024" in warnings[0]["message"]


def test_ten_thousand_prompts_are_one_campaign(farm):
    prompts = [{"prompt": f"door {i} " + "of blue wood " * 60, "negative_prompt": "text", "seed": i, "count": 1, "width": 1024,
                "height": 1024, "steps": 30, "guidance": 5, "rescale": 0, "scheduler": "euler", "spacing": "leading",
                "enhance": False, "loras": [{"name": "diwali", "weight": 0.8}]} for i in range(10000)]
    campaign = farm.submitted(spec=farm.images(*prompts))
    shown = farm.get(f"/v1/campaigns/{campaign}").json()
    assert shown["pictures"] == {"of": 10000, "done": 0} and shown["jobs"]["ready"] == 10000
    error = assert_error(farm.submit(farm.images(*prompts, "one more")), 400, "spec.invalid")
    assert "10000" in error["message"]


def test_a_spec_that_its_defaults_make_too_large_is_refused(farm):
    spec = farm.images(*["a"] * 5000, defaults={"negative_prompt": "x" * 8000})
    assert_error(farm.submit(spec), 422, "campaign.limit")
    assert farm.stored() == []


def test_bodies_beyond_the_limits_are_refused(farm):
    assert_error(farm.submit(farm.images("a" * (16 << 20))), 413, "api.too_large")
    assert_error(farm.submit(farm.images(*["a"] * 200000)), 400, "api.bad_request")


def test_four_large_specs_at_a_time(farm):
    """Four whose bodies do not come; the fifth is busy, and a small one is not."""
    head = (f"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {farm.keys['producer']}\r\n"
            "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n").encode()
    held = [farm.connect(head) for _ in range(4)]
    for connection in held:
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
    large = farm.images(*["a long prompt" * 50] * 1000)
    assert_error(farm.submit(large), 503, "api.busy")
    assert farm.submit(farm.images("a")).status_code == 202
    for connection in held:
        connection.close()
    wait_for(lambda: farm.submit(large).status_code == 202, "room for a large spec")


@pytest.fixture
def made(farm):
    """A campaign of five pictures that is done."""
    campaign = farm.submitted(spec=farm.images({"prompt": "a blue door", "count": 5, "seed": 7}))
    farm.painter.do_all()
    return campaign


NAMES = ["image/0000/record.json", "image/0000/thumbs.png", "image/0000/0.png", "image/0000/3.png", "image/0001/0.png",
         "sheet.png", "index.json"]


def check_files(farm, campaign):
    got = {name: farm.get(f"/v1/campaigns/{campaign}/files/{name}", role="viewer") for name in NAMES}
    for name, answer in got.items():
        assert answer.status_code == 200, (name, answer.text)
        assert answer.headers["Content-Type"] == ("image/png" if name.endswith("png") else "application/json")
        assert name.endswith("json") or answer.content.startswith(b"\x89PNG")
    record = got["image/0000/record.json"].json()
    assert [p["seed"] for p in record["pictures"]] == [7, 8, 9, 10]
    assert record["pictures"][3]["sha256"] == hashlib.sha256(got["image/0000/3.png"].content).hexdigest()
    assert got["index.json"].json()["pictures"][4]["file"] == "image/0001/0.png"


def test_the_files_of_pictures(farm, made):
    check_files(farm, made)
    path = f"/v1/campaigns/{made}/files/image/0000/0.png"
    whole = farm.get(path)
    part = farm.get(path, headers={"Range": "bytes=0-7"})
    assert part.status_code == 206 and part.content == b"\x89PNG\r\n\x1a\n"
    assert farm.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304


def test_the_files_of_pictures_that_redis_forgot(farm, made):
    farm.redis.cli("FLUSHALL")
    check_files(farm, made)
    assert_error(farm.get(f"/v1/campaigns/{made}/files/image/0002/0.png"), 404, "queue.not_found")


def test_files_of_pictures_that_are_not_there(farm):
    campaign = farm.submitted(spec=farm.images({"prompt": "a", "count": 2}))
    base = f"/v1/campaigns/{campaign}/files"
    for name in ("image/0000/record.json", "image/0000/0.png", "sheet.png", "index.json"):
        assert "ready" in (message := assert_error(farm.get(f"{base}/{name}"), 404, "api.not_found")["message"]) or \
            "waiting" in message
    for name in ("image/0000", "image/0000/4.png", "image/0/0.png", "image/00000/0.png", "image/0000/0.json", "hi/sheet.png",
                 "xsheet.png", "image/0000/sheet.png", "image/0000/final.mp4", "track/0000/0.png", "sheet/0.png"):
        assert_error(farm.get(f"{base}/{name}"), 404, "api.not_found")
    farm.painter.do_all()
    assert farm.get(f"{base}/image/0000/1.png").status_code == 200
    assert_error(farm.get(f"{base}/image/0000/2.png"), 404, "store.not_found")


def test_a_campaign_goes_on_without_a_picture_that_died(farm):
    campaign = farm.submitted(spec=farm.images({"prompt": "a", "count": 5}))
    claim = farm.worker.claim()
    assert farm.worker.do("fail", **claim, code="prompt.invalid") == {}
    farm.painter.do_all()
    shown = farm.get(f"/v1/campaigns/{campaign}").json()
    assert shown["pictures"] == {"of": 5, "done": 1}
    assert farm.get("/v1/dead").json()["items"][0]["id"] == claim["job"]


def test_events_of_pictures(farm):
    campaign = farm.submitted(spec=farm.images("a"))
    claim = farm.worker.claim()
    progress = {"frames": 3, "of": 30, "step": "denoise"}
    farm.worker.do("progress", **claim, progress=progress)
    farm.painter.do(claim)
    farm.painter.do_all()
    with farm.get(f"/v1/campaigns/{campaign}/events", stream=True) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith(b"data: ")]
    assert {"id": claim["job"], "progress": progress}.items() <= next(e for e in events if "progress" in e).items()
    assert events[-1] == {"id": campaign, "state": "done"}
