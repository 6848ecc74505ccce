"""The API over a store in S3, as in production: what it asks of S3, and how often."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import socket
import threading
import time

import pytest
import requests

from ..support.s3_servers import Proxy, start_or_skip
from ..support.waiting import DEADLINE, wait_for


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = start_or_skip(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def proxy(s3):
    proxy = Proxy(s3.address)
    yield proxy
    proxy.stop()


@pytest.fixture
def farm(cold_farm, s3, proxy):
    """Each test has a folder of its own in the bucket."""
    cold_farm.store_url = f"s3://bucket/{cold_farm.folder.name}"
    cold_farm.start(environment={"AWS_ENDPOINT_URL": f"http://{proxy.address}", "AWS_ACCESS_KEY_ID": s3.keys[0],
                                 "AWS_SECRET_ACCESS_KEY": s3.keys[1]})
    return cold_farm


def test_many_probes_at_once_ask_the_store_once(farm, proxy):
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: farm.get("/readyz", role=None).status_code, range(60)))
    assert statuses == [200] * 60
    asked = [path for method, path, _ in proxy.seen if method == "HEAD" and path.endswith("/readyz")]
    assert 1 <= len(asked) <= 1 + int(time.monotonic() - start)


def put_slowly(farm, number, size):
    """Uploads so many bytes that no other number has; the status."""
    data = number.to_bytes(1, "big") * size
    return requests.put(f"{farm.url}/v1/files/{hashlib.sha256(data).hexdigest()}", data, timeout=DEADLINE,
                        headers={"Authorization": f"Bearer {farm.keys['producer']}"}).status_code


def test_the_memory_of_eight_large_uploads_is_bounded(farm, proxy):
    """While S3 takes nothing, each upload holds all it ever does: the parts that are under way, and one that is filled."""
    released, parts = threading.Event(), []

    def hold(_, path, headers):
        if "partNumber=" in path:
            parts.append(path)
            released.wait(DEADLINE)

    proxy.rules.append(hold)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        uploads = [pool.submit(put_slowly, farm, number, 40 << 20) for number in range(8)]
        wait_for(lambda: len(parts) >= 8 * 3, "parts that nobody takes")
        released.set()
        assert [upload.result() for upload in uploads] == [201] * 8
    status = pathlib.Path(f"/proc/{farm.server.pid}/status").read_text(encoding="ascii")
    peak_kb = int(status.split("VmHWM:")[1].split()[0])
    if "MELA_BUILD" not in os.environ:  # sanitizers need memory of their own
        assert peak_kb < 200 << 10


def test_a_very_large_upload_fits_into_ten_thousand_parts(farm, proxy):
    size = 60 << 30
    with socket.create_connection(("127.0.0.1", farm.port), 20) as connection:
        connection.sendall(f"PUT /v1/files/{'0' * 64} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {farm.keys['producer']}\r\n"
                           f"Content-Length: {size}\r\n\r\n".encode())
        connection.sendall(bytes(7 << 20))
        first = wait_for(lambda: next((headers for _, path, headers in proxy.seen if "partNumber=1&" in path), None), "a part")
    assert int(first["Content-Length"]) == -(-size // 10000)


VIDEO = "/v1/campaigns/old-1/files/hi/final.mp4"


@pytest.fixture
def stored_video(farm, s3):
    """A dub of 20 MB that Redis has forgotten; its bytes."""
    data = os.urandom(20_000_000)
    key = "campaigns/old-1/hi/final.2.mp4"
    for name, content in ((key, data), ("campaigns/old-1/receipts/hi/join.json", json.dumps({"artifact": key}).encode())):
        s3.request("PUT", f"/bucket/{farm.folder.name}/{name}", content,
                   {"Authorization": f"AWS4-HMAC-SHA256 Credential={s3.keys[0]}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, "
                                     "Signature=unchecked", "Content-Type": "video/mp4"})
    return data


def gets(proxy):
    """The ranges of the video that the store was asked for."""
    return [headers["range"] for method, path, headers in proxy.seen if method == "GET" and path.endswith("final.2.mp4")]


def test_a_download_is_one_request_to_the_store(farm, proxy, stored_video):
    assert farm.get(VIDEO).content == stored_video
    assert gets(proxy) == ["bytes=0-19999999"]
    part = farm.get(VIDEO, headers={"Range": "bytes=1000-15000999"})
    assert part.content == stored_video[1000:15001000] and len(gets(proxy)) == 2
    assert farm.ask("HEAD", VIDEO).headers["Content-Length"] == "20000000" and len(gets(proxy)) == 2


def test_a_download_goes_on_where_the_store_broke_off(farm, proxy, stored_video):
    proxy.harm(("cut", 5_000_000), 2, lambda method, path: method == "GET" and path.endswith(".mp4"))
    assert farm.get(VIDEO).content == stored_video
    assert gets(proxy) == ["bytes=0-19999999", "bytes=5000000-19999999", "bytes=10000000-19999999"]


def test_a_client_that_leaves_ends_its_download(farm, stored_video):
    ended = 'mela_http_requests_total{method="GET",route="/v1/campaigns/{}/files/{*}",status="0"} 1'
    with farm.get(VIDEO, stream=True) as answer:
        answer.raw.read(100_000)
    wait_for(lambda: ended in farm.get("/metrics", role=None).text, "the end of the download")
    read = int(farm.get("/metrics", role=None).text.split("\nmela_store_read_bytes_total ")[1].split()[0])
    assert read < len(stored_video)
    threads = [path.read_text() for path in pathlib.Path(f"/proc/{farm.server.pid}/task").glob("*/comm")]
    assert "download\n" not in threads
