"""KEDA's side of scaling by redis triggers: the formula as rendered against `mela scale desired`, and a real queue counted as KEDA
counts."""
import itertools
import json
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from ..support.redis_server import RedisServer
from . import expr
from . import helm_chart
from .helm_chart import BUILD, mela, variant

NIGHT, DAY = "2026-11-10T23:30:00+05:30", "2026-11-10T12:00:00+05:30"
WORKERS = {"mela-worker-cpu": "cpu", "mela-worker-lipsync-urgent": "lipsync", "mela-worker-lipsync-batch": "lipsync"}
OTHER_RULE = '[{"up_to":3,"workers":1},{"up_to":9,"jobs_per_worker":4},{"jobs_per_worker":1}]'
OTHER_FARMS = {
    "a cap of one": ["farm.pools.lipsync.max=1"],
    "another rule": [f"farm.pools.lipsync.rule={OTHER_RULE}", "farm.pools.lipsync.max=7"],
    "both classes held": [f'farm.pools.{pool}.quiet_hours.classes=["urgent","batch"]' for pool in ("cpu", "lipsync")],
}


def test_the_reader_of_formulas():
    assert expr.evaluate("1 < 2 ? 3 : 4 < 5 ? 6 : 7", {}) == 3.0
    assert expr.evaluate("a <= 5 ? 2 : a <= 20 ? ceil(a / 3) : ceil(a / 2)", {"a": 20.0}) == 7.0
    assert expr.evaluate("min(8 - 2 - 1, (1 + 2) * 3)", {}) == 5.0
    for wrong in ("1 +", "min(1", "1 2", "a ** 2", "1 ? 2"):
        with pytest.raises((ValueError, TypeError, KeyError)):
            expr.evaluate(wrong, {"a": 1.0})


