"""A redis-server for one test."""
import pathlib
import subprocess

from .network import free_port
from .waiting import wait_for

SAVED = ("--appendonly", "yes", "--save", "")
UNSAVED = ("--appendonly", "no", "--save", "")


class RedisServer:
    """Listens on a Unix socket in `folder`, whose path must be short, or at `address` if there is one. Started again, it has what
    it saved in `folder` if `persistence` is SAVED."""

    def __init__(self, folder, *options, persistence=UNSAVED, address=None, port=None):
        self.folder = pathlib.Path(folder)
        self.options = [*persistence, "--dir", self.folder, "--maxmemory-policy", "noeviction", *options]
        self.process, self.address = None, address
        if address:
            self.port = port or free_port(address)
            self.url, self.client = f"redis://{address}:{self.port}", ["redis-cli", "-h", address, "-p", str(self.port)]
            self.options += ["--port", self.port, "--bind", address]
        else:
            self.socket = self.folder / "redis.sock"
            self.url, self.client = f"unix://{self.socket}", ["redis-cli", "-s", str(self.socket)]
            self.options += ["--port", "0", "--unixsocket", self.socket]

    def start(self):
        self.folder.mkdir(exist_ok=True)
        with open(self.folder / "redis.log", "ab") as log:
            self.process = subprocess.Popen(["redis-server", *map(str, self.options)], stdout=log, stderr=log)
        wait_for(lambda: self.cli("ping") == "PONG" or self.process.poll() is not None, "Redis")
        assert self.process.poll() is None, (self.folder / "redis.log").read_text()
        return self

    def cli(self, *command, **options):
        """What redis-cli prints."""
        done = subprocess.run([*self.client, *map(str, command)], capture_output=True, text=True, check=False, **options)
        return done.stdout.strip()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
