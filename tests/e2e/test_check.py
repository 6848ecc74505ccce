"""mela-worker check: healthy or not, why, and who cordons what. The card is a mock, and so is the cluster."""
import json
import os
import subprocess

import pytest

from ..support import embedded_metrics
from ..support.paths import BUILD, DEPS, ROOT
from .fake_node import FakeCluster, fake_nvml


def run_check(*arguments, **environment):
    return subprocess.run([BUILD / "mela-worker", "check", "--models", DEPS / "models", "--manifests", ROOT / "models", *arguments],
                          capture_output=True, text=True, timeout=120,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NVIDIA_VISIBLE_DEVICES": "void", **environment})


def check(*arguments, **environment):
    """(exit status, report, stderr)"""
    done = run_check("--json", *arguments, **environment)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def results(report):
    return {entry["name"]: entry["ok"] for entry in report["checks"]}


@pytest.fixture
def card(tmp_path):
    """The environment of a machine with a card."""
    return {"LD_LIBRARY_PATH": f"{fake_nvml(tmp_path)}:{os.environ.get('LD_LIBRARY_PATH', '')}"}


@pytest.fixture
def make_cluster(tmp_path):
    clusters = []

    def make(*cordoned):
        folder = tmp_path / f"cluster-{len(clusters)}"
        folder.mkdir()
        clusters.append(FakeCluster(folder, cordoned))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.stop()


def test_a_machine_without_card_runs_a_network():
    status, report, _ = check("--device", "cpu", "--memory-mb", "100")
    assert status == 0 and report["healthy"] and results(report) == {"memory": True, "inference": True}
    assert report["memory_total_mb"] > report["memory_free_mb"] > 100


def test_what_the_machine_can_fence_is_said():
    _, report, _ = check("--device", "cpu")
    fence = report["fence"]
    assert fence["complete"] == (fence["missing"] == []) and fence["files"] == (fence["landlock"] >= 1)
    assert "\nfence      " in run_check("--device", "cpu").stdout
    asked = [BUILD / "mela-worker", "check", "fence"]
    assert json.loads(subprocess.run([*asked, "--json"], capture_output=True, check=True).stdout) == fence
    assert "holds: " in subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def test_too_little_memory_is_said():
    status, report, _ = check("--device", "cpu", "--memory-mb", "100000000")
    assert status == 1 and not report["healthy"] and not results(report)["memory"]
    assert "100000000 are needed" in report["checks"][0]["message"]


def test_a_missing_model_is_not_the_machines_fault(make_cluster):
    cluster = make_cluster()
    status, report, error = check("--device", "cpu", "--models", "/nonexistent", "--cordon", **cluster.environment())
    assert status == 4 and report is None and "model.not_found" in error and not cluster.requests


def test_a_card_that_is_promised_must_be_there():
    status, report, _ = check(NVIDIA_VISIBLE_DEVICES="all")
    assert status == 1 and report["device"] == "cuda:0" and results(report) == {"driver": False}
    status, report, error = check("--device", "gpu")
    assert status == 2 and report is None and "usage" in error


def test_the_cards_state_is_read(card):
    status, report, _ = check("--device", "cuda:0", **card)
    assert (report["name"], report["driver"], report["uuid"]) == ("Fake Card", "999.1", "GPU-1234")
    assert report["memory_total_mb"] == 24 * 1024 and report["ecc_uncorrected"] == 0 and report["ecc_corrected"] == 7
    assert report["xid"] == 0 and report["remap_failed"] == 0 and report["retire_pending"] is None and report["temperature"] == 61
    assert results(report) == {"driver": True, "memory": True, "ecc": True, "inference": False, "xid": True}
    assert status == 1  # it is no card after all


@pytest.mark.parametrize("what, name, words", [
    ({"FAKE_NVML_ECC": "3"}, "ecc", "3 uncorrected"), ({"FAKE_NVML_REMAP": "1"}, "ecc", "replace"),
    ({"FAKE_NVML_XID": "79"}, "xid", "79 (XID)"), ({"FAKE_NVML_INIT": "9"}, "driver", "Driver Not Loaded"),
    ({"FAKE_NVML_LOST": "15"}, "driver", "GPU is lost")])
def test_a_sick_card_is_named(card, what, name, words):
    status, report, _ = check("--device", "cuda:0", **card, **what)
    assert status == 1 and not report["healthy"]
    assert words in next(entry["message"] for entry in report["checks"] if entry["name"] == name and not entry["ok"])


def test_a_sick_node_is_cordoned(card, make_cluster):
    cluster = make_cluster("node-7")
    status, report, _ = check("--device", "cuda:0", "--cordon", FAKE_NVML_ECC="3", **card, **cluster.environment())
    assert status == 1 and report["cordoned"]
    assert cluster.nodes["own"]["unschedulable"] and "3 uncorrected" in cluster.nodes["own"]["reason"]


def test_the_pod_leaves_the_node_that_it_cordoned(card, make_cluster):
    cluster = make_cluster("node-7")
    _, report, _ = check("--device", "cuda:0", "--cordon", FAKE_NVML_ECC="3", **card, **cluster.environment())
    assert report["pod_deleted"] and cluster.deleted == [{"own", "node-7"}]


def test_a_pod_that_may_not_leave_says_so(card, make_cluster):
    cluster = make_cluster()
    plain = cluster.reply
    cluster.reply = lambda method, *rest: (403, b'{"message": "pods is forbidden"}') if method == "DELETE" else plain(method, *rest)
    status, report, error = check("--device", "cuda:0", "--cordon", FAKE_NVML_ECC="3", **card, **cluster.environment())
    assert status == 1 and report["cordoned"] and report["pod_deleted"] is False and "pods is forbidden" in error


def test_a_healthy_node_is_left_alone(make_cluster):
    cluster = make_cluster()
    status, report, _ = check("--device", "cpu", "--cordon", **cluster.environment())
    assert status == 0 and "cordoned" not in report and not cluster.requests


def test_not_the_whole_cluster_is_cordoned(card, make_cluster):
    cluster = make_cluster("node-7", "node-8")
    status, report, error = check("--device", "cuda:0", "--cordon", **card, **cluster.environment())
    assert status == 1 and report["cordoned"] is False and "2 others" in error
    assert not cluster.nodes["own"]["unschedulable"] and report["pod_deleted"] is False and not cluster.deleted
    status, report, _ = check("--device", "cuda:0", "--cordon", "--cordon-most", "3", **card, **cluster.environment())
    assert report["cordoned"] and cluster.nodes["own"]["unschedulable"]


def test_two_that_cordon_at_once_step_back(card, make_cluster):
    cluster = make_cluster("node-7")
    plain = cluster.reply

    def reply(method, path, headers, body):
        if method == "PATCH" and "nodes" in path:
            cluster.nodes["node-9"] = {"unschedulable": True}
        return plain(method, path, headers, body)

    cluster.reply = reply
    _, report, _ = check("--device", "cuda:0", "--cordon", **card, **cluster.environment())
    assert report["cordoned"] is False and not cluster.nodes["own"]["unschedulable"]


def test_a_cluster_that_refuses_is_said(card, make_cluster):
    cluster = make_cluster()
    cluster.refuses = "nodes is forbidden"
    status, report, error = check("--device", "cuda:0", "--cordon", **card, **cluster.environment())
    assert status == 1 and report["cordoned"] is False and "nodes is forbidden" in error
    status, report, error = check("--device", "cuda:0", "--cordon", **card)
    assert status == 1 and report["cordoned"] is False and "not in a cluster" in error


@pytest.mark.parametrize("sick", [False, True])
def test_cloudwatch_hears_the_verdict_on_a_line_of_its_own(card, sick):
    done = run_check("--device", "cuda:0" if sick else "cpu", "--emf", "Studio/Mela", "--farm", "studio", **card)
    *text, line = done.stdout.splitlines()
    record, metrics = embedded_metrics.parse(line)
    assert metrics == {"GpuCheckFailed": ("Count", ("Farm",))}
    assert (record["GpuCheckFailed"], record["Farm"], done.returncode) == (int(sick), "studio", int(sick))
    assert record["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Studio/Mela"
    assert len(text) >= 3 and not any("_aws" in other for other in text)


def test_cloudwatchs_line_and_the_report_are_one_document(card):
    done = run_check("--device", "cuda:0", "--json", FAKE_NVML_ECC="3", MELA_EMF="Studio/Mela", **card)
    record, metrics = embedded_metrics.parse(done.stdout.removesuffix("\n"))
    assert "\n" not in done.stdout.removesuffix("\n") and list(metrics) == ["GpuCheckFailed"]
    assert record["GpuCheckFailed"] == 1 and not record["healthy"] and not results(record)["ecc"] and done.returncode == 1


def test_what_could_not_be_checked_is_no_verdict():
    done = run_check("--device", "cpu", "--models", "/nonexistent", MELA_EMF="Studio/Mela")
    assert done.returncode == 4 and not done.stdout
    done = run_check("--device", "cpu", "--emf", "no namespace", "--json")
    assert done.returncode == 2 and json.loads(done.stderr)["error"]["code"] == "config.invalid"
