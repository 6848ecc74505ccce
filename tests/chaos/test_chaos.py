"""The short version of script/chaos."""
import shutil

import pytest

from ..support import s3_servers
from ..support.waiting import wait_for
from .chaos import Chaos, jobs_of, problems_of
from .workers import FAULTS, volumes_can_be_made


def test_nothing_is_lost_or_published_twice_under_kills_and_stalls():
    result = Chaos(campaigns=20, segments=8, languages="hi ta", workers=6, lease_ms=1000, job_ms=12, hurt_every=0.5,
                   restart_every=2.0, shows=6, enough=lambda done: min(done["killed"], done["stopped"]) >= 2 and done["restarts"] >= 1).run()
    assert problems_of(result) == []
    assert result["jobs"] == jobs_of(result, 8, 2) and result["campaigns"] >= 20


def test_a_faulty_store_and_a_faulty_network_cost_nothing_but_time():
    """Between workers and Redis connections are reset and stall, between workers and an S3 server requests fail, stall, are
    done without an answer, or answered by half."""
    if not (shutil.which("moto_server") or s3_servers.S3RVER.exists()):
        pytest.skip("no S3 server: neither moto_server nor s3rver is here")
    result = Chaos(campaigns=3, segments=6, languages="hi ta", workers=4, lease_ms=1000, job_ms=10, hurt_every=2.0, restart_every=5.0,
                   net_harm=60, store="s3", store_harm=20,
                   enough=lambda done: done["resets"] > 0 and done["net_stalls"] > 0 and len(done["store_harms"]) >= 4).run()
    assert problems_of(result) == []
    assert result["jobs"] == result["campaigns"] * (1 + 6 + 2 * 7) and result["campaigns"] >= 3


def test_wipes_are_recovered_from_while_the_farm_works():
    result = Chaos(campaigns=10, segments=8, languages="hi ta", workers=4, lease_ms=1000, job_ms=20, hurt_every=0.5,
                   restart_every=1e9, wipes=3, shows=4).run()
    assert problems_of(result) == []
    assert result["wipes"] == 3 and result["jobs"] == jobs_of(result, 8, 2)


def test_the_audit_is_silent_on_a_farm_at_work():
    """A campaign of more than one piece changes while it is looked at."""
    farm = Chaos(campaigns=1, segments=1, languages="hi", workers=6, lease_ms=30_000, job_ms=1)
    try:
        farm.redis.start()
        farm.tool("submit", farm.store, 1, 1, 2500, "hi ta")
        for _ in range(farm.workers):
            farm.start_worker()
        wait_for(lambda: int(farm.cli("hget", "{mela}:campaign:chaos-1", "n:done") or 0) > 10, "some jobs")
        before = int(farm.cli("hget", "{mela}:campaign:chaos-1", "n:done"))
        for _ in range(40):
            assert farm.check()["findings"] == []
        assert int(farm.cli("hget", "{mela}:campaign:chaos-1", "n:done")) > before
    finally:
        farm.close()


def test_a_client_clock_an_hour_off_is_harmless():
    """Half of the workers live an hour ahead of Redis, half an hour behind: no lease ends early, or late."""
    result = Chaos(campaigns=6, segments=8, languages="hi ta", workers=4, lease_ms=60_000, job_ms=10, hurt_every=1e9,
                   restart_every=1e9, clocks_off_s=3600).run()
    assert problems_of(result) == []
    assert result["jobs"] == result["finished_by_totals"] == 6 * (1 + 8 + 2 * 9)


def test_the_scaler_says_what_the_rule_says_while_workers_die():
    result = Chaos(campaigns=24, segments=6, languages="hi ta", workers=6, lease_ms=1000, job_ms=20, hurt_every=0.7,
                   restart_every=7.0, scaler=True, seed=3,
                   enough=lambda done: done["killed"] >= 2 and done["restarts"] >= 1 and done.get("stills", 0) >= 1).run()
    assert problems_of(result) == []
    said = result["scaler"]
    assert said["wrongs"] == 0 and said["within"] > 100 and said["counts_seen"] > 100, said
    assert sum(times for workers, times in said["exact_at"].items() if workers > 0) >= 100, said


def test_executors_that_misbehave_cost_nothing_but_time():
    result = Chaos(campaigns=8, segments=8, languages="hi ta", workers=6, lease_ms=1000, job_ms=10, hurt_every=1e9, restart_every=1e9,
                   misdeed_every=6, shows=4, enough=lambda done: True).run()
    assert problems_of(result) == []
    assert result["jobs"] == jobs_of(result, 8, 2)
    assert len(result["misdeeds"]) > 8 and result["crashes"] + result["errors"] > 0, result


def test_campaigns_that_kill_their_executors_end_alone():
    """Each job of theirs aborts, hangs, leaks or is refused; no other campaign's job has to be done twice."""
    result = Chaos(campaigns=8, segments=6, languages="hi ta", workers=8, lease_ms=1000, job_ms=10, hurt_every=1e9, restart_every=1e9,
                   bombs=20, shows=2).run()
    assert problems_of(result) == []
    assert len(result["bomb_ends"]) == 4
    assert result["errors"] == result["crashes"] == result["refusals"] == result["retried"] == 0, result


@pytest.mark.parametrize("fault", FAULTS)
def test_an_ill_worker_among_eight_costs_nothing_but_time(fault):
    """It stops claiming, and works again when its fault is gone."""
    if fault == "disk" and not volumes_can_be_made():
        pytest.skip("no process may mount a volume in a namespace of its own here")
    result = Chaos(campaigns=6, segments=6, languages="hi ta", workers=7, lease_ms=2000, job_ms=10, hurt_every=1e9, restart_every=1e9,
                   store="memory", ill=(fault,)).run()
    assert problems_of(result) == []
    assert result["errors"] == result["crashes"] == result["retried"] == 0 < result["refusals"], result
