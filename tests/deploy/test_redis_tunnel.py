"""The tunnel to ElastiCache: haproxy with the chart's own configuration, before a real Redis that speaks TLS and wants a
token."""
import os
import shutil
import socket
import subprocess
import time

import pytest
from aws_server import free_port
from terraform_files import ROOT, TERRAFORM

CHART = TERRAFORM / "modules/addons/charts/redis-tunnel"
TOKEN = "token0123456789abcdef"
MELA = ROOT / "build/mela"

HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")  # where Debian has it

pytestmark = pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")


def certificate(folder, name):
    """A certificate for the name 127.0.0.1 that signs itself: key, certificate."""
    key, certificate_ = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=DNS:127.0.0.1", "-keyout", key, "-out", certificate_],
                   check=True, capture_output=True)
    return key, certificate_


class Process:
    def __init__(self, command, port, log, environment=None):
        self.command, self.port, self.log = [str(part) for part in command], port, log
        self.environment = {**os.environ, **(environment or {})}
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT, env=self.environment)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(self.log.read_text(encoding="utf-8"))

    def stop(self):
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def redis(tmp_path):
    key, cert = certificate(tmp_path, "redis")
    port = free_port()
    server = Process(["redis-server", "--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--tls-cert-file", cert,
                      "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--requirepass", TOKEN,
                      "--save", "", "--maxmemory-policy", "noeviction", "--dir", tmp_path], port, tmp_path / "redis.log")
    server.certificate = cert
    yield server
    server.stop()


@pytest.fixture
def tunnel(redis, tmp_path):
    """tunnel(trusted) starts one that trusts this certificate."""
    started = []

    def start(trusted):
        port = free_port()
        started.append(Process([HAPROXY, "-db", "-f", CHART / "haproxy.cfg"], port, tmp_path / "haproxy.log", {
            "TUNNEL_ADDRESS": f"127.0.0.1:{port}", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port),
            "TRUST_FILE": str(trusted)}))
        return port
    yield start
    for process in started:
        process.stop()


def ask(port, *commands):
    """Answers to commands over a plain connection; "" where it was closed."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        answers = []
        for command in commands:
            try:
                client.sendall(command.encode() + b"\r\n")
                answers.append(client.recv(1000).decode().strip())
            except ConnectionError:
                answers.append("")
        return answers


def eventually(function, wanted):
    deadline = time.monotonic() + 30
    while (got := function()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return got


def test_plain_in_tls_out(redis, tunnel):
    port = tunnel(redis.certificate)
    assert ask(port, f"AUTH {TOKEN}", "SET a 1", "GET a") == ["+OK", "+OK", "$1\r\n1"]
    assert ask(port, "GET a")[0].startswith("-NOAUTH")
    assert ask(redis.port, f"AUTH {TOKEN}") != ["+OK"], "without the tunnel this Redis takes no plain client"


def test_a_foreign_certificate_is_refused(redis, tunnel, tmp_path):
    _, foreign = certificate(tmp_path, "foreign")
    assert ask(tunnel(foreign), f"AUTH {TOKEN}") == [""]


def test_a_lost_primary_closes_connections_and_a_new_one_is_found(redis, tunnel):
    port = tunnel(redis.certificate)
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(f"AUTH {TOKEN}\r\n".encode())
        assert client.recv(100) == b"+OK\r\n"
        redis.stop()
        assert client.recv(100) == b""
    redis.start()
    assert eventually(lambda: ask(port, f"AUTH {TOKEN}"), ["+OK"]) == ["+OK"]


@pytest.mark.skipif(not MELA.exists(), reason="build/mela is not built")
def test_mela_through_the_tunnel(redis, tunnel, tmp_path):
    port, store = tunnel(redis.certificate), tmp_path / "store"
    store.mkdir()
    command = [MELA, "recover", "--dry-run", "--json", "--store", f"file://{store}", "--redis"]
    done = subprocess.run([*command, f"redis://:{TOKEN}@127.0.0.1:{port}"], capture_output=True, text=True, check=False,
                          cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    done = subprocess.run([*command, f"rediss://:{TOKEN}@127.0.0.1:{redis.port}"], capture_output=True, text=True,
                          check=False, cwd=tmp_path, timeout=60)
    if done.returncode == 0:
        pytest.fail("mela speaks TLS to Redis now: the tunnel can go")
