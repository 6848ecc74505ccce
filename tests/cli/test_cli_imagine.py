"""Pictures from the command line, with a hand that does the jobs in the place of a worker."""
import concurrent.futures
import json
import os
import pty
import subprocess

import pytest

from ..support.hand import png
from ..support.paths import BUILD
from ..support.waiting import DEADLINE, wait_for
from .cli_farm import sha256


def spec_of(farm, campaign):
    return json.loads((farm.data / f"store/campaigns/{campaign}/spec.json").read_text())


def submitted(farm):
    return {item["id"] for item in farm.json("list")}


def follow(farm, *arguments, device="cpu"):
    """Runs a command that follows the campaign it submits, whose jobs are done meanwhile."""
    before = submitted(farm)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, farm.painter(device=device) as painter:
        done = pool.submit(farm, *arguments)
        wait_for(lambda: done.done() or submitted(farm) - before, "the campaign")
        painter.do_all()
        return done.result()


# ---- submitting ----


def test_what_the_options_say_is_in_the_spec(farm):
    (farm.folder / "Mine (2).safetensors").write_bytes(b"weights")
    campaign = farm.imagine("a marigold garland", "a blue door", "--count", 4, "--negative", "", "--seed", 7, "--size", "1216x832",
                            "--steps", 20, "--guidance", "7.5", "--scheduler", "dpmpp_2m_karras", "--model", "shapes", "--lora",
                            "diwali:0.5", "--lora", "./Mine (2).safetensors:1.25", "--weighted", "--long-prompts", "--enhance", "--no-sheet",
                            "--no-metadata", "--class", "urgent", "--deadline", "2030-11-08T18:00:00Z")
    spec = spec_of(farm, campaign)
    images, prompts = spec["images"], spec["images"]["prompts"]
    assert spec["name"] == "a marigold garland" and spec["class"] == "urgent" and spec["deadline"].startswith("2030-11-08")
    assert images["model"] == "shapes" and images["syntax"] == "weighted" and images["long_prompts"]
    assert not images["sheet"] and not images["metadata"]
    uri = "sha256:" + sha256(b"weights")
    assert (farm.data / "store/files" / uri[7:]).read_bytes() == b"weights"
    for prompt, text in zip(prompts, ["a marigold garland", "a blue door"]):
        assert prompt == {"prompt": text, "count": 4, "negative_prompt": "", "seed": 7, "width": 1216, "height": 832, "steps": 20,
                          "guidance": 7.5, "scheduler": "dpmpp_2m_karras", "enhance": True,
                          "loras": [{"name": "diwali", "weight": 0.5}, {"name": "mine--2-", "file": uri, "weight": 1.25}]}


@pytest.mark.parametrize("text,file,name,weight", [
    ("sha256:" + "1" * 64, "sha256:" + "1" * 64, "1" * 64, 1), ("s3://in/Some%20One.safetensors:2", "s3://in/Some%20One.safetensors", "some-20one", 2),
    ("plain", None, "plain", 1), ("plain:-1", None, "plain", -1)])
def test_ways_to_name_a_lora(mela, text, file, name, weight):
    """Seen in what is refused: the size is wrong too."""
    (mela.folder / "p.csv").write_text(f'prompt,loras\na,"{text}"\n')
    from_option = mela("imagine", "a", "--lora", text, "--address", "http://127.0.0.1:1")
    from_file = mela("imagine", "--prompts", "p.csv", "--address", "http://127.0.0.1:1")
    assert from_option.returncode == from_file.returncode == 3, from_option.stderr + from_file.stderr  # the spec itself is good


CSV = ('\ufeffprompt,negative_prompt,seed,count,width,height,steps,guidance,rescale,scheduler,spacing,loras,enhance\r\n'
       '"a door, said ""blue""",text,7,2,1216,832,20,7.5,0.5,euler,trailing,diwali:0.5 other,true\r\n'
       '\r\n'
       'दीवाली का दीया,,,,,,,,,,,,\r\n')


