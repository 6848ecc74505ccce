"""The short version of script/chaos."""
from chaos import Chaos, problems_of


def test_nothing_is_lost_or_published_twice_under_kills_and_stalls():
    result = Chaos(campaigns=20, segments=8, languages="hi ta", workers=6, lease_ms=400, job_ms=12, hurt_every=0.3,
                   restart_every=2.0).run()
    assert problems_of(result) == []
    assert result["jobs"] == 20 * (1 + 8 + 2 * 9)
    assert result["killed"] + result["stopped"] >= 3 and result["restarts"] >= 1


def test_wipes_are_recovered_from_while_the_farm_works():
    result = Chaos(campaigns=10, segments=8, languages="hi ta", workers=4, lease_ms=400, job_ms=20, hurt_every=0.5,
                   restart_every=1e9, wipes=3).run()
    assert problems_of(result) == []
    assert result["wipes"] == 3 and result["jobs"] == 10 * (1 + 8 + 2 * 9)
