"""What the queue should be, as plain dictionaries: docs/queue.md, "States", "Death, retry, cancel", "Affinity"."""
import hashlib

OPEN = {"waiting", "ready", "delayed", "leased"}
POOL = {"plan": "cpu", "track": "lipsync", "dub": "lipsync", "join": "cpu", "image": "image", "sheet": "cpu"}
ALONE = {"image", "sheet"}  # whose death ends nothing else
# By kind: errors, first and longest wait before a retry, longest run, crashed workers, crashes, refusals.
LIMITS = {"plan": (3, 2000, 300_000, 3600_000, 3, 10, 5), "track": (5, 2000, 300_000, 7200_000, 3, 10, 5),
          "dub": (5, 2000, 300_000, 12 * 3600_000, 3, 10, 5), "join": (5, 2000, 300_000, 7200_000, 3, 10, 5),
          "image": (5, 2000, 300_000, 7200_000, 3, 10, 5), "sheet": (5, 2000, 300_000, 3600_000, 3, 10, 5)}
ALIVE_MS, IN_ALL = 15_000, 4


def affinity_of(lora):
    """What farm/images.c makes of the usual model and one LoRA."""
    return hashlib.sha256(f"image sdxl-base\n{lora} 1".encode()).hexdigest()[:16]


class Job:
    def __init__(self, campaign, suffix, seq, waits=0, next=None, affinity=None):
        self.affinity = affinity
        self.campaign, self.suffix, self.seq, self.waits, self.next = campaign, suffix, seq, waits, next
        self.id = f"{campaign.id}/{suffix}"
        parts = suffix.split("/")
        self.kind = parts[1] if parts[-2:-1] == ["dub"] or parts[-1] == "join" else parts[0]
        self.language = parts[0] if self.kind in ("dub", "join") else None
        self.pool = POOL[self.kind]
        self.state, self.attempt, self.stamp, self.worker = "waiting" if waits else "ready", 0, None, None
        self.until = self.due = self.claimed = 0
        self.forgive()

    def make_ready(self):
        """Unless a job that it waits for was retried meanwhile."""
        self.state = "waiting" if self.waits > 0 else "ready"

    def forgive(self):
        self.errors = self.refusals = self.crashes = 0
        self.failed_by, self.refused_by, self.crashed_by, self.by = set(), set(), set(), None


class Campaign:
    def __init__(self, id, class_, shape):
        self.id, self.class_, self.shape = id, class_, shape
        self.languages = shape["languages"].split() if "languages" in shape else []
        self.state, self.ended_by, self.finished = "running", None, None
        self.language_state, self.language_by = {}, {}
        self.jobs = {}
        if self.languages:
            self.add("plan")
            return
        loras, sheet = shape["loras"].split(), shape["sheet"]
        for i, lora in enumerate(loras):
            self.add(f"image/{i:04}", next="sheet" if sheet else None, affinity=affinity_of(lora))
        if sheet:
            self.add("sheet", waits=len(loras))

    def add(self, suffix, waits=0, next=None, affinity=None):
        job = Job(self, suffix, len(self.jobs) + 1, waits, next, affinity)
        by = self.language_by.get(job.language)
        if by:
            job.state, job.by = "cancelled", by
        self.jobs[suffix] = job

    def children(self, job):
        if job.kind == "plan":
            segments = self.shape["segments"]
            return [(f"track/{i:04}", 0, None) for i in range(segments)] + \
                   [(f"{language}/join", segments, None) for language in self.languages]
        if job.kind == "track":
            return [(f"{language}/dub/{job.suffix[6:]}", 0, f"{language}/join") for language in self.languages]
        return []


