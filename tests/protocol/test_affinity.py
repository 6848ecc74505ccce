"""Which jobs slots get that have something loaded: whole campaigns played through on a clock moved by hand, with the real
scripts. What is counted are loads, not times: a slot that claims a job whose affinity it does not hold loads it."""
import heapq
import itertools
import random

import pytest

from .queue_tool import Tool

AFFINITY_MS, AHEAD = 60_000, 8  # lib/affinity.lua


@pytest.fixture
def tool(redis_url):
    tool = Tool(redis_url)
    assert tool.do("reset")["error"] is None
    yield tool
    tool.close()


class Farm:
    """Slots that claim, work and finish. `heeds`: whether they say what they hold; `room`: how many affinities they hold."""

    def __init__(self, tool, slots, heeds=True, room=1, job_ms=10_000, seed=1):
        self.tool, self.heeds, self.room, self.job_ms, self.random = tool, heeds, room, job_ms, random.Random(seed)
        self.now, self.held, self.loads = 1_000_000, [[] for _ in range(slots)], [0] * slots
        self.affinity, self.ready, self.order, self.head_since, self.overdue = {}, {}, [], {}, 0
        self.events, self.numbers, self.shapes = [], itertools.count(), {}

    def submit(self, id, loras, each=1, **more):
        self.shapes[id] = {"loras": " ".join(loras), "each": each, "sheet": False, **more}
        assert self.tool.do("submit", id=id, **self.shapes[id])["created"]
        jobs = self.tool.do("look", id=id)["jobs"]
        self.affinity.update({job["id"]: job["affinity"] for job in jobs})
        self.ready[id] = [job["id"] for job in jobs]

    def asks(self, slot):
        return {"worker": f"slot{slot}", "pools": ["image"], "capacity": 1, "lease": 3600_000,
                **({"holds": self.held[slot]} if self.heeds else {})}

    def take(self, slot, claims):
        if not claims:
            return
        job, (campaign, _, _) = claims[0]["job"], claims[0]["job"].split("/")
        self.order.append(job)
        self.note_waiting(campaign, job)
        if self.affinity[job] not in self.held[slot]:
            self.loads[slot] += 1
        others = [name for name in self.held[slot] if name != self.affinity[job]]
        self.held[slot] = [self.affinity[job], *others][:self.room]
        end = self.now + self.random.uniform(0.5, 1.5) * self.job_ms
        heapq.heappush(self.events, (int(end), next(self.numbers), slot, claims[0]))

    def note_waiting(self, campaign, job):
        """How long the oldest job of a campaign is passed over by claims of its campaign, at most."""
        oldest = self.ready[campaign][0]
        if job != oldest:
            self.head_since.setdefault(oldest, self.now)
        self.overdue = max(self.overdue, self.now - self.head_since.get(job, self.now))
        self.ready[campaign].remove(job)

    def start(self):
        for slot in range(len(self.held)):
            self.take(slot, self.tool.do("claim", **self.asks(slot))["claims"])

    def step(self):
        self.now, _, slot, claim = heapq.heappop(self.events)
        assert self.tool.do("clock", ms=self.now)["error"] is None
        shape = self.shapes[claim["job"].split("/")[0]]
        answer = self.tool.do("finish", **self.asks(slot), **claim, **shape)
        assert answer["error"] is None
        self.take(slot, answer["claims"])

    def run(self):
        self.start()
        while self.events:
            self.step()
        assert not any(self.ready.values())
        return self


    def named(self, campaign, lora):
        """The affinity of the jobs that need a LoRA."""
        loras, each = self.shapes[campaign]["loras"].split(), self.shapes[campaign]["each"]
        return self.affinity[f"{campaign}/image/{loras.index(lora) * each:04}"]

    def claim(self, slot=0):
        """One more job for a slot, which goes on with what it has; its number."""
        claims = self.tool.do("claim", **self.asks(slot))["claims"]
        self.take(slot, claims)
        return claims[0]["job"]

    def pass_time(self, ms):
        self.now += ms
        assert self.tool.do("clock", ms=self.now)["error"] is None


LORAS, EACH = ["a", "b", "c", "d"], 50


@pytest.mark.parametrize("loras, each, unheeding", [(LORAS, EACH, 16), (LORAS * EACH, 1, 120)], ids=["in blocks", "interleaved"])
def test_four_loras_on_four_slots_are_loaded_hardly_more_than_once(tool, loras, each, unheeding):
    before = Farm(tool, slots=4, heeds=False)
    before.submit("before", loras, each)
    before.run()
    assert sum(before.loads) >= unheeding
    after = Farm(tool, slots=4)
    after.submit("after", loras, each)
    after.run()
    # When a LoRA is done its slot helps with another one.
    assert max(after.loads) <= 2 and sum(after.loads) <= 7, after.loads
    assert after.overdue <= AFFINITY_MS + 1.5 * after.job_ms
    print(f"loads: before {before.loads}, after {after.loads}; longest passed over: {after.overdue / 1000} s")


