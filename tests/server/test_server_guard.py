"""Malformed and hostile requests, sent as raw bytes."""

import concurrent.futures
import errno
import hashlib
import json
import os
import pathlib
import re
import select
import socket

import pytest

from .conftest import assert_error


def error_of(answer):
    """Status and code of the only reply in `answer`."""
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    head, body = answer.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), json.loads(body)["error"]["code"]


SMUGGLED = b"GET /v1/campaigns HTTP/1.1\r\nHost: b\r\n\r\n"

BAD_REQUESTS = {
    "two lengths": b"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 44\r\n\r\nabcd" + SMUGGLED,
    "two equal lengths": b"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd" + SMUGGLED,
    "length and chunks": b"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks": b"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n" + SMUGGLED,
    "unknown coding": b"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "no host in 1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + SMUGGLED,
    "space in a name": b"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\n" + SMUGGLED,
    "dot dot": b"GET /v1/../healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "encoded dot dot": b"GET /v1/files/%2e%2E/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "encoded slash dot dot": b"GET /v1/files/..%2fx HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL": b"GET /v1/%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad percent": b"GET /v1/%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    "no UTF-8": b"GET /v1/%ff HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute target": b"GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "two keys": b"GET /v1/dead HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "long target": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "long header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 20000 + b"\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
}


def test_one_address_cannot_take_every_connection(farm):
    """Else 512 connections that say nothing keep the probes out, and the pod is restarted."""
    idle = []
    try:
        for _ in range(600):
            idle.append(socket.create_connection(("127.0.0.1", farm.port), 20))
        with socket.create_connection(("127.0.0.1", farm.port), 20, source_address=("127.0.0.2", 0)) as probe:
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert probe.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_request_gets_one_typed_error_and_the_connection_ends(farm, name):
    data = BAD_REQUESTS[name]
    answer = farm.raw(data)
    if b"<html>" in answer:  # libmicrohttpd 1.0 refuses some of these itself, in its own words
        assert re.findall(rb"^HTTP/1\.1 (\d+)", answer, re.M) == [b"400"], answer
    else:
        assert error_of(answer) == (400, "api.bad_request")
    assert b"Connection: close" in answer


# What libmicrohttpd itself refuses, or may refuse, before the guard sees it. (Its 0.9.75 writes the head of its reply to
# a bad length twice.)
GARBAGE = {
    "very long header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 200000 + b"\r\n\r\n",
    "very long target": b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "length with a letter": b"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nContent-Length: 4x\r\n\r\nabcd",
    "negative length": b"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\nabcd",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a word": b"GARBAGE\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "unknown version": b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
    "no colon": b"GET /healthz HTTP/1.1\r\nHost: a\r\nno colon here\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused(farm, name):
    try:
        answer = farm.raw(GARBAGE[name], shutdown=True)
    except OSError as error:  # it may hang up before all is sent
        assert error.errno in (errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE)
        answer = b""
    statuses = set(re.findall(rb"HTTP/1\.1 (\d+)", answer))
    assert len(statuses) <= 1 and all(int(status) >= 400 for status in statuses), answer
    assert farm.get("/healthz", role=None).status_code == 200


def test_a_connection_is_kept_after_a_plain_error(farm):
    request = b"GET /v1/dead HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = farm.raw(request + last)
    assert answer.count(b"HTTP/1.1 401 ") == 1
    assert answer.count(b"HTTP/1.1 200 ") == 1


def test_a_body_on_a_path_that_takes_none(farm):
    assert_error(farm.get("/v1/dead", data=b"x"), 413, "api.too_large")


def test_spec_beyond_the_limit_is_refused_before_it_is_sent(farm):
    head = ("POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 16777217\r\n\r\n"
            % farm.keys["admin"]).encode()
    assert error_of(farm.raw(head, shutdown=True)) == (413, "api.too_large")
    assert_error(farm.ask("POST", "/v1/campaigns", data=b" " * 20000000), 413, "api.too_large")


def test_a_client_that_stalls_is_dropped(cold_farm):
    farm = cold_farm
    farm.start(idle_s=1)
    head = f"POST /v1/campaigns HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {farm.keys['admin']}\r\nContent-Length: 10\r\n\r\n"
    assert farm.raw(b"GET /healthz HTTP/1.1\r\nHo") == b""
    assert b"HTTP/1.1 2" not in farm.raw(head.encode() + b"ab")
    assert farm.get("/healthz", role=None).status_code == 200


def test_many_values_are_counted_before_they_take_memory(farm):
    """Parsed, each of these would take 50 MB."""
    body = b"[" + b"[]," * 349_000 + b"1]"
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: farm.ask("POST", "/v1/campaigns", data=body), range(32)))
    refused = [answer for answer in answers if answer.status_code != 503]  # four at a time are read
    assert refused
    for answer in refused:
        error = assert_error(answer, 400, "api.bad_request")
        assert "about 698002 values; at most 200000" in error["message"]
    status = pathlib.Path(f"/proc/{farm.server.pid}/status").read_text(encoding="ascii")
    if "MELA_BUILD" not in os.environ:  # sanitizers need memory of their own
        assert int(status.split("VmHWM:")[1].split()[0]) < 100 << 10


def trickle(connection, data):
    """Sends a byte every tenth of a second; the number of those that went before the server closed."""
    for sent, byte in enumerate(data):
        try:
            connection.send(bytes([byte]))
            if select.select([connection], [], [], 0.1)[0] and not connection.recv(1000):
                return sent
        except ConnectionError:
            return sent
    return len(data)


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["the first", "a later one"])
def test_a_head_that_trickles_has_an_end(cold_farm, before):
    """Each byte begins the idle timer anew, so that it never runs out."""
    cold_farm.start(idle_s=1)
    with socket.create_connection(("127.0.0.1", cold_farm.port), 20) as connection:
        connection.sendall(before)
        if before:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert trickle(connection, b"GET /healthz HTTP/1.1\r\nX-A: " + b"a" * 200) < 200
    assert cold_farm.get("/healthz", role=None).status_code == 200


def test_a_body_may_take_longer_than_a_head(cold_farm):
    cold_farm.start(idle_s=1)
    data = b"slowly but surely, with a byte now and then"
    with socket.create_connection(("127.0.0.1", cold_farm.port), 20) as connection:
        connection.sendall(f"PUT /v1/files/{hashlib.sha256(data).hexdigest()} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                           f"{cold_farm.keys['producer']}\r\nContent-Length: {len(data)}\r\n\r\n".encode())
        assert trickle(connection, data[:-1]) == len(data) - 1
        connection.sendall(data[-1:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 201")