def test_prompts_from_a_table(farm):
    (farm.folder / "doors.csv").write_bytes(CSV.encode())
    spec = spec_of(farm, farm.imagine("--prompts", "doors.csv", "--steps", 9))
    assert spec["name"] == "doors"
    first, second = spec["images"]["prompts"]
    assert first == {"prompt": 'a door, said "blue"', "negative_prompt": "text", "seed": 7, "count": 2, "width": 1216, "height": 832,
                     "steps": 20, "guidance": 7.5, "rescale": 0.5, "scheduler": "euler", "spacing": "trailing", "enhance": True,
                     "loras": [{"name": "diwali", "weight": 0.5}, {"name": "other", "weight": 1.0}]}
    assert second["prompt"] == "दीवाली का दीया" and second["steps"] == 9 and "negative_prompt" not in second


def test_prompts_from_lines(farm):
    (farm.folder / "a.txt").write_bytes("\ufeffone\r\n\r\n# two, as it stands\n  three".encode())
    texts = [p["prompt"] for p in spec_of(farm, farm.imagine("--prompts", "a.txt"))["images"]["prompts"]]
    assert texts == ["one", "# two, as it stands", "  three"]
    (farm.folder / "b.jsonl").write_text('{"prompt":"one","negative_prompt":null}\n\n{"prompt":"two","steps":5}\n')
    prompts = spec_of(farm, farm.imagine("--prompts", "b.jsonl", "--negative", "text"))["images"]["prompts"]
    assert [(p["prompt"], p["steps"], p.get("negative_prompt")) for p in prompts] == [("one", 30, None), ("two", 5, "text")]
    done = subprocess.run([BUILD / "mela", "imagine", "--prompts", "-", "--json"], input="from\nstdin\n", cwd=farm.folder,
                          env=farm.environment, capture_output=True, text=True, timeout=DEADLINE)
    assert [p["prompt"] for p in spec_of(farm, json.loads(done.stdout)["id"])["images"]["prompts"]] == ["from", "stdin"]


@pytest.mark.parametrize("name,content,problems", [
    ("p.csv", b'prompt,steps,enhance\na,900,yes\nb,1\n"c",x,\n"d" d,1,\n\xff,1,\n"e',
     [("p.csv:2", "steps is not a whole number"), ("p.csv:2", "enhance is not true or false"), ("p.csv:3", "2 fields"),
      ("p.csv:4", "steps is not a whole number"), ("p.csv:5", "closing quote"), ("p.csv:6", "UTF-8"), ("p.csv:7", "not closed")]),
    ("p.csv", b"words,steps,steps\na,1,1\n", [("p.csv:1", "words"), ("p.csv:1", "twice"), ("p.csv:1", 'no header with a column "prompt"')]),
    ("p.csv", b"", [("p.csv:1", "no header")]),
    ("p.jsonl", b'{"prompt":"a"}\n{"prompt":"a","seed":-1}\nnope\n[1]\n{"prompt":"a","loras":[{"name":"a","weight":9}]}\n{"Prompt":"a"}',
     [("p.jsonl:2", "seed is not"), ("p.jsonl:3", "is not valid JSON"), ("p.jsonl:4", "is not an object"),
      ("p.jsonl:5", "loras[0].weight is not a number from -4 to 4"), ("p.jsonl:6", "prompt is missing"), ("p.jsonl:6", "Prompt is not known")]),
    ("p.txt", b"a\n\tb\n\xffc\n", [("p.txt:2", "control"), ("p.txt:3", "UTF-8")]),
    ("p.txt", b"\n\n", [("$.images.prompts", "1 to 10000")]),
], ids=["csv", "header", "empty", "jsonl", "txt", "none"])
def test_every_mistake_in_a_file_is_told_with_its_line(mela, name, content, problems):
    (mela.folder / name).write_bytes(content)
    details = mela.error(2, "spec.invalid", "imagine", "--prompts", name, "--address", "http://127.0.0.1:1")["details"]
    for path, words in problems:
        assert any(d["path"] == path and words in d["message"] for d in details), (path, words, details)
    shown = mela("imagine", "--prompts", name).stderr
    assert all(f"  {d['path']} {d['message']}\n" in shown for d in details)


