"""The two programs as production runs them: mela serve and mela-worker run, around a Redis of their own."""
import json
import subprocess
import urllib.error
import urllib.request

from ..support.network import free_port
from ..support.paths import BUILD, DEPS, ROOT
from ..support.redis_server import SAVED, RedisServer
from ..support.waiting import wait_for
from .farm_process import Farm


class Production:
    """`redis_url`: of a Redis that is somebody else's; without it, one of its own; `worker_redis_url`: the worker's, if it is another.
    `prefix`: what the programs are started by. `models`: the workers' folder of models."""

    def __init__(self, folder, redis_url=None, prefix=(), worker_redis_url=None, models=DEPS / "models"):
        self.folder, self.prefix, self.processes, self.redis, self.models = folder, prefix, [], None, models
        self.redis_port, self.port = free_port(), free_port()
        self.redis_url = redis_url or f"redis://127.0.0.1:{self.redis_port}"
        self.worker_redis_url = worker_redis_url or self.redis_url
        self.key = subprocess.run([BUILD / "mela", "keys", "add", "test", "--role", "admin", "--keys", folder / "keys.json"],
                                  capture_output=True, text=True, check=True).stdout.strip()
        (folder / "key").write_text(self.key)
        (folder / "address").write_text(f"http://127.0.0.1:{self.port}")
        self.configure()

    def configure(self, **settings):
        pools = {pool: {"quiet_hours": None} for pool in ("cpu", "lipsync", "image")}
        (self.folder / "farm.json").write_text(json.dumps({"pools": pools, **settings}))

    def spawn(self, name, *command):
        process = subprocess.Popen([*map(str, self.prefix), *map(str, command)], stdout=subprocess.DEVNULL,
                                   stderr=open(self.folder / f"{name}.log", "ab"), cwd=self.folder)
        self.processes.append(process)
        return process

    def start_redis(self):
        self.redis = RedisServer(self.folder / "redis", persistence=SAVED, address="127.0.0.1", port=self.redis_port).start()
        self.processes.append(self.redis.process)

    def log_of(self, name):
        return (self.folder / f"{name}.log").read_text()

    def claimed(self, kind, name="worker"):
        """The ids of the jobs of a kind that the workers of that name claimed, in order."""
        lines = [json.loads(line) for line in self.log_of(name).splitlines() if '"claimed"' in line]
        return [line["job_id"] for line in lines if f"/{kind}" in line["job_id"]]

    def start(self, pools="cpu,lipsync"):
        if self.redis_url.endswith(f"127.0.0.1:{self.redis_port}"):
            self.start_redis()
        self.start_programs(pools)
        return self

    def start_programs(self, pools):
        store = ["--store", f"file://{self.folder}/store"]
        self.spawn("serve", BUILD / "mela", "serve", "--redis", self.redis_url, *store, "--keys", self.folder / "keys.json", "--listen",
                                f"127.0.0.1:{self.port}")
        wait_for(lambda: self.status("/readyz") == 200, "the API")
        self.start_worker("worker", pools)

    def start_worker(self, name, pools, *options):
        process = self.spawn(name, BUILD / "mela-worker", "run", "--redis", self.worker_redis_url, "--store",
                             f"file://{self.folder}/store", "--models", self.models, "--manifests", ROOT / "models", "--work",
                             self.folder / f"work-{name}", "--device", "cpu", "--pools", pools, *options)
        wait_for(lambda: "ready on" in self.log_of(name), f"the {name}")
        return process

    def status(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {self.key}"})
        try:
            return urllib.request.urlopen(request, timeout=30).status
        except urllib.error.HTTPError as error:
            self.error = json.loads(error.read())["error"]
            return error.code
        except OSError:
            return 0

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(60)


class Node(Production):
    """Production, with a worker of the options and surroundings that a test wants."""

    def start(self):
        self.start_redis()
        self.farm = ["--redis", f"redis://127.0.0.1:{self.redis_port}", "--store", f"file://{self.folder}/store"]
        self.spawn("serve", BUILD / "mela", "serve", *self.farm, "--keys", self.folder / "keys.json", "--listen",
                   f"127.0.0.1:{self.port}")
        wait_for(lambda: self.status("/readyz") == 200, "the API")

    def worker(self, environment=None, *options):
        return self.spawn("worker", "env", "AWS_EC2_METADATA_DISABLED=true",
                          *[f"{name}={value}" for name, value in (environment or {}).items()], BUILD / "mela-worker", "run",
                          *self.farm, "--models", DEPS / "models", "--manifests", ROOT / "models", "--work", self.folder / "work",
                          "--device", "cpu", *options)

    def redis_cli(self, *arguments):
        return subprocess.run(["redis-cli", "-p", str(self.redis_port), *arguments], check=True, capture_output=True, text=True).stdout

    def job(self, job):
        return json.loads(Farm(self.folder).api(f"/v1/jobs/{job}"))

    def log(self):
        return (self.folder / "worker.log").read_text()
