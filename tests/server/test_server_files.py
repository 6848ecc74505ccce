"""Uploads, and the files of a campaign."""

import hashlib
import json
import pathlib
import socket
import subprocess

import pytest

from ..support.waiting import wait_for
from .conftest import assert_error

DATA = bytes(range(256)) * 8192  # 2 MiB
DIGEST = hashlib.sha256(DATA).hexdigest()


def test_upload_is_stored_under_its_hash(farm):
    answer = farm.ask("PUT", f"/v1/files/{DIGEST}", data=DATA, role="producer")
    assert answer.status_code == 201
    assert answer.json() == {"sha256": DIGEST, "bytes": len(DATA)}
    assert (farm.store / "files" / DIGEST).read_bytes() == DATA
    head = farm.ask("HEAD", f"/v1/files/{DIGEST}", role="viewer")
    assert head.status_code == 200 and head.text == ""
    assert farm.stored() == [f"files/{DIGEST}"]


def test_an_empty_file(farm):
    digest = hashlib.sha256(b"").hexdigest()
    assert farm.ask("PUT", f"/v1/files/{digest}", data=b"").status_code == 201
    assert (farm.store / "files" / digest).read_bytes() == b""


def test_a_known_file_is_answered_without_its_body(farm):
    farm.put(DATA)
    head = (f"PUT /v1/files/{DIGEST} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {farm.keys['producer']}\r\n"
            f"Content-Length: {len(DATA)}\r\nExpect: 100-continue\r\n\r\n").encode()
    answer = farm.raw(head, shutdown=True)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"100 Continue" not in answer
    # And to a client that sends it all the same.
    again = farm.ask("PUT", f"/v1/files/{DIGEST}", data=DATA)
    assert again.status_code == 200 and again.json()["bytes"] == len(DATA)


def test_a_wrong_hash_leaves_nothing(farm):
    wrong = "0" * 64
    error = assert_error(farm.ask("PUT", f"/v1/files/{wrong}", data=DATA), 422, "store.hash_mismatch")
    assert DIGEST in error["message"]
    assert farm.stored() == []
    assert farm.ask("HEAD", f"/v1/files/{wrong}").status_code == 404


@pytest.mark.parametrize("name", ["abc", "A" * 64, "0" * 63, "0" * 65, "%2e%2e" + "0" * 60])
def test_names_that_are_no_hash(farm, name):
    assert_error(farm.ask("PUT", f"/v1/files/{name}", data=b"x"), 400, "api.bad_request")
    assert farm.stored() == []


