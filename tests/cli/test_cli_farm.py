"""Commands against a real farm without workers: mela up with its Redis, store and API."""
import json
import os
import pty
import re
import stat
import subprocess

from ..support.paths import BUILD
from ..support.waiting import wait_for
from .cli_farm import sha256


def test_up_writes_address_and_key_and_stops_clean(farm):
    key = farm.data / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", (farm.data / "address").read_text())
    assert farm.json("list") == []
    assert farm.stop() == 0
    assert not (farm.data / "address").exists()
    farm.error(3, "api.unreachable", "list")


def test_a_second_farm_on_the_same_data_is_refused(farm):
    error = farm.error(2, "usage", "up", "--port", "0")
    assert str(farm.data) in error["message"] and (farm.data / "address").read_text().strip() in error["message"]
    assert farm.json("list") == []


def test_a_taken_port_is_told(farm, tmp_path):
    port = (farm.data / "address").read_text().strip().rsplit(":", 1)[1]
    done = farm("up", "--port", port, "--data", tmp_path / "other")
    assert done.returncode == 2 and f"127.0.0.1:{port}" in done.stderr and "--port 0" in done.stderr


def test_submit_show_list_cancel(farm):
    campaign = farm.submit("--name", "Diwali 2026", "--class", "urgent")
    assert campaign.startswith("diwali-2026-")
    shown = farm.json("show", campaign)
    assert (shown["state"], shown["class"]) == ("running", "urgent")
    assert [language["language"] for language in shown["languages"]] == ["hi", "ta"]
    assert [c["id"] for c in farm.json("list")] == [campaign]
    assert [job["id"] for job in farm.json("show", campaign, "--jobs")] == [f"{campaign}/plan"]
    assert farm.json("show", f"{campaign}/plan")["state"] == "ready"
    assert campaign in farm("list").stdout and "running" in farm("show", campaign).stdout
    assert farm("cancel", campaign).returncode == 0
    assert farm.json("show", campaign)["state"] == "cancelled"
    done = farm("watch", campaign, "--json")
    assert done.returncode == 7 and json.loads(done.stdout.splitlines()[-1])["state"] == "cancelled"


def test_files_are_uploaded_once_by_content(farm):
    first, second = farm.submit(), farm.submit()
    assert first != second
    uploads = lambda: [line for line in farm.log.read_text().splitlines() if '"PUT"' in line]
    assert len(wait_for(lambda: uploads()[1:] and uploads(), "the two uploads in the log")) == 2
    kept = farm.data / "store" / "files" / sha256(b"video")
    assert kept.read_bytes() == b"video"


def test_an_idempotency_key_makes_one_campaign(farm):
    assert farm.submit("--idempotency-key", "k1") == farm.submit("--idempotency-key", "k1")
    error = farm.error(1, "api.conflict", "submit", "--video", "talk.mp4", "--dub", "mr=hi.wav", "--idempotency-key", "k1")
    assert error["message"]


def test_a_spec_file_uploads_what_lies_beside_it(farm):
    folder = farm.folder / "specs"
    folder.mkdir()
    (folder / "v.mp4").write_bytes(b"other video")
    (folder / "hi.wav").write_bytes(b"speech")
    spec = {"name": "x", "video": "v.mp4", "dubs": [{"language": "hi", "audio": "hi.wav"}],
            "options": {"speaker": {"point": [0.5, 0.5]}}}
    (folder / "spec.json").write_text(json.dumps(spec))
    assert farm.json("submit", "specs/spec.json")["id"].startswith("x-")
    assert (farm.data / "store" / "files" / sha256(b"other video")).exists()


def test_every_problem_of_a_spec_is_told(farm):
    farm.submit()
    arguments = ("submit", "--video", "ftp://x/y", "--dub", "hi=hi.wav", "--dub", "HI=hi.wav", "--sync", "never")
    error = farm.error(2, "spec.invalid", *arguments)
    assert {d["path"] for d in error["details"]} == {"$.video", "$.dubs[1].language", "$.options.sync"}
    done = farm(*arguments)
    assert all(path in done.stderr for path in ("$.video", "$.dubs[1].language", "$.options.sync"))


def test_what_is_not_there_exits_4(farm):
    campaign = farm.submit()
    for command in (["show", "nothing"], ["watch", "nothing"], ["cancel", "nothing"], ["trace", "nothing"], ["get", "nothing"],
                    ["show", f"{campaign}/hi/join"], ["retry", f"{campaign}/hi/join"]):
        farm.error(4, "queue.not_found", *command)
    assert "no video in hi" in farm.error(4, "api.not_found", "get", campaign, "--language", "hi")["message"]
    assert "mela watch" in farm.error(4, "api.not_found", "get", campaign)["message"]
    assert os.listdir(farm.folder).count(f"{campaign}-hi.mp4") == 0


def test_retry_of_a_job_that_lives_is_refused(farm):
    farm.error(1, "queue.state", "retry", f"{farm.submit()}/plan")
    assert farm.json("dead") == []


def test_a_wrong_key_exits_5(farm):
    farm.error(5, "api.unauthorized", "list", MELA_KEY="mela_wrong")
    (farm.folder / "key").write_text("mela_wrong\n")
    farm.error(5, "api.unauthorized", "list", "--key-file", "key")


