"""Lint and template for every profile and switch; every object fits its kind's schema; wrong values are refused."""
import json
import re
import shutil
import subprocess
import tarfile

import pytest

from . import helm_chart
from .helm_chart import ACCOUNT, CHART, MODULES, ROOT, VARIANTS, arguments_of, helm, template, variant

TSC = MODULES / "typescript/lib/tsc.js"
RULES = {"groups": [{"name": "sample", "rules": [{"alert": "Up", "expr": "up == 0", "annotations": {
    "summary": "{{ $labels.instance }} is down", "runbook_url": "docs/runbooks/Up.md"}}]}]}
BOARD = {"title": "{{ x }}", "uid": "s"}


@pytest.mark.parametrize("name", VARIANTS)
def test_lint(name):
    done = helm("lint", "--strict", CHART, *arguments_of(*VARIANTS[name]))
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_rendered_but_yaml():
    for name in ("default", "internal-redis", "kind"):
        text = template(*arguments_of(*VARIANTS[name])).stdout
        assert [line for line in text.splitlines() if line != line.rstrip()] == []
        assert "<no value>" not in text and "%!" not in text


@pytest.mark.parametrize("space, cache", [("20Gi", 10), ("31Gi", 15), ("2Gi", 1)])
def test_cache_leaves_room_in_its_volume(space, cache):
    """A pod that writes more than its volume's sizeLimit is evicted."""
    text = template(*arguments_of(None, [f"workers.cpu.workSpace={space}"])).stdout
    assert f"- --cache-gb={cache}\n" in text and f"sizeLimit: {space}" in text


@pytest.mark.parametrize("space", ["20000Mi", "1Gi", "20G", "1.5Gi"])
def test_space_that_the_cache_cannot_be_told_is_refused(space):
    done = template(*arguments_of(None, [f"workers.cpu.workSpace={space}"]))
    assert done.returncode != 0 and "workSpace" in done.stderr


def all_objects():
    """Each different object of all variants once."""
    seen = {}
    for name in VARIANTS:
        for item in variant(name).all:
            seen.setdefault(json.dumps(item, sort_keys=True), item)
    return list(seen.values())


def name_of(item):
    return f"{item['kind']} {item['metadata']['name']}"


def schema_errors(objects):
    found = zip(objects, helm_chart.node("schemas.mjs", objects))
    return [f"{name_of(item)}: {error}" for item, errors in found for error in errors]


def type_source(objects):
    """The objects as TypeScript, each of its kind's type: the compiler refuses members that the kind does not have, which a schema
    lets pass."""
    lines = ["export {};"]
    for number, item in enumerate(objects):
        group = item["apiVersion"].split("/")[0] if "/" in item["apiVersion"] else ""
        owner = {"keda.sh": "@kubernetes-models/keda", "monitoring.coreos.com": "@kubernetes-models/prometheus-operator"}.get(
            group, "kubernetes-models")
        kind = f'import("{owner}/{item["apiVersion"]}/{item["kind"]}").I{item["kind"]}'
        lines.append(f"const o{number}: {kind} = {json.dumps(item)};")
    return "\n".join(lines)