@pytest.mark.parametrize("arguments", [
    (), ("a", "--prompts", "x.txt"), ("a", "--size", "big"), ("a", "--size", "8x"), ("a", "--steps", "x"), ("a", "--guidance", "x"),
    ("a", "--again", "x.json"), ("--again", "x.json", "--steps", "3")])
def test_wrong_usage(mela, arguments):
    mela.error(2, "usage", "imagine", *arguments)


def test_warnings_are_told_with_their_line(farm):
    (farm.folder / "p.jsonl").write_text('{"prompt":"a"}\n{"prompt":"b","width":512,"height":512}\n')
    done = farm("imagine", "--prompts", "p.jsonl")
    assert done.returncode == 0
    assert done.stderr.startswith("mela: warning: p.jsonl:2 width 512 x 512 is no size"), done.stderr
    assert farm.json("imagine", "--prompts", "p.jsonl")["warnings"][0]["path"] == "$.images.prompts[1].width"


def test_a_spec_file_of_pictures_is_submitted(farm):
    (farm.folder / "specs").mkdir()
    (farm.folder / "specs/mine.safetensors").write_bytes(b"weights")
    lora = {"name": "mine", "file": "mine.safetensors"}
    (farm.folder / "specs/spec.json").write_text(json.dumps({"name": "doors", "images": {
        "prompts": [{"prompt": "a", "loras": [lora]}, {"prompt": "b", "width": 512, "height": 512}], "defaults": {"loras": [lora]}}}))
    done = farm("submit", "specs/spec.json")
    assert done.returncode == 0 and "warning: $.images.prompts[1].width" in done.stderr
    prompts = spec_of(farm, done.stdout.strip())["images"]["prompts"]
    assert [p["loras"][0]["file"] for p in prompts] == ["sha256:" + sha256(b"weights")] * 2


# ---- watching and fetching ----


def check_folder(folder, names):
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_pictures_are_watched_and_fetched(farm):
    done = follow(farm, "imagine", "a door", "--count", 6, "--seed", 4294967293, "--output", "out")
    assert done.returncode == 0, done.stderr
    seeds = [4294967293, 4294967294, 4294967295, 0, 1, 2]
    names = [f"{i:04}-seed{seed}.png" for i, seed in enumerate(seeds)]
    lines = done.stdout.splitlines()
    assert lines[-8:] == [f"out/{name}" for name in [*names, "sheet.png", "index.json"]]
    assert "running, 0/6 pictures" in done.stdout and ": done after" in done.stdout
    assert "language" not in done.stdout and "faces" not in done.stdout and "plan" not in done.stdout
    check_folder(farm.folder / "out", [*names, "sheet.png", "index.json"])
    assert json.loads((farm.folder / "out/index.json").read_text())["pictures"][5]["number"] == 5


@pytest.fixture
def made(farm):
    """A campaign of six pictures that is done."""
    campaign = farm.imagine("a door", "--count", 6, "--seed", 7)
    with farm.painter() as painter:
        painter.do_all()
    return campaign


NAMES = [*(f"{i:04}-seed{7 + i}.png" for i in range(6)), "index.json", "sheet.png"]


