"""A worker's hand: what a worker does, one step at a time, for tests in which its work does not matter."""
import hashlib
import json
import pathlib
import struct
import subprocess
import zlib

from .paths import BUILD

TOOL = BUILD / "tests/server/server_tool"
HANDFUL = 4  # pictures of a job at most


class Worker:
    """Claims and finishes jobs as a worker would, one JSON command a line."""

    def __init__(self, redis_url):
        self.process = subprocess.Popen([TOOL, "worker", redis_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, operation, **members):
        self.process.stdin.write(json.dumps({"do": operation, **members}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def claim(self):
        return self.do("claim")

    def finish(self, claim, **members):
        answer = self.do("finish", **claim, **members)
        assert answer == {}

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def png(width, height, colour, **texts):
    """A picture of one colour, with texts as libpng writes them: tEXt where they are ASCII, else iTXt."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def text(key, value):
        if value.isascii():
            return chunk(b"tEXt", key.encode() + b"\0" + value.encode())
        return chunk(b"iTXt", key.encode() + b"\0\0\0\0\0" + value.encode())

    rows = zlib.compress((b"\0" + bytes(colour) * width) * height)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            b"".join(text(key, value) for key, value in texts.items()) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


class Painter:
    """Does the jobs of campaigns of pictures: real files in the store, whose bytes follow from prompt, seed and device."""

    def __init__(self, worker, store, device="cpu", cut=None):
        """`cut`: what a record says of a prompt that was too long."""
        self.worker, self.store, self.device, self.cut = worker, pathlib.Path(store), device, cut

    def parts(self, campaign):
        """(prompt, first, count, number of its first picture) of each job."""
        number, parts = 0, []
        for prompt in self.spec(campaign)["prompts"]:
            for first in range(0, prompt["count"], HANDFUL):
                count = min(prompt["count"] - first, HANDFUL)
                parts.append((prompt, first, count, number))
                number += count
        return parts

    def spec(self, campaign):
        return json.loads((self.store / f"campaigns/{campaign}/spec.json").read_text())["images"]

    def write(self, key, data):
        path = self.store / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())

    def publish(self, claim, stem, artifact, beside, **report):
        """Stores what the job left, its receipt, and finishes it."""
        for extension, data in beside.items():
            self.write(f"{stem}.{extension}", data)
        self.write(f"{stem}.json", artifact)
        campaign, rest = claim["job"].split("/", 1)
        self.write(f"campaigns/{campaign}/receipts/{rest}.json", {"artifact": f"{stem}.json", "report": report})
        self.worker.finish(claim, artifact=f"{stem}.json", report=report)

    def draw(self, claim):
        campaign, rest = claim["job"].split("/", 1)
        images = self.spec(campaign)
        prompt, first, count, number = self.parts(campaign)[int(rest.split("/")[1])]
        recipe = {**images, "sheet": False, "prompts": [{**prompt, "seed": (prompt["seed"] + first) % 2**32, "count": count}]}
        origin = {"model": {"name": images["model"], "sha256": "ab" * 32}, "loras": [], "batch": count, "device": self.device}
        beside, pictures = {"thumbs.png": png(16 * count, 16, (0, 0, 0))}, []
        for k in range(count):
            seed = (prompt["seed"] + first + k) % 2**32
            colour = hashlib.sha256(f"{prompt['prompt']} {seed} {self.device}".encode()).digest()[:3]
            texts = {"parameters": prompt["prompt"],
                     "mela": json.dumps({"recipe": recipe, "origin": origin, "picture": k}, ensure_ascii=False)}
            data = beside[f"{k}.png"] = png(16, 16, colour, **(texts if images["metadata"] else {}))
            pictures.append({"number": number + k, "file": f"{k}.png", "seed": seed, "width": 16, "height": 16,
                             "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
        record = {"version": 1, "job": rest, "pictures": pictures, "recipe": recipe, "origin": origin, "cut": self.cut}
        self.publish(claim, f"campaigns/{campaign}/{rest}.{claim['attempt']}", record, beside, pictures=count,
                     steps_ms={"denoise": 5})

    def collect(self, claim):
        """The sheet; what is missing in it is not told."""
        campaign = claim["job"].split("/")[0]
        pictures = [{"number": number + k, "job": f"image/{job:04}", "file": f"image/{job:04}/{k}.png"}
                    for job, (_, _, count, number) in enumerate(self.parts(campaign)) for k in range(count)]
        self.publish(claim, f"campaigns/{campaign}/sheet.{claim['attempt']}",
                     {"version": 1, "columns": 10, "cell": [16, 16], "pictures": pictures}, {"png": png(160, 16, (1, 2, 3))})

    def do(self, claim):
        self.collect(claim) if claim["job"].endswith("/sheet") else self.draw(claim)

    def do_all(self):
        """Until nothing is ready; answers the jobs done."""
        done = []
        while claim := self.worker.claim():
            self.do(claim)
            done.append(claim["job"])
        return done