def type_errors(objects, folder):
    helm_chart.node_or_skip()
    (folder / "objects.ts").write_text(type_source(objects))
    (folder / "node_modules").symlink_to(MODULES)
    options = ["--noEmit", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022"]
    done = subprocess.run(["node", TSC, *options, "objects.ts"], cwd=folder, capture_output=True, text=True,
                          timeout=helm_chart.DEADLINE, check=False)
    return [line for line in done.stdout.splitlines() if "error TS" in line]


def test_every_object_fits_the_schema_of_its_kind():
    objects = all_objects()
    assert len(objects) > 100
    assert schema_errors(objects) == []


def test_no_object_has_a_member_that_its_kind_does_not_know(tmp_path):
    assert type_errors(all_objects(), tmp_path) == []


def broken(kind, name, change, name_of_variant="default"):
    item = json.loads(json.dumps(variant(name_of_variant).one(kind, name)))
    change(item)
    return item


def wrong_objects():
    behaviour = lambda item: item["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    return {
        "a text for a number": broken("Deployment", "mela-api", lambda d: d["spec"].update(replicas="two")),
        "an unknown restart policy": broken("Deployment", "mela-api", lambda d: d["spec"]["strategy"].update(type=7)),
        "no selector": broken("Deployment", "mela-worker-cpu", lambda d: d["spec"].pop("selector")),
        "a list for a tolerance": broken("ScaledObject", "mela-worker-cpu",
                                         lambda d: behaviour(d)["scaleUp"].update(tolerance=[])),
        "triggers that are no list": broken("ScaledObject", "mela-worker-cpu", lambda d: d["spec"].update(triggers={})),
        "a scrape interval that is none": broken("PodMonitor", "mela-worker",
                                                 lambda d: d["spec"]["podMetricsEndpoints"][0].update(interval="often")),
    }


def test_the_schemas_bite():
    wrong = wrong_objects()
    found = helm_chart.node("schemas.mjs", list(wrong.values()))
    assert [what for what, errors in zip(wrong, found) if not errors] == []


def test_the_types_bite(tmp_path):
    behaviour = lambda item: item["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    wrong = [broken("Deployment", "mela-api", lambda d: d["spec"].update(replica=2)),
             broken("Deployment", "mela-api", lambda d: helm_chart.pod(d)["containers"][0].update(readynessProbe={})),
             broken("ScaledObject", "mela-worker-cpu", lambda d: behaviour(d)["scaleUp"]["policies"][0].update(tolerance="0")),
             broken("NetworkPolicy", "mela-dns", lambda d: d["spec"].update(outgress=[])),
             broken("ServiceMonitor", "mela-api", lambda d: d["spec"]["endpoints"][0].update(every="30s"))]
    assert len(type_errors(wrong, tmp_path)) == len(wrong)


@pytest.mark.parametrize("settings, message", [
    (["scaling.triggers=redis"], "'triggers' not allowed"),
    (["workers.lipsync-batch.grace=5"], "'grace' not allowed"),
    (["workers.cpu.class=fast"], "value must be one of 'urgent', 'batch'"),
    (["workers.cpu.pool=gpu"], "at '/workers/cpu/pool'"),
    (["workers.cpu.resources.limits.memory=8Gb"], "at '/workers/cpu/resources/limits/memory'"),
    (["farm.pools.lipsync.max=0"], "at '/farm/pools/lipsync/max'"),
    (["farm.pools.train.max=4"], "'train' not allowed"),
    (["workers.image.gpus=17"], "at '/workers/image/gpus'"),
    (["workers.image.gpu=true"], "'gpu' not allowed"),
    (["farm.pools.lipsync.quiet_hours.from=11pm"], "at '/farm/pools/lipsync/quiet_hours/from'"),
    (["store.url=http://bucket"], "at '/store/url'"),
    (["image.registry=registry.example/"], "at '/image/registry'"),
    (["image.digests.mela-control=sha256:12"], "at '/image/digests/mela-control'"),
    (["image.tag=latest"], "image.tag is latest, which says nothing about what runs"),
    (["redis.image=redis"], "at '/redis/image'"),
    (["farm.failure.dub.retries=3"], "'retries' not allowed"),
    (["workers.lipsync-batch.graceMs=100000"], "have to fit the notice of 120 s, so 90000 at most"),
    (["api.ingress.enabled=true"], "api.ingress.enabled needs api.ingress.host"),
])
def test_wrong_values_are_refused_with_the_place(settings, message):
    done = template(*arguments_of(None, settings))
    assert done.returncode != 0 and message in done.stderr, done.stderr


@pytest.mark.parametrize("given, message", [
    (ACCOUNT[1:], "image.registry is empty: say where the images are"),
    (ACCOUNT[:1], "store.url is empty: say where the farm keeps its objects"),
])
def test_what_is_missing_is_said(given, message):
    done = template(*[word for setting in given for word in ("--set", setting)])
    assert done.returncode != 0 and message in done.stderr


@pytest.fixture
def chart_with_files(tmp_path):
    """The chart beside a rule file and a dashboard, where its links lead."""
    shutil.copytree(CHART, tmp_path / "deploy/helm/mela", symlinks=True)
    rules, dashboards = tmp_path / "deploy/prometheus/rules", tmp_path / "deploy/grafana"
    for folder in (rules, dashboards):
        folder.mkdir(parents=True)
    (rules / "sample.rules.yaml").write_text(helm_chart.yaml.safe_dump(RULES))
    (dashboards / "mela-sample.json").write_text(json.dumps(BOARD))
    return tmp_path / "deploy/helm/mela"


def check_files(done, base=""):
    assert done.returncode == 0, done.stderr
    objects = helm_chart.Objects(done.stdout)
    expected = json.loads(json.dumps(RULES).replace("docs/runbooks", f"{base}docs/runbooks"))
    assert objects.one("PrometheusRule", "mela-sample")["spec"] == expected
    board = objects.one("ConfigMap", "mela-dashboard-sample")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["mela-sample.json"]) == BOARD