def test_an_aborted_upload_leaves_nothing(farm):
    head = (f"PUT /v1/files/{DIGEST} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {farm.keys['producer']}\r\n"
            f"Content-Length: {len(DATA)}\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", farm.port)) as connection:
        connection.sendall(head + DATA[: len(DATA) // 2])
    wait_for(lambda: 'route="/v1/files/{}",status="0"} 1' in farm.get("/metrics", role=None).text, "the end of the upload")
    assert farm.stored() == []


def test_so_many_uploads_at_a_time(farm):
    """Each may hold 80 MiB of the server's memory."""
    data, digest = b"x" * 1000, hashlib.sha256(b"x" * 1000).hexdigest()
    busy = []
    for number in range(8):
        connection = socket.create_connection(("127.0.0.1", farm.port), 20)
        connection.sendall(f"PUT /v1/files/{number:064x} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {farm.keys['producer']}\r\n"
                           "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")  # it is under way
        busy.append(connection)
    refused = farm.ask("PUT", f"/v1/files/{digest}", data=data)
    assert_error(refused, 503, "api.busy")
    assert refused.headers["Retry-After"]
    assert "mela_uploads 8" in farm.get("/metrics", role=None).text
    for connection in busy:
        connection.close()
    wait_for(lambda: farm.ask("PUT", f"/v1/files/{digest}", data=data).status_code == 201, "room for an upload")
    wait_for(lambda: "mela_uploads 0" in farm.get("/metrics", role=None).text, "no uploads")
    assert farm.stored() == [f"files/{digest}"]


def test_too_large_is_refused_by_its_announced_length(cold_farm):
    farm = cold_farm
    farm.start(upload_limit=1000000)
    head = (f"PUT /v1/files/{DIGEST} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {farm.keys['producer']}\r\n"
            "Content-Length: 2000000000\r\n\r\n").encode()
    answer = farm.raw(head, shutdown=True)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"Connection: close" in answer
    # A client that sends before it listens still gets the answer.
    assert_error(farm.ask("PUT", f"/v1/files/{DIGEST}", data=DATA), 413, "api.too_large")
    assert farm.stored() == []


def test_a_full_disk_is_said_and_leaves_nothing(cold_farm):
    """The store lies on a file system of 1 MiB that only the server sees."""
    farm = cold_farm
    farm.store.mkdir()
    mount = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'
    own_mounts = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, farm.store]
    if subprocess.run([*own_mounts, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system")
    farm.start(before=own_mounts)
    assert_error(farm.ask("PUT", f"/v1/files/{DIGEST}", data=DATA), 507, "disk.full")
    inside = pathlib.Path(f"/proc/{farm.server.pid}/root{farm.store}")
    assert [path for path in inside.rglob("*") if path.is_file()] == []
    farm.put(b"a small one")


def test_a_store_that_is_away_is_503(cold_farm):
    farm = cold_farm
    farm.store_url = "s3://farm"
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        farm.start(environment={"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
        for method, path in (("GET", "/readyz"), ("PUT", f"/v1/files/{DIGEST}")):
            answer = farm.ask(method, path, data=b"x" if method == "PUT" else None)
            assert_error(answer, 503, "store.unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        spec = {"name": "a", "video": f"sha256:{DIGEST}", "dubs": [{"language": "hi", "audio": f"sha256:{DIGEST}"}]}
        assert_error(farm.submit(spec), 503, "store.unavailable")
    assert farm.get("/v1/campaigns").json()["items"] == []


VIDEO = bytes(i * 7 % 251 for i in range(700000))


@pytest.fixture
def video(farm):
    """URL of a finished dub whose bytes are VIDEO."""
    campaign = farm.submitted()
    farm.run_campaign(campaign, VIDEO)
    return f"/v1/campaigns/{campaign}/files/hi/final.mp4"


def test_the_whole_video(farm, video):
    answer = farm.get(video, role="viewer")
    assert answer.status_code == 200
    assert answer.content == VIDEO
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(len(VIDEO))
    head = farm.ask("HEAD", video)
    assert head.headers["Content-Length"] == str(len(VIDEO)) and head.content == b""


@pytest.mark.parametrize("header,first,last", [
    ("bytes=0-", 0, 699999), ("bytes=0-0", 0, 0), ("bytes=300000-300009", 300000, 300009), ("bytes=-5", 699995, 699999),
    ("bytes=699999-800000", 699999, 699999), ("bytes=100-600000", 100, 600000)])
def test_ranges(farm, video, header, first, last):
    answer = farm.get(video, headers={"Range": header})
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(VIDEO)}"
    assert answer.content == VIDEO[first : last + 1]


def test_a_range_outside_the_file(farm, video):
    answer = farm.get(video, headers={"Range": "bytes=700000-"})
    assert_error(answer, 416, "api.range")
    assert answer.headers["Content-Range"] == f"bytes */{len(VIDEO)}"


def test_several_ranges_get_the_whole(farm, video):
    assert farm.get(video, headers={"Range": "bytes=0-1,5-6"}).content == VIDEO


def test_etags(farm, video):
    etag = farm.get(video).headers["ETag"]
    assert farm.get(video, headers={"If-None-Match": etag}).status_code == 304
    assert farm.get(video, headers={"If-None-Match": '"other"'}).status_code == 200
    assert farm.get(video, headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    assert farm.get(video, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).content == VIDEO


def test_a_video_that_redis_forgot_is_found_by_its_receipt(farm):
    key = "campaigns/old-1/hi/final.2.mp4"
    for path, data in ((key, VIDEO), ("campaigns/old-1/receipts/hi/join.json", json.dumps({"artifact": key}).encode())):
        (farm.store / path).parent.mkdir(parents=True, exist_ok=True)
        (farm.store / path).write_bytes(data)
    assert farm.get("/v1/campaigns/old-1/files/hi/final.mp4").content == VIDEO
    assert_error(farm.get("/v1/campaigns/old-1/files/ta/final.mp4"), 404, "queue.not_found")


def test_files_that_are_not_there(farm):
    campaign = farm.submitted()
    base = f"/v1/campaigns/{campaign}/files"
    assert_error(farm.get(f"{base}/plan.json"), 404, "store.not_found")
    assert_error(farm.get(f"{base}/hi/final.mp4"), 404, "queue.not_found")  # its join job does not exist yet
    for path in ("hi", "hi/other.mp4", "receipts/x.json", "h%20i/final.mp4", "hi/x/final.mp4"):
        assert_error(farm.get(f"{base}/{path}"), 404, "api.not_found")
    plan = farm.worker.claim()
    farm.worker.finish(plan, artifact="", report={}, children=[{"id": f"{campaign}/hi/join", "waits_for": 0}])
    error = assert_error(farm.get(f"{base}/hi/final.mp4"), 404, "api.not_found")
    assert "ready" in error["message"]


def test_the_metrics_count_requests(farm):
    farm.get("/v1/dead")
    farm.get("/v1/nothing")
    text = farm.get("/metrics", role=None).text
    assert 'mela_http_requests_total{method="GET",route="/v1/dead",status="200"} 1' in text
    assert 'mela_http_requests_total{method="",route="none",status="404"} 1' in text
    assert 'mela_http_request_duration_seconds_count{method="GET",route="/v1/dead"} 1' in text
    assert "\nmela_queue_up 1\n" in text
    assert 'mela_workers_desired{pool="cpu"} 0' in text


def test_the_metrics_tell_what_the_farm_did(farm, video):
    text = farm.get("/metrics", role=None).text
    assert 'mela_jobs_done_total{kind="join"} 1' in text
    assert "\nmela_frames_total 240\n" in text
    assert 'mela_step_seconds_total{step="encode"} 0.011' in text
    for line in text.splitlines():
        assert line.startswith(("# HELP mela_", "# TYPE mela_", "mela_")), line
