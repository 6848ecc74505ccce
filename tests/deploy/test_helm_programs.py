"""The rendered command lines, run: every flag and variable is one that the programs know, and servers and Redis start as they
would in their pods."""
import functools
import hashlib
import itertools
import json
import os
import re
import signal
import subprocess

import pytest
import requests

from ..scale import scaler
from ..support.network import free_port
from ..support.waiting import wait_for
from . import helm_chart
from .helm_chart import BUILD, ROOT, containers, flags, mela, pod, variant

PROGRAMS = {"mela-control": "mela"} | dict.fromkeys(("mela-worker-cpu", "mela-worker-cuda", "mela-trainer"), "mela-worker")
NOT_MELAS = {"AWS_REGION", "AWS_EC2_METADATA_DISABLED", "POD_NAME", "NODE_NAME"}
PASSWORD, KEY = "a-test-password", "a-test-key"


def program_of(one):
    name = one["image"].split("@")[0].rsplit("/", 1)[-1].split(":")[0]
    return PROGRAMS.get(name)


def command_of(one):
    """The words of the command: `models pull`."""
    return one["args"][:next(i for i, word in enumerate(one["args"]) if word.startswith("--"))]


def our_containers():
    seen = {}
    for name in helm_chart.VARIANTS:
        for workload in variant(name).workloads():
            for one in containers(workload):
                if program_of(one):
                    seen.setdefault(json.dumps([program_of(one), one["args"], sorted(item["name"] for item in one["env"])]), one)
    return list(seen.values())


@functools.lru_cache(maxsize=None)
def help_of(program, *command):
    done = subprocess.run([BUILD / program, *command, "--help"], capture_output=True, text=True, check=True)
    return {word.strip(",").split("=")[0] for word in done.stdout.split() if word.startswith("--")}


def test_every_flag_is_one_that_the_program_has():
    unknown = {f"--{flag}" for one in our_containers() for flag in flags(one)
               if f"--{flag}" not in help_of(program_of(one), *command_of(one))}
    assert unknown == set()


def test_models_are_in_the_zoo():
    """Those that ship, and the one that a spec of pictures means when it names none, which is the user's to add."""
    known = {path.stem for path in (ROOT / "models").glob("*.json")}
    known |= set(re.findall(r'#define IMAGES_MODEL "([^"]+)"', (ROOT / "src/farm/images.h").read_text()))
    for one in our_containers():
        assert set(one["args"][len(command_of(one)):]) - {word for word in one["args"] if word.startswith("--")} <= known


def test_every_variable_is_a_setting(tmp_path):
    done = mela("config", "--json", cwd=tmp_path)
    known = {f"MELA_{item['name'].upper()}" for item in json.loads(done.stdout)}
    unknown = {item["name"] for one in our_containers() for item in one["env"]} - known - NOT_MELAS
    assert unknown == set()


