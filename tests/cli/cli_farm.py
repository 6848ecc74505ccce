"""mela as a user runs it. A fake worker stands in for mela-worker where only its start and end matter."""
import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess

from ..support.hand import Painter, Worker
from ..support.paths import BUILD
from ..support.waiting import DEADLINE, wait_for_program


class Mela:
    """Runs mela in an empty folder, with nothing set but what a test sets."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def __call__(self, *arguments, **environment):
        return subprocess.run([BUILD / "mela", *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                              timeout=DEADLINE, env={**self.environment, **environment})

    def error(self, status, code, *arguments, **environment):
        """Runs a command that must fail so; answers its message. The error is one JSON object, the only line."""
        done = self(*arguments, "--json", **environment)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        error = json.loads(done.stderr)["error"]
        assert error["code"] == code, error
        return error

    def json(self, *arguments):
        done = self(*arguments, "--json")
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return json.loads(done.stdout)


class Farm(Mela):
    """mela up on a data directory of its own; MELA_DATA leads the other commands to it."""

    def __init__(self, folder, *options, worker=None):
        super().__init__(folder)
        self.data = folder / "data"
        self.environment["MELA_DATA"] = str(self.data)
        self.options = options
        self.log = folder / "up.log"
        self.process = None
        if worker:
            script = folder / "worker"
            script.write_text("#!/bin/sh\n" + worker)
            script.chmod(0o755)
            self.environment["MELA_WORKER"] = str(script)

    def start(self):
        (self.data / "address").unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BUILD / "mela", "up", "--port", "0", *map(str, self.options)], cwd=self.folder,
                                            env=self.environment, stdout=log, stderr=log)
        wait_for_program(self.process, (self.data / "address").exists, "the farm's address", self.log)
        return self

    def stop(self):
        """Ends mela up as a user does; answers its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    @contextlib.contextmanager
    def painter(self, **options):
        """Does jobs of pictures in the place of a worker."""
        worker = Worker(f"unix://{self.data}/redis/redis.sock")
        try:
            yield Painter(worker, self.data / "store", **options)
        finally:
            worker.close()

    def imagine(self, *arguments):
        """Submits pictures; answers the campaign's id."""
        return self.json("imagine", *arguments)["id"]

    def submit(self, *options, languages=("hi", "ta")):
        """Submits bytes that no worker looks at; answers the campaign's id."""
        (self.folder / "talk.mp4").write_bytes(b"video")
        (self.folder / "hi.wav").write_bytes(b"speech")
        dubs = [part for language in languages for part in ("--dub", f"{language}=hi.wav")]
        return self.json("submit", "--video", "talk.mp4", *dubs, *options)["id"]


def children_of(pid):
    """Pids of the living children of a process."""
    children = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            children.append(int(stat.parent.name))
    return children


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def sha256(data):
    return hashlib.sha256(data).hexdigest()
