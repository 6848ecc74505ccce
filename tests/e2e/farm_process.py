"""A real farm a test: `mela up` on a directory of its own, with real workers, real models and a real store."""
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("MELA_BUILD", "build")
DEPS = ROOT / ".deps"
MEDIA = DEPS / "media"
DEADLINE = 120  # seconds; a hang must end, nothing here measures time


def wait_for(condition, what, seconds=DEADLINE):
    """Waits until condition() is true and answers its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def ffmpeg(*arguments):
    """Runs ffmpeg, quietly; fails with what it says."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def times(path, kind="v"):
    """Every frame's time in seconds."""
    done = subprocess.run(["ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", "frame=pts_time", "-of", "csv=p=0",
                           str(path)], capture_output=True, text=True, check=True)
    return [round(float(line.rstrip(",")), 4) for line in done.stdout.split()]


def probe(path):
    """What ffprobe says of a file, frames counted."""
    done = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", str(path)],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def stream(path, kind):
    """The first stream of that kind."""
    return next(s for s in probe(path)["streams"] if s["codec_type"] == kind)


def frame_count(path):
    return int(stream(path, "video")["nb_read_frames"])


class Farm:
    """A farm of one machine; the same command line that a user types."""

    def __init__(self, data, *options, environment=None):
        self.data = pathlib.Path(data)
        self.environment = {**os.environ, **(environment or {})}
        self.options = options
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [BUILD / "mela", "up", "--data", self.data, "--models", DEPS / "models", "--manifests", ROOT / "models",
             "--port", "0", "--workers", "1", "--cooldown", "5", "--device", "cpu", *map(str, self.options)],
            stdout=subprocess.DEVNULL, stderr=open(self.data.with_suffix(".log"), "ab"), env=self.environment)
        wait_for(lambda: (self.data / "address").exists() or self.process.poll() is not None, "the farm's address")
        assert self.process.poll() is None, self.data.with_suffix(".log").read_text()
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def run(self, *arguments, check=True):
        """Runs a mela command against this farm."""
        done = subprocess.run([BUILD / "mela", *map(str, arguments), "--data", self.data],
                              capture_output=True, text=True, timeout=DEADLINE)
        if check:
            assert done.returncode == 0, (arguments, done.stdout, done.stderr, self.logs())
        return done

    def json(self, *arguments, check=True):
        done = self.run(*arguments, "--json", check=check)
        return json.loads(done.stdout if done.returncode in (0, 6, 7) and done.stdout.strip() else done.stderr)

    def submit(self, video, dubs, *options):
        """Submits a campaign; answers its id."""
        flags = [part for language, speech in dubs.items() for part in ("--dub", f"{language}={speech}")]
        return self.json("submit", "--video", video, *flags, *options)["id"]

    def campaign(self, campaign):
        return self.json("show", campaign)

    def jobs(self, campaign):
        return self.json("trace", campaign)["jobs"]

    def errors(self, campaign):
        """{job id: error code} of the campaign's dead jobs."""
        dead = json.loads(self.api("/v1/dead"))["items"]
        return {job["id"]: job["error"] for job in dead if job["id"].startswith(campaign + "/")}

    def reports(self, campaign, kind):
        """The reports of the campaign's jobs of a kind, in order."""
        return [job["report"] for job in json.loads(self.api(f"/v1/campaigns/{campaign}/jobs"))["items"] if job["kind"] == kind]

    def wait(self, campaign):
        """Waits for the campaign's end and answers it."""
        return wait_for(lambda: (c := self.campaign(campaign))["state"] != "running" and c, f"the end of {campaign}")

    def dub(self, video, dubs, *options):
        """From files to finished files: {language: path}."""
        campaign = self.submit(video, dubs, *options)
        ended = self.wait(campaign)
        assert ended["state"] == "done", (ended, self.json("dead"), self.logs())
        out = self.data / "out"
        self.run("get", campaign, "--output", out)
        return campaign, {language: out / f"{campaign}-{language}.mp4" for language in dubs}

    def workers(self):
        return json.loads(self.api("/v1/workers"))["items"]

    def api(self, path):
        request = urllib.request.Request(
            (self.data / "address").read_text().strip() + path,
            headers={"Authorization": "Bearer " + (self.data / "key").read_text().strip()})
        return urllib.request.urlopen(request, timeout=30).read()

    def running(self, campaign, kind=""):
        """The campaign's job of that kind that a worker holds right now, with the worker's entry in "by"; None without."""
        for job in json.loads(self.api(f"/v1/campaigns/{campaign}/jobs"))["items"]:
            by = [w for w in self.workers() if w["id"] == job.get("worker")]
            if job["state"] == "leased" and kind in job["kind"] and by:
                return {**job, "by": by[0]}
        return None

    def logs(self):
        files = sorted((self.data / "logs").glob("*.log")) if (self.data / "logs").exists() else []
        return "\n".join(f.read_text()[-3000:] for f in files)
