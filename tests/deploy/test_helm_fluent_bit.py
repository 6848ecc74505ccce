"""The values for Fluent Bit's chart: which logs it takes, and that a line reaches CloudWatch as it was written. Fluent Bit itself is
not to be had here, so this reads its configuration and runs nothing."""
import fnmatch
import re

import pytest

from .helm_chart import ROOT, pod, variant, yaml

VALUES = yaml.safe_load((ROOT / "deploy/helm/fluent-bit-values.yaml").read_text())


def sections(text):
    """[(name, {key: value})] of Fluent Bit's classic format."""
    found = []
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line.strip()):
            found.append((heading[1], {}))
        elif line.strip():
            key, value = line.split(None, 1)
            found[-1][1][key.lower()] = value.strip()
    return found


def test_a_line_is_sent_as_it_is():
    [(kind, tail)], [(sink, output)] = sections(VALUES["config"]["inputs"]), sections(VALUES["config"]["outputs"])
    assert (kind, sink) == ("INPUT", "OUTPUT")
    assert (output["name"], output["log_key"], output["log_format"]) == ("cloudwatch_logs", "log", "json/emf")
    assert output["match"] == tail["tag"] == "farm.*"
    assert tail["multiline.parser"] == "cri" and "parser" not in tail  # a parsed line would be a nested one
    assert VALUES["config"]["filters"] == ""


def test_variables_are_set():
    used = set(re.findall(r"\$\{(\w+)\}", VALUES["config"]["outputs"] + VALUES["config"]["inputs"]))
    env = {item["name"]: item["value"] for item in VALUES["env"]}
    assert used == set(env) and re.fullmatch(r"/mela/[a-z]+/farm", env["MELA_LOG_GROUP"])


@pytest.mark.parametrize("name", ["all-pools", "staging"])
def test_every_container_of_the_farm_is_followed(name):
    [(_, tail)] = sections(VALUES["config"]["inputs"])
    for workload in variant(name).workloads():
        for one in pod(workload).get("initContainers", []) + pod(workload)["containers"]:
            log = f"/var/log/containers/{workload['metadata']['name']}-5d8f7c-x2v9k_mela_{one['name']}-0123456789abcdef.log"
            assert fnmatch.fnmatchcase(log, tail["path"])


def test_it_runs_where_workers_run(default):
    tolerated = {item["key"] for item in VALUES["tolerations"]}
    assert {item["key"] for worker in default.workers() for item in pod(worker).get("tolerations", [])} <= tolerated