@pytest.mark.parametrize("name", helm_chart.VARIANTS)
def test_the_farm_file_is_one_that_mela_reads(name, tmp_path):
    text = variant(name).one("ConfigMap", "mela-farm")["data"]["farm.json"]
    (tmp_path / "farm.json").write_text(text)
    for pool, policy in json.loads(text)["pools"].items():
        done = mela("scale", "desired", "--config", "farm.json", "--pool", pool, "--ready", 1000, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["max"] == policy["max"]


def test_when_a_job_is_given_up_reaches_the_farm_file(tmp_path):
    done = helm_chart.template(*helm_chart.arguments_of(None, ("farm.failure.dub.errors=8", "farm.failure.dub.longest_retry_s=600")))
    text = helm_chart.Objects(done.stdout).one("ConfigMap", "mela-farm")["data"]["farm.json"]
    assert json.loads(text)["failure"] == {"dub": {"errors": 8, "longest_retry_s": 600}}
    (tmp_path / "farm.json").write_text(text)
    read = mela("config", "--json", cwd=tmp_path)
    assert read.returncode == 0, read.stderr
    [dub] = [item["value"] for item in json.loads(read.stdout) if item["name"] == "failure.dub"]
    assert "errors 8" in dub and "longest_retry_s 600" in dub


def test_the_rule_is_the_scalers_own(tmp_path, default):
    (tmp_path / "farm").mkdir()
    (tmp_path / "farm/farm.json").write_text(default.one("ConfigMap", "mela-farm")["data"]["farm.json"])
    for pool, n in itertools.product(("cpu", "lipsync", "image"), (0, 1, 5, 6, 20, 21, 39, 40, 200)):
        for at in ("2026-11-10T12:00:00+05:30", "2026-11-10T23:00:00+05:30"):
            asked = ("scale", "desired", "--pool", pool, "--json", "--ready", n, "--leased", n // 3, "--at", at)
            ours, own = mela(*asked, cwd=tmp_path / "farm"), mela(*asked, cwd=tmp_path)
            assert json.loads(ours.stdout) == json.loads(own.stdout)


# --- running ---

class Redis:
    """redis-server with the StatefulSet's arguments, but another port and folder."""

    def __init__(self, folder):
        self.one = helm_chart.container(variant("internal-redis").one("StatefulSet", "mela-redis"), "redis")
        self.port = free_port()
        changes = {"6379": str(self.port), "/data": str(folder), "$(REDISCLI_AUTH)": PASSWORD}
        self.log = open(folder / "redis.log", "wb")
        self.process = subprocess.Popen([*self.one["command"], *[changes.get(word, word) for word in self.one["args"]]],
                                        stdout=self.log, stderr=self.log)
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}"
        wait_for(lambda: self.probe() == 0, "Redis")

    def cli(self, *words, password=PASSWORD):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": password})

    def probe(self, password=PASSWORD):
        return self.cli(*self.one["readinessProbe"]["exec"]["command"][1:], password=password).returncode

    def stop(self):
        self.process.terminate()
        self.process.wait(helm_chart.DEADLINE)
        self.log.close()


@pytest.fixture
def redis(tmp_path):
    (tmp_path / "redis").mkdir()
    redis = Redis(tmp_path / "redis")
    yield redis
    redis.stop()


def test_redis_as_rendered_keeps_everything(redis):
    settings = {name: redis.cli("CONFIG", "GET", name).stdout.split()[1:] for name in
                ("appendonly", "appendfsync", "maxmemory-policy", "maxmemory")}
    assert settings == {"appendonly": ["yes"], "appendfsync": ["everysec"], "maxmemory-policy": ["noeviction"],
                        "maxmemory": [str(512 << 20)]}
    assert redis.probe("wrong") != 0
    assert "NOAUTH" in redis.cli("PING", password="").stdout
    limits = redis.one["resources"]["limits"]
    assert limits["memory"] == "1024Mi"


def arguments_for(one, changes):
    """A container's arguments with the paths and addresses of this machine."""
    return [f"{flag}={changes[flag]}" if (flag := word.split("=")[0]) in changes else word for word in one["args"]]


def environment_for(one, redis, folder):
    given = {"MELA_REDIS": redis.url, "MELA_STORE": f"file://{folder}/store", "MELA_DATA": str(folder / "work"),
             "POD_NAME": "pod", "NODE_NAME": "node"}
    return {"PATH": os.environ["PATH"]} | {item["name"]: given.get(item["name"], item.get("value")) for item in one["env"]}


class Server:
    """mela serve as the Deployment starts it, but on free ports, with a store in a folder."""

    def __init__(self, objects, redis, folder):
        hashed = hashlib.sha256(KEY.encode()).hexdigest()
        (folder / "keys.json").write_text(json.dumps({"keys": [{"name": "test", "role": "admin", "sha256": hashed}]}))
        (folder / "farm.json").write_text(objects.one("ConfigMap", "mela-farm")["data"]["farm.json"])
        self.one = helm_chart.container(objects.one("Deployment", "mela-api"), "api")
        self.ports = {"http": free_port(), "scaler": free_port()}
        changes = {"--config": folder / "farm.json", "--keys": folder / "keys.json",
                   "--listen": f"127.0.0.1:{self.ports['http']}", "--scaler-listen": f"127.0.0.1:{self.ports['scaler']}"}
        self.log = open(folder / "serve.log", "wb")
        self.process = subprocess.Popen([BUILD / "mela", *arguments_for(self.one, changes)], cwd=folder,
                                        stdout=self.log, stderr=self.log, env=environment_for(self.one, redis, folder))
        wait_for(lambda: self.probe("startupProbe") == 200, "the server")

    def get(self, path, **more):
        return requests.get(f"http://127.0.0.1:{self.ports['http']}{path}", timeout=helm_chart.DEADLINE, **more)

    def probe(self, name):
        check = self.one[name]["httpGet"]
        assert check["port"] == "http"
        try:
            return self.get(check["path"]).status_code
        except requests.ConnectionError:
            assert self.process.poll() is None
            return None

    def submit(self):
        sha, address = hashlib.sha256(b"video").hexdigest(), f"http://127.0.0.1:{self.ports['http']}/v1"
        key = {"Authorization": f"Bearer {KEY}"}
        requests.put(f"{address}/files/{sha}", data=b"video", headers=key, timeout=helm_chart.DEADLINE).raise_for_status()
        spec = {"name": "test", "class": "urgent", "video": f"sha256:{sha}",
                "dubs": [{"language": "hi", "audio": f"sha256:{sha}"}]}
        requests.post(f"{address}/campaigns", json=spec, headers=key, timeout=helm_chart.DEADLINE).raise_for_status()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(helm_chart.DEADLINE)
        self.log.close()


@pytest.fixture
def server(redis, tmp_path, default):
    server = Server(default, redis, tmp_path)
    yield server
    server.stop()


def scaler_metadata(item):
    metadata = item["spec"]["triggers"][0]["metadata"]
    return {key: value for key, value in metadata.items() if key != "scalerAddress"}


def test_a_server_as_rendered_answers_its_probes_and_keda(server, default):
    assert [server.probe(name) for name in ("startupProbe", "livenessProbe", "readinessProbe")] == [200, 200, 200]
    monitor = default.one("ServiceMonitor", "mela-api")["spec"]["endpoints"][0]
    assert "mela_queue_up 1" in server.get(monitor["path"]).text
    metadata = {item["metadata"]["name"]: scaler_metadata(item) for item in default.of("ScaledObject")}
    client = scaler.Client(server.ports["scaler"])
    assert {name: client.desired(**asked) for name, asked in metadata.items()} == dict.fromkeys(metadata, 0)
    server.submit()
    wait_for(lambda: client.active(**metadata["mela-worker-cpu"]), "a plan to be wanted")
    assert {name: client.desired(**asked) for name, asked in metadata.items()} == {
        "mela-worker-cpu": 2, "mela-worker-lipsync-urgent": 0, "mela-worker-lipsync-batch": 0}
    client.close()


def test_without_redis_the_server_is_alive_but_not_ready(server, redis):
    redis.stop()
    assert (server.probe("livenessProbe"), server.probe("readinessProbe")) == (200, 503)


def test_a_worker_as_rendered_drains_within_its_grace(redis, server, tmp_path, default):
    one = helm_chart.container(default.one("Deployment", "mela-worker-cpu"), "worker")
    (tmp_path / "work").mkdir()
    changes = {"--work": tmp_path / "work", "--metrics-listen": "127.0.0.1:0"}
    with open(tmp_path / "worker.log", "wb") as log:
        worker = subprocess.Popen([BUILD / "mela-worker", *arguments_for(one, changes)], cwd=tmp_path, stdout=log, stderr=log,
                                  env=environment_for(one, redis, tmp_path))
    key = {"Authorization": f"Bearer {KEY}"}
    wait_for(lambda: worker.poll() is not None or server.get("/v1/workers", headers=key).json()["items"], "the worker")
    assert worker.poll() is None, (tmp_path / "worker.log").read_text()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(helm_chart.DEADLINE) == 0
    assert pod(default.one("Deployment", "mela-worker-cpu"))["terminationGracePeriodSeconds"] == 330


def test_the_init_container_pulls_what_it_names(redis, tmp_path):
    weights = ROOT / ".deps/models"
    if not weights.exists():
        pytest.skip("the models are not here: script/setup")
    one = helm_chart.container(variant("kind").one("Deployment", "mela-worker-lipsync-batch"), "models")
    environment = environment_for(one, redis, tmp_path)
    names = [word for word in one["args"][len(command_of(one)):] if not word.startswith("--")]
    for folder in ("models", "store", "work"):
        (tmp_path / folder).mkdir()
    for arguments in (["models", "push", *names, f"--models={weights}"], arguments_for(one, {"--models": tmp_path / "models"})):
        done = subprocess.run([BUILD / "mela-worker", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True,
                              timeout=helm_chart.DEADLINE, check=False)
        assert done.returncode == 0, done.stderr
    assert sorted(path.stem for path in (tmp_path / "models").glob("*.onnx")) == sorted(names)
