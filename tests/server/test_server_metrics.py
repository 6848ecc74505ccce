"""What the server says of the farm: GET /metrics, and CloudWatch's lines on stdout."""
import concurrent.futures
import subprocess
import time

from ..support import embedded_metrics
from .conftest import TIMEOUT, TOOL

POOLS = {"cpu", "lipsync", "image"}


def rows(text):
    """{row without its value: value}"""
    return {row: float(value) for row, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


def metrics(farm):
    return rows(farm.get("/metrics", role=None).text)


def later_metrics(farm):
    """When what was read for an earlier request is not kept any more."""
    time.sleep(1)
    return metrics(farm)


def calls_of_info(farm):
    """How often Redis was asked for INFO: by each reading of the farm, and by each new connection."""
    return int(farm.redis.cli("info", "commandstats").split("cmdstat_info:calls=")[1].split(",")[0])


def test_many_requests_at_once_make_one_reading(farm):
    farm.redis.cli("info")  # so that it is counted at all
    start, before = time.monotonic(), calls_of_info(farm)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        texts = list(pool.map(lambda _: farm.get("/metrics", role=None).text, range(60)))
    asked = calls_of_info(farm) - before - 1  # its own question
    assert all("\nmela_queue_up 1\n" in text and "\nmela_redis_clients " in text for text in texts)
    assert asked <= 2 * (1 + int(time.monotonic() - start))  # a reading may need a connection


def test_every_row_fits_its_head(farm):
    farm.submitted()
    known = set()
    for line in farm.get("/metrics", role=None).text.splitlines():
        words = line.split(" ")
        if line.startswith("# TYPE "):
            assert words[2] not in known, "a metric's rows stand together"
            known.add(words[2])
            name, kind = words[2:]
        elif not line.startswith("# HELP "):
            own = line.split("{")[0].split(" ")[0]
            assert own.removeprefix(name) in (["_bucket", "_sum", "_count"] if kind == "histogram" else [""]), line
            assert (kind == "counter") == name.endswith("_total"), line


def test_totals_are_there_before_anything_happened(farm):
    seen = metrics(farm)
    for kind in ("plan", "track", "dub", "join"):
        for name in ("jobs_done", "jobs_failed", "job_errors", "job_refusals", "job_seconds", "gpu_seconds"):
            assert seen[f'mela_{name}_total{{kind="{kind}"}}'] == 0
    assert all(seen[f'mela_campaigns_ended_total{{state="{state}"}}'] == 0 for state in ("done", "partial", "failed", "cancelled"))
    assert seen["mela_campaigns_open"] == seen["mela_dead_jobs"] == seen["mela_job_crashes_total"] == 0
    assert seen["mela_redis_memory_bytes"] > 100000 and seen["mela_redis_clients"] >= 1 and seen["mela_redis_persistence_ok"] == 1
    assert "mela_redis_memory_limit_bytes" not in seen  # this Redis has none


def test_the_time_of_jobs_and_of_the_card_adds_up(farm):
    farm.submitted()
    farm.submit(farm.spec(name="another"))
    for took, held in ((1500, 0), (2000, 250)):
        farm.worker.finish(farm.worker.claim(), artifact="", report={"duration_ms": took, "gpu_ms": held}, children=[])
    seen = metrics(farm)
    assert seen['mela_job_seconds_total{kind="plan"}'] == 3.5
    assert seen['mela_gpu_seconds_total{kind="plan"}'] == 0.25


def test_workers_count_in_each_of_their_pools(farm):
    farm.worker.do("beat", worker="a", info={"state": "busy", "pools": ["cpu", "lipsync"]})
    farm.worker.do("beat", worker="b", info={"state": "idle", "pools": ["cpu"]})
    farm.worker.do("beat", worker="c", info={"state": "busy", "pools": ["cpu", "train", 3]})
    farm.worker.do("beat", worker="e", info={"state": "ill", "pools": ["cpu"]})
    farm.worker.do("beat", worker="d", info={"state": "a state of the future"})
    seen = {row: value for row, value in metrics(farm).items() if row.startswith("mela_workers{")}
    assert seen == {f'mela_workers{{pool="{pool}",state="{state}"}}': count for pool, states in
                    {"cpu": {"idle": 1, "busy": 2, "draining": 0, "ill": 1}, "lipsync": {"idle": 0, "busy": 1, "draining": 0, "ill": 0},
                     "image": {"idle": 0, "busy": 0, "draining": 0, "ill": 0}}.items()
                    for state, count in states.items()}


def test_open_campaigns_show_their_jobs_under_any_name(farm):
    campaign = farm.submitted(spec=farm.spec(name='say "hi" \\ दीवाली'))
    row = f'mela_campaign_jobs{{campaign="{campaign}",name="say \\"hi\\" \\\\ दीवाली",state="%s"}}'
    seen = metrics(farm)
    assert (seen[row % "ready"], seen[row % "leased"], seen["mela_campaigns_open"]) == (1, 0, 1)
    farm.run_campaign(campaign)
    seen = later_metrics(farm)
    assert seen["mela_campaigns_open"] == 0 and not [row for row in seen if row.startswith("mela_campaign_jobs")]
    assert seen['mela_campaigns_ended_total{state="done"}'] == 1


def test_two_servers_tell_the_same_totals(farm):
    farm.run_campaign(farm.submitted())
    farm.worker.do("fail", **(farm.submitted(spec=farm.spec(name="bad")) and farm.worker.claim()), code="media.corrupt")
    second = subprocess.Popen([TOOL, "serve", "127.0.0.1:0", farm.redis_url, farm.store_url, farm.keys_file], stdout=subprocess.PIPE,
                              text=True)
    try:
        first, farm.url = metrics(farm), f"http://127.0.0.1:{int(second.stdout.readline())}"
        other = metrics(farm)
    finally:
        second.terminate()
        second.wait(TIMEOUT)
        second.stdout.close()
    own = ("mela_process", "mela_store", "mela_http", "mela_redis", "mela_event")
    shared = [{row: value for row, value in seen.items() if not row.startswith(own)} for seen in (first, other)]
    assert shared[0] == shared[1]
    assert shared[0]['mela_jobs_done_total{kind="join"}'] == shared[0]['mela_jobs_failed_total{kind="plan"}'] == 1
    assert shared[0]["mela_dead_jobs"] == shared[0]['mela_job_errors_total{kind="plan"}'] == 1


def rounds(farm):
    """What is written at one time: (the farm's record, {pool: record}); ends with the server."""
    whole = None
    for line in farm.server.stdout:
        record, found = embedded_metrics.parse(line.removesuffix("\n"))
        assert record["Farm"] == "mela" and record["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Mela"
        if "Pool" not in record:
            if whole:
                yield whole
            whole = record, {}
            assert {dimensions for _, dimensions in found.values()} == {("Farm",)}
        else:
            whole[1][record["Pool"]] = record
            assert {dimensions for _, dimensions in found.values()} == {("Farm", "Pool")}


def until(lines, condition):
    """The first round of which it is true."""
    return next((farm, pools) for farm, pools in lines if condition(farm, pools))


def test_cloudwatch_learns_what_waits_and_who_works(cold_farm):
    cold_farm.start(emf_ms=30)
    lines = rounds(cold_farm)
    farm, pools = next(lines)
    assert (farm["Heartbeat"], farm["RedisUp"], farm["JobsDead"]) == (1, 1, 0) and "JobsFailed" not in farm
    assert set(pools) == POOLS
    assert [pools["cpu"][name] for name in ("QueueDepth", "OldestSegmentAgeSeconds", "Workers", "WorkersDesired")] == [0, 0, 0, 0]
    cold_farm.submitted()
    cold_farm.worker.do("beat", worker="a", info={"state": "busy", "pools": ["cpu"]})
    farm, pools = until(lines, lambda farm, pools: pools["cpu"]["Workers"] and pools["cpu"]["OldestSegmentAgeSeconds"])
    assert farm["JobsFailed"] == 0
    assert [pools["cpu"][name] for name in ("QueueDepth", "Workers", "WorkersDesired")] == [1, 1, 2]
    assert pools["lipsync"]["QueueDepth"] == pools["lipsync"]["Workers"] == 0


def test_jobs_that_may_not_begin_are_no_queue(cold_farm):
    cold_farm.start(emf_ms=30)
    lines = rounds(cold_farm)
    cold_farm.submitted(spec=cold_farm.spec(name="by day", **{"class": "batch"}))
    until(lines, lambda _, pools: pools["cpu"]["QueueDepth"] == 1)
    assert cold_farm.ask("POST", "/v1/pools/cpu/hold", json={"class": "batch"}).status_code == 200
    _, pools = until(lines, lambda _, pools: pools["cpu"]["QueueDepth"] == 0)
    assert pools["cpu"]["OldestSegmentAgeSeconds"] == 0
    seen = metrics(cold_farm)
    assert seen['mela_jobs_ready{pool="cpu",class="batch"}'] == 1 and seen['mela_oldest_ready_job_age_seconds{pool="cpu"}'] == 0
    assert {row: value for row, value in seen.items() if row.startswith("mela_class_held")} == {
        f'mela_class_held{{pool="{pool}",class="{name}"}}': float((pool, name) == ("cpu", "batch"))
        for pool in POOLS for name in ("urgent", "batch")}


def test_a_failure_shows_in_one_line_and_the_dead_job_in_all(cold_farm):
    cold_farm.start(emf_ms=30)
    lines = rounds(cold_farm)
    cold_farm.submitted()
    next(lines)
    cold_farm.worker.do("fail", **cold_farm.worker.claim(), code="media.corrupt")
    farm, _ = until(lines, lambda farm, _: farm.get("JobsFailed"))
    assert farm["JobsFailed"] == farm["JobsDead"] == 1
    farm, _ = next(lines)
    assert (farm["JobsFailed"], farm["JobsDead"]) == (0, 1)


def test_cloudwatch_hears_the_heart_while_redis_is_away_and_no_made_up_figures(cold_farm):
    cold_farm.start(emf_ms=30)
    lines = rounds(cold_farm)
    until(lines, lambda farm, _: farm["RedisUp"] == 1)
    cold_farm.redis.stop()
    for _ in range(3):
        farm, pools = until(lines, lambda farm, _: farm["RedisUp"] == 0)
        assert farm["Heartbeat"] == 1 and not pools and not {"JobsDead", "JobsFailed"} & set(farm)
    cold_farm.redis.start()
    farm, pools = until(lines, lambda farm, _: farm["RedisUp"] == 1)
    assert farm["JobsFailed"] == 0 and set(pools) == POOLS


def test_without_the_setting_nothing_is_written(farm):
    farm.get("/metrics", role=None)
    farm.server.terminate()
    assert farm.server.wait(TIMEOUT) == 0 and farm.server.stdout.read() == ""