class Oracle:
    def __init__(self):
        self.now, self.campaigns, self.broken, self.limits = 1_000_000, {}, [], LIMITS
        self.beats = {}

    def job(self, id):
        campaign, suffix = id.split("/", 1)
        return self.campaigns[campaign].jobs.get(suffix) if campaign in self.campaigns else None

    def jobs(self):
        return [job for campaign in self.campaigns.values() for job in campaign.jobs.values()]

    # ---- endings ----

    def end_jobs(self, campaign, language, by):
        for job in campaign.jobs.values():
            if job.state in OPEN and (language is None or job.language == language):
                job.state, job.by = "cancelled", by

    def end(self, campaign, state):
        campaign.state, campaign.finished = state, self.now

    def settle(self, campaign):
        if campaign.state != "running" or any(job.state in OPEN for job in campaign.jobs.values()):
            return
        done = sum(state == "done" for state in campaign.language_state.values())
        states = [job.state for job in campaign.jobs.values()]
        failed = campaign.ended_by or "done" not in states
        self.end(campaign, "failed" if failed else "done" if done == len(campaign.languages) and "dead" not in states else "partial")

    def die(self, job):
        campaign = job.campaign
        job.state = "dead"
        if job.kind in ALONE:
            self.leave_out(job)
            self.settle(campaign)
            return
        everything = job.language is None
        if job.language:
            campaign.language_state[job.language], campaign.language_by[job.language] = "failed", job.suffix
            self.end_jobs(campaign, job.language, job.suffix)
            everything = sum(s == "failed" for s in campaign.language_state.values()) == len(campaign.languages)
        if everything:
            campaign.ended_by = job.suffix
            self.end_jobs(campaign, None, job.suffix)
        self.settle(campaign)

    def leave_out(self, job):
        """The sheet goes on without the picture, if there is any."""
        sheet = job.campaign.jobs.get(job.next)
        if not sheet:
            return
        sheet.waits -= 1
        if sheet.state == "waiting" and sheet.waits == 0:
            sheet.state = "ready" if any(j.state == "done" for j in job.campaign.jobs.values()) else "cancelled"

    def expire(self):
        for job in sorted((j for j in self.jobs() if j.state == "leased" and j.until <= self.now),
                          key=lambda j: (j.until, j.id)):
            if job.state != "leased":
                continue  # an earlier death ended it
            self.count_crash(job)

    def count_crash(self, job):
        job.crashes += 1
        job.crashed_by.add(job.worker)
        workers, crashes = self.limits[job.kind][4:6]
        if len(job.crashed_by) >= workers or job.crashes >= crashes:
            self.die(job)
        else:
            job.make_ready()

    def is_last(self, number, workers, most):
        """Whether so many failures, of so many workers, end a job."""
        alive = sum(at >= self.now - ALIVE_MS for at in self.beats.values())
        return number >= most and (workers >= min(most, alive) or number >= IN_ALL * most)

    # ---- operations ----

    def submit(self, id, class_, shape):
        if id in self.campaigns:
            return False
        self.campaigns[id] = Campaign(id, class_, shape)
        return True

    def ready(self, pools, class_):
        return [j for j in self.jobs() if j.state == "ready" and j.pool in pools and j.campaign.class_ == class_]

    def may_claim(self, job, holds):
        """Whether it is one of those of its campaign that the queue may choose: the oldest; or, for a slot that does not hold
        what that needs, the oldest of those for which it does, or where there is none the oldest of another affinity."""
        line = sorted((j for j in self.ready([job.pool], job.campaign.class_) if j.campaign is job.campaign), key=lambda j: j.seq)
        suitable = line[:1]
        if holds is not None and line[0].affinity and line[0].affinity not in holds:
            held = [j for j in line if j.affinity in holds]
            suitable += held[:1] or [next(j for j in line if j.affinity == job.affinity)]
        return job in suitable

    def claim(self, worker, pools, classes, holds, capacity, lease, claims):
        """Checks what the queue gave and follows it: the order between campaigns is the queue's choice."""
        taken = {"urgent": 0, "batch": 0}
        for claim in claims:
            job = self.job(claim["job"])
            assert job, claim
            assert job.state == "ready" and job.pool in pools, (job.id, job.state)
            class_ = job.campaign.class_
            assert class_ in classes, (job.id, class_)
            if class_ == "batch" and "urgent" in classes:
                assert not self.ready(pools, "urgent"), "batch before urgent"
            assert self.may_claim(job, holds), job.id
            taken[class_] += 1
            job.state, job.attempt, job.stamp, job.worker = "leased", job.attempt + 1, claim["stamp"], worker
            assert int(job.stamp.split("-")[0]) == job.attempt
            job.until, job.claimed = self.now + lease, self.now
        left = sum(len(self.ready(pools, class_)) for class_ in classes)
        assert len(claims) == capacity or (len(claims) < capacity and left == 0), "ready jobs were left"

    def fence(self, held):
        """The job, or why not."""
        job = self.job(held["job"])
        if not job or job.worker != held["worker"] or job.stamp != held["stamp"]:
            return None, "queue.stale"
        if job.state == "leased":
            return job, None
        return None, "cancelled" if job.state == "cancelled" else "queue.stale"

    def heartbeat(self, held, lease):
        job, refusal = self.fence(held)
        if not job:
            return refusal
        if self.now - job.claimed > self.limits[job.kind][3]:
            return "job.timeout"
        job.until = self.now + lease
        return None

    def is_done(self, held):
        """Whether this very claim has been finished before."""
        job = self.job(held["job"])
        return bool(job) and job.state == "done" and job.worker == held["worker"] and job.stamp == held["stamp"]

    def finish(self, held):
        if self.is_done(held):
            return None
        job, refusal = self.fence(held)
        if not job:
            return refusal
        campaign = job.campaign
        job.state = "done"
        for suffix, waits, next in campaign.children(job):
            if suffix not in campaign.jobs:
                campaign.add(suffix, waits, next)
        if job.next:
            join = campaign.jobs[job.next]
            join.waits -= 1
            if join.waits == 0 and join.state == "waiting":
                join.state = "ready"
        if job.kind == "join":
            campaign.language_state[job.language] = "done"
        self.settle(campaign)
        return None

    def fail(self, held, fault):
        job, refusal = self.fence(held)
        if not job:
            return refusal
        errors, first, longest, *_, refusals = self.limits[job.kind]
        if fault == "worker":
            job.refusals += 1
            job.refused_by.add(job.worker)
            number, workers, most = job.refusals, len(job.refused_by), refusals
        else:
            job.errors += 1
            job.failed_by.add(job.worker)
            number, workers, most = job.errors, len(job.failed_by), errors
        if fault == "input" or self.is_last(number, workers, most):
            self.die(job)
        else:
            delay = min(first * 2 ** (number - 1), longest)
            job.state, job.due = "delayed", (self.now + delay // 2, self.now + delay)
        return None

    def crash(self, held):
        job, refusal = self.fence(held)
        if job:
            self.count_crash(job)
        return refusal

    def release(self, held):
        job, refusal = self.fence(held)
        if job:
            job.make_ready()
        return refusal

    def cancel(self, id):
        campaign = self.campaigns.get(id)
        if not campaign:
            return "queue.not_found"
        if campaign.state == "cancelled":
            return None
        if campaign.state != "running":
            return "queue.state"
        self.end_jobs(campaign, None, "")
        self.end(campaign, "cancelled")
        return None

    def retry(self, id):
        job = self.job(id)
        if not job:
            return "queue.not_found"
        campaign = job.campaign
        if job.state != "dead" or campaign.state == "cancelled" or campaign.ended_by not in (None, job.suffix):
            return "queue.state"
        job.forgive()
        job.make_ready()
        if job.kind in ALONE:
            self.count_up(campaign.jobs.get(job.next))
        for other in campaign.jobs.values():
            hit = campaign.ended_by or other.language == job.language or job.language is None
            if hit and other.state == "cancelled" and other.by == job.suffix:
                other.by = None
                other.make_ready()
        if job.language:
            campaign.language_state.pop(job.language), campaign.language_by.pop(job.language)
        campaign.state, campaign.ended_by, campaign.finished = "running", None, None
        return None

    def count_up(self, sheet):
        """It waits for one more picture, unless it runs already or has ended by itself."""
        if sheet:
            sheet.waits += 1
            if sheet.state in ("ready", "delayed", "cancelled"):
                sheet.state = "waiting"

    def beat(self, worker):
        self.beats[worker] = self.now

    def gone(self, worker):
        self.beats.pop(worker, None)

    def sweep(self, keep):
        self.expire()
        old = [c for c in self.campaigns.values() if c.finished is not None and c.finished <= self.now - keep]
        if old:
            self.campaigns.pop(min(old, key=lambda c: (c.finished, c.id)).id)