class Farm:
    """farm.json of a rendering, and what `mela scale desired` makes of it."""

    def __init__(self, objects, folder):
        self.folder = folder
        (folder / "farm.json").write_text(objects.one("ConfigMap", "mela-farm")["data"]["farm.json"])

    def desired(self, pool, ready, leased, urgent, at=DAY):
        done = mela("scale", "desired", "--config", "farm.json", "--json", "--pool", pool, "--ready", ready, "--leased", leased,
                    "--class", f"urgent={urgent}", "--at", at, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return {"any": answer["desired"]} | {name: item["desired"] for name, item in answer["classes"].items()}


def formula_of(objects, name):
    return objects.one("ScaledObject", name)["spec"]["advanced"]["scalingModifiers"]["formula"]


def values(ready, leased, urgent, at=DAY):
    """What the triggers say."""
    return {"urgent_ready": float(urgent), "urgent_leased": 0.0, "urgent_delayed": 0.0, "batch_ready": float(ready),
            "batch_leased": float(leased), "batch_delayed": 0.0, "day": 100.0 if at == DAY else 1.0}


def check(objects, farm, cases, at=DAY):
    for ready, leased, urgent in cases:
        said = {pool: farm.desired(pool, ready, leased, urgent, at) for pool in ("cpu", "lipsync")}
        for name, pool in WORKERS.items():
            which = name.rsplit("-", 1)[1] if pool == "lipsync" else "any"
            formula = expr.evaluate(formula_of(objects, name), values(ready, leased, urgent, at))
            assert formula == said[pool][which], (name, ready, leased, urgent, at)


@pytest.fixture
def farm(tmp_path):
    return Farm(variant("redis-triggers"), tmp_path)


def test_the_formula_is_the_rule_from_0_to_200(farm):
    check(variant("redis-triggers"), farm, [(n, 0, 0) for n in range(201)])


def test_the_formula_shares_the_cap_as_the_rule_does(farm):
    cases = [(n - n // 2 - n // 5, n // 5, n // 2) for n in range(0, 201, 3)] + [(n, 1, 200) for n in (0, 1, 30)]
    check(variant("redis-triggers"), farm, cases)


def test_at_night_batch_counts_only_what_is_leased(farm):
    check(variant("redis-triggers"), farm, [(n, n // 4, n % 7) for n in range(0, 201, 5)], NIGHT)


@pytest.mark.parametrize("name", OTHER_FARMS)
def test_other_farms_have_other_formulas(name, tmp_path):
    words = helm_chart.arguments_of(None, ["scaling.triggers=redis"])
    for setting in OTHER_FARMS[name]:
        words += ["--set-json", setting]
    done = helm_chart.template(*words)
    assert done.returncode == 0, done.stderr
    objects = helm_chart.Objects(done.stdout)
    for at, step in ((DAY, 4), (NIGHT, 9)):
        check(objects, Farm(objects, tmp_path), [(n, n // 3, n % 5) for n in range(0, 60, step)], at)


def test_without_quiet_hours_there_is_no_clock():
    for item in variant("no-quiet-hours").of("ScaledObject"):
        assert all(trigger["type"] == "redis" for trigger in item["spec"]["triggers"])
        assert "day" not in item["spec"]["advanced"]["scalingModifiers"]["formula"]


def test_the_cron_trigger_is_the_quiet_hours():
    for item in variant("redis-triggers").of("ScaledObject"):
        [cron] = [trigger for trigger in item["spec"]["triggers"] if trigger["type"] == "cron"]
        assert cron["name"] == "day" and cron["metadata"] == {"timezone": "Asia/Kolkata", "start": "0 7 * * *",
                                                              "end": "0 23 * * *", "desiredReplicas": "100"}


@pytest.mark.parametrize("name", [name for name in helm_chart.VARIANTS if "redis-triggers" in name])
def test_triggers_by_formula(name):
    objects = variant(name)
    [authentication] = objects.of("TriggerAuthentication")
    assert {item["parameter"]: item["key"] for item in authentication["spec"]["secretTargetRef"]} == \
        {"address": "address", "password": "password"}
    for item in objects.of("ScaledObject"):
        spec = item["spec"]
        modifiers = spec["advanced"]["scalingModifiers"]
        assert (modifiers["target"], modifiers["metricType"]) == ("1", "AverageValue")
        assert spec["fallback"]["replicas"] > 0 and spec["fallback"]["behavior"] == "currentReplicasIfHigher"
        names = [trigger["name"] for trigger in spec["triggers"]]
        for one, other in itertools.permutations(names, 2):
            assert not other.startswith(one)  # KEDA would take the two for one
        expr.evaluate(modifiers["formula"], dict.fromkeys(names, 0.0))  # knows every name
        for trigger in spec["triggers"]:
            if trigger["type"] == "redis":
                assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
                assert trigger["metadata"].get("enableTLS") == ("true" if name in ("prod-redis-triggers", "staging-redis-triggers") else None)


# --- a real queue ---

class Queue:
    """A real Redis and the queue's own code, on a clock that stands still."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mela-deploy-"))
        self.redis = RedisServer(self.folder).start()
        self.url = self.redis.url
        self.tool = subprocess.Popen([BUILD / "tests/protocol/queue_tool", self.url], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.do("reset")

    def ask(self, *commands):
        """A line of answer for each command."""
        done = subprocess.run(self.redis.client, input="\n".join(commands), capture_output=True, text=True,
                              check=False)
        return done.stdout.split()

    def do(self, operation, **members):
        self.tool.stdin.write(json.dumps({"do": operation, **members}) + "\n")
        self.tool.stdin.flush()
        answer = json.loads(self.tool.stdout.readline())
        assert answer["error"] is None, (operation, members, answer)
        return answer

    def stats(self, pool):
        done = mela("queue", "stats", "--redis", self.url, "--json", cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["pools"][pool]

    def count(self, keys):
        """KEDA's redis trigger: the number of a key's members, whatever its type is."""
        commands = {"none": "LLEN", "list": "LLEN", "zset": "ZCARD", "set": "SCARD", "hash": "HLEN"}
        types = self.ask(*(f"TYPE {key}" for key in keys))
        return [float(number) for number in self.ask(*(f"{commands[kind]} {key}" for kind, key in zip(types, keys)))]

    def close(self):
        self.tool.stdin.close()
        self.tool.wait(helm_chart.DEADLINE)
        self.redis.stop()
        shutil.rmtree(self.folder)


@pytest.fixture
def queue():
    if not (BUILD / "tests/protocol/queue_tool").exists():
        pytest.skip("queue_tool is not built")
    queue = Queue()
    yield queue
    queue.close()


def counted(queue, objects, name):
    """Each redis trigger's value, as KEDA would find it now; it is day."""
    triggers = [trigger for trigger in objects.one("ScaledObject", name)["spec"]["triggers"] if trigger["type"] == "redis"]
    numbers = queue.count([trigger["metadata"]["listName"] for trigger in triggers])
    return {"day": 100.0} | dict(zip([trigger["name"] for trigger in triggers], numbers))


def check_queue(queue, objects, farm):
    queue.do("sweep", keep=2 ** 31 - 1)  # every server does, once a second
    wanted = []
    for name, pool in WORKERS.items():
        stats, found = queue.stats(pool), counted(queue, objects, name)
        for campaign_class, state in itertools.product(("urgent", "batch"), ("ready", "leased", "delayed")):
            assert found[f"{campaign_class}_{state}"] == stats[campaign_class][state], (name, campaign_class, state)
        batch, urgent = stats["batch"], stats["urgent"]
        all_urgent = sum(urgent[state] for state in ("ready", "leased", "delayed"))
        said = farm.desired(pool, batch["ready"] + batch["delayed"], batch["leased"], all_urgent)
        wanted.append(expr.evaluate(formula_of(objects, name), found))
        assert wanted[-1] == said[name.rsplit("-", 1)[1] if pool == "lipsync" else "any"]
    return wanted


def test_keda_counts_what_the_queue_holds(queue, farm):
    objects, held, seen = variant("redis-triggers"), [], set()
    shapes = {"film": (12, "hi ta"), "rush": (3, "hi"), "late": (5, "hi")}

    def finish(job):
        segments, languages = shapes[job["job"].split("/")[0]]
        queue.do("finish", worker="w", segments=segments, languages=languages, **job)

    seen.add(tuple(check_queue(queue, objects, farm)))
    for id, (segments, languages) in shapes.items():
        queue.do("submit", id=id, segments=segments, languages=languages, **{"class": "urgent" if id == "rush" else "batch"})
    for step in range(10):
        claims = queue.do("claim", worker="w", pools=["cpu", "lipsync"], capacity=6, lease=60000)["claims"]
        seen.add(tuple(check_queue(queue, objects, farm)))
        if step % 4 == 1:
            queue.do("fail", worker="w", **claims.pop())
        held += claims
        while len(held) > step % 3:
            finish(held.pop(0))
        seen.add(tuple(check_queue(queue, objects, farm)))
    assert len(seen) > 5 and (0.0, 0.0, 0.0) in seen
