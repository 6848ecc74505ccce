"""The store room against a real S3 server."""
import hashlib
import http.client
import re
import shutil
import urllib.parse

import pytest

from ..support import s3_servers
from ..support.network import free_port
from .conftest import Tool

SLOW_DOWN = (503, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
DENIED = (403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")


@pytest.fixture
def url(request):
    """A prefix of the test's own."""
    return f"s3://bucket/{request.node.name.replace('[', '-').replace(']', '')}"


@pytest.fixture
def make_file(tmp_path):
    def make(size, name="local"):
        path = tmp_path / name
        path.write_bytes(hashlib.shake_128(name.encode()).digest(size))
        return path
    return make


def keys_of(result):
    return [line.rsplit(" ", 3)[0] for line in result.out.decode().splitlines()]


@pytest.mark.parametrize("key", ["plain", "a/b/c", "with space", "हिन्दी/तमिल", "a+b=c,d(e)!*'$@:;", "100%", "a%2Fb",
                                 "q?x=1&y=2", "<&>\"", "~tilde_-.", "x" * 900])
def test_any_key(tool, server, url, make_file, key):
    if server.name == "s3rver" and len(key) > 250:
        pytest.skip("s3rver cannot show: keys longer than a file's name")
    path = make_file(1000)
    tool.ok(url, "put", key, path)
    assert tool.ok(url, "get", key).out == path.read_bytes()
    assert keys_of(tool.ok(url, "list")) == [key]
    assert tool.ok(url, "head", key).out.decode().rsplit(" ", 3)[1] == "1000"
    tool.ok(url, "delete", key)
    tool.fails("store.not_found", url, "get", key)


def test_empty_object(tool, url, make_file, tmp_path, shows):
    tool.ok(url, "put", "k", make_file(0))
    assert tool.ok(url, "get", "k").out == b""
    tool.ok(url, "get-file", "k", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b""
    shows("a range of an empty object")
    assert tool.ok(url, "range", "k", 0, 10).out == b""


def test_ranges(tool, url, make_file):
    path = make_file(1000)
    tool.ok(url, "put", "k", path)
    for offset, length in [(0, 2), (0, 1000), (10, 20), (990, 100), (999, 1), (1000, 5), (5000, 5)]:
        assert tool.ok(url, "range", "k", offset, length).out == path.read_bytes()[offset:offset + length]


def test_limit(tool, url, make_file):
    path = make_file(1000)
    tool.ok(url, "put", "k", path)
    assert tool.ok(url, "get", "k", 1000).out == path.read_bytes()
    assert tool.fails("store.too_large", url, "get", "k", 999).totals["retries"] == 0


def test_head_gives_size_time_and_etag(tool, url, make_file):
    path = make_file(1000)
    tool.ok(url, "put", "k", path)
    _, size, modified, etag = tool.ok(url, "head", "k").out.decode().split()
    assert (size, etag) == ("1000", hashlib.md5(path.read_bytes()).hexdigest())
    assert int(modified) > 1_600_000_000_000
    listed = tool.ok(url, "list").out.decode().split()
    assert listed[1] == size and listed[3] == etag and abs(int(listed[2]) - int(modified)) < 1000


def test_missing(tool, url, make_file, tmp_path):
    assert url + "/none" in tool.fails("store.not_found", url, "get", "none").error
    assert url + "/none" in tool.fails("store.not_found", url, "head", "none").error
    tool.fails("store.not_found", url, "get-file", "none", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []
    tool.ok(url, "delete", "none")
    assert tool.ok(url, "list").out == b""


def test_missing_bucket_is_named(tool, make_file):
    for command in (["get", "k"], ["put", "k", make_file(10)], ["list"], ["write", "k", make_file(17 << 20, "big")]):
        assert "bucket nowhere" in tool.fails("store.not_found", "s3://nowhere", *command).error
    assert "s3://nowhere/k" in tool.fails("store.not_found", "s3://nowhere", "head", "k").error


def test_list_order_is_that_of_the_folder_store(tool, url, make_file, tmp_path, shows):
    shows("the order of keys")
    path = make_file(1)
    for key in ["a0", "b/c/d", "a/b", "a.b", "a-b", "Z", "b/c!", "é"]:
        tool.ok(url, "put", key, path)
        tool.ok(f"file://{tmp_path}/store", "put", key, path)
    for prefix in ["", "a", "a/", "b/c", "b/c/", "x"]:
        assert keys_of(tool.ok(url, "list", prefix)) == keys_of(tool.ok(f"file://{tmp_path}/store", "list", prefix))


def test_list_pages(tool, server, proxy, harmed, url, shows):
    shows("unsigned preparation")
    prefix = url.removeprefix("s3://")
    wanted = [f"{i:04}" for i in range(1005)]
    connection = http.client.HTTPConnection(server.address)
    for name in wanted:
        connection.request("PUT", f"/{prefix}/{name}", b"x")
        assert connection.getresponse().read() is not None
    connection.close()
    assert keys_of(harmed.ok(url, "list")) == wanted
    assert len(proxy.seen) == 2


def test_multipart(server, proxy, harmed, tool, url, make_file, tmp_path):
    path = make_file(41_000_000)
    for command in ("put", "write"):
        proxy.seen.clear()
        result = harmed.ok(url, command, command, path)
        assert result.totals["written"] == 41_000_000
        numbers = [re.search(r"partNumber=(\d+)", seen[1]) for seen in proxy.seen]
        assert sorted(int(number[1]) for number in numbers if number) == list(range(1, 9))  # of 5 MiB
        tool.ok(url, "get-file", command, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    assert tool.ok(url, "head", "put").out.decode().split()[1] == "41000000"


def test_single_put_up_to_16_mib(proxy, harmed, url, make_file):
    harmed.ok(url, "put", "k", make_file(16 << 20))
    assert [seen[0] for seen in proxy.seen] == ["PUT"]


def test_aborted_writer_leaves_nothing(proxy, harmed, tool, url, make_file):
    for size in (1000, 20 << 20):
        harmed.ok(url, "write", "k", make_file(size), "abort")
        tool.fails("store.not_found", url, "head", "k")
    assert [seen[0] for seen in proxy.seen][-1] == "DELETE"


def test_failed_part_aborts_the_upload(proxy, harmed, tool, url, make_file):
    proxy.harm(DENIED, 1, lambda method, path: "partNumber=2" in path)
    harmed.fails("store.denied", url, "put", "k", make_file(40_000_000))
    assert proxy.seen[-1][0] == "DELETE" and "uploadId=" in proxy.seen[-1][1]
    tool.fails("store.not_found", url, "head", "k")


def test_failed_completion_in_a_200(proxy, harmed, tool, url, make_file):
    body = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>again</Message></Error>"
    proxy.harm((200, body), 1, lambda method, path: method == "POST" and "uploadId=" in path)
    assert harmed.ok(url, "put", "k", make_file(17 << 20)).totals["retries"] == 1
    tool.ok(url, "head", "k")


def test_conditional_create(tool, url, make_file, shows):
    shows("conditional create")
    first, second, large = make_file(10, "first"), make_file(10, "second"), make_file(17 << 20, "large")
    tool.ok(url, "put", "k", first, "absent")
    assert url + "/k" in tool.fails("store.exists", url, "put", "k", second, "absent").error
    assert tool.ok(url, "get", "k").out == first.read_bytes()
    tool.fails("store.exists", url, "put", "k", large, "absent")
    assert tool.ok(url, "get", "k").out == first.read_bytes()
    tool.ok(url, "put", "k2", large, "absent")
    tool.ok(url, "put", "k", second)
    assert tool.ok(url, "get", "k").out == second.read_bytes()


def test_one_creator_wins(tool, harmed, proxy, url, make_file, shows):
    shows("conditional create")
    proxy.pass_one_by_one()
    files = [make_file(1000, f"racer{i}") for i in range(6)]
    running = [harmed.start(url, "put", "k", path, "absent") for path in files]
    codes = [process.communicate() and process.returncode for process in running]
    assert sorted(codes) == [0, 1, 1, 1, 1, 1]
    assert tool.ok(url, "get", "k").out == files[codes.index(0)].read_bytes()


@pytest.mark.parametrize("size", [1000, 17 << 20])
def test_own_write_is_known_when_its_answer_is_lost(proxy, harmed, tool, url, make_file, shows, size):
    shows("conditional create" if size <= 16 << 20 else "conditional multipart")
    path = make_file(size)
    final = (lambda method, path: method == "POST" and "uploadId" in path) if size > 16 << 20 else \
        (lambda method, path: method == "PUT")
    proxy.harm("lose", 1, final)
    harmed.ok(url, "put", "k", path, "absent")
    assert len([seen for seen in proxy.seen if final(*seen[:2])]) == 2
    tool.ok(url, "get", "k")
    proxy.harm("drop", 1, final)
    harmed.fails("store.exists", url, "put", "k", path, "absent")


def test_conflict_is_tried_again(proxy, harmed, url, make_file):
    proxy.harm((409, "<Error><Code>ConditionalRequestConflict</Code></Error>"), 2)
    assert harmed.ok(url, "put", "k", make_file(10)).totals["retries"] == 2


@pytest.mark.parametrize("harm", [SLOW_DOWN, (500, ""), (502, "<html>"), (429, ""), "drop", "stall",
                                  (400, "<Error><Code>RequestTimeout</Code></Error>")], ids=lambda harm: str(harm)[:12])
def test_passing_trouble(proxy, harmed, url, make_file, harm):
    path = make_file(1000)
    proxy.harm(harm, 1 if harm == "stall" else 2)
    harmed.ok(url, "put", "k", path)
    proxy.harm(harm, 1)
    result = harmed.ok(url, "get", "k")
    assert result.out == path.read_bytes() and result.totals["retries"] == 1


def test_lasting_trouble(proxy, harmed, url, make_file):
    proxy.harm(SLOW_DOWN, 1000)
    result = harmed.fails("store.unavailable", url, "put", "k", make_file(10))
    assert result.totals == {"requests": 6, "retries": 5, "read": 0, "written": 0}
    assert "SlowDown" in result.error and "Please reduce" in result.error


def test_nobody_answers(url):
    nobody = Tool(f"127.0.0.1:{free_port()}", ("test", "secret"))
    result = nobody.fails("store.unavailable", url, "get", "k")
    assert result.totals["retries"] == 5 and url + "/k" in result.error


def test_broken_download_goes_on(proxy, harmed, tool, url, make_file, tmp_path):
    path = make_file(3_000_000)
    tool.ok(url, "put", "k", path)
    proxy.harm(("cut", 1_000_000), 2)
    result = harmed.ok(url, "get-file", "k", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    assert result.totals["read"] == 3_000_000 and result.totals["retries"] == 2
    assert [seen[2].get("range") for seen in proxy.seen] == [None, "bytes=1000000-", "bytes=2000000-"]
    proxy.harm(("cut", 100), 1)
    assert harmed.ok(url, "range", "k", 500, 1000).out == path.read_bytes()[500:1500]


def test_download_of_an_object_that_changes(proxy, harmed, tool, url, make_file, tmp_path):
    tool.ok(url, "put", "k", make_file(2_000_000, "old"))
    new = make_file(2_000_000, "new")
    proxy.rules.append(lambda method, path, headers: tool.ok(url, "put", "k", new) and None if len(proxy.seen) == 2 else None)
    proxy.harm(("cut", 1_000_000), 1)
    assert "changed" in harmed.fails("store.unavailable", url, "get-file", "k", tmp_path / "copy").error
    assert not (tmp_path / "copy").exists()


def test_expired_token_is_renewed_once(proxy, server, url, make_file, tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"[default]\naws_access_key_id={server.keys[0]}\naws_secret_access_key={server.keys[1]}\n")
    tool = Tool(proxy.address, home=tmp_path)
    expired = (400, "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>")
    proxy.harm(expired, 1)
    tool.ok(url, "put", "k", make_file(10))
    proxy.harm(expired, 100)
    assert "ExpiredToken" in tool.fails("store.denied", url, "get", "k").error


def test_inputs(tool, url, make_file, tmp_path):
    """What a spec names may lie in any bucket; what is uploaded lies in the farm's own store."""
    path = make_file(1000)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    tool.ok("s3://other", "put", "in/master.mp4", path)
    tool.ok(url, "put", f"files/{sha}", path)
    for farm in (url, f"file://{tmp_path}/farm"):
        for uri in ["s3://other/in/master.mp4"] + ([f"sha256:{sha}"] if farm == url else []):
            assert tool.ok(farm, "check", uri).out.decode().split()[1] == "1000"
            result = tool.ok(farm, "fetch", tmp_path / "cache", 10_000, uri)
            assert open(result.out.decode().strip(), "rb").read() == path.read_bytes()
    assert "s3://other/none" in tool.fails("store.not_found", url, "check", "s3://other/none").error
    assert "s3://nowhere/x" in tool.fails("store.not_found", url, "check", "s3://nowhere/x").error
    assert "limit" in tool.fails("disk.full", url, "fetch", tmp_path / "small", 999, "s3://other/in/master.mp4").error


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A moto_server that checks signatures and policies; its user may use bucket/allowed/ only."""
    if not shutil.which("moto_server"):
        pytest.skip("s3rver cannot show: access policies")
    running = s3_servers.start_moto(tmp_path_factory.mktemp("guarded"), 2 + 3)
    iam = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, "
                            "Signature=x", "Content-Type": "application/x-www-form-urlencoded"}

    def call(**form):
        return running.request("POST", "/", urllib.parse.urlencode(form).encode(), iam).decode()

    call(Action="CreateUser", UserName="dubber")
    answer = call(Action="CreateAccessKey", UserName="dubber")
    running.keys = tuple(re.search(f"<{tag}>(.*?)</{tag}>", answer)[1] for tag in ("AccessKeyId", "SecretAccessKey"))
    policy = ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*",'
              '"Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/allowed/*"]}]}')
    call(Action="PutUserPolicy", UserName="dubber", PolicyName="p", PolicyDocument=policy)
    yield running
    running.stop()


def test_signatures_are_good(guarded, make_file):
    tool = Tool(guarded.address, guarded.keys)
    small, large = make_file(1000), make_file(17 << 20, "large")
    for key in ["plain", "with space", "~tilde_-."]:  # for others moto's own check is not what AWS documents
        tool.ok("s3://bucket/allowed", "put", key, small)
        assert tool.ok("s3://bucket/allowed", "get", key).out == small.read_bytes()
    tool.ok("s3://bucket/allowed", "put", "large", large)
    assert "allowed/with space" in keys_of(tool.ok("s3://bucket", "list"))


def test_denied(guarded, make_file):
    path = make_file(10)
    right = Tool(guarded.address, guarded.keys)
    for tool, url in [(right, "s3://bucket/elsewhere"), (Tool(guarded.address, (guarded.keys[0], "wrong")), "s3://bucket"),
                      (Tool(guarded.address, ("AKIANOBODY", "wrong")), "s3://bucket")]:
        result = tool.fails("store.denied", url, "put", "k", path)
        assert result.totals["retries"] == 0 and "403" in result.error and "check" in result.error
        tool.fails("store.denied", url, "head", "k")
    assert "s3://bucket/secret/x" in right.fails("store.denied", "s3://bucket/allowed", "check", "s3://bucket/secret/x").error


def test_wrong_key_on_a_server_that_checks_them(server, url, make_file):
    if server.name == "moto_server":
        pytest.skip("moto_server is tested with access policies")
    Tool(server.address, ("NOBODY", "wrong")).fails("store.denied", url, "put", "k", make_file(10))
