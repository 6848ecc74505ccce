"""The API over a store in S3, as in production: what it asks of S3, and how often."""
import concurrent.futures
import time

import pytest

from ..support.s3_servers import Proxy, start_any


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = start_any(tmp_path_factory.mktemp("s3"))
    if not server:
        pytest.skip("there is no S3 server: script/setup --test")
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
