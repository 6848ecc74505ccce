"""Metrics of real programs: docs/metrics.md lists what they serve and nothing else, totals outlive the workers, and a worker's
exporter takes no harm from what arrives. The card is a mock."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from ..support import embedded_metrics
from ..support.network import free_port
from ..support.paths import BUILD, DEPS, ROOT
from ..support.waiting import wait_for
from .fake_node import fake_nvml
from .farm_process import Farm
from .production import Production

TOOL = BUILD / "tests/e2e/exporter_tool"
QUIET = {"AWS_EC2_METADATA_DISABLED": "true"}


def get(port, path="/metrics", method="GET"):
    """(status, body)"""
    try:
        answer = urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.read().decode()


def series(text):
    """{metric: (type, {label names})} of what is served."""
    types, labels = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            types[name] = kind
        elif not line.startswith("#"):
            names = set(re.findall(r'[{,](\w+)="', line))
            if types[name] == "histogram":
                names.discard("le")
            labels.setdefault(name, names)
            assert labels[name] == names, line
    return {name: (kind, labels[name]) for name, kind in types.items() if name in labels}


def values(text):
    return {row: float(value) for row, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


def documented(heading):
    """[[cells of a row of the tables]...] below a heading of docs/metrics.md, one for each name."""
    section = (ROOT / "docs/metrics.md").read_text().split(f"\n## {heading}")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    return [[name, *row[1:]] for row in rows if len(row) == 4 for name in re.findall(r"`(\w+)`", row[0])]


def documented_series(heading):
    return {name: (kind, set(labels.replace(",", " ").split())) for name, kind, labels, _ in documented(heading)}


class Metered(Production):
    """Production whose server also tells CloudWatch and whose workers serve their metrics; it can have a second server."""

    def spawn(self, name, *command, environment=None):
        process = subprocess.Popen(list(map(str, command)), stdout=open(self.folder / f"{name}.out", "ab"),
                                   stderr=open(self.folder / f"{name}.log", "ab"), cwd=self.folder, env={**os.environ, **QUIET, **(environment or {})})
        self.processes.append(process)
        return process

    def start(self):
        self.start_redis()
        subprocess.run(["redis-cli", "-p", str(self.redis_port), "config", "set", "maxmemory", "200mb"], check=True, capture_output=True)
        self.farm = ["--redis", f"redis://127.0.0.1:{self.redis_port}", "--store", f"file://{self.folder}/store"]
        self.serve("serve", self.port)

    def serve(self, name, port):
        server = self.spawn(name, BUILD / "mela", "serve", *self.farm, "--keys", self.folder / "keys.json", "--listen",
                            f"127.0.0.1:{port}", "--emf", "Studio/Mela")
        wait_for(lambda: self.answers(port) or server.poll() is not None, "the API")
        assert server.poll() is None, (self.folder / f"{name}.log").read_text()

    def answers(self, port):
        try:
            return get(port, "/readyz")[0] == 200
        except OSError:
            return False

    def worker(self, name, *options, environment=None):
        """Starts one; its process and the port of its metrics, once it is ready."""
        process = self.spawn(name, BUILD / "mela-worker", "run", *self.farm, "--models", DEPS / "models", "--manifests",
                             ROOT / "models", "--work", self.folder / "work", "--device", "cpu", "--metrics-listen", "127.0.0.1:0",
                             *options, environment=environment)
        port = wait_for(lambda: logged_port(self.folder / f"{name}.log"), "the exporter's port")
        wait_for(lambda: get(port, "/readyz")[0] == 200, "a worker that is ready")
        return process, port

    def lines(self, name="serve"):
        return [embedded_metrics.parse(line) for line in (self.folder / f"{name}.out").read_text().splitlines()]


def logged_port(log):
    found = re.search(r"the metrics are on port (\d+)", log.read_text())
    return found and int(found[1])


@pytest.fixture
def metered(tmp_path):
    farm = Metered(tmp_path)
    farm.start()
    yield farm
    farm.stop()


@pytest.fixture
def make_exporter(tmp_path):
    """Starts the exporter without a worker around it; its port."""
    processes = []

    def make(state="ready", device="cpu", **environment):
        log = tmp_path / f"exporter-{len(processes)}.log"
        processes.append(subprocess.Popen([TOOL, device, f"file://{tmp_path}/store", state], stderr=open(log, "w"),
                                          env={**os.environ, **environment}))
        return wait_for(lambda: logged_port(log), "the exporter's port")

    yield make
    for process in processes:
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def card(tmp_path):
    return {"LD_LIBRARY_PATH": f"{fake_nvml(tmp_path)}:{os.environ.get('LD_LIBRARY_PATH', '')}"}


def test_the_documentation_lists_what_is_served_and_nothing_else(metered, clips, make_exporter, card):
    _, port = metered.worker("worker")
    farm = Farm(metered.folder)
    assert farm.wait(farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"}))["state"] == "done"
    for process in metered.processes[2:]:
        process.terminate()
        assert process.wait(60) == 0
    farm.submit(clips / "talk.mp4", {"hi": clips / "hi.wav"})  # stays open: nobody works
    assert series(get(metered.port)[1]) == documented_series("The farm")
    _, port = metered.worker("second", "--grace-ms", "1")  # it must not wait for the campaign when the test ends
    own = series(get(port)[1])
    with_card = series(get(make_exporter(device="cuda:0", **card))[1])
    assert {name: kind for name, kind in with_card.items() if not name.startswith("mela_gpu_")} == own
    assert with_card == documented_series("A worker")


def test_totals_outlive_the_workers_and_every_server_tells_them(metered, clips, held):
    worker, port = metered.worker("worker", environment=held.environment)
    farm = Farm(metered.folder)
    campaign = farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"})
    wait_for(lambda: "\nmela_worker_busy 1\n" in get(port)[1], "a busy worker")
    held.release()
    assert farm.wait(campaign)["state"] == "done"
    worker.terminate()
    assert worker.wait(60) == 0
    other = free_port()
    metered.serve("other", other)
    first, second = values(get(metered.port)[1]), values(get(other)[1])
    totals = [row for row in first if re.match(r"mela_(job|frames|step|gpu|campaign|dead)", row)]
    assert {row: first[row] for row in totals} == {row: second[row] for row in totals}
    assert all(first[f'mela_workers{{pool="{pool}",state="{state}"}}'] == 0 for pool in ("cpu", "lipsync")
               for state in ("idle", "busy", "draining", "ill"))
    reports = [report for kind in ("plan", "track", "dub", "join") for report in farm.reports(campaign, kind)]
    assert all(report["gpu_ms"] == 0 for report in reports)  # there is no card
    assert first["mela_frames_total"] == sum(report.get("frames", 0) for report in reports) > 0
    told = sum(report["duration_ms"] for report in reports) / 1000
    assert sum(value for row, value in first.items() if row.startswith("mela_job_seconds_total")) == pytest.approx(told)
    assert first['mela_campaigns_ended_total{state="done"}'] == 1 and first['mela_jobs_done_total{kind="join"}'] == 1
    assert first['mela_step_seconds_total{step="lips"}'] > 0


def test_embedded_metrics_of_a_real_server_are_as_documented(metered):
    metered.worker("worker", "--pools", "cpu")
    wanted = {name: (unit, tuple(dimensions.split(", "))) for name, unit, dimensions, _ in documented("CloudWatch")}
    lines = wait_for(lambda: len(found := metered.lines()) >= 3 and found, "the first lines")
    assert [record.get("Pool") for record, _ in lines[:3]] == [None, "cpu", "lipsync"]
    found = {name: how for _, metrics in lines for name, how in metrics.items()}
    # The first line has no JobsFailed, the second comes after a minute; and the check is another program's.
    assert found == {name: how for name, how in wanted.items() if name not in ("JobsFailed", "GpuCheckFailed")}
    assert wanted["JobsFailed"] == wanted["GpuCheckFailed"] == ("Count", ("Farm",))
    assert all(metrics["Farm"] == "mela" for metrics, _ in lines)
    assert {record["_aws"]["CloudWatchMetrics"][0]["Namespace"] for record, _ in lines} == {"Studio/Mela"}


def test_a_server_whose_redis_is_away_still_has_a_heart(metered):
    metered.redis.kill()
    name = "alone"
    metered.spawn(name, BUILD / "mela", "serve", *metered.farm, "--keys", metered.folder / "keys.json", "--listen", "127.0.0.1:0",
                  "--emf", "Studio/Mela")
    (record, found), = wait_for(lambda: (metered.folder / f"{name}.out").exists() and metered.lines(name), "the first line")
    assert (record["Heartbeat"], record["RedisUp"]) == (1, 0) and set(found) == {"Heartbeat", "RedisUp"}


def test_the_cards_figures(make_exporter, card):
    labels = '{gpu="0",uuid="GPU-1234"}'
    seen = values(get(make_exporter(device="cuda:0", FAKE_NVML_ECC="2", FAKE_NVML_XID="79", **card))[1])
    assert {row.removesuffix(labels): value for row, value in seen.items() if row.endswith(labels)} == {
        "mela_gpu_utilization_ratio": 0.87, "mela_gpu_memory_used_bytes": 1 << 30, "mela_gpu_memory_total_bytes": 24 << 30,
        "mela_gpu_temperature_celsius": 61, "mela_gpu_power_watts": 212.5, "mela_gpu_ecc_uncorrected_errors": 2,
        "mela_gpu_last_xid": 79}


def test_a_critical_error_stays_and_what_the_driver_does_not_tell_is_missing(make_exporter, card):
    port = make_exporter(device="cuda:0", FAKE_NVML_XID="79", FAKE_NVML_COLD="1", **card)
    for _ in range(2):  # NVML tells of an error once
        text = get(port)[1]
        assert '\nmela_gpu_last_xid{gpu="0",uuid="GPU-1234"} 79\n' in text and "temperature" not in text


def test_a_card_that_is_gone_takes_only_its_own_rows_along(make_exporter, card):
    text = get(make_exporter(device="cuda:0", FAKE_NVML_INIT="9", **card))[1]
    assert "mela_gpu" not in text and "\nmela_worker_busy 0\n" in text


@pytest.mark.parametrize("state, health, readiness, words", [
    ("ready", 200, 200, "ready"), ("loading", 200, 503, "models"), ("deaf", 200, 503, "Redis"), ("hung", 503, 200, "ready")])
def test_health_and_readiness(make_exporter, state, health, readiness, words):
    port = make_exporter(state)
    assert get(port, "/healthz")[0] == health
    status, text = get(port, "/readyz")
    assert status == readiness and words in text
    age = values(get(port)[1])["mela_worker_heartbeat_age_seconds"]
    assert age > 9000 if state == "deaf" else age < 9000


def test_a_worker_that_drains_says_so(metered, clips, held):
    worker, port = metered.worker("worker", "--grace-ms", "60000", environment=held.environment)
    farm = Farm(metered.folder)
    farm.submit(clips / "talk.mp4", {"en": clips / "en.wav"})
    held.wait()
    worker.send_signal(signal.SIGTERM)
    wait_for(lambda: "\nmela_worker_draining 1\n" in get(port)[1], "a worker that drains")
    assert get(port, "/healthz")[0] == 200
    worker.send_signal(signal.SIGTERM)  # no more grace
    assert worker.wait(60) == 0


def raw(port, data, source="127.0.0.1"):
    """What comes back for bytes, until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), 30, (source, 0)) as connection:
        answer = b""
        try:
            connection.sendall(data)
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        return answer


