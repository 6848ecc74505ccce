"""Executors that crash, hang, lie or are killed: what that costs, and whom."""
import os
import pathlib
import shutil
import signal

import pytest

from ..support.network import free_port
from ..support.paths import BUILD, DEPS
from ..support.waiting import wait_for
from .farm_process import Farm, ffmpeg
from .test_drain import jobs_of
from .test_metrics import get


class OddExecutors:
    """A worker's executors, as --executor: odd until be("real"). Those that run keep what they are."""

    def __init__(self, folder):
        self.folder = folder / "executors"
        self.folder.mkdir()
        self.program = self.folder / "odd_executor.py"
        shutil.copy(pathlib.Path(__file__).with_name("odd_executor.py"), self.program)
        (self.folder / "program").write_text(str(BUILD / "mela-worker"))

    def be(self, mode):
        (self.folder / "mode").write_text(mode)
        return self


@pytest.fixture
def odd(tmp_path):
    return OddExecutors(tmp_path)


def executors_of(worker):
    """The pids of a worker's executors."""
    children = pathlib.Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return [int(child) for child in children]


def busy_executors(worker):
    """By job: the executor that holds a file open in the job's scratch folder or, before that, nothing."""
    found = {}
    for pid in executors_of(worker):
        for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except OSError:
                continue
            if "/scratch/" in target and target.endswith("segment.mp4"):
                found[pathlib.Path(target).parent.name] = pid
    return found


def test_a_killed_executor_costs_its_own_job_alone(node, clips, held):
    farm, worker = Farm(node.folder), node.worker(held.environment)
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav", "hi": clips / "hi.wav"}, "--segment-seconds", "3")
    held.wait()
    before = executors_of(worker)
    assert len(before) == 2
    victim = next(iter(busy_executors(worker).values()))
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(set(executors_of(worker)) - {victim}) == 2, "a new executor")
    wait_for(lambda: any(job["crashes"] for job in jobs_of(farm, campaign).values()), "the crash to be noted")
    held.release()
    assert farm.wait(campaign)["state"] == "done", node.log()
    jobs = jobs_of(farm, campaign)
    assert sorted(job["crashes"] for job in jobs.values())[-2:] == [0, 1], jobs
    assert all(job["attempt"] == 1 + job["crashes"] for job in jobs.values()), jobs
    assert "signal 9 (Killed)" in node.log() and set(before) - {victim} <= set(executors_of(worker))


@pytest.mark.parametrize("mode, said", [("abort", "signal 6 (Aborted)"), ("leave", "exit code 3"),
                                        ("babble", "broke its protocol"), ("shout", "broke its protocol")])
def test_what_an_executor_does_wrong_is_its_jobs_crash(node, clips, odd, mode, said):
    farm = Farm(node.folder)
    node.worker({}, "--executor", odd.be(mode).program)
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}, "--segment-seconds", "3")
    wait_for(lambda: jobs_of(farm, campaign)[f"{campaign}/plan"]["crashes"] > 0, "a crash")
    odd.be("real")
    assert farm.wait(campaign)["state"] == "done", node.log()
    assert said in node.log()


def test_a_job_that_hangs_is_ended_with_its_campaign(node, clips, odd):
    farm = Farm(node.folder)
    worker = node.worker({}, "--executor", odd.be("hang").program)
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"})
    wait_for(lambda: node.claimed("plan"), "a claim")
    hung = executors_of(worker)
    odd.be("real")
    farm.run("cancel", campaign)
    wait_for(lambda: set(executors_of(worker)) - set(hung), "a new executor")
    other = farm.submit(clips / "talk.mp4", {"hi": clips / "hi.wav"}, "--segment-seconds", "3", "--name", "other")
    wait_for(lambda: f"{other}/plan" in node.claimed("plan"), "the next job")


def test_no_link_is_followed_out_of_a_jobs_folder(node, clips, odd):
    farm = Farm(node.folder)
    node.worker({}, "--executor", odd.be("link").program)
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"})
    wait_for(lambda: jobs_of(farm, campaign)[f"{campaign}/plan"]["errors"] > 0, "an error")
    assert not any("root:" in path.read_text(errors="replace") for path in (node.folder / "store").rglob("*") if path.is_file())


def test_executors_that_never_start_end_the_worker(node, odd):
    worker = node.worker({}, "--executor", odd.be("unready").program)
    assert worker.wait(60) != 0
    assert "exit code 7" in node.log()


def test_a_worker_with_two_devices_has_executors_for_each(node):
    worker = node.worker({}, "--device", "cpu,cpu", "--slots", "1")
    wait_for(lambda: "ready on" in node.log() and len(executors_of(worker)) == 2, "two executors")
    commands = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in executors_of(worker)]
    environments = [pathlib.Path(f"/proc/{pid}/environ").read_bytes() for pid in executors_of(worker)]
    assert all(command[1] == b"executor" for command in commands)
    assert len({command[command.index(b"--scratch") + 1] for command in commands}) == 2  # neither reaches the other's files
    assert not any(b"redis" in b" ".join(command) or b"AWS" in environment
                   for command, environment in zip(commands, environments))


def models_without(folder, missing):
    """A models folder that lacks one network."""
    folder.mkdir()
    for entry in (DEPS / "models").iterdir():
        if entry.name != f"{missing}.onnx" and not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)
    return folder


def test_a_worker_without_the_model_costs_a_campaign_time_alone(node, clips):
    """It is ill after jobs of three campaigns, says so, and claims no more; they wait for one that is well."""
    farm, port = Farm(node.folder), free_port()
    ill = node.worker({}, "--models", models_without(node.folder / "models", "wav2lip-96-random"), "--metrics-listen", f"127.0.0.1:{port}")
    short = node.folder / "short.mp4"  # the network is a large one
    ffmpeg("-i", clips / "talk.mp4", "-frames:v", "8", short)
    campaigns = [farm.submit(short, {"en": clips / "en.wav"}, "--name", name, "--lips", "wav2lip-96-random")
                 for name in ("one", "two", "three")]
    wait_for(lambda: [worker["state"] for worker in farm.workers()] == ["ill"], "the worker to say that it is ill")
    assert farm.workers()[0]["ill"]["code"] == "model.not_found"
    assert get(port, "/readyz")[0] == 503 and "model.not_found" in get(port, "/readyz")[1]
    assert 'mela_worker_ill{code="model.not_found"} 1' in get(port, "/metrics")[1]
    node.worker({}, "--id", "well")
    assert [farm.wait(campaign)["state"] for campaign in campaigns] == ["done"] * 3, node.log()
    jobs = [job for campaign in campaigns for job in jobs_of(farm, campaign).values()]
    assert all(job["errors"] == job["crashes"] == 0 for job in jobs) and sum(job["refusals"] for job in jobs) >= 3, jobs
    ill.terminate()


def test_optimised_graphs_that_cannot_be_kept_are_no_failure(node):
    """As in an image, whose models are read-only."""
    models = models_without(node.folder / "models", "none")
    (models / ".optimized").write_text("no folder")
    node.worker({}, "--models", models)
    wait_for(lambda: "ready on" in node.log(), "the worker")