def test_trace_of_a_campaign_that_waits(farm):
    campaign = farm.submit()
    assert [job["id"] for job in farm.json("trace", campaign)["jobs"]] == [f"{campaign}/plan"]
    assert "plan" in farm("trace", campaign).stdout


def test_a_campaign_that_is_held_says_so_and_until_when(farm):
    campaign = farm.submit()
    assert farm.json("show", campaign)["held_until_ms"] is None and "held" not in farm("list").stdout
    assert farm("scale", "hold", "--until", "2099-11-08T07:00:00+05:30").returncode == 0
    assert farm.json("list")[0]["held_until_ms"] == 4097784600000
    assert "held until 2099-11-08T01:30Z" in farm("list").stdout
    assert "batch is held until 2099-11-08T01:30Z" in farm("show", campaign).stdout
    watch = subprocess.Popen([BUILD / "mela", "watch", campaign], cwd=farm.folder, env=farm.environment,
                             stdout=subprocess.PIPE, text=True)
    lines = iter(watch.stdout.readline, "")
    assert any("batch is held until 2099-11-08T01:30Z" in line for line in lines)
    assert farm("scale", "hold").returncode == 0
    assert any("batch is held until it is resumed" in line for line in lines)
    assert farm("scale", "resume").returncode == 0
    assert any("held no more" in line for line in lines)
    assert farm("cancel", campaign).returncode == 0
    assert watch.wait(30) == 7 and watch.stdout.read()


def test_trace_of_the_farm(farm):
    campaign = farm.submit()
    trace = farm.json("trace")
    assert [c["id"] for c in trace["campaigns"]] == [campaign] and trace["workers"] == []
    shown = farm("trace", "--last", "5").stdout
    assert campaign[:22] in shown and "at most 0" in shown
    farm.error(2, "usage", "trace", "--last", "0")


def test_workers_says_why_one_is_ill(farm):
    assert farm.json("workers") == [] and "no workers" in farm("workers").stdout
    ill = {"code": "disk.full", "message": "writing /data/x: No space left on device", "since_ms": 1700000000000}
    common = {"device": "cpu", "pools": ["cpu", "lipsync"], "classes": ["batch"]}
    told = {"a-well": {**common, "state": "idle", "jobs": [], "ill": None},
            "b-ill": {**common, "state": "ill", "jobs": [], "ill": ill},
            "c-tries": {**common, "state": "busy", "jobs": ["x-1/plan"], "ill": {**ill, "code": "model.device"}},
            "d-older": {"state": "draining"}}
    beats = [json.dumps({"do": "beat", "worker": worker, "info": info}) for worker, info in told.items()]
    subprocess.run([BUILD / "tests/server/server_tool", "worker", f"unix://{farm.data}/redis/redis.sock"], check=True, text=True,
                   input="\n".join(beats) + "\n", capture_output=True)
    workers = {worker["id"]: worker for worker in farm.json("workers")}
    assert {id: {**worker, **told[id]} for id, worker in workers.items()} == workers and set(workers) == set(told)
    lines = farm("workers").stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [worker["state"] for worker in workers.values()]
    below = {line.split()[-1]: after.strip() for line, after in zip(lines, lines[1:] + [""])}
    assert below["b-ill"] == "ill since 2023-11-14T22:13Z: writing /data/x: No space left on device [disk.full]"
    assert below["c-tries"].endswith("[model.device]")
    assert sum(line.startswith(" ") for line in lines) == 2


def test_doctor_finds_the_farm(farm):
    found = {f["check"]: f for f in json.loads(farm("doctor", "--json").stdout)}
    assert {name for name, f in found.items() if f["result"] == "ok"} >= {"farm", "redis-server", "store", "data", "mela-worker"}
    assert found["fence"]["result"] in ("ok", "warn") and "andlock" in found["fence"]["message"] + found["fence"]["advice"]
    assert found["models"]["result"] == "fail" and "mela models add" in found["models"]["advice"]


def test_doctor_without_a_farm_or_a_store(mela, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = mela("doctor", "--store", f"file://{tmp_path}/file/store", "--json")
    found = {f["check"]: f["result"] for f in json.loads(done.stdout)}
    assert done.returncode == 1 and found["farm"] == "warn" and found["store"] == "fail"
    assert not [name for name in os.listdir(tmp_path / "home/.local/share/mela") if name.startswith("doctor")]


def test_watch_draws_a_bar_a_language_on_a_terminal_and_redraws_in_place(farm):
    campaign = farm.submit()
    ours, theirs = pty.openpty()
    watch = subprocess.Popen([BUILD / "mela", "watch", campaign], cwd=farm.folder, env=farm.environment, stdout=theirs)
    os.close(theirs)
    shown = os.read(ours, 65536)
    while shown.count("waiting for the plan".encode()) < 6:  # three rows, twice
        shown += os.read(ours, 65536)
    assert farm("cancel", campaign).returncode == 0
    assert watch.wait(30) == 7
    text = shown.decode(errors="ignore")
    assert "\033[3A" in text
    for row in ("faces", "hi", "ta"):
        assert re.search(rf"\033\[K{row} +·+", text), row
    os.close(ours)