def test_get_goes_on_where_it_was_and_never_overwrites(farm, made):
    assert farm("get", made).returncode == 0
    folder = farm.folder / made
    check_folder(folder, NAMES)
    whole = (folder / NAMES[3]).read_bytes()
    (folder / NAMES[3]).unlink()
    (folder / f".{sha256(whole)}.part").write_bytes(whole[:20])
    before = (folder / NAMES[0]).stat().st_mtime_ns
    files = farm.json("get", made)
    assert files[3] == {"number": 3, "seed": 10, "job": "image/0000", "file": f"{made}/{NAMES[3]}"}
    assert (folder / NAMES[3]).read_bytes() == whole and (folder / NAMES[0]).stat().st_mtime_ns == before
    check_folder(folder, NAMES)
    (folder / NAMES[1]).write_bytes(b"another")
    error = farm.error(1, "io", "get", made)
    assert NAMES[1] in error["message"] and (folder / NAMES[1]).read_bytes() == b"another"


def test_bytes_that_are_not_of_the_record_are_thrown_away(farm, made):
    stored = next((farm.data / f"store/campaigns/{made}/image").glob("0001.*.0.png"))
    stored.write_bytes(png(8, 8, (0, 0, 0)))
    farm.error(1, "store.hash_mismatch", "get", made, "-o", "out")
    assert not (farm.folder / "out" / NAMES[4]).exists()


def test_get_takes_what_is_done_and_says_when_nothing_is(farm):
    campaign = farm.imagine("a door", "--count", 6, "--seed", 7)
    assert campaign in farm.error(4, "api.not_found", "get", campaign)["message"]
    assert not (farm.folder / campaign).exists()
    with farm.painter() as painter:
        painter.do(painter.worker.claim())
    assert farm("get", campaign, "-o", "out").returncode == 0
    check_folder(farm.folder / "out", NAMES[:4])


def test_a_prompt_that_was_cut_is_told_once(farm):
    campaign, cut = farm.imagine("a long prompt", "--count", 2), {"tokens": 90, "cut": 15, "text": "and a blue door"}
    with farm.painter(cut=cut) as painter:
        painter.do_all()
    done = farm("get", campaign, "-o", "out")
    assert done.returncode == 0 and len(done.stderr.splitlines()) == 1
    assert "15 of 90 tokens of the prompt of image/0000 were cut off: and a blue door" in done.stderr
    assert farm.json("get", campaign, "-o", "out")[1]["cut"] == cut


def test_pictures_that_redis_forgot_are_fetched(farm, made):
    subprocess.run(["redis-cli", "-s", farm.data / "redis/redis.sock", "FLUSHALL"], check=True, capture_output=True)
    assert farm("get", made, "-o", "out").returncode == 0
    check_folder(farm.folder / "out", NAMES)


def test_what_shows_a_campaign_knows_pictures(farm, made):
    shown = farm("show", made).stdout
    assert "pictures   6 of 6\n" in shown and "language" not in shown
    assert f"{made}/image/0001" in farm("show", made, "--jobs").stdout
    assert f"{made}/sheet" in farm("trace", made, "--json").stdout and "denoise" in farm("trace", made).stdout
    assert "3/3" in farm("list").stdout


def test_a_picture_that_died_is_told_and_can_be_retried(farm):
    campaign = farm.imagine("a door", "--count", 6)
    with farm.painter() as painter:
        claim = painter.worker.claim()
        painter.worker.do("fail", **claim, code="prompt.invalid")
        painter.do_all()
        watched = farm("watch", campaign)
        assert watched.returncode == 6 and f"{claim['job']}: made to fail by a test [prompt.invalid]" in watched.stdout
        assert claim["job"] in farm("dead").stdout
        assert farm("retry", claim["job"]).returncode == 0
        painter.do_all()
    assert farm("watch", campaign).returncode == 0


def test_a_campaign_of_pictures_is_cancelled(farm):
    campaign = farm.imagine("a door", "--count", 6)
    assert farm("cancel", campaign).returncode == 0
    assert farm("watch", campaign).returncode == 7


