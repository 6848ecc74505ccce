"""Server-sent events."""

import concurrent.futures
import json
import os
import pathlib

import pytest

from .conftest import assert_error


class Stream:
    """An open event stream, read event by event."""

    def __init__(self, farm, campaign, **more):
        self.answer = farm.get(f"/v1/campaigns/{campaign}/events", stream=True, **more)
        self.status = self.answer.status_code
        self.lines = self.answer.iter_lines(chunk_size=1, decode_unicode=True)

    def __iter__(self):
        event = {}
        for line in self.lines:
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif "data" in event:
                yield {**event, "data": json.loads(event["data"])}
                event = {}
            else:
                event = {}


def test_events_come_while_the_campaign_runs_and_end_with_it(farm):
    campaign = farm.submitted()
    stream = Stream(farm, campaign)
    assert stream.answer.headers["Content-Type"] == "text/event-stream"
    events = iter(stream)
    first = next(events)  # sent before the campaign went on
    farm.run_campaign(campaign)
    rest = list(events)
    ids = [event["id"] for event in [first, *rest]]
    assert len(ids) == len(set(ids))
    assert rest[-1]["event"] == "campaign" and rest[-1]["data"]["state"] == "done"
    assert {event["event"] for event in rest} <= {"job", "progress", "campaign"}


def test_a_stream_is_resumed_after_the_last_event(farm):
    campaign = farm.submitted()
    farm.run_campaign(campaign)
    everything = list(Stream(farm, campaign))
    assert len(everything) > 3
    middle = everything[1]["id"]
    assert list(Stream(farm, campaign, headers={"Last-Event-ID": middle})) == everything[2:]
    assert list(Stream(farm, campaign, params={"after": middle})) == everything[2:]
    # As an EventSource sends both when it connects again.
    both = Stream(farm, campaign, params={"after": everything[0]["id"]}, headers={"Last-Event-ID": middle})
    assert list(both) == everything[2:]
    # Nothing is left: a browser is told not to come again.
    assert Stream(farm, campaign, headers={"Last-Event-ID": everything[-1]["id"]}).status == 204


@pytest.mark.parametrize("after", ["x", "1-", "-1", "1-2-3", "$", "9" * 25, ""])
def test_bad_positions(farm, after):
    campaign = farm.submitted()
    assert_error(farm.get(f"/v1/campaigns/{campaign}/events", params={"after": after}), 400, "api.bad_request")


def test_progress_is_an_event(farm):
    campaign = farm.submitted()
    claim = farm.worker.claim()
    events = iter(Stream(farm, campaign))
    farm.worker.do("progress", progress={"frames": 12, "of": 24}, **claim)
    event = next(event for event in events if event["event"] == "progress")
    assert "12" in json.dumps(event["data"])


def test_quiet_streams_are_kept_alive(cold_farm):
    farm = cold_farm
    farm.start(idle_s=2)
    campaign = farm.submitted()
    stream = Stream(farm, campaign)
    assert any(line == ": heartbeat" for line in stream.lines)
    farm.run_campaign(campaign)
    assert list(stream)[-1]["data"]["state"] == "done"


def test_a_stream_survives_a_restart_of_redis(farm):
    campaign = farm.submitted()
    events = iter(Stream(farm, campaign))
    next(events)
    farm.redis.stop()
    farm.redis.start()
    farm.run_campaign(campaign)
    assert list(events)[-1]["data"]["state"] == "done"


def test_stopping_the_server_ends_streams(farm):
    campaign = farm.submitted()
    streams = [Stream(farm, campaign) for _ in range(5)]
    assert farm.stop() == 0
    for stream in streams:
        list(stream)


def own_kb(farm):
    """The server's own memory. How much of the shared libraries is mapped besides depends on what the page cache has of them."""
    status = pathlib.Path(f"/proc/{farm.server.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon:")).split()[1])


def streams_open(farm):
    text = farm.get("/metrics", role=None).text
    return int(next(line for line in text.splitlines() if line.startswith("mela_event_streams ")).split()[1])


def test_two_hundred_streams_get_every_event_and_more_are_refused_in_time(farm):
    campaign = farm.submitted()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        streams = list(pool.map(lambda _: Stream(farm, campaign), range(200)))
    assert all(stream.status == 200 for stream in streams)
    assert streams_open(farm) == 200
    assert farm.get("/v1/campaigns").status_code == 200
    farm.run_campaign(campaign)
    received = [[event["id"] for event in stream] for stream in streams]
    assert len(received[0]) > 3
    assert all(ids == received[0] for ids in received)
    if "MELA_BUILD" not in os.environ:  # sanitizers need memory of their own
        assert own_kb(farm) < 54 * 1024


def test_the_number_of_streams_is_bounded(farm):
    campaign = farm.submitted()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        streams = list(pool.map(lambda _: Stream(farm, campaign), range(256)))
    answer = farm.get(f"/v1/campaigns/{campaign}/events")
    assert_error(answer, 503, "api.busy")
    assert "Retry-After" in answer.headers
    # What was not an event stream goes on.
    assert farm.get(f"/v1/campaigns/{campaign}").status_code == 200
    for stream in streams:
        stream.answer.close()


@pytest.mark.skipif("MELA_BUILD" in os.environ, reason="sanitizers need memory of their own")
def test_a_server_at_rest_is_small(farm):
    farm.put(b"x" * 5000000)
    campaign = farm.submitted()
    for path in ("/v1/campaigns", f"/v1/campaigns/{campaign}", f"/v1/campaigns/{campaign}/trace", "/v1/pools", "/readyz"):
        assert farm.get(path).status_code == 200
    assert farm.get("/metrics", role=None).status_code == 200
    assert own_kb(farm) <= 3 * 1024
