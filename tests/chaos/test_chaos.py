"""The short version of script/chaos."""
from chaos import Chaos, problems_of


def test_nothing_is_lost_or_published_twice_under_kills_and_stalls():
    result = Chaos(campaigns=20, segments=8, languages="hi ta", workers=6, lease_ms=400, job_ms=12, hurt_every=0.3,
                   restart_every=2.0).run()
    assert problems_of(result) == []
    assert result["jobs"] == 20 * (1 + 8 + 2 * 9)
    assert result["killed"] >= 2 and result["stopped"] >= 2 and result["restarts"] >= 1


def test_wipes_are_recovered_from_while_the_farm_works():
    result = Chaos(campaigns=10, segments=8, languages="hi ta", workers=4, lease_ms=400, job_ms=20, hurt_every=0.5,
                   restart_every=1e9, wipes=3).run()
    assert problems_of(result) == []
    assert result["wipes"] == 3 and result["jobs"] == 10 * (1 + 8 + 2 * 9)


def test_a_client_clock_an_hour_off_is_harmless():
    """Half of the workers live an hour ahead of Redis, half an hour behind: no lease ends early, or late."""
    result = Chaos(campaigns=6, segments=8, languages="hi ta", workers=4, lease_ms=60_000, job_ms=10, hurt_every=1e9,
                   restart_every=1e9, clocks_off_s=3600).run()
    assert problems_of(result) == []
    assert result["jobs"] == result["finished_by_totals"] == 6 * (1 + 8 + 2 * 9)


def test_the_scaler_says_what_the_rule_says_while_workers_die():
    result = Chaos(campaigns=24, segments=6, languages="hi ta", workers=6, lease_ms=600, job_ms=20, hurt_every=0.7,
                   restart_every=7.0, scaler=True, seed=3).run()
    assert problems_of(result) == []
    said = result["scaler"]
    assert said["wrongs"] == 0 and said["within"] > 100 and said["counts_seen"] > 100, said
    assert sum(times for workers, times in said["exact_at"].items() if workers > 0) > 100, said
    assert result["killed"] >= 2 and result["restarts"] >= 1 and result["stills"] >= 1
