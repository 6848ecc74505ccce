"""KEDA's external scaler, asked by a real gRPC client."""
import random
import signal
import socket
import threading

import grpc
import pytest

from ..support.waiting import wait_for
from .scaler import metric, metrics_request, parse, scaled_object

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY, ACK = 4, 6, 7, 1  # of HTTP/2


def rule(jobs, cap=20):
    wanted = 0 if jobs == 0 else 2 if jobs <= 5 else -(-jobs // 3) if jobs <= 20 else -(-jobs // 2)
    return min(wanted, cap)


def failure(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def ready(scaler):
    """Waits until the scaler knows its queue."""
    client = scaler.client()
    wait_for(lambda: _known(client), "the first look at the queue")
    return client


def _known(client):
    try:
        client.desired(pool="cpu")
        return True
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        return False


def test_an_empty_farm_wants_nothing(scaler):
    client = ready(scaler)
    assert client.desired(pool="cpu") == 0 and client.desired(pool="lipsync", **{"class": "urgent"}) == 0
    assert not client.active(pool="cpu")


def test_the_target_is_one(scaler):
    client = ready(scaler)
    assert metric(client.call("GetMetricSpec", scaled_object(pool="cpu"))) == ("mela-cpu", 1, 1.0)
    urgent = scaled_object(pool="lipsync", namespace="mela", **{"class": "urgent"})
    assert metric(client.call("GetMetricSpec", urgent)) == ("mela-lipsync-urgent", 1, 1.0)


def test_jobs_ask_for_workers_by_the_rule(scaler):
    """Up to where the cap is reached, and one cap holds for both classes."""
    client = ready(scaler)
    for jobs in range(1, 61):
        scaler.submit(1, "urgent" if jobs % 3 == 0 else "batch")
        urgent = rule(jobs // 3)
        answers = {None: rule(jobs), "urgent": urgent, "batch": rule(jobs - jobs // 3, 20 - urgent)}
        for cls, workers in answers.items():
            metadata = {"class": cls} if cls else {}
            wait_for(lambda: client.desired(pool="cpu", **metadata) == workers, f"{workers} {cls} workers for {jobs} jobs")
    assert client.active(pool="cpu") and not client.active(pool="lipsync")


def test_pictures_ask_for_a_worker_for_every_four_jobs(scaler):
    """What the queue counts is set by hand: the scaler reads no more of it."""
    client = ready(scaler)
    for jobs in (1, 4, 5, 8, 9, 13, 16, 17, 60):
        scaler.redis.cli("hset", "{mela}:counts", "image:batch:ready", jobs)
        wait_for(lambda: client.desired(pool="image") == min(-(-jobs // 4), 4), f"the workers for {jobs} jobs")
    assert client.active(pool="image") and not client.active(pool="lipsync") and client.desired(pool="cpu") == 0


def test_one_cap_holds_for_both_classes(scaler):
    client = ready(scaler)
    scaler.submit(24, "urgent")
    scaler.submit(30, "batch")
    wait_for(lambda: client.desired(pool="cpu", **{"class": "batch"}) == 8, "what urgent leaves to batch")
    assert client.desired(pool="cpu", **{"class": "urgent"}) == 12
    assert client.desired(pool="cpu") == 20


def test_a_stream_hears_of_the_first_job(scaler):
    client = ready(scaler)
    stream = client.stream(pool="cpu")
    assert not parse(next(stream))[1]
    scaler.submit()
    assert parse(next(stream))[1] == 1
    stream.cancel()
    assert client.active(pool="cpu")


def test_a_thousand_streams(scaler):
    clients = [ready(scaler)] + [scaler.client() for _ in range(3)]
    streams = [client.stream(pool="cpu") for client in clients for _ in range(250)]
    assert not any(parse(next(stream))[1] for stream in streams)
    scaler.submit()
    assert all(parse(next(stream))[1] for stream in streams)
    for stream in streams:
        stream.cancel()
    assert clients[0].desired(pool="cpu") == 2


def test_a_thousand_streams_of_one_connection(scaler):
    client = ready(scaler)
    streams = [client.stream(pool="cpu") for _ in range(1000)]
    scaler.submit()
    for stream in streams:
        while not parse(next(stream))[1]:
            pass
        stream.cancel()
    assert client.active(pool="cpu")


def test_wrong_questions_are_explained(scaler):
    client = ready(scaler)
    code, text = failure(lambda: client.active())
    assert code == grpc.StatusCode.INVALID_ARGUMENT and '"pool"' in text
    code, text = failure(lambda: client.active(pool="gpu%é"))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "gpu%é" in text
    assert failure(lambda: client.active(pool="cpu", **{"class": "soon"}))[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert failure(lambda: client.active(pool="cpu", namespace="other"))[0] == grpc.StatusCode.NOT_FOUND
    assert failure(lambda: next(client.stream(pool="gpu")))[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert failure(lambda: client.call("StreamMetricSpec", b""))[0] == grpc.StatusCode.UNIMPLEMENTED
    assert failure(lambda: client.call("Check", b"", service="/grpc.health.v1.Health/"))[0] == grpc.StatusCode.UNIMPLEMENTED
    compressed = lambda: client.call("IsActive", scaled_object(pool="cpu" * 80), compression=grpc.Compression.Gzip)
    assert failure(compressed)[0] in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT)
    assert failure(lambda: client.call("IsActive", b"x" * 20000))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure(lambda: client.call("IsActive", scaled_object(pool="cpu"), metadata=[("x", "y" * 40000)]))
    assert client.desired(pool="cpu") == 0


def test_messages_that_are_none(scaler):
    client = ready(scaler)
    for message in (b"\x0a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\xff" * 12, b"\x00\x00", b"\x1b", b"\x1a\x02\x0a\x7f"):
        assert failure(lambda: client.call("IsActive", message))[0] == grpc.StatusCode.INVALID_ARGUMENT, message
    rng = random.Random(4)
    whole = metrics_request("m", pool="cpu")
    for _ in range(300):
        message = bytearray(whole)
        message[rng.randrange(len(message))] = rng.randrange(256)
        try:
            client.call("GetMetrics", bytes(message))
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert client.desired(pool="cpu") == 0


def test_bytes_that_are_no_http(scaler):
    client = ready(scaler)
    rng = random.Random(7)
    for start in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", PREFACE, PREFACE + frame(SETTINGS, 0, 0, b"")):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", scaler.port), timeout=30) as peer:
                try:
                    peer.sendall(start + rng.randbytes(4000))
                    while peer.recv(65536):
                        pass
                except OSError:
                    pass
    assert client.desired(pool="cpu") == 0


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def test_floods_do_not_stop_others(scaler):
    """Pings, settings and resets without end, from peers that never read."""
    client = ready(scaler)
    preface = PREFACE + frame(SETTINGS, 0, 0, b"")
    headers = b"\x83\x86\x44\x01/\x41\x01x"  # POST http / x
    floods = [frame(PING, 0, 0, b"12345678") * 1000, frame(SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x64") * 1000,
              b"".join(frame(1, 4, n, headers) + frame(3, 0, n, b"\x00\x00\x00\x08") for n in range(1, 2001, 2))]

    def flood(data):
        with socket.create_connection(("127.0.0.1", scaler.port), timeout=2) as peer:
            try:
                peer.sendall(preface)
                for _ in range(50):
                    peer.sendall(data)
            except OSError:
                pass

    threads = [threading.Thread(target=flood, args=(data,)) for data in floods * 3]
    for thread in threads:
        thread.start()
    for _ in range(100):
        assert client.desired(pool="cpu") == 0
    for thread in threads:
        thread.join()
    assert client.desired(pool="cpu") == 0 and scaler.process.poll() is None


def test_too_many_connections_are_closed_and_others_go_on(scaler):
    client = ready(scaler)
    peers = [socket.create_connection(("127.0.0.1", scaler.port), timeout=30) for _ in range(300)]
    peers[-1].sendall(b"PRI")
    closed = [peer for peer in peers if _is_closed(peer)]
    assert 40 <= len(closed) <= 60
    assert client.desired(pool="cpu") == 0
    for peer in peers:
        peer.close()
    wait_for(lambda: _known(scaler.client()), "room for others again")


def _is_closed(peer):
    peer.settimeout(0.02)
    try:
        while data := peer.recv(4096):
            assert data
        return True
    except TimeoutError:
        return False
    except OSError:
        return True


def test_redis_that_is_gone_leaves_the_last_answer(make_scaler):
    scaler = make_scaler.start()
    client = ready(scaler)
    scaler.submit(7)
    wait_for(lambda: client.desired(pool="cpu") == 3, "the rule's answer")
    before = scaler.api("GET", "/v1/pools/cpu/desired").json()
    assert before["desired"] == 3 and not before["stale"]
    scaler.redis.kill()
    stream = client.stream(pool="cpu")
    assert parse(next(stream))[1] == 1
    scaler.logged("scaler: .*[Rr]edis")
    assert client.desired(pool="cpu") == 3 and client.active(pool="cpu")
    after = scaler.api("GET", "/v1/pools/cpu/desired").json()
    assert after["desired"] == 3 and after["stale"]
    scaler.redis.start()  # empty
    scaler.logged("Redis answers again")
    wait_for(lambda: client.desired(pool="cpu") == 0, "the new Redis")
    assert not parse(next(stream))[1]


def test_before_redis_ever_answered_nothing_is_claimed(make_scaler):
    make_scaler.redis.kill()
    scaler = make_scaler.start()
    client = scaler.client()
    assert failure(lambda: client.desired(pool="cpu"))[0] == grpc.StatusCode.UNAVAILABLE
    assert failure(lambda: client.active(pool="cpu"))[0] == grpc.StatusCode.UNAVAILABLE
    assert metric(client.call("GetMetricSpec", scaled_object(pool="cpu")))[1] == 1
    stream = client.stream(pool="cpu")
    assert scaler.api("GET", "/v1/pools/cpu/desired").status_code == 503
    scaler.redis.start()
    assert not parse(next(stream))[1]


def frames(wire):
    """(type, flags, payload) of each frame until the connection ends."""
    while len(head := wire.read(9)) == 9:
        yield head[3], head[4], wire.read(int.from_bytes(head[:3], "big"))


def test_a_ping_is_answered_and_a_stop_says_goaway(scaler):
    ready(scaler)
    with socket.create_connection(("127.0.0.1", scaler.port), timeout=60) as link, link.makefile("rb") as wire:
        link.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(PING, 0, 0, b"12345678"))
        heard = frames(wire)
        assert next(got for got in heard if got[0] == PING) == (PING, ACK, b"12345678")
        scaler.process.send_signal(signal.SIGTERM)
        last = [got for got in heard if got[0] == GOAWAY]  # and the connection ends
        assert last and last[-1][2][4:8] == bytes(4), last  # NO_ERROR
    assert scaler.process.wait(60) == 0


def test_stopping_ends_streams_in_order(scaler):
    client = ready(scaler)
    stream = client.stream(pool="cpu")
    next(stream)
    scaler.process.send_signal(signal.SIGTERM)
    code, text = failure(lambda: next(stream))
    assert code == grpc.StatusCode.UNAVAILABLE and "stopping" in text
    assert scaler.process.wait(60) == 0


def test_the_api_says_the_same(scaler):
    client = ready(scaler)
    scaler.submit(9)
    scaler.submit(2, "urgent")
    wait_for(lambda: client.desired(pool="cpu") == 4, "eleven jobs")
    for path, metadata in (("", {}), ("?class=urgent", {"class": "urgent"}), ("?class=batch", {"class": "batch"})):
        answer = scaler.api("GET", f"/v1/pools/cpu/desired{path}").json()
        assert answer["desired"] == client.desired(pool="cpu", **metadata), path
    assert scaler.api("GET", "/v1/pools/gpu/desired").status_code == 404
    assert scaler.api("GET", "/v1/pools/cpu/desired?class=soon").status_code == 400