def test_more_loras_than_slots_are_taken_one_after_the_other(tool):
    farm = Farm(tool, slots=4, job_ms=2000)
    farm.submit("many", [f"l{i}" for i in range(16)] * 10)
    farm.run()
    assert sum(farm.loads) <= 40, farm.loads  # of 160 jobs
    assert farm.overdue <= AFFINITY_MS + 1.5 * farm.job_ms


def test_cold_slots_load_different_things(tool):
    farm = Farm(tool, slots=4)
    farm.submit("blocks", LORAS, EACH)
    farm.start()
    assert sorted(held[0] for held in farm.held) == sorted(farm.named("blocks", lora) for lora in LORAS)


def test_who_does_not_say_what_it_holds_gets_jobs_in_their_order(tool):
    farm = Farm(tool, slots=2, heeds=False)
    farm.submit("mixed", ["a", "b"] * 10)
    farm.run()
    assert farm.order == sorted(farm.order)


def test_a_job_is_passed_over_for_a_minute_at_most(tool):
    """What one slot holds would suffice it for ever."""
    farm = Farm(tool, slots=1)
    farm.submit("rare", ["z"] + ["y"] * 60)
    farm.held[0] = [farm.named("rare", "y")]
    farm.run()
    assert farm.order[0] == "rare/image/0001"
    assert AFFINITY_MS < farm.overdue <= AFFINITY_MS + 1.5 * farm.job_ms


def test_a_job_that_comes_back_is_passed_over_anew(tool):
    farm = Farm(tool, slots=1)
    farm.submit("rare", ["z"] + ["y"] * 9)
    y = farm.held[0] = [farm.named("rare", "y")]
    assert farm.claim() == "rare/image/0001"
    farm.pass_time(AFFINITY_MS + 1)
    z = farm.tool.do("claim", **farm.asks(0))["claims"][0]
    assert z["job"] == "rare/image/0000"
    assert farm.tool.do("release", worker="slot0", **z)["error"] is None
    farm.held[0] = y
    assert farm.claim() == "rare/image/0002"


def test_slots_hold_several_things(tool):
    """The oldest job of all that is held."""
    farm = Farm(tool, slots=1, room=2)
    farm.submit("mixed", ["z", "b", "a", "b", "a"])
    farm.held[0] = [farm.named("mixed", "a"), farm.named("mixed", "b")]
    assert [farm.claim() for _ in range(5)] == [f"mixed/image/{i:04}" for i in (1, 2, 3, 4, 0)]


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_no_campaign_gets_far_ahead_of_another(tool, slots):
    """All slots hold what the second campaign needs; jobs are so short that no minute passes."""
    farm = Farm(tool, slots=slots, job_ms=20)
    farm.submit("first", ["a"], 60)
    farm.submit("second", ["b"], 60)
    farm.held = [[farm.named("second", "b")] for _ in range(slots)]
    farm.run()
    ahead = 0
    for job in farm.order[:100]:
        ahead += 1 if job.startswith("second") else -1
        assert -AHEAD - 1 <= ahead <= AHEAD + 1
    assert sum(farm.loads) <= 120 / AHEAD + slots, farm.loads


def test_a_late_small_campaign_is_not_kept_waiting(tool):
    farm = Farm(tool, slots=1, job_ms=20)
    farm.submit("large", ["a"], 100)
    farm.start()
    for _ in range(20):
        farm.step()
    farm.submit("small", ["b"], 2)
    farm.run()
    assert max(i for i, job in enumerate(farm.order) if job.startswith("small")) <= 21 + 2 * AHEAD


def test_urgent_goes_before_what_is_held(tool):
    farm = Farm(tool, slots=1)
    farm.submit("batch", ["a"], 3)
    farm.submit("urgent", ["b"], 1, **{"class": "urgent"})
    farm.held[0] = [farm.named("batch", "a")]
    assert farm.claim() == "urgent/image/0000"


def test_only_the_first_campaigns_of_a_lane_are_looked_at(tool):
    """The cost of a claim is bounded."""
    farm = Farm(tool, slots=1)
    for i in range(9):
        farm.submit(f"c{i}", [f"l{i}"])
    farm.held[0] = [farm.named("c8", "l8")]
    assert farm.claim() == "c0/image/0000"
    farm.held[0] = [farm.named("c8", "l8")]
    assert farm.claim() == "c8/image/0000"


def test_jobs_that_come_back_stand_in_both_lines(tool):
    farm = Farm(tool, slots=1)
    farm.submit("mixed", ["a", "b", "a"])
    farm.held[0] = [farm.named("mixed", "b")]
    b = farm.tool.do("claim", **farm.asks(0))["claims"][0]
    assert farm.tool.do("release", worker="slot0", **b)["error"] is None
    assert farm.tool.do("check")["findings"] == [{"what": "no key of this farm", "where": "test_clock", "repaired": False}]
    assert farm.claim() == b["job"]
    assert farm.tool.do("cancel", id="mixed")["error"] is None
    assert farm.tool.do("check")["findings"] == [{"what": "no key of this farm", "where": "test_clock", "repaired": False}]
