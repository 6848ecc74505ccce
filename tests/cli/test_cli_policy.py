"""The rule, the calendar and the simulator from the command line."""
import json
import re

from ..support.paths import ROOT

SCENARIO = ROOT / "bench" / "scenarios" / "festival-month.json"
WITH_PICTURES = SCENARIO.with_name("festival-day.json")


def test_the_rule_says_how_many_and_why(mela):
    for jobs, workers in ((0, 0), (1, 2), (5, 2), (6, 2), (7, 3), (20, 7), (21, 11), (40, 20), (200, 20)):
        assert mela.json("scale", "desired", "--ready", jobs)["desired"] == workers
    for jobs, workers in ((0, 0), (1, 1), (4, 1), (5, 2), (50, 4)):
        assert mela.json("scale", "desired", "--pool", "image", "--ready", jobs)["desired"] == workers
    answer = mela.json("scale", "desired", "--ready", 40, "--leased", 3, "--class", "urgent=34")
    assert {name: part["desired"] for name, part in answer["classes"].items()} == {"urgent": 17, "batch": 3}
    assert "the cap of 20" in answer["classes"]["batch"]["why"]
    night = mela.json("scale", "desired", "--ready", 40, "--leased", 3, "--at", "2026-11-08T23:00:00+05:30")
    assert night["desired"] == 3 and night["classes"]["batch"]["held"] and "held" in night["classes"]["batch"]["why"]
    assert re.match(r"3 workers for pool lipsync\n  urgent ", mela("scale", "desired", "--ready", "7").stdout)


def test_a_wrong_rule_is_refused_with_every_problem(mela):
    (mela.folder / "farm.json").write_text(json.dumps({"pools": {
        "lipsync": {"rule": [{"up_to": 3, "workers": 1}, {"up_to": 2, "workers": 1}, {"workers": 1, "jobs_per_worker": 2}]},
        "cpu": {"quiet_hours": {"zone": "Mars"}}}}))
    for command in (["scale", "desired", "--ready", 1], ["up", "--workers", "0"]):
        error = mela.error(2, "config.invalid", *command)
        assert [problem["path"] for problem in error["details"]] == [
            "$.pools.cpu.quiet_hours.zone", "$.pools.lipsync.rule[1].up_to", "$.pools.lipsync.rule[2]"]


def test_wrong_numbers_are_usage(mela):
    for wrong in (["--ready", "x"], ["--leased", "-1"], ["--class", "fast=3"], ["--class", "urgent"], ["--pool", "x"],
                  ["--at", "noon"]):
        mela.error(2, "usage", "scale", "desired", *wrong)


def test_a_pool_is_held_and_resumed(farm):
    held = farm.json("scale", "hold", "--pool", "lipsync", "--until", "2100-01-01T00:00:00Z")
    assert [pool["pool"] for pool in held] == ["lipsync"]
    assert held[0]["held_until_ms"] == {"urgent": 0, "batch": 4102444800000}
    assert "lipsync  batch   held until 2100-01-01" in farm("scale", "hold", "--pool", "lipsync", "--until", "2100-01-01T00:00:00Z").stdout
    assert farm.json("scale", "resume", "--pool", "lipsync")[0]["held_until_ms"]["batch"] == 0
    assert len(farm.json("scale", "hold", "--class", "urgent")) == 3
    assert "cpu      urgent  runs" in farm("scale", "resume", "--class", "urgent").stdout
    farm.error(2, "api.bad_request", "scale", "hold", "--until", "noon")
    farm.error(2, "api.bad_request", "scale", "hold", "--class", "slow")


def test_a_month_is_played_and_reported(mela):
    first = mela.json("simulate", SCENARIO, "--compare", "--html", "report.html")
    assert [p["policy"] for p in first["policies"]] == ["rule", "keda-linear", "hpa-cpu", "always-on", "deadline"]
    assert first == mela.json("simulate", SCENARIO, "--compare")
    for policy in first["policies"]:
        assert policy["campaigns"] == 25 and policy["unfinished"] == 0
        seconds = policy["worker_seconds"]["lipsync"]
        assert 0 < seconds["busy"] <= seconds["paid"]
        parts = [policy["cost_usd"][pool][market] for pool in ("cpu", "lipsync", "image") for market in ("on_demand", "spot", "reserved")]
        assert abs(sum(parts) - policy["cost_usd"]["total"]) < 0.05
    always = first["policies"][3]
    assert always["cost_usd"]["total"] > 10 * first["policies"][0]["cost_usd"]["total"]
    page = (mela.folder / "report.html").read_text()
    assert all(f'"{policy["policy"]}"' in page for policy in first["policies"])  # tests/e2e/test_report.py looks at the charts
    assert not re.search(r"\b(src|href)=", page)
    assert re.search(r"^rule +\d+\.\d\d ", mela("simulate", SCENARIO).stdout, re.M)


def test_pictures_are_played_beside_dubs(mela):
    [month], [day] = (mela.json("simulate", scenario)["policies"] for scenario in (SCENARIO, WITH_PICTURES))
    assert set(month["timeline"]) == {"cpu", "lipsync"} and month["most_workers"]["image"] == 0
    assert set(day["timeline"]) == {"cpu", "lipsync", "image"} and day["most_workers"]["image"] == 4
    assert day["unfinished"] == 0 and day["campaigns"] == 22
    seconds = day["worker_seconds"]["image"]
    assert 0 < seconds["busy"] <= seconds["paid"]
    paid = seconds["paid"] / 3600 * 5.672
    assert abs(day["cost_usd"]["image"]["on_demand"] - paid) < 0.02 and day["cost_usd"]["image"]["spot"] == 0
    row = re.search(r"^rule +([\d.]+) +[\d.]+ +\d+ +([\d.]+) ", mela("simulate", WITH_PICTURES).stdout, re.M)
    assert float(row[1]) == day["cost_usd"]["total"] and abs(float(row[2]) - seconds["paid"] / 3600) < 0.06


def test_a_wrong_scenario_is_told_with_paths(mela):
    (mela.folder / "x.json").write_text('{"dayz": 3, "service_s": {"dub": -1}}')
    error = mela.error(2, "spec.invalid", "simulate", "x.json")
    assert {problem["path"] for problem in error["details"]} == {"$.dayz", "$.service_s.dub"}
    mela.error(1, "io", "simulate", "nothing.json")
    (mela.folder / "x.json").write_text("{")
    mela.error(2, "json.invalid", "simulate", "x.json")
