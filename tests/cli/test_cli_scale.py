"""The local autoscaler: workers come with work, go by themselves, and a failing one is not started in a loop."""
import json
import os
import signal
import subprocess
import time

import pytest

from ..support.paths import BUILD
from ..support.waiting import wait_for
from .cli_farm import children_of, command_of

# Waits for a line that never comes, in the shell itself: a child would outlive a shell that is killed.
STAYS = 'echo "$@" >> started; trap "exit 0" TERM; mkfifo wait.$$; exec 3<>wait.$$; rm wait.$$; read line <&3\n'


def workers_of(farm):
    return [pid for pid in children_of(farm.process.pid) if any(word.endswith("/worker") for word in command_of(pid)[:2])]


def events(farm, what):
    return [line for line in farm.log.read_text().splitlines() if what in line]


def is_gone(pid):
    return not os.path.exists(f"/proc/{pid}") or command_of(pid) == [""] or command_of(pid) == []


def test_an_idle_farm_has_no_workers_and_sleeps(make_farm):
    farm = make_farm("--workers", "2", worker=STAYS)
    assert farm.json("list") == [] and workers_of(farm) == []
    ticks = lambda: sum(map(int, open(f"/proc/{farm.process.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))

    def ticks_of_two_seconds():
        before = ticks()
        time.sleep(2)
        return ticks() - before

    # Of 200 ticks. What starting up left to do may fall into the first two seconds; a farm that does not sleep never has quiet ones.
    wait_for(lambda: ticks_of_two_seconds() <= 5, "a farm that sleeps")


def test_work_starts_workers_and_no_more_than_the_rule_asks_for(make_farm):
    farm = make_farm("--workers", "5", "--cooldown", "7", worker=STAYS)
    farm.submit()
    wait_for(lambda: len(workers_of(farm)) == 2, "two workers for one job")
    farm.submit()
    wait_for(lambda: len(farm.json("list")) == 2, "the second campaign")
    assert len(workers_of(farm)) == 2
    words = wait_for(lambda: (farm.folder / "started").exists() and (farm.folder / "started").read_text(), "a worker's words").splitlines()[0].split()
    assert words[0] == "run" and words[words.index("--pools") + 1] == "cpu,lipsync,image"
    assert words[words.index("--idle-exit-ms") + 1] == "7000"
    assert words[words.index("--store") + 1] == f"file://{farm.data}/store"
    assert farm.stop() == 0
    assert len(events(farm, "ended")) == 2


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="counts cards where there are some")
def test_workers_are_given_the_s3_endpoint_by_their_arguments(make_farm):
    farm = make_farm("--workers", "1", "--s3-endpoint", "http://127.0.0.1:1",
                     worker='printf "%s\\n" "$*" "inherited: $MELA_S3_ENDPOINT" > told.part; mv told.part told; exec sleep 600\n')
    farm.submit()
    told = wait_for(lambda: (farm.folder / "told").exists() and (farm.folder / "told").read_text(), "a worker")
    assert "--s3-endpoint http://127.0.0.1:1" in told and "inherited: \n" in told


def test_without_a_card_there_is_a_worker_for_every_two_cores(make_farm):
    farm = make_farm("--json")
    up = json.loads(wait_for(lambda: events(farm, '"address"'), "what it says of itself")[0])
    assert up["workers"] == max(1, len(os.sched_getaffinity(0)) // 2)


def test_the_cap_holds(make_farm):
    farm = make_farm("--workers", "1", worker=STAYS)
    for _ in range(3):
        farm.submit()
    wait_for(lambda: workers_of(farm), "a worker")
    assert len(workers_of(farm)) == 1 and len(events(farm, "started (pid")) == 1


def test_a_worker_that_fails_is_explained_and_started_again_later(make_farm):
    farm = make_farm("--workers", "1", worker='echo "the models are missing" >&2; exit 3\n')
    farm.submit()
    lines = wait_for(lambda: (e := events(farm, "next try in"))[1:] and e, "two failures")
    assert "status 3" in lines[0] and "the models are missing" in lines[0]
    assert "next try in 1 s" in lines[0] and "next try in 2 s" in lines[1]
    assert farm.stop() == 0


def test_a_missing_worker_program_is_told(make_farm):
    farm = make_farm("--workers", "1", worker=STAYS)
    (farm.folder / "worker").unlink()
    farm.submit()
    assert "No such file" in wait_for(lambda: events(farm, "next try in"), "the reason")[0]


def test_a_second_signal_ends_workers_that_do_not_stop(make_farm):
    farm = make_farm("--workers", "1", worker='trap "" TERM; touch up; while :; do sleep 0.1; done\n')
    farm.submit()
    wait_for(lambda: (farm.folder / "up").exists(), "the worker")
    workers = workers_of(farm)
    farm.process.send_signal(signal.SIGTERM)
    wait_for(lambda: events(farm, "stopping"), "the drain")
    farm.process.send_signal(signal.SIGTERM)
    assert farm.process.wait(20) == 0
    assert all(is_gone(pid) for pid in workers)


def test_a_killed_farm_takes_its_workers_along_and_goes_on_when_started_again(make_farm):
    farm = make_farm("--workers", "1", worker=STAYS)
    campaign = farm.submit()
    wait_for(lambda: workers_of(farm), "a worker")
    workers = workers_of(farm)
    farm.process.kill()
    farm.process.wait()
    wait_for(lambda: all(is_gone(pid) for pid in workers), "the workers' end")
    farm.start()
    assert farm.json("show", campaign)["state"] == "running"
    wait_for(lambda: workers_of(farm), "a worker again")


def test_watch_goes_on_over_a_restart(make_farm):
    farm = make_farm("--workers", "0")
    campaign = farm.submit()
    port = (farm.data / "address").read_text().strip().rsplit(":", 1)[1]
    watch = subprocess.Popen([BUILD / "mela", "watch", campaign, "--json"], cwd=farm.folder, env=farm.environment,
                             stdout=subprocess.PIPE, text=True)
    assert watch.stdout.readline()
    farm.process.kill()
    farm.process.wait()
    farm.options = ("--workers", "0", "--port", port)
    farm.start()
    assert farm("cancel", campaign).returncode == 0
    assert watch.wait(60) == 7


def redis_of(farm):
    return [pid for pid in children_of(farm.process.pid) if command_of(pid)[0].startswith("redis-server")]


def test_a_redis_that_dies_is_started_again_with_its_data(make_farm):
    farm = make_farm("--workers", "1", worker=STAYS)
    campaign = farm.submit()
    wait_for(lambda: workers_of(farm), "a worker")
    [redis] = redis_of(farm)
    os.kill(redis, signal.SIGKILL)
    wait_for(lambda: events(farm, "Redis had ended"), "another Redis")
    assert redis_of(farm) not in ([], [redis])
    assert farm.json("show", campaign)["state"] == "running"
    assert farm.stop() == 0


def test_ctrl_c_reaches_only_the_farm_itself(make_farm):
    farm = make_farm("--workers", "1", worker=STAYS)
    farm.submit()
    wait_for(lambda: workers_of(farm), "a worker")
    group = os.getpgid(farm.process.pid)
    assert all(os.getpgid(pid) != group for pid in redis_of(farm) + workers_of(farm))
