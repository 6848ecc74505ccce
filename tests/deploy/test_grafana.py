"""Dashboards: what Grafana's classic JSON asks for, expressions that parse, metrics that exist, and that the files are what
script/dashboards writes."""
import itertools
import json
import re
import subprocess

import pytest
import yaml

from . import promql
from .test_prometheus import RECORDED, promtool

FOLDER = promql.ROOT / "deploy/grafana"
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"short", "none", "s", "bytes", "Bps", "percent", "percentunit", "currencyUSD", "reqps", "ops", "celsius", "watt"}

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def targets(board):
    return [target for panel in board["panels"] for target in panel.get("targets", [])]


def expressions(board):
    """With the dashboard's variables put in."""
    names = [each["name"] for each in board["templating"]["list"]]
    queries = [each["query"]["query"] for each in board["templating"]["list"] if each["type"] == "query"]
    labels = [re.fullmatch(r"label_values\((.+), \w+\)", query)[1] for query in queries]
    return [re.sub(r"\$(%s)\b" % "|".join(names), "x", text) for text in labels + [each["expr"] for each in targets(board)]]


def test_files_are_as_script_dashboards_writes_them(tmp_path):
    subprocess.run([promql.ROOT / "script/dashboards", tmp_path], check=True)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}, "run script/dashboards"


def test_there_is_one_for_each_subject():
    assert set(BOARDS) == {"mela-overview", "mela-gpu", "mela-campaign", "mela-redis"}
    titles = [board["title"] for board in BOARDS.values()]
    assert len(titles) == len(set(titles))


@each_board
def test_shape(board):
    assert board["id"] is None and board["uid"] in BOARDS and len(board["uid"]) <= 40
    assert board["schemaVersion"] == 39 and board["time"] and board["refresh"] and board["tags"] == ["mela"]
    source = board["templating"]["list"][0]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in board["panels"] if panel["type"] == "timeseries"]
    assert len(titles) == len(set(titles))


@each_board
def test_panels_lie_on_the_grid_and_on_no_other(board):
    taken = {}
    for panel in board["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24 and min(grid.values()) >= 0 and grid["w"] > 0 and grid["h"] > 0
        for cell in itertools.product(range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]


@each_board
def test_panels_say_what_they_show(board):
    for panel in board["panels"]:
        if panel["type"] == "text":
            continue
        assert panel["type"] in {"timeseries", "stat", "gauge", "table"} and panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        steps = [step["value"] for step in defaults["thresholds"]["steps"]]
        assert steps[0] is None and steps[1:] == sorted(steps[1:]), panel["title"]


@each_board
def test_every_query_goes_to_the_variable(board):
    sources = [panel["datasource"] for panel in board["panels"] if panel["type"] != "text"]
    sources += [each["datasource"] for each in targets(board)]
    sources += [each["datasource"] for each in board["templating"]["list"] if each["type"] == "query"]
    assert sources and all(source == SOURCE for source in sources)
    for panel in board["panels"]:
        names = [target["refId"] for target in panel.get("targets", [])]
        assert len(names) == len(set(names)) and (names or panel["type"] == "text")


@each_board
def test_every_variable_exists(board):
    names = {each["name"] for each in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"])))
    assert used - names <= {"__data"}


@promql.needs_promtool
@each_board
def test_expressions_parse(board, tmp_path):
    rules = [{"record": f"test:{i}", "expr": text} for i, text in enumerate(expressions(board))]
    path = tmp_path / "expressions.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", str(path))


@each_board
def test_every_metric_is_known(board):
    assert not promql.unknown_metrics(expressions(board), RECORDED)
