"""Helm as an engineer runs it, and the objects that come out. Nobody changes them, so each rendering is done once."""
import functools
import json
import os
import pathlib
import shutil
import subprocess

import pytest
import yaml

from ..support.paths import BUILD, DEPS, ROOT

CHART = ROOT / "deploy/helm/mela"
HELM = DEPS / "deploy/bin/helm"
MODULES = DEPS / "deploy/node_modules"
DEADLINE = 120  # seconds; a hang must end, nothing here measures time

ACCOUNT = ("image.registry=registry.example", "store.url=s3://bucket/farm")  # what only the user knows
DIGEST = "sha256:" + "0123456789abcdef" * 4

# Every profile, and every switch both ways somewhere.
VARIANTS = {
    "default": (None, ()),
    "prod": ("prod", ()),
    "staging": ("staging", ()),
    "kind": ("kind", ()),
    "all-pools": (None, ("workers.image.enabled=true", "workers.train.enabled=true")),
    "baked-models": (None, ("workerDefaults.models=[]",)),
    "digests": (None, (f"image.digests.mela-control={DIGEST}", f"image.digests.mela-worker-cuda={DIGEST}", "image.tag=1.2.3")),
    "ingress": (None, ("api.ingress.enabled=true", "api.ingress.host=mela.example", "api.ingress.tlsSecret=tls",
                       "api.ingress.className=nginx")),
    "bare": (None, ("networkPolicy.enabled=false", "monitoring.enabled=false", "farm.emf=", "nodes.selectByLabel=false")),
    "internal-redis": (None, ("redis.internal=true", "redis.storageClass=gp3", "image.pullSecrets={pull}")),
    "prod-internal-redis": ("prod", ("redis.internal=true",)),
    "redis-users": ("prod", ("secrets.redisWorkers=mela-redis-worker",)),
    "no-quiet-hours": (None, tuple(f"farm.pools.{pool}.quiet_hours=null" for pool in ("cpu", "lipsync", "image"))),
}


def helm_or_skip():
    if not HELM.exists():
        pytest.skip("helm is not installed: script/setup --test")


def node_or_skip():
    if not MODULES.exists() or not shutil.which("node"):
        pytest.skip("node or the schemas are not installed: script/setup --test")


def helm(*arguments):
    helm_or_skip()
    home = {f"HELM_{kind}_HOME": "/nonexistent/helm" for kind in ("CONFIG", "CACHE", "DATA")}
    return subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE, check=False,
                          env={"PATH": os.environ["PATH"], **home})


def arguments_of(profile, settings):
    """The command line's part about values."""
    files = ["-f", str(CHART / f"values-{profile}.yaml")] if profile else []
    return files + [word for setting in (*ACCOUNT, *settings) for word in ("--set-json" if "=[" in setting else "--set", setting)]


def template(*arguments, chart=CHART):
    return helm("template", "mela", chart, "--namespace", "mela", *arguments)


def parse(text):
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


class Objects:
    """What one rendering made."""

    def __init__(self, text):
        self.all = parse(text)

    def of(self, kind):
        return [item for item in self.all if item["kind"] == kind]

    def one(self, kind, name):
        [found] = [item for item in self.of(kind) if item["metadata"]["name"] == name]
        return found

    def workloads(self):
        return self.of("Deployment") + self.of("StatefulSet")

    def workers(self):
        return [item for item in self.of("Deployment") if "-worker-" in item["metadata"]["name"]]

    def scaled(self, worker):
        return self.one("ScaledObject", worker["metadata"]["name"])["spec"]


def pod(workload):
    return workload["spec"]["template"]["spec"]


def containers(workload):
    return pod(workload).get("initContainers", []) + pod(workload)["containers"]


def container(workload, name):
    [found] = [item for item in containers(workload) if item["name"] == name]
    return found


def flags(one):
    """{flag: value} of a container's arguments; those without a value have None."""
    words = [word[2:].split("=", 1) for word in one["args"] if word.startswith("--")]
    return {word[0]: word[1] if len(word) > 1 else None for word in words}


def labels_match(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


@functools.lru_cache(maxsize=None)
def variant(name):
    profile, settings = VARIANTS[name]
    done = template(*arguments_of(profile, settings))
    assert done.returncode == 0, done.stderr
    return Objects(done.stdout)


def node(script, data, *arguments):
    """Runs one of this folder's scripts on JSON."""
    node_or_skip()
    done = subprocess.run(["node", pathlib.Path(__file__).with_name(script), MODULES, *arguments], input=json.dumps(data),
                          capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mela(*arguments, cwd, program="mela", **environment):
    return subprocess.run([BUILD / program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=DEADLINE,
                          check=False, env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment})
