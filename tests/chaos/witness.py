"""Asks KEDA's scaler without pause while chaos runs, reads the queue's counts beside it, and compares.

The two cannot be read in one instant, and the scaler looks at the queue when something new happens, else once a second. So an
answer is held against every count that was seen from LATE seconds before the question to the answer. Where those are all
the same, which is so while the workers are stopped for a moment, the answer must be the rule's for exactly that count
("exact"); else the rule's for some count in their range ("within"). Over a Redis that is away the last answer stands, so the
time before it went away counts too."""
import bisect
import hashlib
import json
import re
import signal
import socket
import subprocess
import threading
import time

import grpc

from ..scale.scaler import DAY_AND_NIGHT, Client
from ..support.paths import BUILD
from ..support.waiting import wait_for, wait_for_program

LATE = 2.5  # a second between looks, and what a busy machine adds; when the machine stands still, see Counts.stalls
STALL = 0.2  # a pause between two reads that is none of ours
CAP = 20
POOLS, CLASSES = ("cpu", "lipsync"), ("urgent", "batch")


def rule(jobs):
    """The design's table, written once more."""
    return 0 if jobs == 0 else 2 if jobs <= 5 else -(-jobs // 3) if jobs <= 20 else -(-jobs // 2)


class Counts:
    """The queue's counts over time: one MULTI every few milliseconds, kept when it differs from the one before."""

    def __init__(self, path):
        self.path = str(path)
        self.times, self.seen, self.outages, self.reads = [], [], [], 0
        self.stalls = []  # (when it ended, seconds): the machine gave this process no time, so it may have given the scaler none
        self.since, self.last_read = [], 0  # each count came after the read before it, which had another
        commands = ["MULTI", "HGETALL {mela}:counts", *(f"ZCARD {{mela}}:delayed:{p}:{c}" for p in POOLS for c in CLASSES), "EXEC"]
        self.request = "".join(command + "\r\n" for command in commands).encode()
        self.thread, self.stopping = threading.Thread(target=self.watch), False
        self.thread.start()

    def read(self, wire):
        """{pool: ((ready + delayed, leased) of urgent, of batch)}"""
        wire.write(self.request)
        wire.flush()
        for _ in range(6):  # OK, and QUEUED for each
            self.reply(wire)
        flat, *delayed = self.reply(wire)
        counts = {name: int(value) for name, value in zip(flat[::2], flat[1::2]) if name.count(":") == 2 and not name.endswith(":time")}
        of = lambda pool, cls, state: counts.get(f"{pool}:{cls}:{state}", 0)
        return {pool: tuple((of(pool, cls, "ready") + delayed[2 * p + c], of(pool, cls, "leased")) for c, cls in enumerate(CLASSES))
                for p, pool in enumerate(POOLS)}

    def reply(self, wire):
        line = wire.readline()
        if not line or line[:1] == b"-":
            raise OSError(line)  # gone, or loading
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"*":
            return [self.reply(wire) for _ in range(int(text))]
        if kind == b"$":
            return wire.read(int(text) + 2)[:-2].decode()
        return int(text) if kind == b":" else text

    def watch(self):
        while not self.stopping:
            try:
                with socket.socket(socket.AF_UNIX) as link:
                    link.settimeout(5)
                    link.connect(self.path)
                    with link.makefile("rwb") as wire:
                        while not self.stopping:
                            self.take(self.read(wire))
                            time.sleep(0.002)
            except OSError:
                self.outages.append(time.monotonic())
                time.sleep(0.01)

    def take(self, counts):
        now = time.monotonic()
        self.reads += 1
        if self.last_read and now - self.last_read > STALL:
            self.stalls.append((now, now - self.last_read))
        if not self.seen or counts != self.seen[-1]:
            self.seen.append(counts)
            self.times.append(now)
            self.since.append(self.last_read)
        self.last_read = now

    def stop(self):
        self.stopping = True
        self.thread.join()

    def between(self, start, end):
        """What stood at the start, and what came from then to the end, as far as it can be told."""
        start -= LATE + sum(seconds for when, seconds in self.stalls if start - 2 * LATE <= when <= end + STALL)
        while (first := bisect.bisect_left(self.outages, start - LATE)) < bisect.bisect_right(self.outages, end) \
                and self.outages[first] - LATE < start:
            start = self.outages[first] - LATE
        first = max(bisect.bisect_right(self.times, start) - 1, 0)
        return self.seen[first:bisect.bisect_right(self.since, end)]


def allowed(counts):
    """What the rule says to a pool's counts, or to any in their range: {class or None: numbers of workers}."""
    ranges = [range(min(n), max(n) + 1) for n in ([sum(c[cls]) for c in counts] for cls in (0, 1))]
    both = [sum(map(sum, c)) for c in counts]
    kept = {int(c[1][1] > 0) for c in counts}  # a place for batch that runs
    urgent = {min(rule(n), CAP - k) for n in ranges[0] for k in kept}
    batch = {min(rule(n), CAP - u) for n in ranges[1] for u in urgent}
    return {"urgent": urgent, "batch": batch, None: {min(rule(n), CAP) for n in range(min(both), max(both) + 1)}}


def is_settled(counts):
    return all(c == counts[0] for c in counts)


class Witness:
    def __init__(self, folder, redis, store):
        (folder / "serve").mkdir()
        key = {"name": "test", "role": "admin", "sha256": hashlib.sha256(b"mela_test").hexdigest()}
        (folder / "serve/keys.json").write_text(json.dumps({"keys": [key]}))
        (folder / "serve/farm.json").write_text(json.dumps(DAY_AND_NIGHT))
        self.log = folder / "serve/log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BUILD / "mela", "serve", "--redis", redis.url, "--store", store, "--keys", "keys.json", "--listen", "127.0.0.1:0",
                 "--scaler-listen", "127.0.0.1:0"], cwd=folder / "serve", stdout=log, stderr=log)
        port = wait_for_program(self.process, lambda: re.search(r"scaler answers on port (\d+)", self.log.read_text()), "the scaler's port",
                                self.log)
        self.counts, self.client = Counts(redis.socket), Client(int(port[1]))
        self.answers, self.stopping = [], False
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()

    def ask(self):
        while not self.stopping:
            for pool in POOLS:
                for cls in (None, *CLASSES):
                    metadata = {"pool": pool, **({"class": cls} if cls else {})}
                    start = time.monotonic()
                    try:
                        workers, active = self.client.desired(**metadata), self.client.active(**metadata)
                    except grpc.RpcError as error:
                        workers = active = str(error.code())
                    self.answers.append((start, time.monotonic(), pool, cls, workers, active))
            time.sleep(0.005)

    def ask_at_rest(self, times):
        """Nothing is counted anew meanwhile, and there is work: returns once so many answers were held to be exact. On a machine
        that stalls the time before which nothing may have changed is longer, so this waits for answers, not for a while."""
        first = len(self.answers)
        time.sleep(LATE)
        wait_for(lambda: time.sleep(0.5) or self.exact_answers(first) >= times, "the scaler's exact answers")

    def exact_answers(self, first):
        """How many of the answers from this one on are to be exact, and more than nothing."""
        return sum(isinstance(answer[4], int) and answer[4] > 0 and is_settled(self.seen_about(answer)) for answer in self.answers[first:])

    def seen_about(self, answer):
        """The counts that this answer may have come from."""
        start, end, pool, *_ = answer
        return [seen[pool] for seen in self.counts.between(start, end)]

    def has_seen_enough(self):
        judged = self.judge()
        return judged["counts_seen"] > 100 and judged["within"] > 100

    def judge(self):
        """"exact_at": how often an answer was exact, by its number of workers; "wrong": what the rule would not say."""
        exact, within, wrong = {}, 0, []
        first = self.counts.times[0] + LATE
        for answer in list(self.answers):
            start, _, pool, cls, workers, active = answer
            if start < first:
                continue  # nothing was known yet
            counts = self.seen_about(answer)
            right = allowed(counts)[cls]
            held = all(sum(leased for _, leased in c) > 0 for c in counts) if cls is None else False
            settled = is_settled(counts)
            if workers not in right or workers > CAP or (held and (workers == 0 or not active)) or \
                    (settled and active != (workers > 0)):
                wrong.append({"pool": pool, "class": cls, "workers": workers, "active": active, "right": sorted(right),
                              "counts": counts[:3]})
            elif settled:
                exact[workers] = exact.get(workers, 0) + 1
            else:
                within += 1
        return {"asked": len(self.answers), "exact": sum(exact.values()), "exact_at": dict(sorted(exact.items())), "within": within,
                "counts_read": self.counts.reads, "counts_seen": len(self.counts.seen), "wrong": wrong[:5], "wrongs": len(wrong)}

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.counts.stop()
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log.read_text()[-2000:]
