"""Real workers with chaos_executor in their executors' place, and workers that fall ill of one fault and get well again."""
import collections
import json
import os
import pathlib
import subprocess

from ..support.paths import BUILD

SKEW_S = 3600


class Executors:
    """The program of some workers' executors, in a folder of its own with the settings that it reads (chaos_executor.c)."""

    def __init__(self, folder, **settings):
        self.folder, self.settings = folder, settings
        folder.mkdir()
        self.program = folder / "chaos_executor"
        self.program.symlink_to(BUILD / "tests/chaos/chaos_executor")
        self.set()

    def set(self, **changes):
        self.settings.update(changes)
        (self.folder / "new").write_text(json.dumps(self.settings), encoding="utf-8")
        (self.folder / "new").rename(self.folder / "settings")

    def misdeeds(self):
        file = self.folder / "misdeeds"
        return dict(collections.Counter(file.read_text(encoding="utf-8").split() if file.exists() else ()))


def clock_shifted_by(file):
    """What in its environment makes a program's clock be off by as many seconds as the file says."""
    return {"LD_PRELOAD": str(BUILD / "tests/chaos/shifted_clock.so"), "SHIFT_FILE": str(file)}


class Worker:
    """One `mela-worker run`. `farm`: its options that say where the farm is."""

    def __init__(self, name, folder, executors, farm, environment, lease_ms, prefix=()):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, BUILD / "mela-worker", "run", "--id", name, *farm, "--executor", executors.program, "--work", folder / "work",
                 "--device", "cpu", "--lease-ms", str(lease_ms), "--models", folder, "--manifests", folder],
                stdout=subprocess.DEVNULL, stderr=log, cwd=folder, env={**environment, "AWS_EC2_METADATA_DISABLED": "true"})

    def said(self, text):
        return text in self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()


def astray(folder, supervisors):
    """Executors that have a program of the folder and none of these supervisors, and zombies that one of these has."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            ours = (process / "cmdline").read_bytes().startswith(f"{folder}/".encode())  # a zombie has none
        except OSError:
            continue
        if (ours and int(parent) not in supervisors) or (state == "Z" and int(parent) in supervisors):
            found.append(f"executor {process.name}, {state}, of {parent}")
    return found


# ---- faults ----

class WrongClock:
    """An hour ahead, which the store does not take."""

    def __init__(self, chaos, folder):
        self.file = folder / "shift"
        self.file.write_text("0")
        self.environment, self.prefix = clock_shifted_by(self.file), ()

    def begin(self, worker):
        self.file.write_text(str(SKEW_S))

    def end(self, worker):
        self.file.write_text("0")


class FullDisk:
    """Its folder is a volume of its own (tmpfs, in a namespace of the worker's), which somebody else fills."""

    def __init__(self, chaos, folder):
        (folder / "work").mkdir()
        self.environment = {}
        self.prefix = ("unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=256k none {folder}/work && exec "$@"', "sh")

    def filler(self, worker):
        return pathlib.Path(f"/proc/{worker.process.pid}/root{worker.log.parent}/work/filler")

    def begin(self, worker):
        with open(self.filler(worker), "ab", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def end(self, worker):
        self.filler(worker).unlink()


class DeniedStore:
    """The store takes its key no more."""

    def __init__(self, chaos, folder):
        self.chaos, self.key = chaos, "REVOKED"
        self.environment, self.prefix = {"AWS_ACCESS_KEY_ID": self.key}, ()

    def begin(self, worker):
        self.chaos.denied_keys.add(self.key)

    def end(self, worker):
        self.chaos.denied_keys.discard(self.key)


class MissingModel:
    """Its executors lack the model that every campaign asks for."""
    environment, prefix = {}, ()

    def __init__(self, chaos, folder):
        pass

    def begin(self, worker):
        worker.executors.set(fails="model.not_found")

    def end(self, worker):
        worker.executors.set(fails=None)


class VanishedCard:
    """What runs on it fails for good, and no executor starts any more."""
    environment, prefix = {}, ()

    def __init__(self, chaos, folder):
        pass

    def begin(self, worker):
        worker.executors.set(card=False)

    def end(self, worker):
        worker.executors.set(card=True)


FAULTS = {"clock": WrongClock, "disk": FullDisk, "denied": DeniedStore, "model": MissingModel, "card": VanishedCard}
CODES = {"clock": {"store.denied"}, "disk": {"disk.full"}, "denied": {"store.denied"}, "model": {"model.not_found"},
         "card": {"model.run", "model.device"}}  # that it may be ill of


def volumes_can_be_made():
    """Whether a process may mount a volume in a namespace of its own."""
    return subprocess.run(["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"], check=False, capture_output=True).returncode == 0


class IllWorker(Worker):
    """A worker that is well at first. Its fault begins when it has done a job, and ends when the farm knows that it is ill; then it
    has to do jobs again."""

    def __init__(self, chaos, kind, executors_settings, *arguments):
        folder = chaos.folder / f"ill-{kind}"
        folder.mkdir()
        self.chaos, self.kind, self.stage, self.mark = chaos, kind, "well", 0
        self.executors = Executors(folder / "executors", **executors_settings)
        self.fault = FAULTS[kind](chaos, folder)
        farm, environment, lease_ms = arguments
        super().__init__(f"ill-{kind}", folder, self.executors, farm, {**environment, **self.fault.environment}, lease_ms,
                         self.fault.prefix)

    def jobs_done(self):
        return sum('"done"' in line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines())

    def is_known_as_ill(self):
        if not self.said("this worker is ill"):
            return False
        info = next((w for w in self.chaos.workers_alive() if w["id"] == self.name), {})
        ill = info.get("ill") or {}
        assert not ill or ill["code"] in CODES[self.kind], ill
        return info.get("state") == "ill"

    def step(self):
        assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
        if self.stage == "well" and self.jobs_done() > 0:
            self.fault.begin(self)
            self.stage = "falling ill"
        elif self.stage == "falling ill":
            self.fault.begin(self)  # once more: jobs that end make room on a full disk
            if self.is_known_as_ill():
                self.fault.end(self)
                self.stage = "ill"
        elif self.stage == "ill" and self.said("this worker is well again"):
            self.mark, self.stage = self.jobs_done(), "recovering"
        elif self.stage == "recovering" and self.jobs_done() > self.mark:
            self.stage = "recovered"
