"""Prometheus rules: promtool's own checks and unit tests, and that no alert is without test, page or known metric."""
import pathlib
import subprocess

import pytest
import yaml

from . import promql

FOLDER = promql.ROOT / "deploy/prometheus/rules"
RULE_FILES = sorted(FOLDER.glob("*.rules.yaml"))
TEST_FILES = sorted((pathlib.Path(__file__).parent / "rules").glob("*.test.yaml"))


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


RULES = [rule for path in RULE_FILES for group in load(path)["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
EXPECTED = [case for path in TEST_FILES for test in load(path)["tests"] for case in test.get("alert_rule_test", [])]


def promtool(*arguments):
    run = subprocess.run([promql.TOOL, *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_metrics_of_an_expression():
    assert promql.metrics('sum by (pool) (rate(a_total{kind="by x"}[5m] offset 1h)) / on (b, c) group_left mela:d > 0.5e3') == \
        {"a_total", "mela:d"}
    assert promql.metrics("label_replace(a:b, \"x\", \"$1\", \"y\", \"(.+)\") unless on () c == bool 1") == {"a:b", "c"}


@promql.needs_promtool
def test_rules_are_valid():
    promtool("check", "rules", *map(str, RULE_FILES))


@promql.needs_promtool
@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)
def test_rules_do_what_their_tests_say(path):
    promtool("test", "rules", str(path))


def test_names_are_unique():
    names = [rule["alert"] for rule in RULES if "alert" in rule]
    assert len(names) == len(set(names)) and not RECORDED & set(names)


def test_every_test_names_an_alert():
    # promtool takes an alert that does not exist for one that is quiet.
    assert {case["alertname"] for case in EXPECTED} <= set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_tested_both_ways(name):
    fires = {bool(case["exp_alerts"]) for case in EXPECTED if case["alertname"] == name}
    assert fires == {True, False}, f"{name} is not tested to fire and to be quiet"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_and_where_to_read(name):
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (promql.ROOT / "docs/runbooks" / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}\n")
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## What it means", "## How to see it", "## What to do"]


def test_every_page_belongs_to_an_alert_and_is_listed():
    pages = {path.stem for path in (promql.ROOT / "docs/runbooks").glob("*.md")} - {"README"}
    assert pages == set(ALERTS)
    index = (promql.ROOT / "docs/runbooks/README.md").read_text(encoding="utf-8")
    for name, rule in ALERTS.items():
        assert f"| [{name}]({name}.md) | {rule['labels']['severity']} |" in index


def test_every_metric_is_known():
    assert not promql.unknown_metrics([rule["expr"] for rule in RULES], RECORDED)


def test_every_recorded_metric_is_used():
    boards = "".join(path.read_text(encoding="utf-8") for path in (promql.ROOT / "deploy/grafana").glob("*.json"))
    asked = {name for rule in RULES for name in promql.metrics(rule["expr"])}
    assert not {name for name in RECORDED - asked if name not in boards}