def test_garbage_does_a_workers_exporter_no_harm(metered):
    worker, port = metered.worker("worker")
    ask = b" /metrics HTTP/1.1\r\nHost: x\r\n"
    assert raw(port, b"GET" + ask + b"\r\n").startswith(b"HTTP/1.1 200 ")
    for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"get", b"X" * 100):
        answer = raw(port, method + ask + b"Content-Length: 10\r\n\r\n0123456789")
        assert answer.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD\r\n" in answer, (method, answer)
    for path in (b"/", b"/metric", b"/metrics/", b"/../metrics", b"//metrics", b"/healthz%00", b"*"):
        assert raw(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404 "), path
    # A second request behind the first, or a body that looks like one, is not answered.
    hidden = b"GET" + ask + b"Content-Length: 40\r\n\r\n" + b"GET" + ask + b"\r\n"
    for data in (hidden, (b"GET" + ask + b"\r\n") * 2, b"GET" + ask + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
        assert raw(port, data).count(b"HTTP/1.1 200 ") <= 1
    long = raw(port, b"GET" + ask + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100) for i in range(5000)) + b"\r\n")
    assert b" 200 " not in long
    for data in (b"\0" * 1000, os.urandom(5000), b"\r\n" * 5000, b"GET /metrics\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500) + b"\r\n\r\n", b"A" * 100000 + b"\r\n\r\n"):
        raw_shut(port, data)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("HEAD", "/metrics")
    head = connection.getresponse()
    assert head.status == 200 and int(head.headers["Content-Length"]) > 500 and head.read() == b""
    assert head.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert get(port, "/healthz") == (200, "ok\n") and worker.poll() is None


def raw_shut(port, data):
    """Sends bytes and no more, whatever becomes of them."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:
            pass


def test_one_who_keeps_connections_open_does_not_keep_others_out(make_exporter):
    port = make_exporter()
    held = [socket.create_connection(("127.0.0.1", port), 30, ("127.0.0.2", 0)) for _ in range(60)]
    try:
        for connection in held:
            try:
                connection.sendall(b"GET /metrics HTTP/1.1\r\n")  # and never more
            except ConnectionError:
                pass
        assert get(port, "/healthz") == (200, "ok\n")
    finally:
        for connection in held:
            connection.close()


def test_an_address_that_cannot_be_had_is_said(metered):
    taken = metered.port
    done = subprocess.run([BUILD / "mela-worker", "run", *metered.farm, "--models", DEPS / "models", "--manifests", ROOT / "models",
                           "--work", metered.folder / "work", "--device", "cpu", "--metrics-listen", f"127.0.0.1:{taken}", "--json"],
                          capture_output=True, text=True, timeout=60)
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert done.returncode == 2 and error["code"] == "config.invalid" and str(taken) in error["message"]