def test_rules_and_dashboards_are_shipped_as_they_are(chart_with_files):
    check_files(template(*arguments_of(None, ()), chart=chart_with_files))
    base = "https://git.example/mela/"
    check_files(template(*arguments_of(None, (f"monitoring.runbookBase={base}",)), chart=chart_with_files), base)


def test_a_package_holds_them_too(chart_with_files, tmp_path):
    done = helm("package", chart_with_files, "-d", tmp_path)
    assert done.returncode == 0, done.stderr
    [package] = tmp_path.glob("mela-*.tgz")
    with tarfile.open(package) as archive:
        assert {"mela/files/rules/sample.rules.yaml", "mela/files/dashboards/mela-sample.json"} <= set(archive.getnames())
    check_files(template(*arguments_of(None, ()), chart=package))


def test_every_rule_file_and_dashboard_of_the_tree_is_shipped(default):
    rules = sorted((ROOT / "deploy/prometheus/rules").glob("*.rules.yaml"))
    boards = sorted((ROOT / "deploy/grafana").glob("*.json"))
    for path in rules:
        spec = default.one("PrometheusRule", "mela-" + path.name.removesuffix(".rules.yaml"))["spec"]
        assert spec == helm_chart.yaml.safe_load(path.read_text())
    for path in boards:
        board = default.one("ConfigMap", "mela-dashboard-" + path.stem.removeprefix("mela-"))
        assert json.loads(board["data"][path.name]) == json.loads(path.read_text())
    assert len(default.of("PrometheusRule")) == len(rules)


def redis_secrets(rendered, kind, name):
    """The Secrets that MELA_REDIS of a pod's containers comes from."""
    body = helm_chart.pod(rendered.one(kind, name))
    return {variable["valueFrom"]["secretKeyRef"]["name"] for container in body["containers"] + body.get("initContainers", [])
            for variable in container.get("env", []) if variable["name"] == "MELA_REDIS"}


@pytest.mark.parametrize("name,worker", [("prod", "mela-redis"), ("redis-users", "mela-redis-worker")])
def test_workers_may_be_a_user_of_redis_of_their_own(name, worker):
    rendered = helm_chart.variant(name)
    workers = [body["metadata"]["name"] for body in rendered.of("Deployment") if "worker" in body["metadata"]["name"]]
    assert workers and all(redis_secrets(rendered, "Deployment", each) == {worker} for each in workers)
    assert redis_secrets(rendered, "Deployment", "mela-api") == {"mela-redis"}


def test_the_notes_say_what_is_missing():
    arguments = arguments_of("prod", ("workers.train.enabled=true", "redis.internal=true"))
    done = helm("install", "mela", CHART, "--namespace", "mela", "--dry-run=client", *arguments)
    notes = done.stdout.split("NOTES:")[1]
    assert "mela-redis (url, password) and mela-keys (keys.json)" in notes
    assert "\n  image: face-mesh realesrgan-fast sdxl-base\n" in notes
    assert re.findall("WARNING: .*", notes) == ["WARNING: workers.train is on, but this version has no jobs for pool train: its pods "
                                                "end at once."]


def test_the_charts_version_is_melas(default):
    [version] = re.findall(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text().splitlines()[0])
    assert helm_chart.yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version
    assert helm_chart.pod(default.one("Deployment", "mela-api"))["containers"][0]["image"].endswith(f":{version}")


def test_the_readme_is_what_the_values_say():
    done = subprocess.run([ROOT / "script/helm-docs", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