def test_a_terminal_shows_each_job(farm):
    campaign = farm.imagine("a door", "--count", 9, "--steps", 20)
    master, slave = pty.openpty()
    process = subprocess.Popen([BUILD / "mela", "watch", campaign], cwd=farm.folder, env=farm.environment, stdout=slave, stderr=slave)
    os.close(slave)
    seen = ""

    def shows(*words):
        nonlocal seen
        seen += os.read(master, 65536).decode(errors="replace")
        return all(word in seen for word in words)

    with farm.painter() as painter:
        wait_for(lambda: shows("0/9 pictures", "···"), "three jobs that wait")
        painter.do(painter.worker.claim())
        claim = painter.worker.claim()
        painter.worker.do("progress", **claim, progress={"frames": 10, "of": 20, "step": "denoise"})
        wait_for(lambda: shows("50 %", "4/9 pictures", "█▄·"), "one that is done and one at its half")
        painter.do(claim)
        painter.do_all()
        wait_for(lambda: shows("100 %", "9/9 pictures", "███", "done after"), "the end")
    assert process.wait(DEADLINE) == 0
    os.close(master)


# ---- again ----


@pytest.fixture
def drawn(farm, made):
    """The folder of what was made."""
    assert farm("get", made, "-o", "drawn").returncode == 0
    for job in range(2):
        record = next((farm.data / f"store/campaigns/{made}/image").glob(f"{job:04}.*.json"))
        (farm.folder / "drawn" / f"record-{job}.json").write_bytes(record.read_bytes())
    return farm.folder / "drawn"


def test_again_from_a_record_and_from_a_picture(farm, drawn):
    done = follow(farm, "imagine", "--again", "drawn/record-1.json", "--watch")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("seed 11: the same\nseed 12: the same\n")
    done = follow(farm, "imagine", "--again", f"drawn/{NAMES[2]}", "--output", "again")
    assert done.returncode == 0 and done.stdout.endswith("seed 9: the same\n"), done.stdout
    assert (farm.folder / "again/0002-seed9.png").read_bytes() == (drawn / NAMES[2]).read_bytes()


def test_again_with_a_prompt_that_is_not_ascii(farm):
    campaign = farm.imagine("दीवाली का दीया", "--seed", 3)
    with farm.painter() as painter:
        painter.do_all()
    assert farm("get", campaign, "-o", "out").returncode == 0
    done = follow(farm, "imagine", "--again", "out/0000-seed3.png", "--watch")
    assert done.returncode == 0 and "seed 3: the same" in done.stdout


def test_again_that_is_not_the_same(farm, drawn):
    done = follow(farm, "imagine", "--again", "drawn/record-0.json", "--watch", device="cuda:0")
    assert done.returncode == 1, done.stderr
    assert "seed 7: not the same\n" in done.stdout and '  device was "cpu", is "cuda:0"\n' in done.stdout
    done = follow(farm, "imagine", "--again", "drawn/record-0.json", "--watch", "--json", device="cuda:0")
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1 and last["same"] is False and last["origin"] == {"device": {"was": "cpu", "is": "cuda:0"}}
    assert last["pictures"][1] == {"place": 1, "seed": 8, "same": False}


def test_files_that_say_nothing_of_how_they_were_made(mela):
    (mela.folder / "cut.png").write_bytes(png(8, 8, (0, 0, 0), mela="{" + "x" * 100)[:100])
    (mela.folder / "plain.png").write_bytes(png(8, 8, (0, 0, 0)))
    (mela.folder / "wrong.png").write_bytes(png(8, 8, (0, 0, 0), mela='{"recipe":3}'))
    (mela.folder / "long.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xfftEXtmela\0{}")
    (mela.folder / "other.json").write_text('{"version":1}')
    (mela.folder / "empty").write_bytes(b"")
    for name in ("cut.png", "plain.png", "wrong.png", "long.png", "other.json", "empty"):
        assert name in mela.error(2, "usage", "imagine", "--again", name)["message"]
    (mela.folder / "bad.json").write_text('{"recipe":{"prompts":[{"prompt":"a","steps":0}]}}')
    assert "steps" in mela.error(2, "spec.invalid", "imagine", "--again", "bad.json")["message"]
